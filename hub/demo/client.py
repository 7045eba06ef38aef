"""A small HTTP client for one node: one kept-alive connection, one caller at a time."""

from __future__ import annotations

import base64
import contextlib
import http.client
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.demo.shop_site import WRITE_KEY


class Placed(msgspec.Struct, rename="camel"):
    """What one placement answered, as far as the demo looks."""

    items: list[dict[str, Any]]
    reason: str
    policy: str = ""
    """The arm."""

    @property
    def ids(self) -> list[str]:
        """The items in their order."""
        return [item["id"] for item in self.items]


class BundleState(msgspec.Struct, rename="camel"):
    """Which bundle answered."""

    version: int
    state: str


class Decided(msgspec.Struct, rename="camel"):
    """An answer of `/v1/decide`."""

    decision_id: str
    bundle: BundleState
    placements: dict[str, Placed]
    took_ms: float


_decided = msgspec.json.Decoder(Decided)


class NodeClient:
    """Asks one node. Retries once on a connection that the node had closed."""

    def __init__(self, url: str, clock: Clock) -> None:
        parts = urlsplit(url)
        self.url = url
        self._clock = clock
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        key = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()
        self._headers = {"content-type": "application/json", "authorization": f"Basic {key}"}
        self.decide_ms: list[float] = []
        """How long each decision took, seen from here."""

    def decide(self, visitor: str, placements: list[dict[str, Any]], **options: Any) -> Decided:
        """Ask for a decision.

        Raises:
            UnavailableError: the node cannot be reached, or answered anything but 200.
        """
        body = {"anonymousId": visitor, "placements": placements, "options": {"deadlineMs": 1_000, **options}}
        started_ms = self._clock.monotonic_ms()
        answer = self._call("POST", "/v1/decide", body)
        self.decide_ms.append(self._clock.monotonic_ms() - started_ms)
        return _decided.decode(answer)

    def track(self, call: dict[str, Any]) -> None:
        """Report what a visitor did; returns when the node has it on disk."""
        self._call("POST", "/v1/track", call)

    def status(self) -> dict[str, Any]:
        """The node's own account."""
        return msgspec.json.decode(self._call("GET", "/status", None), type=dict[str, Any])

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _call(self, method: str, path: str, body: Any) -> bytes:
        encoded = None if body is None else msgspec.json.encode(body)
        try:
            status, content = self._exchange(method, path, encoded)
        except (http.client.HTTPException, OSError):
            self._connection.close()
            try:
                status, content = self._exchange(method, path, encoded)
            except (http.client.HTTPException, OSError) as broken:
                self._connection.close()
                raise UnavailableError(f"{self.url}{path}: {broken}") from broken
        if status != http.HTTPStatus.OK:
            raise UnavailableError(f"{self.url}{path} answered {status}: {content[:300].decode(errors='replace')}")
        return content

    def _exchange(self, method: str, path: str, encoded: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, encoded, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@contextlib.contextmanager
def asking(edges: Sequence[str], clock: Clock) -> Iterator[list[NodeClient]]:
    """One client for each node, closed at the end."""
    clients = [NodeClient(url, clock) for url in edges]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
