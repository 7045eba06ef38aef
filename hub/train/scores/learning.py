"""Trees from rows with an answer, or with odds of answers, and what calibrates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.calibration import Platt
from hub.site.score_recipe import ScoreTrees
from hub.train.dataset import Progress
from hub.train.scores.calibration import Calibration, SharedSlope, fit_calibration
from hub.train.scores.rows import Matrix, ScoreRows

if TYPE_CHECKING:
    import lightgbm

THREADS: Final = 1
"""Fixed, so that a model does not depend on the machine."""
LEAST_BELIEF: Final = 0.02
"""A class that is believed less takes no part in a row."""


class Learned(NamedTuple):
    """Trees, and what calibrates them."""

    booster: lightgbm.Booster
    calibration: Calibration

    def raw(self, matrix: Matrix) -> NDArray[np.float64]:
        """Sums of leaves, float64 (n,) of one probability, else (n, K)."""
        return raw_sums(self.booster, matrix)

    def probabilities(self, matrix: Matrix) -> NDArray[np.float64]:
        """(n, K); of one probability (n, 2), that of NO first."""
        return _both(self.calibration.probabilities(self.raw(matrix)))

    def uncalibrated(self, matrix: Matrix) -> NDArray[np.float64]:
        """The same as the trees alone say it, by the link of their objective."""
        raw = self.raw(matrix)
        alone = Platt((1.0,), (0.0,)) if raw.ndim == 1 else SharedSlope(1.0, (0.0,) * raw.shape[1])
        return _both(alone.probabilities(raw))


def raw_sums(booster: lightgbm.Booster, matrix: Matrix) -> NDArray[np.float64]:
    """What a booster adds up to, before any link."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=THREADS), np.float64)


def _both(said: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([1.0 - said, said]) if said.ndim == 1 else said


def learned(
    learn: ScoreRows,
    calibrate: ScoreRows,
    trees: ScoreTrees,
    *,
    is_binary: bool,
    categorical: Sequence[str] = (),
    seed: int,
    what: str = "training",
    progress: Progress = lambda _what, _done, _of: None,
) -> Learned:
    """Trees from the one part, what calibrates them from the other, later one.

    `categorical` are the columns whose numbers are names. Raises as `fit_calibration`, and ModelRefused
    (`nothing-learned`).
    """
    data = _data(learn, categorical)
    booster = _trained(
        data,
        trees,
        classes=1 if is_binary else learn.belief.shape[1],
        seed=seed,
        say=lambda done: progress(what, done, trees.rounds),
    )
    return Learned(booster, fit_calibration(raw_sums(booster, calibrate.matrix), calibrate.belief))


def _data(rows: ScoreRows, categorical: Sequence[str]) -> lightgbm.Dataset:
    import lightgbm

    # A row of which several answers are possible counts for each of them by its odds.
    row, answer = np.nonzero(rows.belief >= LEAST_BELIEF)
    return lightgbm.Dataset(
        rows.matrix[row],
        answer,
        weight=rows.belief[row, answer],
        feature_name=list(rows.names),
        categorical_feature=list(categorical),
    )


def _trained(
    data: lightgbm.Dataset, trees: ScoreTrees, *, classes: int, seed: int, say: Callable[[int], None]
) -> lightgbm.Booster:
    import lightgbm

    settings: dict[str, Any] = {
        **msgspec.structs.asdict(trees),
        "objective": "binary" if classes == 1 else "multiclass",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    if classes > 1:
        settings["num_class"] = classes
    booster = lightgbm.train(
        settings,
        data,
        num_boost_round=settings.pop("rounds"),
        callbacks=[lambda environment: say(environment.iteration + 1)],
    )
    if not booster.feature_importance("split").any():
        raise ModelRefused("nothing-learned", "no column tells the answers apart; nothing to serve")
    return booster
