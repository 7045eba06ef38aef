"""What a measurement comes to: a value against what it must keep, with a reason where it falls short. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from statistics import median
from typing import Any

import msgspec


class Verdict(StrEnum):
    """How a row stands."""

    AIM = "aim"
    """Even the aim is kept."""
    PASS = "pass"
    FAIL = "FAIL"
    NOT_MEASURED = "not measured"


class Bound(msgspec.Struct, frozen=True):
    """What a value must keep, and what it aims at."""

    must: float
    aim: float
    unit: str
    """Written behind the number; `x` for a ratio."""
    at_least: bool = False
    """Else: at most."""
    aim_of: str = ""
    """What the aim is about, where that is another quantity than what must be kept, such as a higher percentile."""

    def keeps(self, value: float, limit: float) -> bool:
        """NaN keeps nothing."""
        return value >= limit if self.at_least else value <= limit


class Row(msgspec.Struct, frozen=True):
    """One line of the sheet."""

    id: str
    what: str
    bound: Bound
    value: float | None
    """Median of `runs`; None: not measured."""
    runs: tuple[float, ...]
    verdict: Verdict
    reason: str
    """Why it falls short, or was not measured; else empty or what explains the figure."""
    detail: dict[str, Any]
    """Figures that it was made from."""


class Point(msgspec.Struct, frozen=True):
    """One measured cost."""

    x: float
    y: float


class Curve(msgspec.Struct, frozen=True):
    """How a cost grows."""

    title: str
    x: str
    y: str
    """With its unit."""
    lines: dict[str, list[Point]]


class Measured(msgspec.Struct, frozen=True):
    """What one figure's module gives back."""

    rows: list[Row]
    curves: list[Curve] = []


def judge(
    figure: str,
    what: str,
    bound: Bound,
    runs: Sequence[float],
    *,
    short: str = "",
    aimed: Sequence[float] = (),
    detail: dict[str, Any] | None = None,
) -> Row:
    """Hold the median of some runs against its bound; `short` says why it does not keep what it must.

    `aimed` are the runs' values of what the aim is about, where `bound.aim_of` names something else.
    """
    value = median(runs) if runs and not any(map(math.isnan, runs)) else math.nan
    verdict = Verdict.FAIL
    if bound.keeps(value, bound.must):
        hoped = (median(aimed) if aimed else math.nan) if bound.aim_of else value
        verdict = Verdict.AIM if bound.keeps(hoped, bound.aim) else Verdict.PASS
    shown = None if math.isnan(value) else value
    numbers = tuple(run for run in runs if not math.isnan(run))
    return Row(figure, what, bound, shown, numbers, verdict, short if verdict is Verdict.FAIL else "", detail or {})


def not_measured(figure: str, what: str, bound: Bound, why: str) -> Row:
    """A row without a value, and why."""
    return Row(figure, what, bound, None, (), Verdict.NOT_MEASURED, why, {})


def in_unit(value: float | None, unit: str) -> str:
    """A number for people: three digits that matter."""
    if value is None:
        return "-"
    digits = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def limit_in_words(bound: Bound, limit: float) -> str:
    """`at least 0.75 x`, or `at most 10 ms`."""
    return f"{'>=' if bound.at_least else '<='} {in_unit(limit, bound.unit)}"
