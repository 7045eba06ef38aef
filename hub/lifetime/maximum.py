"""The largest likelihood of positive parameters, with intervals from its curvature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError

Floats = NDArray[np.float64]
Likelihood = Callable[[Floats], tuple[float, Floats]]
"""Logarithms of the parameters (k,) to the log-likelihood and its gradient (k,) by those logarithms."""

FARTHEST: Final = 14.0
"""A parameter is looked for between exp(-14) and exp(14): what lies outside is a limit, not an estimate."""
_NEAR_FARTHEST: Final = 0.5
_STEP: Final = 1e-5
_NORMAL_95: Final = 1.959963984540054
_FLAT: Final = 1e-4
"""Largest slope, as a part of the likelihood's own size, that still counts as a summit."""


class Summit(NamedTuple):
    """Where the likelihood is largest."""

    parameters: Floats
    """(k,), all positive."""
    intervals: list[tuple[float, float]]
    """95 % of each, from the curvature of the likelihood in the logarithms (Wald); NaN where it is flat."""
    log_likelihood: float
    at_limit: bool
    """A parameter went to a limit: the data do not tell it apart from infinity or 0."""


def summit(likelihood: Likelihood, starts: Sequence[Sequence[float]], what: str) -> Summit:
    """The best of what is found by L-BFGS from several starts (positive parameters).

    Raises InputError when none of them leads to a summit.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    def descent(at: Floats) -> tuple[float, Floats]:
        value, slope = likelihood(at)
        return -value, -slope

    found = None
    for start in starts:
        first = np.clip(np.log(np.asarray(start, dtype=np.float64)), -FARTHEST, FARTHEST)
        # one thread: for so few parameters several only wait for each other
        with threadpool_limits(1):
            ended = minimize(
                descent,
                first,
                jac=True,
                method="L-BFGS-B",
                bounds=[(-FARTHEST, FARTHEST)] * len(start),
                options={"maxiter": 5_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-7},
            )
        if np.isfinite(ended.fun) and (found is None or ended.fun < found.fun):
            found = ended
    at = None if found is None else np.asarray(found.x, dtype=np.float64)
    if found is None or at is None or _slope(likelihood, at) > _FLAT * max(1.0, abs(float(found.fun))):
        raise InputError(f"{what}: no parameters fit best; these purchases do not look like repeat buying")
    return Summit(
        parameters=np.exp(at),
        intervals=_intervals(likelihood, at),
        log_likelihood=-float(found.fun),
        at_limit=bool(np.any(np.abs(at) > FARTHEST - _NEAR_FARTHEST)),
    )


def _slope(likelihood: Likelihood, at: Floats) -> float:
    """The largest slope that leads on; against a limit there is nowhere to go."""
    slope = likelihood(at)[1]
    outward = (np.abs(at) >= FARTHEST) & (np.sign(slope) == np.sign(at))
    return float(np.max(np.abs(np.where(outward, 0.0, slope))))


def _intervals(likelihood: Likelihood, at: Floats) -> list[tuple[float, float]]:
    """By the inverse of the negative second derivatives, taken from differences of the gradient."""
    size = len(at)
    curvature = np.empty((size, size))
    for axis in range(size):
        aside = np.zeros(size)
        aside[axis] = _STEP
        curvature[axis] = (likelihood(at - aside)[1] - likelihood(at + aside)[1]) / (2 * _STEP)
    curvature = (curvature + curvature.T) / 2
    try:
        variances = np.diag(np.linalg.inv(curvature))
    except np.linalg.LinAlgError:
        variances = np.full(size, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        half = _NORMAL_95 * np.sqrt(np.where(variances > 0, variances, np.nan))
        half = np.where(half < FARTHEST, half, np.nan)
        return [(float(np.exp(x - h)), float(np.exp(x + h))) for x, h in zip(at, half, strict=True)]
