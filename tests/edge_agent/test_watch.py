"""Following offers: what nobody foresaw is told to the hub, and costs neither the agent nor the bundle that serves."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent_world import enrolled, log, patiently, running_agent, settings_of

from edge.agent.facts_feed import FactsFeed
from edge.agent.fetch import HubFetcher
from edge.agent.install import Installer
from edge.agent.link import Link
from edge.agent.state import AgentState
from edge.agent.trial import Verdict
from edge.agent.watch import Watch
from edge.node.bundles import BundleStore
from edge.node.epochs import node_id
from edge.node.trust import pinned_root
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle
from edgewise.clock import SystemClock
from edgewise.ids import SiteName
from edgewise.v1.distribution_pb2 import Ack, Nack

SITE = "shop"
FIRST = small_bundle(SITE, version=1)
SECOND = small_bundle(SITE, version=2, title="Good bye")


def new_site() -> SignedSite:
    site = SignedSite(SITE)
    site.release(FIRST)
    site.assign(1)
    return site


async def mistaken(_digest: str) -> Verdict:
    raise KeyError("a mistake of ours")


def test_a_mistake_of_ours_is_refused_as_internal_and_the_watch_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub:
            paths = enrolled(tmp_path, hub.site)
            settings, clock = settings_of(tmp_path, hub.address, log_level="critical"), SystemClock()
            state = AgentState(paths, clock, site=SITE, root_fingerprint=None, hub=hub.address, log=log())
            link = Link(settings, state, draw=lambda: 0.5, log=log())
            root = pinned_root(paths)
            assert root is not None
            fetcher = HubFetcher(lambda: link.line, asyncio.get_running_loop(), clock)
            metadata = ThreadPoolExecutor(1)
            installer = Installer(
                settings,
                node=node_id(paths),
                site=SiteName(SITE),
                root=root,
                fetcher=fetcher,
                try_bundle=mistaken,
                metadata=metadata,
                clock=clock,
                log=log(),
            )
            quiet: Any = {"state": state, "clock": clock, "draw": lambda: 0.5, "log": log("critical")}
            facts = FactsFeed(paths, root, fetcher, metadata=metadata, refresh_ms=60_000, retry_ms=60_000, **quiet)
            watch = Watch(settings, node_id(paths), installer, facts, **quiet)
            listening = asyncio.create_task(link.keep("watch", watch.session))
            installing = asyncio.create_task(watch.install_offers(link.stopping))
            for _ in range(2):
                nonce = hub.offer() if hub.answers else "offer-1"
                await eventually(lambda nonce=nonce: any(answer.nonce == nonce for answer in hub.answers))  # type: ignore[misc]
                nack = hub.answers[-1]
                assert isinstance(nack, Nack)
                assert (nack.code, nack.detail) == ("internal", "KeyError: 'a mistake of ours'")
            assert BundleStore(paths).quarantined(FIRST.digest) is None, "the bundle is not to blame"
            link.stopping.set()
            watch.finish()
            await listening
            await installing
            await link.close()

    patiently(story())


def test_a_disk_that_does_not_let_a_bundle_serve_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, refused_retry_ms=10) as node,
        ):
            await eventually(lambda: bool(hub.answers))
            # A folder where a file is to be replaced: as good an OSError as a full disk.
            node.paths.previous.mkdir()
            hub.site.release(SECOND)
            hub.site.assign(2)
            hub.offer()
            await eventually(lambda: "previous" in node.status.last_error)
            assert node.store.current() == FIRST.digest
            node.paths.previous.rmdir()
            await eventually(lambda: node.store.current() == SECOND.digest)
            await eventually(lambda: isinstance(hub.answers[-1], Ack) and hub.answers[-1].bundle_version == 2)

    patiently(story())
