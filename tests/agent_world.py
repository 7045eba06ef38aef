"""An agent in the test's own event loop, beside a fake hub, and workers that do what workers do with bundles."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from edge.agent.run import Agent
from edge.log import Log, start_log
from edge.node.bundles import BundleStore
from edge.node.enrolment import checked, take_over
from edge.node.epochs import node_id
from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, WorkerStatus, read_status, write_status
from edge.profiles.cache import ProfileCache
from edge.settings import EdgeSettings
from edge.testing.fake_hub import FakeHub
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import MadeBundle
from edgewise.clock import SystemClock
from edgewise.ids import NodeId

T = TypeVar("T")
PATIENCE_S = 60.0


class Node(NamedTuple):
    """One enrolled node whose agent runs."""

    id: NodeId
    paths: NodePaths
    store: BundleStore
    settings: EdgeSettings
    cache: ProfileCache
    """The agent's own handle: LMDB does not open one file twice in a process."""
    stuck: asyncio.Event
    """Set: the worker follows no bundle any more."""

    @property
    def status(self) -> AgentStatus:
        """What the agent says of itself."""
        status = read_status(self.paths.agent_status, AgentStatus)
        assert status is not None
        return status

    def refuses(self, digest: str) -> bool:
        """Whether the worker says that it could not load this bundle."""
        status = read_status(self.paths.worker_status(0), WorkerStatus)
        return status is not None and status.refused_digest == digest


def patiently(story: Coroutine[Any, Any, T]) -> T:
    """Run a story to its end, but not for ever."""
    return asyncio.run(asyncio.wait_for(story, PATIENCE_S))


def log(level: str = "error") -> Log:
    """A log that says nothing but errors."""
    return start_log("test", level)


def settings_of(folder: Path, hub: str, **values: Any) -> EdgeSettings:
    """Settings for a node in a test: small pauses, one worker."""
    quick: dict[str, Any] = {
        "workers": 1,
        "reconnect_ms": 10,
        "reconnect_most_ms": 100,
        "heartbeat_ms": 100,
        "trial_idle_ms": 0,
        "log_level": "error",
    }
    return EdgeSettings(**quick | {"data_dir": str(folder), "hub": hub} | values)


def enrolled(folder: Path, site: SignedSite) -> NodePaths:
    """A node's folder that belongs to a site."""
    paths = NodePaths(folder)
    paths.create()
    take_over(paths, checked(site.enrolment, "the test"))
    return paths


@asynccontextmanager
async def running_agent(
    folder: Path,
    hub: FakeHub,
    *,
    has: MadeBundle | None = None,
    serve: Callable[[str], bool] = lambda _: True,
    **values: Any,
) -> AsyncIterator[Node]:
    """An agent, and a worker that serves every bundle of which `serve` says so. `has`: what serves already."""
    paths = enrolled(folder, hub.site)
    if has is not None:
        store = BundleStore(paths)
        store.activate(store.stage(has.manifest_bytes, has.resources))
    settings = settings_of(folder, hub.address, **values)
    stop = asyncio.Event()
    agent = Agent(settings, node_id(paths), SystemClock(), start_log("test", settings.log_level))
    node = Node(node_id(paths), paths, BundleStore(paths), settings, agent.cache, asyncio.Event())
    running = asyncio.create_task(agent.run(stop))
    worker = asyncio.create_task(follow_bundles(node, serve))
    try:
        yield node
    finally:
        worker.cancel()
        stop.set()
        assert await running == 0


async def follow_bundles(node: Node, serve: Callable[[str], bool]) -> None:
    """What a worker does when `current` changes, without HTTP."""
    generation: object = object()
    digest: str | None = None
    while True:
        if node.store.generation() != generation and not node.stuck.is_set():
            generation, current = node.store.generation(), node.store.current()
            refused = current if current is not None and not serve(current) else None
            digest = digest if refused else current
            write_status(
                node.paths.worker_status(0),
                WorkerStatus(
                    index=0,
                    pid=os.getpid(),
                    epoch=1,
                    written_ms=0,
                    listening=True,
                    bundle_digest=digest,
                    refused_digest=refused,
                    refused_code="damaged",
                    refused_detail="it does not fit",
                ),
            )
        await asyncio.sleep(0.01)
