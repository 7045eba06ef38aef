"""Which processes of a hub and its node there are to kill, found by their parents and never by a name alone."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from hub.prove.lab import Running

WORKER: Final = "worker"
AGENT: Final = "agent"
SUPERVISOR: Final = "supervisor"
HUB: Final = "hub"
_MODULES: Final = {"edge.worker.run": WORKER, "edge.agent.run": AGENT}


def children(pid: int) -> list[int]:
    """Process ids of what any thread of a process has started; none where it has ended."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += map(int, listed.read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All of them, and their children."""
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]


def victims(running: Running) -> dict[str, list[int]]:
    """Process ids by kind; a kind of which none runs now has no entry."""
    found: dict[str, list[int]] = {}
    if running.hub.is_running:
        found[HUB] = [running.hub.pid]
    if running.node.is_running:
        found[SUPERVISOR] = [running.node.pid]
        for child in children(running.node.pid):
            kind = _kind(child)
            if kind is not None:
                found.setdefault(kind, []).append(child)
    return found


def kill(pid: int) -> bool:
    """SIGKILL; False where it has ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def is_gone(pid: int) -> bool:
    """Whether it has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _kind(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    return next((_MODULES[word] for word in words if word in _MODULES), None)
