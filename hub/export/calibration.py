"""Platt's sigmoid: scores that order become probabilities that hold, by two numbers a class.

    p = 1 / (1 + exp(-(slope * raw + intercept)))

J. Platt, "Probabilistic outputs for support vector machines", 1999. Of several classes each is calibrated against the
rest, and the shares are divided by their sum (Zadrozny and Elkan, "Transforming classifier scores into accurate
multiclass probability estimates", 2002). Isotonic regression is not here: it is a staircase, which makes equal scores
of close ones, and skl2onnx exports it silently wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError

LEAST_SUM: Final = 1e-30
"""Of the shares of a row, before they are divided by it; float32 holds it."""


class Platt(NamedTuple):
    """One slope and one intercept for a binary model, or one of each for every class."""

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    @classmethod
    def fit(cls, raw: NDArray[np.float64], truth: NDArray[np.integer[Any]]) -> Self:
        """By maximum likelihood on rows that the model was not fitted on.

        `raw` is (n,) and `truth` 0 or 1, or (n, K) and class numbers. Targets are drawn in as Platt does, so that few
        rows or perfectly divided ones do not end in infinite slopes.

        Raises:
            InputError: not as many truths as rows, a score that is not finite, or a class that is in no row, or in all.
        """
        if raw.shape[:1] != truth.shape or not np.isfinite(raw).all():
            raise InputError(f"scores of shape {raw.shape} and {len(truth)} outcomes; expected finite ones, one a row")
        if raw.ndim == 1:
            slope, intercept = _fit(raw, truth == 1)
            return cls((slope,), (intercept,))
        fitted = [_fit(raw[:, number], truth == number) for number in range(raw.shape[1])]
        return cls(tuple(slope for slope, _ in fitted), tuple(intercept for _, intercept in fitted))

    def probabilities(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the second class, (n,), or of each, (n, K), from raw scores of the same shape."""
        from scipy.special import expit

        shares: NDArray[np.float64] = expit(raw * _wide(self.slopes, raw) + _wide(self.intercepts, raw))
        if raw.ndim > 1:
            shares /= np.maximum(shares.sum(axis=1, keepdims=True), LEAST_SUM)
        return shares


def _wide(numbers: Sequence[float], raw: NDArray[np.float64]) -> NDArray[np.float64] | float:
    return numbers[0] if raw.ndim == 1 else np.array(numbers)


def _fit(raw: NDArray[np.float64], happened: NDArray[np.bool_]) -> tuple[float, float]:
    from scipy.optimize import minimize
    from scipy.special import expit

    positives = int(happened.sum())
    negatives = len(happened) - positives
    if not positives or not negatives:
        raise InputError(f"{positives} of {len(happened)} rows are of a class that is to be calibrated; expected some")
    wanted = np.where(happened, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, scale = float(raw.mean()), float(raw.std()) or 1.0
    standard = (raw - centre) / scale

    def loss(parts: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = parts[0] * standard + parts[1]
        missed = expit(at) - wanted
        total = float((np.logaddexp(0.0, at) - wanted * at).mean())
        return total, np.array([(missed * standard).mean(), missed.mean()])

    found = minimize(loss, np.array([1.0, math.log(positives / negatives)]), jac=True, method="BFGS").x
    slope = float(found[0]) / scale
    return slope, float(found[1]) - slope * centre
