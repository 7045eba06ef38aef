"""A file of sums, one row a variant and metric, as a warehouse gives it away without giving away people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.imports import cells
from hub.origin import Origin
from hub.statistics.compare import Kind
from hub.statistics.evidence import ByArm, Evidence
from hub.statistics.metrics import Measured
from hub.statistics.summary import Floats, Summary
from hub.tables import read_table, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

VARIANT: Final = "variant"
_METRIC: Final = "metric"
_SUMS: Final = ("n", "sum", "sum_squares")
_OF_RATIO: Final = ("denominator_sum", "denominator_sum_squares", "cross_product")


def read_sums(
    path: Path, metrics: list[Measured], *, variant: str = VARIANT, delimiter: str | None = None
) -> tuple[list[Measured], Evidence]:
    """The metrics that were asked for, all of the file where none was, with their sums.

    A metric with denominators is a ratio unless somebody says otherwise. The units of an arm are the most that any of
    its metrics has. Raises InputError with the row for a number that is missing or none, sums that no units can have,
    a variant and metric that come twice, and a metric that is not there.
    """
    table = read_table(path, delimiter=delimiter, text=[variant, _METRIC])
    require_columns(table, [variant, _METRIC, *_SUMS], where=str(path))
    origin = Origin.of(path, table.num_rows)
    arms, names = (cells.texts(table.column(column)).to_pylist() for column in (variant, _METRIC))
    columns = {name: _numbers(table, name) for name in (*_SUMS, *_OF_RATIO)}
    has_denominator = ~np.isnan(columns["denominator_sum"])
    if not metrics:
        metrics = _metrics_of(names, has_denominator)
    by_name = {metric.column: metric for metric in metrics}
    if absent := [name for name in by_name if name not in names]:
        there = ", ".join(sorted({name for name in names if name}))
        raise InputError(f"{path}: no metric {absent[0]!r}; there are: {there}")
    summaries: dict[str, ByArm] = {metric.name: {} for metric in metrics}
    counts: dict[str, int] = {}
    for row, (arm, name) in enumerate(zip(arms, names, strict=True)):
        if arm is None or name is None:
            raise InputError(f"{path}: {origin.place(row, variant if arm is None else _METRIC)}: nothing there")
        metric = by_name.get(name)
        if metric is None:
            continue
        if arm in summaries[metric.name]:
            raise InputError(f"{path}: row {origin.rows[row]}: {name} of {arm} comes twice")
        found = _summary(path, origin, row, metric, columns)
        summaries[metric.name][arm] = found
        counts[arm] = max(counts.get(arm, 0), found.n)
    return metrics, Evidence(counts, summaries, warnings=tuple(_uneven(summaries, counts)))


def _metrics_of(names: list[str | None], has_denominator: NDArray[np.bool_]) -> list[Measured]:
    ratios = {name for name, below in zip(names, has_denominator, strict=True) if below}
    kinds = {name: Kind.RATIO if name in ratios else Kind.MEAN for name in names if name is not None}
    return [Measured(name=name, column=name, kind=kind) for name, kind in kinds.items()]


def _numbers(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return cells.numbers(table.column(name))


def _summary(path: Path, origin: Origin, row: int, metric: Measured, columns: dict[str, Floats]) -> Summary:
    wanted = (*_SUMS, *_OF_RATIO) if metric.kind is Kind.RATIO else _SUMS
    for name in wanted:
        if np.isnan(columns[name][row]):
            raise InputError(f"{path}: {origin.place(row, name)}: no finite number, expected one for {metric.name}")
    n, total, squares = (float(columns[name][row]) for name in _SUMS)
    if n != int(n):
        raise InputError(f"{path}: {origin.place(row, 'n')}: {n:g}, expected whole units")
    if metric.kind is Kind.BINARY and not (0 <= total <= n and squares == total):
        what = f"sum {total:g} and sum_squares {squares:g} of {n:g} units, expected both the number of successes"
        raise InputError(f"{path}: row {origin.rows[row]}: {metric.name}: {what}")
    try:
        if metric.kind is not Kind.RATIO:
            return Summary.from_sums(int(n), total, squares)
        below, below_squares, cross = (float(columns[name][row]) for name in _OF_RATIO)
        return Summary.from_sums(
            int(n),
            total,
            squares,
            denominator_sum=below,
            denominator_sum_squares=below_squares,
            cross_product=cross,
        )
    except InputError as wrong:
        raise InputError(f"{path}: row {origin.rows[row]}: {metric.name}: {wrong}") from None


def _uneven(summaries: dict[str, ByArm], counts: dict[str, int]) -> list[str]:
    """Metrics that not all units of an arm have."""
    return [
        f"{metric} has {of[arm].n if arm in of else 0:,} units of {arm}, another metric {units:,}"
        for metric, of in summaries.items()
        for arm, units in counts.items()
        if arm not in of or of[arm].n != units
    ]
