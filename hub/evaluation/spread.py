"""How far an estimate may be off, as far as the log can show it; unknown where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from hub.evaluation import estimators as on_arrays
from hub.evaluation.bernstein import Reach, bernstein_interval
from hub.evaluation.estimators import Terms
from hub.evaluation.logged import Floats, Integers
from hub.evaluation.names import IntervalName

NAN: Final = float("nan")
_ROUNDING: Final = 1e-12  # of a sum of equal numbers, relative to it


class Measured(NamedTuple):
    """One estimator on one log."""

    terms: Terms
    weights: Floats
    """(rows,): those that it uses."""
    reach: tuple[Reach, ...]
    """Of each of the terms."""
    bias_bound: float = 0.0
    """By how much it may be off beside chance: its interval is wider by this at both ends."""
    tuning: float | None = None
    """The parameter that the log chose, where there is one."""


class Spread(NamedTuple):
    """A 95 % interval and a standard error; NaN throughout when unknown."""

    ci_low: float
    ci_high: float
    stderr: float

    @property
    def is_known(self) -> bool:
        """Whether there is an interval at all."""
        return not np.isnan(self.ci_low)


UNKNOWN: Final = Spread(NAN, NAN, NAN)


def spreads(
    estimators: Mapping[str, Measured],
    unit: Integers,
    *,
    interval: IntervalName = IntervalName.BOOTSTRAP,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, Spread]:
    """The spread of each estimator over units, bootstrapped all from the same resamples.

    Unknown without two units, and where no unit moves the estimate: a log without a single click says that clicks
    are rare, not that their rate is 0 to the last digit, which is what an interval without width would say.
    """
    intervals = _intervals(estimators, unit, interval, resamples, rng)
    found: dict[str, Spread] = {}
    for name, each in estimators.items():
        stderr = on_arrays.standard_error(each.terms, unit)
        moves = stderr > _ROUNDING * abs(on_arrays.point(each.terms))  # False for NaN
        low, high = intervals[name]
        found[name] = Spread(low - each.bias_bound, high + each.bias_bound, stderr) if moves else UNKNOWN
    return found


def _intervals(
    estimators: Mapping[str, Measured],
    unit: Integers,
    interval: IntervalName,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    terms = {name: each.terms for name, each in estimators.items()}
    match interval:
        case IntervalName.BOOTSTRAP:
            return on_arrays.intervals(terms, unit, resamples=resamples, rng=rng)
        case IntervalName.BOOTSTRAP_T:
            return on_arrays.studentised_intervals(terms, unit, resamples=resamples, rng=rng)
        case IntervalName.BERNSTEIN:
            return {name: bernstein_interval(each.terms, unit, each.reach) for name, each in estimators.items()}
