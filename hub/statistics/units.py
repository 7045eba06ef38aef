"""The units of an experiment: whoever was assigned, with what they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.statistics.compare import Kind
from hub.statistics.metrics import Measured
from hub.statistics.summary import Floats, Summary

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
EXCLUDED: Final = -1


@dataclass(frozen=True)
class Columns:
    """What the columns of the file are called."""

    variant: str | None
    """None before anybody is assigned: all are in one arm."""
    unit: str | None = None
    """Without it each row is a unit."""
    time: str | None = None
    segment: str | None = None
    score: str | None = None


@dataclass(frozen=True)
class Values:
    """One metric of each unit, each (units,); NaN where a unit has none. Absent columns are None."""

    value: Floats
    denominator: Floats | None = None
    covariate: Floats | None = None
    covariate_denominator: Floats | None = None

    def summary(self, where: Mask) -> Summary:
        """Of the units in `where` (units,) that have a value."""
        kept = where & np.isfinite(self.value)
        columns = (self.denominator, self.covariate, self.covariate_denominator)
        below, before, before_below = (None if column is None else column[kept] for column in columns)
        return Summary.of(self.value[kept], denominators=below, covariates=before, covariate_denominators=before_below)


@dataclass(frozen=True)
class Units:
    """The units of an experiment."""

    arms: tuple[str, ...]
    arm: Ints
    """(units,) index into `arms`; -1 for a unit that saw several."""
    values: dict[str, Values]
    """By the metric's name."""
    label: Callable[[int], str]
    """How to name a unit in a sentence."""
    segment: tuple[str | None, ...] | None
    """(units,)"""
    score: Floats | None
    """(units,)"""
    rows: Rows
    """Where they came from, for what depends on the day."""
    named: bool
    """Whether units have names, so that one in several arms can be seen."""
    warnings: tuple[str, ...]

    @property
    def in_several(self) -> int:
        """Units that saw more than one arm."""
        return int(np.count_nonzero(self.arm == EXCLUDED))

    @property
    def counts(self) -> dict[str, int]:
        """Units of each arm."""
        found = np.bincount(self.arm[self.arm != EXCLUDED], minlength=len(self.arms))
        return dict(zip(self.arms, map(int, found), strict=True))

    def of(self, arm: str) -> Mask:
        """(units,) which are in the arm."""
        return np.asarray(self.arm == self.arms.index(arm), dtype=np.bool_)


@dataclass(frozen=True)
class Rows:
    """The rows behind the units."""

    unit: Ints
    """(rows,) index of the unit."""
    day: Ints | None
    """(rows,) days since 1970 in UTC, where a time was named."""
    cells: dict[str, Floats]
    """By column, (rows,); NaN where there is no number."""


def per_unit(metric: Measured, rows: Rows, where: Mask, units: int) -> tuple[Floats, Floats | None]:
    """(units,) value and denominator of a metric over the rows in `where`; NaN for a unit without a number there."""
    value = rows.cells[metric.column]
    below = rows.cells[metric.denominator] if metric.denominator else None
    good = where & np.isfinite(value)
    if below is not None:
        good &= np.isfinite(below)
    total = sum_by_unit(rows.unit[good], value[good], units)
    if metric.kind is Kind.BINARY:
        total = np.minimum(total, 1.0)
    return total, None if below is None else sum_by_unit(rows.unit[good], below[good], units)


def sum_by_unit(unit: Ints, values: Floats, units: int) -> Floats:
    """(units,) sums of `values` (rows,); NaN for a unit without a row."""
    total = np.bincount(unit, values, minlength=units).astype(np.float64)
    total[np.bincount(unit, minlength=units) == 0] = np.nan
    return total
