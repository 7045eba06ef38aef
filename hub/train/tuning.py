"""Better settings of the trees, looked for on the outcomes that they may learn from: never on those that judge.

Optuna's tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kegl 2011, NeurIPS 24) proposes; each proposal is
trained on the earlier outcomes and measured on the later ones. The recipe's own settings are tried first: tuning never
ends below them on what it looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgewise.errors import InputError, ModelRefused, UnavailableError
from edgewise.features.table import FeatureTable
from hub.site.recipes import TreeRecipe
from hub.train.boosting import Progress, fit_trees, lesson_of, raw_scores
from hub.train.dataset import RankingRows, part
from hub.train.judging import model_ranks

if TYPE_CHECKING:
    import optuna

LATER_SHARE: Final = 0.3
"""Of the outcomes, by which proposals are compared."""


class Tuned(msgspec.Struct, frozen=True):
    """What was found."""

    trees: TreeRecipe
    trials: int
    measure: str
    before: float
    """Of the recipe's settings, on the outcomes that tuning compares by."""
    after: float


def tuned(
    rows: RankingRows,
    features: FeatureTable,
    trees: TreeRecipe,
    *,
    k: int,
    trials: int,
    seed: int,
    progress: Progress = lambda *_: None,
) -> Tuned:
    """The best of `trials` settings by MRR@k among drawn candidates; the same arguments find the same.

    Raises:
        UnavailableError: Optuna is not installed.
        InputError: fewer than two outcomes, or no trial.
    """
    if trials < 1:
        raise InputError(f"{trials} trials; expected at least 1")
    if rows.choices < 2:  # noqa: PLR2004  # one to learn from, one to compare by
        raise InputError(f"{rows.choices} outcomes to tune on; expected at least 2")
    try:
        import optuna
    except ImportError as absent:
        raise UnavailableError("tuning needs Optuna: pip install 'edgewise[tune]'") from absent

    is_later = np.arange(rows.choices) >= int(rows.choices * (1 - LATER_SHARE))
    early, late = part(rows, ~is_later), part(rows, is_later)
    lesson = lesson_of(early, features)
    tried = 0

    def value_of(settings: TreeRecipe) -> float:
        nonlocal tried
        tried += 1
        progress("tuning", tried, trials)
        try:
            booster = fit_trees(lesson, settings, seed, what="", progress=lambda *_: None)
        except ModelRefused:
            return 0.0  # nothing learned: as bad as it gets
        ranks = model_ranks(late, raw_scores(booster, late.matrix))
        return float(np.where(ranks < k, 1.0 / (ranks + 1.0), 0.0).mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: getattr(trees, name) for name in _SEARCHED})
    study.optimize(lambda trial: value_of(_proposed(trial, trees)), n_trials=trials)
    return Tuned(
        trees=msgspec.structs.replace(trees, **study.best_params),
        trials=trials,
        measure=f"mrr@{k} among drawn candidates",
        before=float(study.trials[0].value or 0.0),
        after=float(study.best_value),
    )


_SEARCHED: Final = ("rounds", "num_leaves", "learning_rate", "min_data_in_leaf", "feature_fraction", "lambda_l2")


def _proposed(trial: optuna.Trial, trees: TreeRecipe) -> TreeRecipe:
    """Within what an edge scores in time, and always with the recipe's own. The objective is the site's choice."""

    def whole(name: str, low: int, high: int, *, log: bool = False) -> int:
        own: int = getattr(trees, name)
        return trial.suggest_int(name, min(low, own), max(high, own), log=log)

    def number(name: str, low: float, high: float, *, log: bool = False) -> float:
        own: float = getattr(trees, name)
        return trial.suggest_float(name, min(low, own), max(high, own), log=log)

    return msgspec.structs.replace(
        trees,
        rounds=whole("rounds", 30, 300),
        num_leaves=whole("num_leaves", 4, 63),
        learning_rate=number("learning_rate", 0.02, 0.3, log=True),
        min_data_in_leaf=whole("min_data_in_leaf", 10, 300, log=True),
        feature_fraction=number("feature_fraction", 0.4, 1.0),
        lambda_l2=number("lambda_l2", 0.0, 20.0),
    )
