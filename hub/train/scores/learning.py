"""Trees from rows with an answer, or with odds of answers, and what calibrates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.site.score_recipe import ScoreTrees
from hub.train.dataset import Progress
from hub.train.scores.calibration import Sigmoid, fit_sigmoid
from hub.train.scores.rows import Matrix, ScoreRows

if TYPE_CHECKING:
    import lightgbm

THREADS: Final = 1
"""Fixed, so that a model does not depend on the machine."""
LEAST_BELIEF: Final = 0.02
"""A class that is believed less takes no part in a row."""


class Learned(NamedTuple):
    """Trees, and the sigmoid behind them."""

    booster: lightgbm.Booster
    sigmoid: Sigmoid

    def raw(self, matrix: Matrix) -> NDArray[np.float64]:
        """Sums of leaves, float64 (n,) of one probability, else (n, K)."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=THREADS), np.float64)

    def probabilities(self, matrix: Matrix) -> NDArray[np.float64]:
        """(n, K); of one probability (n, 2), that of NO first."""
        return self.sigmoid.probabilities(self.raw(matrix))

    def uncalibrated(self, matrix: Matrix) -> NDArray[np.float64]:
        """The same as the trees alone say it, by the link of their objective."""
        return Sigmoid(1.0, (0.0,) * len(self.sigmoid.shift)).probabilities(self.raw(matrix))


def learned(
    learn: ScoreRows,
    calibrate: ScoreRows,
    trees: ScoreTrees,
    *,
    is_binary: bool,
    seed: int,
    what: str = "training",
    progress: Progress = lambda _what, _done, _of: None,
) -> Learned:
    """Trees from the one part, the sigmoid from the other, later one.

    Raises ModelRefused: `nothing-learned`, or `calibration`.
    """
    booster = _trained(learn, trees, is_binary=is_binary, seed=seed, what=what, progress=progress)
    raw = Learned(booster, Sigmoid(1.0, (0.0,))).raw(calibrate.matrix)
    return Learned(booster, fit_sigmoid(raw, calibrate.belief))


def _trained(
    rows: ScoreRows, trees: ScoreTrees, *, is_binary: bool, seed: int, what: str, progress: Progress
) -> lightgbm.Booster:
    import lightgbm

    settings: dict[str, Any] = {
        **msgspec.structs.asdict(trees),
        "objective": "binary" if is_binary else "multiclass",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    if not is_binary:
        settings["num_class"] = rows.belief.shape[1]
    rounds = settings.pop("rounds")
    # A row of which several answers are possible counts for each of them by its odds.
    row, answer = np.nonzero(rows.belief >= LEAST_BELIEF)
    data = lightgbm.Dataset(
        rows.matrix[row], answer, weight=rows.belief[row, answer], feature_name=list(rows.names), free_raw_data=True
    )
    booster = lightgbm.train(
        settings,
        data,
        num_boost_round=rounds,
        callbacks=[lambda environment: progress(what, environment.iteration + 1, rounds)],
    )
    if not booster.feature_importance("split").any():
        raise ModelRefused(
            "nothing-learned", f"no column tells the answers apart in {len(rows):,} rows; nothing to serve"
        )
    return booster
