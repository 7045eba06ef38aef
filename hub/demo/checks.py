"""What the demo measures beside the replay: how fast a click counts, and what happens while the hub is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.demo.client import NodeClient, asking
from hub.demo.visitors import PLACEMENT, TEN

CLICKS: Final = 60
DOWN_DECISIONS: Final = 400
WAIT_MS: Final = 10_000
REWARD_WAIT_MS: Final = 2_500
"""A little longer than `wait_hours` of film_pick."""
POLL_S: Final = 0.02
"""Pause between two looks at a node that is asked until something has happened."""


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


def click_to_changed(edges: Sequence[str], clock: Clock) -> tuple[Milliseconds, Milliseconds]:
    """From sending a click at the first node until the list has changed: there, and at the last node.

    The clicked film leaves the list of its visitor, so the change is certain. The champion's list is watched, because
    it explores nothing: it changes by the click alone. Each click is that of a new visitor, seen at both nodes before.

    Raises:
        UnavailableError: a change did not arrive within WAIT_MS.
    """
    with asking([edges[0], edges[-1]], clock) as (here, there):
        _drained([here, there], clock)  # what the replay left behind must not stand before the first click
        same_ms = [_one_click(here, here, there, f"clicker-same-{number}", clock) for number in range(CLICKS)]
        other_ms = [_one_click(here, there, there, f"clicker-other-{number}", clock) for number in range(CLICKS)]
    return quantiles(same_ms), quantiles(other_ms)


def _one_click(here: NodeClient, watcher: NodeClient, there: NodeClient, visitor: str, clock: Clock) -> float:
    _list(there, visitor)
    before = _list(here, visitor)
    started_ms = clock.monotonic_ms()
    here.track(_click(visitor, before[0]))
    while _list(watcher, visitor, dry=True) == before:
        if clock.monotonic_ms() - started_ms > WAIT_MS:
            raise UnavailableError(f"a click did not reach {watcher.url} within {WAIT_MS / 1_000:.0f} s")
    return clock.monotonic_ms() - started_ms


def without_hub(edges: Sequence[str], kill: Callable[[], None], back: Callable[[], None], clock: Clock) -> Outage:
    """Kill the hub, go on deciding and clicking at all nodes, start it again, and wait until the spools are empty."""
    errors = clicks = 0
    with asking(edges, clock) as clients:
        kill()
        for number in range(DOWN_DECISIONS):
            client = clients[number % len(clients)]
            try:
                visitor = f"stubborn-{number % 40}"
                shown = client.decide(visitor, [{"name": PLACEMENT, "count": TEN}]).placements[PLACEMENT].ids
                if number % 8 == 0:
                    client.track(_click(visitor, shown[0]))
                    clicks += 1
            except UnavailableError:
                errors += 1
        back()
        pending = _drained(clients, clock)
    return Outage(DOWN_DECISIONS, errors, clicks, pending)


def wait_for_bundle(edges: Sequence[str], version: int, clock: Clock) -> list[int]:
    """Wait until every node serves a bundle of that version; the versions that they serve.

    Raises:
        UnavailableError: one did not within 60 s.
    """
    deadline_ms = clock.monotonic_ms() + 60_000
    with asking(edges, clock) as clients:
        while True:
            versions = [_running(client) for client in clients]
            if all(running == version for running in versions):
                return versions
            if clock.monotonic_ms() > deadline_ms:
                raise UnavailableError(f"the nodes serve bundles {versions}, expected {version} within 60 s")
            time.sleep(POLL_S)


def wait_for_some(edges: Sequence[str], version: int, clock: Clock) -> None:
    """Wait until a node serves a bundle of that version. Raises UnavailableError: none did within 60 s."""
    deadline_ms = clock.monotonic_ms() + 60_000
    with asking(edges, clock) as clients:
        while version not in (versions := [_running(client) for client in clients]):
            if clock.monotonic_ms() > deadline_ms:
                raise UnavailableError(f"the nodes serve bundles {versions}, expected {version} on one within 60 s")
            time.sleep(POLL_S)


def settle(edges: Sequence[str], clock: Clock) -> None:
    """Wait until the hub has all that the nodes wrote down, and nothing waits for its reward any more."""
    with asking(edges, clock) as clients:
        _drained(clients, clock)
    over_ms = clock.monotonic_ms() + REWARD_WAIT_MS
    while clock.monotonic_ms() < over_ms:
        time.sleep(POLL_S)


def _running(client: NodeClient) -> int:
    return int(client.status()["bundle"]["version"])


def _drained(clients: Sequence[NodeClient], clock: Clock) -> int:
    deadline_ms = clock.monotonic_ms() + 60_000
    while True:
        pending = sum(int(client.status()["spool"]["pending"]) for client in clients)
        if pending == 0 or clock.monotonic_ms() > deadline_ms:
            return pending
        time.sleep(POLL_S)


def _list(client: NodeClient, visitor: str, *, dry: bool = False) -> list[str]:
    """What the champion shows; a dry run leaves no trace, so looking does not slow down what is looked at."""
    answer = client.decide(visitor, [{"name": PLACEMENT, "count": TEN}], force={PLACEMENT: "champion"}, dryRun=dry)
    return answer.placements[PLACEMENT].ids


def _click(visitor: str, film: str) -> dict[str, Any]:
    properties = {"product_id": film, "itemId": film, "placement": PLACEMENT}
    return {"type": "track", "event": "Product Clicked", "anonymousId": visitor, "properties": properties}
