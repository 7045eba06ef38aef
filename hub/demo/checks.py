"""What the demo measures beside the replay: how fast a click counts, and what happens while the hub is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.demo.client import NodeClient
from hub.demo.visitors import PLACEMENT, TEN

CLICKS: Final = 60
DOWN_DECISIONS: Final = 400
WAIT_MS: Final = 10_000


class Milliseconds(msgspec.Struct, frozen=True):
    """Two quantiles of a list of durations."""

    p50_ms: float
    p99_ms: float


class Outage(msgspec.Struct, frozen=True):
    """Decisions and clicks while the hub was down, and what was left in the nodes' spools after its return."""

    decisions: int
    errors: int
    clicks: int
    pending_after: int


def quantiles(durations_ms: Sequence[float]) -> Milliseconds:
    """p50 and p99 of at least one duration."""
    p50, p99 = np.quantile(np.asarray(durations_ms), [0.5, 0.99])
    return Milliseconds(float(p50), float(p99))


def click_to_changed(edges: Sequence[str], film: str, clock: Clock) -> tuple[Milliseconds, Milliseconds]:
    """From sending a click at the first node until the list has changed: there, and at the last node.

    The clicked film leaves the list of those who have seen it, so the change is certain and visible. Each click is
    that of a new visitor who was seen at both nodes before.

    Raises:
        UnavailableError: a change did not arrive within WAIT_MS.
    """
    here, there = NodeClient(edges[0], clock), NodeClient(edges[-1], clock)
    same_ms, other_ms = [], []
    for number in range(CLICKS):
        for durations_ms, watcher, word in ((same_ms, here, "same"), (other_ms, there, "other")):
            visitor = f"clicker-{word}-{number}"
            for client in (here, there):
                _shown(client, visitor, film)
            started_ms = clock.monotonic_ms()
            here.track(_click(visitor, film))
            while _shown(watcher, visitor, film):
                if clock.monotonic_ms() - started_ms > WAIT_MS:
                    raise UnavailableError(f"a click did not reach {watcher.url} within {WAIT_MS / 1_000:.0f} s")
            durations_ms.append(clock.monotonic_ms() - started_ms)
    here.close()
    there.close()
    return quantiles(same_ms), quantiles(other_ms)


def without_hub(
    edges: Sequence[str], film: str, kill: Callable[[], None], back: Callable[[], None], clock: Clock
) -> Outage:
    """Kill the hub, go on deciding and clicking at all nodes, start it again, and wait until the spools are empty."""
    clients = [NodeClient(url, clock) for url in edges]
    errors = clicks = 0
    kill()
    for number in range(DOWN_DECISIONS):
        client = clients[number % len(clients)]
        try:
            visitor = f"stubborn-{number % 40}"
            client.decide(visitor, [{"name": PLACEMENT, "count": TEN}])
            if number % 8 == 0:
                client.track(_click(visitor, film))
                clicks += 1
        except UnavailableError:
            errors += 1
    back()
    pending = _drained(clients, clock)
    for client in clients:
        client.close()
    return Outage(DOWN_DECISIONS, errors, clicks, pending)


def wait_for_bundle(edges: Sequence[str], version: int, clock: Clock) -> list[int]:
    """Wait until every node serves a bundle of that version; the versions that they serve.

    Raises:
        UnavailableError: one did not within 60 s.
    """
    clients = [NodeClient(url, clock) for url in edges]
    deadline_ms = clock.monotonic_ms() + 60_000
    while True:
        versions = [int(client.status()["bundle"]["version"]) for client in clients]
        if all(running == version for running in versions):
            return versions
        if clock.monotonic_ms() > deadline_ms:
            raise UnavailableError(f"the nodes serve bundles {versions}, expected {version} within 60 s")


def _drained(clients: Sequence[NodeClient], clock: Clock) -> int:
    deadline_ms = clock.monotonic_ms() + 60_000
    while True:
        pending = sum(int(client.status()["spool"]["pending"]) for client in clients)
        if pending == 0 or clock.monotonic_ms() > deadline_ms:
            return pending


def _shown(client: NodeClient, visitor: str, film: str) -> bool:
    only: dict[str, Any] = {"name": PLACEMENT, "count": 1, "candidates": [{"id": film}]}
    return film in client.decide(visitor, [only]).placements[PLACEMENT].ids


def _click(visitor: str, film: str) -> dict[str, Any]:
    properties = {"product_id": film, "itemId": film, "placement": PLACEMENT}
    return {"type": "track", "event": "Product Clicked", "anonymousId": visitor, "properties": properties}
