"""`edgewise score ltv` from end to end: read, fit, forecast, compare with what came."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.lifetime import bgnbd
from hub.lifetime.calibration import Calibration, calibrate
from hub.lifetime.forecast import Baseline, Forecast
from hub.lifetime.history import History, Purchases, Unit, future, history
from hub.lifetime.learned import learn
from hub.lifetime.purchases import Columns, date_of, day_number, read_purchases

YEAR_DAYS: Final = 364
"""52 weeks: how far is looked ahead where nothing else is said."""
Say = Callable[[str], None]


class LtvModel(StrEnum):
    """What forecasts."""

    BGNBD = "bgnbd"
    ML = "ml"


class LtvPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to forecast from which file."""

    table: Path
    columns: Columns
    model: LtvModel = LtvModel.BGNBD
    calibration_end: dt.date | None = None
    """The last day that is learned from; None: the last of the file, and nothing is compared."""
    horizon: float | None = None
    """In units; None: the period after `calibration_end`, or 52 weeks."""
    unit: Unit = Unit.DAY
    seed: int = 0
    delimiter: str | None = None


class CustomerForecast(msgspec.Struct, frozen=True):
    """What is known and expected of one customer; time in units, money in the file's."""

    customer: str
    frequency: int
    """Repeat purchases."""
    recency: float
    """From the first purchase to the last."""
    age: float
    """From the first purchase to the moment of the forecast."""
    mean_value: float | None
    """Of a repeat purchase; None without one."""
    p_alive: float
    """P(has not left for good) by BG/NBD; 1 for whoever bought on one day only, as that model has it."""
    churn_risk: float
    """P(no purchase within the horizon)."""
    expected_purchases: float
    """Within the horizon."""
    expected_value: float
    """Within the horizon, not discounted."""


class LtvReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted, what is expected, and how that compares with what came; the JSON of `score ltv`."""

    model: LtvModel
    unit: Unit
    first_day: dt.date
    calibration_end: dt.date
    """The last day that was learned from."""
    last_day: dt.date
    """Of the file."""
    horizon: float
    """Units that the forecast of each customer looks ahead."""
    purchases: int
    """Days with a purchase that were learned from."""
    parameters: dict[str, float]
    """r, alpha (in units), a, b of BG/NBD."""
    parameter_intervals: dict[str, tuple[float, float]]
    """95 %."""
    log_likelihood: float
    value_parameters: dict[str, float] | None
    """p, q, v (in money) of Gamma-Gamma; None where it was not fitted."""
    value_log_likelihood: float | None
    expected_purchases: float
    """Of all customers."""
    expected_value: float
    customers: list[CustomerForecast]
    calibration: Calibration | None
    """Against the whole period after `calibration_end`; None where there is none."""
    baseline_calibration: Calibration | None
    """Of BG/NBD and Gamma-Gamma, beside a learned model."""
    trees: dict[str, int] | None
    """Of a learned model: how many each correction has."""
    warnings: list[str]


class _Forecaster(NamedTuple):
    baseline: Baseline
    correct: Callable[[Forecast], Forecast]
    trees: dict[str, int] | None


def score_ltv(plan: LtvPlan, say: Say = lambda _: None) -> LtvReport:
    """Forecast every customer of a file.

    Raises InputError for a file that cannot be read, a day outside of it, too few customers who came back, or, where
    trees are asked for, too short a history to learn from.
    """
    say(f"reading {plan.table.name}")
    purchases, warnings = read_purchases(plan.table, plan.columns, delimiter=plan.delimiter)
    end_day = _end_day(plan, purchases)
    after_days = purchases.last_day - end_day
    horizon_days = _horizon_days(plan, after_days)
    known = history(purchases, end_day, plan.unit)
    forecaster = _fitted(plan, purchases, known, end_day, horizon_days=horizon_days, say=say)
    baseline = forecaster.baseline
    of_baseline = baseline.forecast(known, horizon_days / plan.unit.days)
    made = forecaster.correct(of_baseline)
    calibration = baseline_calibration = None
    if plan.calibration_end is not None:
        say("comparing with what came")
        came = future(purchases, known, end_day, purchases.last_day)
        if horizon_days == after_days:
            compared = forecaster
        else:
            warnings.append(
                f"the comparison looks at all {after_days} days after {plan.calibration_end}, the forecast of each "
                f"customer at {horizon_days}"
            )
            compared = _fitted(plan, purchases, known, end_day, horizon_days=after_days, say=say)
        of_after = baseline.forecast(known, after_days / plan.unit.days)
        calibration = calibrate(known, compared.correct(of_after), came, seed=plan.seed)
        if plan.model is not LtvModel.BGNBD:
            baseline_calibration = calibrate(known, of_after, came, seed=plan.seed)
        fresh = len(purchases.names) - known.size
        if fresh:
            warnings.append(f"{fresh:,} customers bought first after {plan.calibration_end}: nothing is said of them")
    spending = baseline.spending
    return LtvReport(
        model=plan.model,
        unit=plan.unit,
        first_day=date_of(purchases.first_day),
        calibration_end=date_of(end_day),
        last_day=date_of(purchases.last_day),
        horizon=horizon_days / plan.unit.days,
        purchases=int((known.frequency + 1).sum()),
        parameters={name: getattr(baseline.buying, name) for name in baseline.buying.intervals},
        parameter_intervals=baseline.buying.intervals,
        log_likelihood=baseline.buying.log_likelihood,
        value_parameters=None if spending is None else {"p": spending.p, "q": spending.q, "v": spending.v},
        value_log_likelihood=None if spending is None else spending.log_likelihood,
        expected_purchases=float(made.purchases.sum()),
        expected_value=float(made.value.sum()),
        customers=_customers(purchases, known, baseline, made),
        calibration=calibration,
        baseline_calibration=baseline_calibration,
        trees=forecaster.trees,
        warnings=[*warnings, *baseline.warnings()],
    )


def _fitted(
    plan: LtvPlan, purchases: Purchases, known: History, end_day: int, *, horizon_days: int, say: Say
) -> _Forecaster:
    say("fitting BG/NBD and Gamma-Gamma")
    try:
        baseline = Baseline.fit(known)
    except InputError as refused:
        raise InputError(f"{plan.table}, up to {date_of(end_day)}: {refused}") from refused
    if plan.model is LtvModel.BGNBD:
        return _Forecaster(baseline, lambda of: of, None)
    learned = learn(purchases, end_day, horizon_days, plan.unit, seed=plan.seed, say=say)
    return _Forecaster(baseline, lambda of: learned.correct(purchases, known, end_day, baseline, of), learned.trees)


def _end_day(plan: LtvPlan, purchases: Purchases) -> int:
    if plan.calibration_end is None:
        return purchases.last_day
    day = day_number(plan.calibration_end)
    if not purchases.first_day < day < purchases.last_day:
        raise InputError(
            f"--calibration-end {plan.calibration_end}: {plan.table} has purchases from "
            f"{date_of(purchases.first_day)} to {date_of(purchases.last_day)}; expected a day between, with purchases "
            "before and after it"
        )
    return day


def _horizon_days(plan: LtvPlan, after_days: int) -> int:
    if plan.horizon is not None:
        return max(1, round(plan.horizon * plan.unit.days))
    return YEAR_DAYS if plan.calibration_end is None else after_days


def _customers(purchases: Purchases, known: History, baseline: Baseline, made: Forecast) -> list[CustomerForecast]:
    columns: tuple[list[Any], ...] = (
        [purchases.names[index] for index in known.customer],
        known.frequency.astype(int).tolist(),
        known.recency.tolist(),
        known.age.tolist(),
        [None if np.isnan(value) else value for value in known.mean_value.tolist()],
        bgnbd.alive(baseline.buying, known).tolist(),
        made.churn.tolist(),
        made.purchases.tolist(),
        made.value.tolist(),
    )
    return [CustomerForecast(*of) for of in zip(*columns, strict=True)]
