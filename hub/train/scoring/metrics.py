"""How good scores are, weighted by row, so that a bootstrap resample is a vector of counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hub.train.scoring.choices import ScoreKind

Floats = NDArray[np.float64]
Metric = Callable[[NDArray[np.generic], Floats, Floats], float]
"""(true values, predictions, row weights) to one number; NaN where it is not defined."""

TINY = 1e-15
"""Probabilities are kept this far from 0 and 1 before a logarithm."""


def auc(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Area under the ROC curve: chance that a positive row scores above a negative one, ties counted half."""
    positives, negatives = _cumulated(truth, scores, weights)
    if positives[-1] == 0 or negatives[-1] == 0:
        return float("nan")
    steps = np.diff(negatives, prepend=0.0)
    below = np.concatenate([[0.0], positives[:-1]])
    return float((steps * (below + positives)).sum() / (2 * positives[-1] * negatives[-1]))


def average_precision(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Precision at each threshold, weighted by the recall that it adds; not interpolated."""
    positives, negatives = _cumulated(truth, scores, weights)
    if positives[-1] == 0:
        return float("nan")
    with np.errstate(invalid="ignore"):
        precision = positives / (positives + negatives)
    gained = np.diff(positives, prepend=0.0)
    return float((gained * np.nan_to_num(precision)).sum() / positives[-1])


def _cumulated(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Positive and negative weight at or above each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    positive = np.cumsum(weights[order] * (truth[order] == 1))
    negative = np.cumsum(weights[order] * (truth[order] != 1))
    last_of_score = np.append(ordered[1:] != ordered[:-1], True)
    return positive[last_of_score], negative[last_of_score]


def log_loss(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean of -log(probability given to what happened); scores (n,) of the second class, or (n, K)."""
    given = scores[np.arange(len(scores)), truth.astype(np.int64)] if scores.ndim > 1 else scores
    if scores.ndim == 1:
        given = np.where(truth == 1, scores, 1.0 - scores)
    return _mean(-np.log(np.clip(given, TINY, 1.0)), weights)


def brier(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean squared difference of probability and outcome."""
    return _mean((scores - (truth == 1)) ** 2, weights)


def accuracy(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Share of rows whose likeliest class is the true one."""
    return _mean((scores.argmax(axis=1) == truth).astype(np.float64), weights)


def f1_macro(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean over the classes of the F1 of "the likeliest class is this one"; a class that nobody is or gets counts 0."""
    classes = scores.shape[1]
    given = scores.argmax(axis=1)
    held = truth.astype(np.int64)
    hit = np.bincount(held[given == held], weights=weights[given == held], minlength=classes)
    either = np.bincount(held, weights=weights, minlength=classes) + np.bincount(
        given, weights=weights, minlength=classes
    )
    return float(np.mean(2.0 * hit / np.maximum(either, TINY)))


def macro_auc(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean over the classes of the AUC of each against the rest."""
    each = [auc((truth == index).astype(np.int64), scores[:, index], weights) for index in range(scores.shape[1])]
    return float(np.mean(each))


def rmse(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Square root of the mean squared error."""
    return float(np.sqrt(_mean((truth.astype(np.float64) - scores) ** 2, weights)))


def mae(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean absolute error."""
    return _mean(np.abs(truth.astype(np.float64) - scores), weights)


def r2(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Share of the variance that is explained; below 0 is worse than the mean."""
    values = truth.astype(np.float64)
    spread = _mean((values - _mean(values, weights)) ** 2, weights)
    return 1.0 - _mean((values - scores) ** 2, weights) / spread if spread > 0 else float("nan")


def poisson_deviance(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """Mean of 2 (y log(y / s) - y + s); 0 is perfect. McCullagh and Nelder, Generalized Linear Models, 1989."""
    values = truth.astype(np.float64)
    expected = np.maximum(scores, TINY)
    ratio = np.where(values > 0, np.maximum(values, TINY) / expected, 1.0)
    return _mean(2.0 * (values * np.log(ratio) - values + expected), weights)


def deviance_explained(truth: NDArray[np.generic], scores: Floats, weights: Floats) -> float:
    """1 - Poisson deviance / that of the mean; below 0 is worse than the mean, NaN where nothing ever happened."""
    values = truth.astype(np.float64)
    mean = _mean(values, weights)
    if mean <= 0:
        return float("nan")
    null = poisson_deviance(truth, np.full(len(values), mean), weights)
    return 1.0 - poisson_deviance(truth, scores, weights) / null if null > 0 else float("nan")


def _mean(values: Floats, weights: Floats) -> float:
    return float((values * weights).sum() / weights.sum())


METRICS: dict[ScoreKind, dict[str, Metric]] = {
    ScoreKind.BINARY: {"auc": auc, "average_precision": average_precision, "log_loss": log_loss, "brier": brier},
    ScoreKind.MULTICLASS: {"accuracy": accuracy, "f1_macro": f1_macro, "macro_auc": macro_auc, "log_loss": log_loss},
    ScoreKind.REGRESSION: {"rmse": rmse, "mae": mae, "r2": r2},
    ScoreKind.COUNT: {
        "poisson_deviance": poisson_deviance,
        "deviance_explained": deviance_explained,
        "rmse": rmse,
        "mae": mae,
    },
}


def measure(kind: ScoreKind, truth: NDArray[np.generic], scores: Floats) -> dict[str, float]:
    """Every metric of a kind, all rows alike."""
    weights = np.ones(len(truth))
    return {name: metric(truth, scores, weights) for name, metric in METRICS[kind].items()}
