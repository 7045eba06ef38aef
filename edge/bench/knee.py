"""Where a server breaks: the highest rate that it holds, found by doubling and then halving the gap.

Pure: it says which rate to try next and is told what was measured, so that it can be tried on a simulated server.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

GROWTH: Final = 2.0
PRECISION: Final = 1.10
"""Looking ends when the lowest rate that broke is at most this many times the highest that held."""
LEAST_RATE: Final = 1.0


class Limits(msgspec.Struct, frozen=True):
    """What a rate must keep to count as held."""

    p99_ms: float = 10.0
    error_share: float = 0.01
    goodput_share: float = 0.95
    """Right answers / requests that were due, both a second."""
    hurried_share: float = 0.01
    """Of placements: a node that sheds work to keep up is past its knee, however quick its answers are."""


class Step(msgspec.Struct, frozen=True):
    """What was measured at one rate."""

    rate: float
    """Asked for, requests a second."""
    offered: float
    """That came, which differs a little when arrivals are drawn."""
    goodput: float
    p99_ms: float
    error_share: float
    is_own_fault: bool = False
    """The generator was late or busy itself."""
    hurried_share: float = 0.0
    held: bool = True
    broken_by: str | None = None
    """What broke and by how much; None when it held."""


class Knee(msgspec.Struct, frozen=True):
    """The answer."""

    rate: float | None
    """The highest that held; None when not even the lowest rate did."""
    broke_at: float | None
    """The lowest that broke; None when none did."""
    broken_by: str | None
    is_own_fault: bool = False
    """Where it broke, the generator was late or busy itself: the knee may be higher."""


def judge(step: Step, limits: Limits) -> Step:
    """Say whether a step held, and by what it broke."""
    broken = None
    if step.error_share > limits.error_share:
        broken = f"errors {step.error_share:.1%} > {limits.error_share:.1%}"
    elif step.goodput < limits.goodput_share * step.offered:
        broken = f"goodput {step.goodput:,.0f}/s < {limits.goodput_share:.0%} of {step.offered:,.0f}/s"
    elif step.hurried_share > limits.hurried_share:
        broken = f"hurried answers {step.hurried_share:.1%} > {limits.hurried_share:.1%}"
    elif not step.p99_ms <= limits.p99_ms:
        broken = f"p99 {step.p99_ms:.1f} ms > {limits.p99_ms:g} ms"
    return msgspec.structs.replace(step, held=broken is None, broken_by=broken)


class KneeSearch:
    """Which rate comes next.

    A rate that breaks is tried a second time before it is believed: one hiccup of a machine is not a knee.
    """

    def __init__(self, start: float, most: float, limits: Limits | None = None, *, least: float = LEAST_RATE) -> None:
        """Begins at `start` requests a second, and asks for nothing above `most` or below `least`."""
        self.limits = limits or Limits()
        self.steps: list[Step] = []
        self._most = most
        self._least = least
        self._next: float | None = min(start, most)
        self._held = 0.0
        self._broken: Step | None = None
        self._doubted: float | None = None

    @property
    def next_rate(self) -> float | None:
        """The rate to try; None when the knee is known."""
        return self._next

    def tell(self, measured: Step) -> Step:
        """Learn what was measured at `next_rate`; returns it judged."""
        step = judge(measured, self.limits)
        self.steps.append(step)
        if not step.held and self._doubted != step.rate:
            self._doubted = step.rate
            return step
        if step.held:
            self._held = max(self._held, step.rate)
        elif self._broken is None or step.rate < self._broken.rate:
            self._broken = step
        self._next = self._choose()
        return step

    def _choose(self) -> float | None:
        if self._broken is None:
            return None if self._held >= self._most else min(self._held * GROWTH, self._most)
        if not self._held:
            lower = self._broken.rate / GROWTH
            return lower if lower >= self._least else None
        if self._broken.rate <= self._held * PRECISION:
            return None
        return math.sqrt(self._held * self._broken.rate)

    @property
    def knee(self) -> Knee:
        """What is known so far."""
        broken = self._broken
        return Knee(
            self._held or None,
            None if broken is None else broken.rate,
            None if broken is None else broken.broken_by,
            broken is not None and broken.is_own_fault,
        )
