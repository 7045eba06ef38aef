"""What was ordered: everything that decides how a run goes, checked before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edge.bench.arrivals import Arrivals
from edge.bench.knee import LEAST_RATE, Limits
from edgewise.errors import InputError, Problem
from edgewise.ids import ItemId

DEFAULT_RATE: Final = 500.0
DEFAULT_DURATION_S: Final = 10.0
DEFAULT_STEP_S: Final = 4.0
DEFAULT_KNEE_START: Final = 100.0
MAX_RATE: Final = 100_000.0
MAX_CONNECTIONS: Final = 25_000
"""One source address has about 28,000 ports."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One bench."""

    url: str
    rate: float | None = None
    """Requests a second; None where the knee is looked for or a log is replayed, else `DEFAULT_RATE`."""
    find_knee: bool = False
    duration_s: float | None = None
    """That is measured; of each step, where the knee is looked for. None: 10 s, 4 s a step, or the whole log."""
    connections: int = 50
    profile: str = "home"
    arrivals: Arrivals = Arrivals.POISSON
    replay: Path | None = None
    speed: float = 1.0
    warm_up_s: float = 2.0
    """Before the duration, at the same rate; not measured."""
    timeout_s: float = 10.0
    seed: int = 1
    write_key: str | None = None
    limits: Limits = Limits()
    knee_start: float = DEFAULT_KNEE_START
    knee_least: float = LEAST_RATE
    watch_item: ItemId | None = None
    """Told apart: when it was offered."""

    @property
    def mode(self) -> str:
        """`knee`, `replay` or `rate`."""
        return "knee" if self.find_knee else "replay" if self.replay is not None else "rate"

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises:
            InputError: of the option that is wrong.
        """
        if self.find_knee and (self.rate is not None or self.replay is not None):
            raise _wrong("--find-knee", "looks for the rate itself; leave --rate and --replay out")
        if self.replay is not None and self.rate is not None:
            raise _wrong("--replay", "the log says when requests are sent; leave --rate out, or set --speed")
        if self.replay is None and self.speed != 1:
            raise _wrong("--speed", "is that of a log; --replay FILE is missing")
        _between("--rate", self.rate, 0, MAX_RATE)
        _between("--knee-start", self.knee_start, 0, MAX_RATE)
        _between("--knee-least", self.knee_least, 0, self.knee_start)
        _between("--duration", self.duration_s, 0, 86_400)
        _between("--connections", self.connections, 0, MAX_CONNECTIONS)
        _between("--speed", self.speed, 0, 1_000_000)
        _between("--timeout", self.timeout_s, 0, 600)
        if not 0 <= self.warm_up_s <= 3_600:  # noqa: PLR2004  # an hour
            raise _wrong("--warm-up", f"{self.warm_up_s:g}; expected 0 to 3600 seconds")


def _between(option: str, value: float | None, above: float, most: float) -> None:
    if value is not None and not above < value <= most:
        raise _wrong(option, f"{value:g}; expected more than {above:g}, at most {most:,g}")


def _wrong(option: str, what: str) -> InputError:
    return InputError(f"{option}: {what}", (Problem(option, what),))
