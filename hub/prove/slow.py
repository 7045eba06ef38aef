"""Clients that begin a request and never end it, as many as are wanted at any moment."""

from __future__ import annotations

import resource
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from edgewise.clock import Clock
from hub.prove.beside import beside

DRIP_MS: Final = 1_000.0
"""Between two bytes of one client: a limit that each byte renews never ends."""
_POLL_S: Final = 0.2
_SPARE_FILES: Final = 256


class SlowClients:
    """Belongs to one thread. Whom the node has thrown out comes again at once."""

    def __init__(self, url: str, count: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._head = f"POST /v1/decide HTTP/1.1\r\nHost: {parts.netloc}\r\nX: ".encode()
        self._count = count
        self._open: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self.thrown_out = 0

    def be_slow(self, ready: threading.Event, clock: Clock, stopping: threading.Event) -> None:
        """Until `stopping`; `ready` is set once all are connected, or never will be."""
        try:
            self._be_slow(ready, clock, stopping)
        finally:
            ready.set()
            for each in list(self._open):
                self._leave(each)
            self._selector.close()

    def _be_slow(self, ready: threading.Event, clock: Clock, stopping: threading.Event) -> None:
        dripped_ms = clock.monotonic_ms()
        while not stopping.is_set():
            while len(self._open) < self._count and not stopping.is_set():
                self._come()
            ready.set()
            for key, _ in self._selector.select(_POLL_S):
                self._hear(key.fileobj)
            if clock.monotonic_ms() - dripped_ms >= DRIP_MS:
                dripped_ms = clock.monotonic_ms()
                for each in list(self._open):
                    with suppress(OSError):  # who cannot write will be heard of
                        each.send(b"y")

    def _come(self) -> None:
        with suppress(OSError):
            coming = socket.create_connection(self._address, timeout=5.0)
            coming.sendall(self._head)
            coming.setblocking(False)
            self._selector.register(coming, selectors.EVENT_READ)
            self._open.add(coming)

    def _hear(self, who: object) -> None:
        """Nothing but a refusal, or the end, can come."""
        assert isinstance(who, socket.socket)
        try:
            if who.recv(4_096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.thrown_out += 1
        self._leave(who)

    def _leave(self, who: socket.socket) -> None:
        self._selector.unregister(who)
        self._open.discard(who)
        who.close()


@contextmanager
def slow_clients(url: str, count: int, clock: Clock) -> Iterator[SlowClients]:
    """Have so many slow clients until the block ends."""
    _allow_files(count + _SPARE_FILES)
    clients, ready = SlowClients(url, count), threading.Event()
    with beside(partial(clients.be_slow, ready, clock)):
        ready.wait()
        yield clients


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
