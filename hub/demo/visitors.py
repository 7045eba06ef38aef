"""The visitors of the replay: each real event is lived again, one decision of each arm before it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.demo.client import NodeClient, asking
from hub.demo.story import LIKED, Rated, Story, review

PLACEMENT: Final = "film_list"
TEN: Final = 10
ARMS: Final = ("champion", "challenger")


class Hit(NamedTuple):
    """Whether the film that a visitor liked next was among the ten, for each arm."""

    visitor: str
    champion: bool
    challenger: bool


class Replay(NamedTuple):
    """What came of a replay."""

    hits: list[Hit]
    decisions: int
    errors: int
    decide_ms: list[float]
    """Seen from the client, in no particular order."""
    took_ms: list[float]
    """As the nodes measured it."""


def home_node(visitor: str, nodes: int) -> int:
    """The node that a visitor comes to, always the same one, as a load balancer with sticky visitors does."""
    return zlib.crc32(visitor.encode()) % nodes


def replay(
    story: Story, edges: Sequence[str], clock: Clock, *, progress: Callable[[int], None] = lambda _done: None
) -> Replay:
    """Live the future again, in order at each node; both nodes at the same time."""
    lanes: list[list[Rated]] = [[] for _ in edges]
    for rated in story.future:
        lanes[home_node(rated.visitor, len(edges))].append(rated)
    with ThreadPoolExecutor(len(edges)) as threads:
        lived = list(threads.map(lambda lane: _live(lane[0], lane[1], clock, progress), zip(edges, lanes, strict=True)))
    return Replay(
        hits=[hit for part in lived for hit in part.hits],
        decisions=sum(part.decisions for part in lived),
        errors=sum(part.errors for part in lived),
        decide_ms=[ms for part in lived for ms in part.decide_ms],
        took_ms=[ms for part in lived for ms in part.took_ms],
    )


def _live(url: str, lane: list[Rated], clock: Clock, progress: Callable[[int], None]) -> Replay:
    hits: list[Hit] = []
    took_ms: list[float] = []
    decisions = errors = 0
    with asking([url], clock) as (client,):
        for rated in lane:
            try:
                if rated.rating >= LIKED:
                    shown = {}
                    for arm in ARMS:
                        placement = {"name": PLACEMENT, "count": TEN}
                        answer = client.decide(rated.visitor, [placement], force={PLACEMENT: arm})
                        took_ms.append(answer.took_ms)
                        shown[arm] = rated.item in answer.placements[PLACEMENT].ids
                        decisions += 1
                    hits.append(Hit(rated.visitor, **shown))
                client.track(review(rated))
            except UnavailableError:
                errors += 1
            progress(1)
    return Replay(hits, decisions, errors, client.decide_ms, took_ms)


def settle_known(story: Story, edges: Sequence[str], clock: Clock, *, limit_ms: float = 30_000) -> int:
    """Let every known visitor arrive at their node and wait until it knows them; how many it knows then.

    A node answers a stranger by context first and fetches the profile meanwhile. It knows the visitor once it leaves
    out a film that they have rated: asked to choose from that one film alone, it finds no candidate.
    """
    rated_before = {rated.visitor: rated.item for rated in story.past}
    waiting = sorted(story.known)
    deadline_ms = clock.monotonic_ms() + limit_ms
    with asking(edges, clock) as clients:
        for visitor in waiting:  # the arrival itself; a dry run leaves no trace, so it would fetch nothing
            clients[home_node(visitor, len(edges))].decide(visitor, [{"name": PLACEMENT, "count": 1}])
        while waiting and clock.monotonic_ms() < deadline_ms:
            waiting = [
                visitor
                for visitor in waiting
                if not _is_known(clients[home_node(visitor, len(edges))], visitor, rated_before[visitor])
            ]
    return len(story.known) - len(waiting)


def _is_known(client: NodeClient, visitor: str, item: str) -> bool:
    only: dict[str, Any] = {"name": PLACEMENT, "count": 1, "candidates": [{"id": item}]}
    answer = client.decide(visitor, [only], dryRun=True)
    return answer.placements[PLACEMENT].reason == "FALLBACK_NO_CANDIDATE"
