"""As many answers a second as a server gives: so many connections, each of which asks again as soon as it is answered.

This is how throughput is found, never latency under load: a closed loop waits for a server that stalls. Bytes go out as
they were made ahead and come in unread but for status and length, so that one core asks ten times as much as any server
here answers, peers written by others included.
"""

from __future__ import annotations

import itertools
import math
import select
import socket
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import numpy as np

from edge.bench.http1 import FramingError, ReplyReader, parse_target, request_head
from edgewise.errors import UnavailableError
from figures.processor import Meter

SILENCE_S: Final = 10.0
_RECEIVED: Final = 256 << 10


class Peak(NamedTuple):
    """What a closed loop came to, the warm-up left out."""

    rate: float
    """Right answers (status 200) a second."""
    errors: int
    answers: int
    """Right ones."""
    degraded: int
    """Of the right ones: answered by a fallback, so not the work that was asked for."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_s: float
    """Processor time of the server for a right answer; NaN where nobody looked."""

    @property
    def degraded_share(self) -> float:
        """Of right answers."""
        return self.degraded / self.answers if self.answers else 0.0

    @property
    def core_share(self) -> float:
        """How much of one core the server had; well below 1 under this load: others ran on it."""
        return self.cpu_s * self.rate


def post(url: str, body: bytes, *, write_key: str = "") -> bytes:
    """A whole request of JSON. The key goes where every edge node takes it."""
    return request_head(parse_target(url), "", write_key or None) + b"%d\r\n\r\n" % len(body) + body


def peak(
    url: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    warm_up_s: float,
    meter: Meter = lambda: math.nan,
) -> Peak:
    """Ask the server at `url` in turn what `requests` say; `meter` is the server's.

    Raises:
        UnavailableError: nobody answers there, or answers no HTTP.
    """
    target = parse_target(url)
    loop = _Loop((target.host, target.port), itertools.cycle(requests))
    try:
        loop.open(connections)
        loop.run(warm_up_s)
        loop.forget()
        used_s = meter()
        took_s = loop.run(seconds)
        used_s = meter() - used_s
    finally:
        loop.close()
    waited = np.asarray(loop.latencies_s or [float("nan")]) * 1_000
    p50, p95, p99 = np.quantile(waited, [0.5, 0.95, 0.99]).tolist()
    answers = len(loop.latencies_s)
    cpu_s = used_s / answers if answers else math.nan
    return Peak(answers / took_s, loop.errors, answers, loop.degraded, p50, p95, p99, cpu_s)


def send_all(url: str, requests: Sequence[bytes]) -> None:
    """Send requests one after the other, each after the answer to the one before.

    Raises:
        UnavailableError: one was not answered with status 200.
    """
    target, reader = parse_target(url), ReplyReader()
    with socket.create_connection((target.host, target.port), timeout=SILENCE_S) as asking:
        for request in requests:
            asking.sendall(request)
            reply = None
            while reply is None:
                piece = asking.recv(_RECEIVED)
                if not piece:
                    raise UnavailableError(f"{url}: closed in the middle of an answer")
                try:
                    reply = reader.feed(piece)
                except FramingError as strange:
                    raise UnavailableError(f"{url}: {strange}") from strange
            if reply.status != HTTPStatus.OK:
                raise UnavailableError(f"{url}: {reply.status}: {reply.body[:300].decode(errors='replace')}")


class _Asking:
    """A connection with one request on its way."""

    def __init__(self, at: tuple[str, int]) -> None:
        self.socket = socket.create_connection(at, timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        self.sent_s = 0.0


class _Loop:
    def __init__(self, at: tuple[str, int], requests: Iterator[bytes]) -> None:
        self._at = at
        self._requests = requests
        self._ready = select.epoll()
        self._asking: dict[int, _Asking] = {}
        self.forget()

    def forget(self) -> None:
        self.latencies_s: list[float] = []
        self.errors = 0
        self.degraded = 0

    def open(self, connections: int) -> None:
        try:
            for _ in range(connections):
                self._open()
        except OSError as refused:
            raise UnavailableError(f"{self._at[0]}:{self._at[1]}: {refused.strerror or refused}") from refused

    def run(self, seconds: float) -> float:
        """Ask for so long; returns how long it was in truth."""
        began_s = now_s = time.perf_counter()
        for asking in self._asking.values():
            if not asking.sent_s:
                self._send(asking)
        while now_s - began_s < seconds:
            events = self._ready.poll(SILENCE_S)
            if not events:
                raise UnavailableError(f"{self._at[0]}:{self._at[1]}: no answer for {SILENCE_S:g} s")
            for descriptor, _ in events:
                self._read(self._asking[descriptor])
            now_s = time.perf_counter()
        return now_s - began_s

    def close(self) -> None:
        for asking in self._asking.values():
            asking.socket.close()
        self._ready.close()

    def _open(self) -> _Asking:
        asking = _Asking(self._at)
        self._asking[asking.socket.fileno()] = asking
        self._ready.register(asking.socket.fileno(), select.EPOLLIN)
        return asking

    def _send(self, asking: _Asking) -> None:
        asking.sent_s = time.perf_counter()
        asking.socket.sendall(next(self._requests))

    def _read(self, asking: _Asking) -> None:
        try:
            piece = asking.socket.recv(_RECEIVED)
        except OSError:
            piece = b""
        if not piece:
            self.errors += 1
            self._ready.unregister(asking.socket.fileno())
            del self._asking[asking.socket.fileno()]
            asking.socket.close()
            self._send(self._open())
            return
        # not by the bench's ReplyReader, which reads more than is asked for here: an eighth of this loop's speed
        data = asking.held + piece if asking.held else piece
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _length(data[:end]):
            asking.held = data
            return
        asking.held = b""
        if data[9:12] == b"200":
            self.latencies_s.append(time.perf_counter() - asking.sent_s)
            self.degraded += b"FALLBACK_" in data
        else:
            self.errors += 1
        self._send(asking)


def _length(head: bytes) -> int:
    head = head.lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise UnavailableError(f"an answer without a length, which is not asked for here: {head[:200]!r}")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])
