"""One process at a time takes steps, on however many machines hubs and commands run.

The lease is a row of the ledger that ends by itself, so that a machine that died holds nobody up for long.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError, RefusedError
from hub.ledger.learning import LEASE
from hub.ledger.ledger import Ledger

LIFE_MS: Final = 120_000
_RENEWALS: Final = 4
"""In one life: some of them may fail."""


def holder_name() -> str:
    """Another one in every life of every process."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Held:
    """The lease, while it is held."""

    def __init__(self, what: str = "the learning loop") -> None:
        self._what = what
        self._lost = threading.Event()

    def lose(self) -> None:
        """Another has it now."""
        self._lost.set()

    def check(self) -> None:
        """Raises RefusedError (`lease`) once another has it: what was computed meanwhile is not written down."""
        if self._lost.is_set():
            raise RefusedError("lease", f"another process has gone on with {self._what}; this one stops")


@contextmanager
def held(
    ledger: Ledger,
    holder: str,
    clock: Clock,
    *,
    life_ms: int = LIFE_MS,
    name: str = LEASE,
    what: str = "the learning loop",
) -> Iterator[Held]:
    """Hold the lease until the block ends; a thread renews it while a model is trained.

    `name` is what the lease is of, `what` how messages call that.

    Raises RefusedError (`lease`) where another holds it.
    """
    if ledger.take_lease(holder, now_ms=clock.now_ms(), life_ms=life_ms, name=name) is None:
        raise RefusedError(
            "lease",
            f"another process is at {what}; it lets go when it ends, or {life_ms / 1_000:.0f} s after it died",
        )
    mine, ended = Held(what), threading.Event()
    last_ms = clock.monotonic_ms()

    def renew() -> None:
        nonlocal last_ms
        while not ended.wait(life_ms / 1_000 / _RENEWALS):
            try:
                kept = ledger.take_lease(holder, now_ms=clock.now_ms(), life_ms=life_ms, name=name)
            except EdgewiseError:
                # the database is away; whether it was too long is seen by our own clock
                if clock.monotonic_ms() - last_ms >= life_ms:
                    mine.lose()
                continue
            if kept is None:
                mine.lose()
                return
            last_ms = clock.monotonic_ms()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        ended.set()
        thread.join()
        ledger.free_lease(holder, name=name)
