"""An experiment before it runs: what today's units say, and how long the lift will take that is worth finding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.report_page import Line, heading, in_table, lines, page, sentence
from hub.statistics.compare import Kind
from hub.statistics.metrics import read_metrics
from hub.statistics.power import Baseline, Design, detectable_lift, power, units_needed
from hub.statistics.read_units import read_units
from hub.statistics.summary import COVARIATE, COVARIATE_DENOMINATOR, DENOMINATOR, VALUE, Summary
from hub.statistics.units import Columns

_STEPS: Final = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
"""Of the lift that was asked for: what it would take to find less or more."""


class PowerPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Units that find a lift."""

    lift: float
    units: int
    days: float | None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """How long an experiment has to run."""

    lift: float
    """Relative; NaN where so few units find none."""
    units: int
    """In all arms."""
    arms: dict[str, int]
    power: float
    days: float | None
    """None without a number of units a day."""
    wanted: float
    baseline: Baseline
    design: Design
    curve: list[PowerPoint]


def stated(mean: float, stddev: float | None, rho: float) -> Baseline:
    """A baseline as somebody says it. Raises InputError for a proportion that is none, or a mean of 0."""
    if not math.isfinite(mean) or mean == 0:
        raise InputError(f"a baseline of {mean:g} has no relative lift, expected another number")
    if stddev is not None:
        return Baseline(mean=mean, stddev=stddev, rho=rho)
    if not 0 < mean < 1:
        raise InputError(f"a baseline of {mean:g} is no proportion, expected its --stddev too")
    return Baseline(mean=mean, stddev=math.sqrt(mean * (1 - mean)), is_binary=True, rho=rho)


def baseline_of(
    file: Path, metric: str, *, unit: str | None, covariate: str | None, delimiter: str | None = None
) -> Baseline:
    """Mean, spread and correlation of a file's units, all arms together.

    Raises InputError for a file or metric that does not fit, and one whose mean is 0 or that does not vary.
    """
    (measured,) = read_metrics([metric])
    measured = msgspec.structs.replace(measured, covariate=covariate)
    units = read_units(file, Columns(None, unit), [measured], delimiter=delimiter)
    summary = units.values[measured.name].summary(np.ones(len(units.arm), dtype=np.bool_))
    if not summary.variance > 0 or not summary.mean:
        raise InputError(f"{file}: {measured.name} has mean {summary.mean:g} and variance {summary.variance:g}")
    return Baseline(
        mean=summary.mean,
        stddev=math.sqrt(summary.variance),
        is_binary=measured.kind is Kind.BINARY,
        rho=_correlation(summary),
        warnings=units.warnings,
    )


def planned(
    baseline: Baseline,
    design: Design,
    *,
    lift: float | None,
    units: int | None,
    wanted: float,
    per_day: float | None,
) -> Planned:
    """Whichever of lift and units is not given; the chance to find the lift where both are."""
    if units is None:
        assert lift is not None
        units = units_needed(lift, baseline, design, wanted=wanted)
    elif lift is None:
        lift = detectable_lift(units, baseline, design, wanted=wanted)
    total = sum(design.weights.values())
    curve = []
    for step in _STEPS:
        if baseline.is_binary and not 0 < baseline.mean * (1 + step * lift) < 1:
            continue
        if not math.isnan(lift):
            needed = units_needed(step * lift, baseline, design, wanted=wanted)
            curve.append(PowerPoint(lift=step * lift, units=needed, days=_days(needed, per_day)))
    return Planned(
        lift=lift,
        units=units,
        arms={arm: math.ceil(units * weight / total) for arm, weight in design.weights.items()},
        power=float("nan") if math.isnan(lift) else power(units, lift, baseline, design),
        days=_days(units, per_day),
        wanted=wanted,
        baseline=baseline,
        design=design,
        curve=curve,
    )


def power_page(found: Planned) -> str:
    """HTML 5, to be encoded as UTF-8."""
    drawn = [Line("units", [(point.lift * 100, float(point.units)) for point in found.curve])]
    rows = [
        [f"{of.lift:+.2%}", f"{of.units:,}", "-" if of.days is None else f"{math.ceil(of.days):,}"]
        for of in found.curve
    ]
    return page(
        "How long an experiment runs",
        sentence(
            f"Baseline {found.baseline.mean:.5g} with a standard deviation of {found.baseline.stddev:.5g} a unit; "
            f"{found.units:,} units find a lift of {found.lift:+.2%} with a chance of {found.power:.1%}, read by the "
            f"{found.design.method.value} method at {found.design.alpha:g}."
        ),
        heading("Lift and units"),
        lines("Units that are needed, by the lift to be found", "lift, %", "units", drawn),
        in_table(["lift", "units", "days"], rows),
    )


def _days(units: int, per_day: float | None) -> float | None:
    return None if per_day is None else units / per_day


def _correlation(summary: Summary) -> float:
    before, outcome = (COVARIATE, COVARIATE_DENOMINATOR), (VALUE, DENOMINATOR)
    spread = summary.ratio_covariance(before, before)
    if not spread > 0:
        return 0.0
    return summary.ratio_covariance(outcome, before) / math.sqrt(spread * summary.variance)
