"""Which core does what: the node on the first one that this process may use, load on the second.

A hub, which is another machine in real life, has a third one, or is beside the load where there is none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from edgewise.errors import UnavailableError


class Cores(NamedTuple):
    """Which core does what."""

    server: int
    load: int
    hub: int
    every: set[int]
    """All that this process may use."""

    @classmethod
    def of_machine(cls) -> Cores:
        """From the cores that this process may use.

        Raises:
            UnavailableError: there is one only, on which load and server would measure each other.
        """
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise UnavailableError("figures need two cores, one for the server and one for the load")
        return cls(allowed[0], allowed[1], allowed[2] if len(allowed) > 2 else allowed[1], set(allowed))


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Let this thread, and what it starts, run on one core."""
    with on_cores({core}):
        yield


@contextlib.contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Let this thread, and what it starts, run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
