"""The sheet in a terminal: a line a row, curves as tables, where and with what it was measured."""

from __future__ import annotations

from typing import Final

import msgspec
from rich.table import Table

from edge.bench.machine import Machine
from edge.bench.words import machine_in_words
from edgewise.terminal import table
from figures.figure import Curve, Row, Verdict, in_unit, limit_in_words

COLUMNS: Final = ("", "verdict", "measured", "must", "aim", "figure")
LEAST_WIDTH: Final = 180
"""Of what is no terminal, such as a log: a row stays a line."""


class Sheet(msgspec.Struct, frozen=True):
    """Everything that one run came to; the object of `--json`."""

    rows: list[Row]
    curves: list[Curve]
    failed: dict[str, str]
    """Figures whose measurement broke, and how."""
    machine: Machine
    cores: dict[str, int]
    took_s: float
    is_quick: bool

    @property
    def is_short(self) -> bool:
        """A figure does not keep what it must, or could not be measured although it should."""
        return bool(self.failed) or any(row.verdict is Verdict.FAIL for row in self.rows)


def cells(row: Row) -> list[str]:
    """What a row says, by `COLUMNS`."""
    return [
        row.id,
        str(row.verdict),
        in_unit(row.value, row.bound.unit),
        limit_in_words(row.bound, row.bound.must),
        f"{row.bound.aim_of} {limit_in_words(row.bound, row.bound.aim)}".strip(),
        row.what,
    ]


def in_tables(sheet: Sheet) -> list[Table | str]:
    """All of it."""
    shown: list[Table | str] = [table(list(COLUMNS), [cells(row) for row in sheet.rows])]
    reasons = [f"{row.id} {row.verdict}: {row.what}: {row.reason}" for row in sheet.rows if row.reason]
    shown += reasons
    shown += [f"{figure} broke: {how}" for figure, how in sheet.failed.items()]
    shown += [curve_in_table(curve) for curve in sheet.curves]
    return [*shown, where(sheet)]


def curve_in_table(curve: Curve) -> Table:
    """A row for each x, a column for each line."""
    return table([curve.x, *curve.lines], curve_rows(curve), title=f"{curve.title} ({curve.y})")


def curve_rows(curve: Curve) -> list[list[str]]:
    """The points of all lines by x."""
    every = sorted({point.x for line in curve.lines.values() for point in line})
    known = [{point.x: point.y for point in line} for line in curve.lines.values()]
    return [[f"{x:,g}", *(in_unit(line.get(x), "") for line in known)] for x in every]


def where(sheet: Sheet) -> str:
    """Machine, commit and versions, and what ran where."""
    cores = ", ".join(f"{what} on core {core}" for what, core in sheet.cores.items())
    return f"{machine_in_words(sheet.machine)}; {cores}; took {sheet.took_s:.0f} s" + (
        "; quick: one short run of each, for a look and not for the record" if sheet.is_quick else "; medians"
    )
