"""How far an estimate may be off, as far as resampling the log can show it; unknown where it cannot."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hub.evaluation import estimators as on_arrays
from hub.evaluation.estimators import Terms
from hub.evaluation.logged import Integers

NAN: Final = float("nan")
_ROUNDING: Final = 1e-12  # of a sum of equal numbers, relative to it


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
    estimators: dict[str, Terms], unit: Integers, *, resamples: int, rng: np.random.Generator
) -> dict[str, Spread]:
    """The spread of each estimator over units, all from the same resamples.

    Unknown without two units, and where no unit moves the estimate: a log without a single click says that clicks
    are rare, not that their rate is 0 to the last digit, which is what an interval without width would say.
    """
    intervals = on_arrays.intervals(estimators, unit, resamples=resamples, rng=rng)
    found: dict[str, Spread] = {}
    for name, terms in estimators.items():
        stderr = on_arrays.standard_error(terms, unit)
        moves = stderr > _ROUNDING * abs(on_arrays.point(terms))  # False for NaN
        found[name] = Spread(*intervals[name], stderr) if moves else UNKNOWN
    return found
