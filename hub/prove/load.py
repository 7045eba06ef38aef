"""`edgewise bench` as a process of its own: open-loop load, and what its visitors waited."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.errors import MALFORMED, UnavailableError
from hub.processes import EDGEWISE, last_words, undisturbed

KNEE_P99_MS: Final = 10.0
_PATIENCE_S: Final = 60.0


class Offers(msgspec.Struct):
    """When one item was in an answer; milliseconds since the epoch, None: it never was."""

    offers: int
    first_ms: int | None
    last_ms: int | None


class Loaded(msgspec.Struct):
    """As much of the bench's object as is looked at here."""

    requests: int
    errors: int
    errors_by: dict[str, int]
    by_kind_ms: dict[str, dict[str, float | None]]
    knee: dict[str, Any] | None = None
    watched: Offers | None = None

    @property
    def refused(self) -> int:
        """Answers that there was no time for: a 503 with Retry-After. They are among the errors."""
        return self.errors_by.get("status 503", 0)

    @property
    def p99_ms(self) -> float:
        """Of decisions, from their intended moment: they are waited for, events are not. NaN of nothing."""
        p99 = self.by_kind_ms.get("decide", {}).get("p99")
        return math.nan if p99 is None else p99


class Output(NamedTuple):
    """Of a run that has ended."""

    told: bytes
    """The bench's object as JSON, or the object of its refusal."""
    errors: bytes

    def failed(self) -> UnavailableError:
        """To be raised where it has measured nothing."""
        return UnavailableError(f"the bench failed: {last_words(self.errors)}")


class Load:
    """One run under way."""

    def __init__(self, *words: str) -> None:
        command = [*EDGEWISE, "bench", *words, "--json"]
        with ExitStack() as unless_known:
            with undisturbed():
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                unless_known.callback(self.end)  # nobody holds this object yet who would end it
            unless_known.pop_all()

    @property
    def is_running(self) -> bool:
        """Whether it still sends or waits."""
        return self._process.poll() is None

    def result(self, most_s: float) -> Loaded:
        """Wait for its end.

        Raises:
            UnavailableError: it failed, or did not end in time.
        """
        output = self.output(most_s)
        try:
            return msgspec.json.decode(output.told, type=Loaded)
        except MALFORMED:
            raise output.failed() from None

    def output(self, most_s: float) -> Output:
        """Wait for its end; what it printed, whether or not that is a measurement.

        Raises:
            UnavailableError: it did not end in time.
        """
        try:
            return Output(*self._process.communicate(timeout=most_s))
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"the bench did not end within {most_s:.0f} s") from None

    def end(self) -> None:
        """At once, if it still runs."""
        if self.is_running:
            self._process.kill()
        self._process.communicate()


@contextmanager
def loading(
    url: str,
    write_key: str,
    *,
    rate: float,
    duration_s: float,
    seed: int,
    connections: int = 50,
    profile: str = "home",
    watch_item: str | None = None,
) -> Iterator[Load]:
    """Load of a constant mean rate, ended with the block; told apart: when `watch_item` was offered."""
    load = Load(
        *(("--watch-item", watch_item) if watch_item is not None else ()),
        *(url, "--rate", f"{rate:.1f}", "--duration", f"{duration_s:.1f}", "--connections", str(connections)),
        *("--profile", profile, "--write-key", write_key, "--seed", str(seed)),
    )
    try:
        yield load
    finally:
        load.end()


def steady(url: str, write_key: str, *, rate: float, duration_s: float, seed: int) -> Loaded:
    """What visitors wait while nothing happens."""
    with loading(url, write_key, rate=rate, duration_s=duration_s, seed=seed) as load:
        return load.result(duration_s + _PATIENCE_S)


def capacity(url: str, write_key: str, *, step_s: float, seed: int) -> float:
    """The highest rate that holds a p99 of KNEE_P99_MS, requests a second.

    Raises:
        UnavailableError: none does.
    """
    words = ("--find-knee", "--duration", f"{step_s:.1f}", "--knee-p99", str(KNEE_P99_MS))
    load = Load(url, *words, "--write-key", write_key, "--seed", str(seed))
    try:
        knee = (load.result(30 * (step_s + 5.0) + _PATIENCE_S).knee or {}).get("rate")
    finally:
        load.end()
    if not knee:
        raise UnavailableError(f"no rate holds a p99 of {KNEE_P99_MS:g} ms on this machine")
    return float(knee)
