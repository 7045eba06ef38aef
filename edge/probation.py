"""What workers crash of is taken away: a bundle after whose swap they do, and the profile cache.

Two within a minute are no accident. Whether a model or a damaged page has ended a process in native code cannot be
told from outside; a bundle that served well before is not suspected, a cache is cheap to lose.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from edge.log import Log
from edge.node.bundles import BundleStore
from edge.profiles.generation import begin_anew
from edgewise.clock import Clock

PROBATION_MS: Final = 60_000
"""A bundle after whose swap two workers crash within this time is reverted."""
_MOST_CRASHES: Final = 1
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""How native code dies of its input. SIGKILL is not among them: it comes from outside."""


class Probation:
    """Watches what each swap does to the workers."""

    def __init__(self, store: BundleStore, *, clock: Clock, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._crashes = 0
        self._swapped_ms = clock.monotonic_ms()
        self._current: str | None = None

    def begin(self) -> None:
        """What is current now was not swapped in under running workers."""
        self._current = self._store.current()

    def ended(self, code: int) -> None:
        """A worker has ended by itself, with this exit code (negative: the signal)."""
        now_ms = self._clock.monotonic_ms()
        # By digest: a bundle that is put in the place of its damaged copy is no other.
        if (current := self._store.current()) != self._current:
            self._current = current
            self._swapped_ms = now_ms
            self._crashes = 0
        if -code in _CRASHES:
            self._crashes += 1
        if self._crashes > _MOST_CRASHES and now_ms - self._swapped_ms <= PROBATION_MS:
            self._revert()

    def _revert(self) -> None:
        bad, before = self._store.current(), self._store.previous()
        if bad is None or before is None or bad == before:
            return
        message = f"{self._crashes} workers crashed within {PROBATION_MS // 1_000} s of its start"
        self._store.quarantine(bad, code="crash", message=message, now_ms=self._clock.now_ms())
        self._log.error("the bundle is reverted", digest=bad, serves=self._store.revert(), detail=message)
        self._current = self._store.current()
        self._crashes = 0


class CacheProbation:
    """Watches whether workers crash, whatever bundle they serve."""

    def __init__(self, profiles: Path, *, clock: Clock, log: Log) -> None:
        self._profiles = profiles
        self._clock = clock
        self._log = log
        self._last_crash_ms: float | None = None

    def ended(self, code: int) -> None:
        """A worker has ended by itself, with this exit code (negative: the signal)."""
        if -code not in _CRASHES:
            return
        now_ms, before_ms = self._clock.monotonic_ms(), self._last_crash_ms
        self._last_crash_ms = now_ms
        if before_ms is not None and now_ms - before_ms <= PROBATION_MS:
            self._last_crash_ms = None
            begin_anew(self._profiles)
            self._log.error("the profile cache is left behind, because workers crash", folder=str(self._profiles))
