"""From units to evidence, and the views that need the units: segments, days since exposure, a targeting score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from hub.statistics.balance import exposures
from hub.statistics.compare import Kind
from hub.statistics.evidence import Evidence
from hub.statistics.metrics import Measured, Role
from hub.statistics.novelty import Day, Novelty, novelty
from hub.statistics.results import Analysis, MetricResult
from hub.statistics.segments import Heterogeneity, Pair, Segments, heterogeneity
from hub.statistics.units import EXCLUDED, Mask, Units, Values, per_unit
from hub.statistics.uplift import Targeting, targeting

DOMINANT_ABOVE: Final = 0.5
"""A unit with more than this share of an arm's spread is named: its lift is that unit's."""
_FEWEST_FOR_DOMINANT: Final = 20
_DAYS_SHOWN: Final = 60
_SEGMENTS_SHOWN: Final = 50


def evidence_of(units: Units, metrics: Sequence[Measured]) -> Evidence:
    """Sums of every metric and arm; says which units dominate one, and which metric lacks units in one arm."""
    kept = units.arm != EXCLUDED
    where = {arm: units.of(arm) for arm in units.arms}
    warnings = list(units.warnings)
    if units.in_several:
        warnings.append(f"{units.in_several:,} units saw more than one variant: excluded from all")
    for metric in metrics:
        for arm, mask in where.items():
            warnings += _dominant(metric, arm, units, mask)
    return Evidence(
        counts=units.counts,
        summaries={
            metric.name: {arm: units.values[metric.name].summary(mask) for arm, mask in where.items()}
            for metric in metrics
        },
        excluded={
            metric.name: int(np.count_nonzero(kept & ~np.isfinite(units.values[metric.name].value)))
            for metric in metrics
        },
        exposures=exposures(len(units.arm), units.in_several) if units.named else None,
        warnings=tuple(warnings),
    )


def with_views(
    found: Analysis, units: Units, metrics: Sequence[Measured], *, attribute: str | None, seed: int = 0
) -> Analysis:
    """The analysis with what the units can say beside it; segments are under the name `attribute`."""
    results = {}
    for metric in metrics:
        result = found.metrics[metric.name]
        masks = {arm: units.of(arm) for arm in result.variants if arm in units.arms}
        if found.control not in units.arms:
            masks = {}
        results[metric.name] = msgspec.structs.replace(
            result,
            segments=_segments(metric, units, found.control, masks, attribute),
            novelty=_novelties(metric, units, found.control, masks),
            targeting=_targetings(metric, units, found.control, masks, result, seed=seed),
        )
    return msgspec.structs.replace(found, metrics=results)


def _dominant(metric: Measured, arm: str, units: Units, where: Mask) -> list[str]:
    value = units.values[metric.name].value
    index = np.flatnonzero(where & np.isfinite(value))
    if metric.kind is Kind.BINARY or len(index) < _FEWEST_FOR_DOMINANT:
        return []
    spread = (value[index] - value[index].mean()) ** 2
    total, at = float(spread.sum()), int(np.argmax(spread))
    if not total or spread[at] <= DOMINANT_ABOVE * total:
        return []
    what = f"unit {units.label(int(index[at]))} ({value[index[at]]:,.10g}) holds {spread[at] / total:.0%} of the spread"
    return [f"{what} of {metric.name} in {arm}: one unit decides, find out whether it is real"]


def _segments(
    metric: Measured, units: Units, control: str, masks: Mapping[str, Mask], attribute: str | None
) -> Segments | None:
    if units.segment is None or attribute is None:
        return None
    names = sorted({name for name in units.segment if name is not None})[:_SEGMENTS_SHOWN]
    segment = np.array(units.segment, dtype=object)
    within = {name: np.asarray(segment == name, dtype=np.bool_) for name in names}
    values = units.values[metric.name]
    of_control = units.of(control) if masks else None
    found: dict[str, Heterogeneity] = {}
    for arm, mask in masks.items():
        pairs = {
            name: Pair(values.summary(of_control & inside), values.summary(mask & inside))
            for name, inside in within.items()
            if of_control is not None
        }
        found[arm] = heterogeneity(pairs, kind=metric.kind)
    return Segments(attribute=attribute, variants=found)


def _novelties(metric: Measured, units: Units, control: str, masks: Mapping[str, Mask]) -> dict[str, Novelty]:
    """Only of units that could be seen for the whole day, hence fewer the later the day is."""
    rows = units.rows
    if rows.day is None or not masks or not units.named:
        return {}
    count = len(units.arm)
    dated = rows.day > np.iinfo(np.int64).min
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, rows.unit[dated], rows.day[dated])
    last = int(rows.day[dated].max())
    since = np.where(dated, rows.day - first[rows.unit], -1)
    of_control = units.of(control)
    by_arm: dict[str, list[Day]] = {arm: [] for arm in masks}
    for day in range(min(int(since.max()) + 1, _DAYS_SHOWN)):
        value, below = per_unit(metric, rows, since == day, count)
        # who did nothing that day did 0 of it
        values = Values(np.nan_to_num(value), None if below is None else np.nan_to_num(below))
        seen = first <= last - day
        for arm, mask in masks.items():
            by_arm[arm].append(Day(day, values.summary(of_control & seen), values.summary(mask & seen)))
    return {arm: novelty(days, kind=metric.kind) for arm, days in by_arm.items()}


def _targetings(
    metric: Measured, units: Units, control: str, masks: Mapping[str, Mask], result: MetricResult, *, seed: int
) -> dict[str, Targeting]:
    """Of the outcome, unless it is a ratio: a share of all units has no sum over sum."""
    if units.score is None or result.role is not Role.OUTCOME or metric.kind is Kind.RATIO:
        return {}
    value = units.values[metric.name].value
    if not metric.higher_is_better:
        value = -value
    known = np.isfinite(value) & np.isfinite(units.score)
    found = {}
    for arm, mask in masks.items():
        kept = known & (mask | units.of(control))
        judged = targeting(units.score[kept], mask[kept], value[kept], seed=seed)
        if judged is not None:
            found[arm] = judged
    return found
