"""An agent and a hub with a bad network between them: exactly once, and back again without a tight loop."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from agent_world import patiently, running_agent
from fault_proxy import Cut, Ending, FaultProxy, Way
from uplink_world import Worker, shipping

from edge.node.layout import NodePaths
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle

SITE = SignedSite("shop")
SHORTEST_PAUSE_MS = 25
"""Half of `reconnect_ms` below, as `Backoff` draws it."""

# Where a connection of HTTP/2 can end: before its preface (24 bytes), in it, in the settings, in the headers of a call,
# in a batch, in an answer.
EARLY = [0, 1, 9, 23, 24, 33, 60, 90, 120, 180]
LATER = [250, 400, 550, 700, 900, 1_200]
ANSWERS = [0, 1, 8, 9, 40, 60, 80, 100, 130, 170, 220]


async def recording(worker: Worker, while_open: FaultProxy, cuts: int) -> None:
    """Something is always under way until every planned cut has happened."""
    while while_open.cuts_done < cuts:
        worker.append()
        await worker.spool.commit()
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("ending", list(Ending))
def test_every_record_is_stored_once_wherever_connections_end(folder: Path, ending: Ending) -> None:
    cuts = [Cut(Way.TO_HUB, after, ending) for after in EARLY + LATER] + [
        Cut(Way.TO_NODE, after, ending) for after in ANSWERS
    ]
    if ending is Ending.HALF_OPEN:
        # Each is found only by its silence: a few will do.
        cuts = [cut for cut in cuts if cut.after_bytes in {120, 550, 100}]

    # Only silence is found by it; where a connection ends, a busy machine may take longer than that to answer, and the
    # next one would end before it has come to where it is to be cut.
    patience_ms = 100 if ending is Ending.HALF_OPEN else 5_000

    async def story() -> None:
        async with FakeHub(SITE) as hub, FaultProxy(hub.port, cuts=cuts) as proxy:
            async with shipping(folder, proxy.address, answer_timeout_ms=patience_ms):
                worker = Worker(NodePaths(folder), 0)
                await recording(worker, proxy, len(cuts))
                worker.kill()
                await eventually(lambda: not worker.folder.exists())
            assert hub.records[worker.key] == worker.records
            assert proxy.cuts_done == len(cuts)

    patiently(story())


@pytest.mark.parametrize("silent", [{Way.TO_HUB}, {Way.TO_NODE}, set(Way)])
def test_a_connection_on_which_nothing_passes_is_given_up_for_another(folder: Path, silent: set[Way]) -> None:
    """One way or both: what arrived and was never answered is not stored twice."""

    async def story() -> None:
        async with FakeHub(SITE) as hub, FaultProxy(hub.port) as proxy:
            async with shipping(folder, proxy.address, answer_timeout_ms=50):
                worker = Worker(NodePaths(folder), 0)
                worker.append()
                await worker.spool.commit()
                await eventually(lambda: hub.marks.get(worker.key) == 0)
                before = len(proxy.accepted_s)
                proxy.silent = silent
                worker.append()
                await worker.spool.commit()
                await eventually(lambda: len(proxy.accepted_s) > before)
                proxy.silent = set()
                worker.append()
                await worker.spool.commit()
                worker.kill()
                await eventually(lambda: not worker.folder.exists())
            assert hub.records[worker.key] == worker.records

    patiently(story())


def test_a_slow_network_costs_time_only(folder: Path) -> None:
    async def story() -> None:
        async with FakeHub(SITE) as hub, FaultProxy(hub.port) as proxy:
            proxy.latency_ms = 40
            async with shipping(folder, proxy.address):
                worker = Worker(NodePaths(folder), 0)
                for _ in range(30):
                    worker.append()
                await worker.spool.commit()
                worker.kill()
                await eventually(lambda: not worker.folder.exists())
            assert hub.records[worker.key] == worker.records
            assert len(proxy.accepted_s) == 1

    patiently(story())


def new_site() -> SignedSite:
    site = SignedSite("shop")
    site.release(small_bundle("shop", version=1))
    site.assign(1)
    return site


def test_a_node_whose_hub_resets_every_connection_pauses_and_comes_back(folder: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, FaultProxy(hub.port) as proxy:
            hub.address = proxy.address
            async with running_agent(folder, hub, reconnect_ms=2 * SHORTEST_PAUSE_MS, reconnect_most_ms=200) as node:
                await eventually(lambda: node.store.current() is not None and len(hub.watching) == 1)
                hellos = len(hub.hellos)
                proxy.is_refusing = True
                proxy.reset()
                attempts = len(proxy.accepted_s)
                await eventually(lambda: len(proxy.accepted_s) >= attempts + 10)
                await eventually(lambda: not node.status.connected)
                proxy.is_refusing = False
                await eventually(lambda: len(hub.hellos) == hellos + 1 and node.status.connected)
            between = itertools.pairwise(proxy.accepted_s[attempts : attempts + 10])
            pauses_ms = sorted(1_000 * (later - earlier) for earlier, later in between)
            # A channel that is renewed connects at once; otherwise nothing is tried before a pause is over.
            assert pauses_ms[len(pauses_ms) // 2] >= SHORTEST_PAUSE_MS

    patiently(story())


@pytest.mark.slow
def test_a_black_hole_is_noticed_by_the_watch_though_nobody_closes_anything(folder: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, FaultProxy(hub.port) as proxy:
            hub.address = proxy.address
            async with running_agent(folder, hub) as node:
                await eventually(lambda: node.store.current() is not None and node.status.connected)
                proxy.silent = set(Way)
                await eventually(lambda: not node.status.connected, most_s=50)
                proxy.silent = set()
                await eventually(lambda: node.status.connected)

    patiently(story())
