"""A number that was measured, the bound that it must keep, and where both come from. Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec


class Verdict(StrEnum):
    """How a claim stands."""

    KEPT = "ok"
    MISSED = "FAIL"
    SHOWN = "-"
    """There is nothing that it must keep; it is printed to compare with."""
    NOT_MEASURED = "not measured"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    what: str
    """Measure, method and data: `NDCG@10 cut of EASE, MovieLens 100k`."""
    value: float | None
    """None: not measured."""
    low: float | None = None
    """95 % interval, where there is one."""
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: float | None = None
    """The published number, to which the value must be equal within `within`."""
    within: float = 0.0
    source: str = ""
    """Who published the bound, or why it is this one."""
    protocol: str
    """Split, seed, k, what is masked: enough to repeat it."""
    reason: str = ""
    """Why it falls short, or was not measured."""
    detail: dict[str, Any] = {}

    @property
    def verdict(self) -> Verdict:
        """Whether every bound is kept; a value that is no number keeps none."""
        if self.value is None:
            return Verdict.NOT_MEASURED
        if self.at_least is None and self.at_most is None and self.equals is None:
            return Verdict.SHOWN
        kept = (
            math.isfinite(self.value)
            and (self.at_least is None or self.value >= self.at_least)
            and (self.at_most is None or self.value <= self.at_most)
            and (self.equals is None or abs(self.value - self.equals) <= self.within + 1e-12)
        )
        return Verdict.KEPT if kept else Verdict.MISSED

    @property
    def bound(self) -> str:
        """In words."""
        said = []
        if self.equals is not None:
            said.append(f"= {self.equals:g}" + (f" +- {self.within:g}" if self.within else ""))
        if self.at_least is not None:
            said.append(f">= {self.at_least:g}")
        if self.at_most is not None:
            said.append(f"<= {self.at_most:g}")
        return ", ".join(said)
