"""A forecast beside what came: totals, and groups of customers from the lowest forecast to the highest."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.lifetime.forecast import Forecast
from hub.lifetime.history import Floats, Future, History
from hub.train.scoring.metrics import auc, brier

GROUPS: Final = 10
MOST_FREQUENT: Final = 7
"""Customers with so many repeat purchases or more are one group, as in the paper's figure 6."""
RESAMPLES: Final = 1_000
AUC_RESAMPLES: Final = 200


class Held(msgspec.Struct, frozen=True):
    """A number with its 95 % interval, by bootstrap over customers; NaN where there is none."""

    value: float
    ci_low: float
    ci_high: float


class Group(msgspec.Struct, frozen=True):
    """Customers of similar forecast."""

    name: str
    customers: int
    expected: float
    """Mean of the forecast."""
    actual: Held
    """Mean of what came."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How a forecast compares with the period after it. Money is in the file's units, time in the trial's."""

    customers: int
    purchases_expected: float
    purchases_actual: float
    purchases_ratio: Held
    """Expected to actual, 1 is right."""
    value_expected: float
    value_actual: float
    value_ratio: Held
    purchases_rmse: float
    """Root of the mean squared error, a customer."""
    purchases_mae: float
    value_rmse: float
    value_mae: float
    value_rank: float
    """Spearman's correlation of expected and actual value: does it find the best customers?"""
    value_best_decile: float
    """Share of the actual value that the tenth with the highest forecast brought."""
    churn_auc: Held
    """Chance that somebody who did not come back had the higher risk."""
    churn_brier: float
    churn_error: float
    """Expected calibration error: mean distance of risk and share in the groups."""
    by_purchases: list[Group]
    by_value: list[Group]
    by_churn: list[Group]
    """Risk, and the share that bought nothing."""
    by_frequency: list[Group]
    """Purchases, by how often they had come back (the paper's figure 6)."""


def calibrate(known: History, forecast: Forecast, came: Future, *, seed: int) -> Calibration:
    """Compare. `seed` draws the intervals.

    Raises InputError when nobody bought anything in the period: nothing can be compared.
    """
    if not came.purchases.sum():
        raise InputError("nobody who was known bought anything in the period after it: nothing to compare with")
    rng = np.random.default_rng(seed)
    silent = (came.purchases == 0).astype(np.float64)
    frequency = np.minimum(known.frequency, MOST_FREQUENT)
    often = [np.flatnonzero(frequency == x) for x in np.unique(frequency)]
    named = [f"{frequency[rows[0]]:.0f}{' or more' if frequency[rows[0]] == MOST_FREQUENT else ''}" for rows in often]
    by_churn = _groups(forecast.churn, silent, rng)
    return Calibration(
        customers=known.size,
        purchases_expected=float(forecast.purchases.sum()),
        purchases_actual=float(came.purchases.sum()),
        purchases_ratio=_ratio(forecast.purchases, came.purchases, rng),
        value_expected=float(forecast.value.sum()),
        value_actual=float(came.value.sum()),
        value_ratio=_ratio(forecast.value, came.value, rng),
        purchases_rmse=_rmse(forecast.purchases, came.purchases),
        purchases_mae=float(np.mean(np.abs(forecast.purchases - came.purchases))),
        value_rmse=_rmse(forecast.value, came.value),
        value_mae=float(np.mean(np.abs(forecast.value - came.value))),
        value_rank=_rank_correlation(forecast.value, came.value),
        value_best_decile=_best_share(forecast.value, came.value),
        churn_auc=_auc(silent, forecast.churn, rng),
        churn_brier=brier(silent, forecast.churn, np.ones(len(silent))),
        churn_error=sum(g.customers * abs(g.expected - g.actual.value) for g in by_churn) / known.size,
        by_purchases=_groups(forecast.purchases, came.purchases, rng),
        by_value=_groups(forecast.value, came.value, rng),
        by_churn=by_churn,
        by_frequency=[
            _group(name, forecast.purchases[rows], came.purchases[rows], rng)
            for name, rows in zip(named, often, strict=True)
        ],
    )


def _groups(expected: Floats, actual: Floats, rng: np.random.Generator) -> list[Group]:
    """Ten of equal size by the forecast, equal forecasts in file order; fewer where there are few customers."""
    parts = np.array_split(np.argsort(expected, kind="stable"), min(GROUPS, len(expected)))
    return [_group(str(number), expected[part], actual[part], rng) for number, part in enumerate(parts, start=1)]


def _group(name: str, expected: Floats, actual: Floats, rng: np.random.Generator) -> Group:
    sums = resampled_sums(actual[:, None], RESAMPLES, rng)[:, 0]
    low, high = percentile_interval(sums / len(actual))
    return Group(name, len(actual), float(expected.mean()), Held(float(actual.mean()), low, high))


def _ratio(expected: Floats, actual: Floats, rng: np.random.Generator) -> Held:
    sums = resampled_sums(np.column_stack([expected, actual]), RESAMPLES, rng)
    total = float(actual.sum())
    if total <= 0:
        return Held(float("nan"), float("nan"), float("nan"))
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = percentile_interval(np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan))
    return Held(float(expected.sum()) / total, low, high)


def _auc(truth: Floats, scores: Floats, rng: np.random.Generator) -> Held:
    weights = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=AUC_RESAMPLES).astype(np.float64)
    low, high = percentile_interval(np.array([auc(truth, scores, weight) for weight in weights]))
    return Held(auc(truth, scores, np.ones(len(truth))), low, high)


def _rmse(expected: Floats, actual: Floats) -> float:
    return float(np.sqrt(np.mean((expected - actual) ** 2)))


def _best_share(expected: Floats, actual: Floats) -> float:
    best = np.argsort(-expected, kind="stable")[: max(1, round(len(expected) / GROUPS))]
    total = float(actual.sum())
    return float(actual[best].sum()) / total if total > 0 else float("nan")


def _rank_correlation(expected: Floats, actual: Floats) -> float:
    ranks = [_ranks(values) for values in (expected, actual)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> Floats:
    """Ties share the mean of their ranks."""
    _, index, times = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(times) - (times - 1) / 2)[index]
