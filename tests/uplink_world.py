"""The way of records from a worker's spool to a hub, without the rest of a node."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent_world import log, settings_of
from spool_world import kill

from edge.agent.link import Link
from edge.agent.state import AgentState
from edge.agent.uplink import Uplink
from edge.node.doorbell import Doorbell
from edge.node.epochs import next_epoch, node_id
from edge.node.layout import NodePaths, doorbell_address
from edge.settings import EdgeSettings
from edge.spool.writer import SpoolWriter
from edge.testing.fake_hub import ProducerKey
from edgewise.clock import SystemClock
from edgewise.consent import Grants
from edgewise.ids import MessageId, SubjectId, producer
from edgewise.records import EventRecord


class Worker:
    """A process that records, as far as the spool sees it."""

    def __init__(self, paths: NodePaths, index: int) -> None:
        self.node = node_id(paths)
        self.epoch = next_epoch(paths)
        self.index = index
        self.folder = paths.producer(self.epoch, index)
        self.records: list[EventRecord] = []
        self.spool = SpoolWriter(
            self.folder,
            producer=producer(self.node, self.epoch, index),
            most_bytes=1 << 30,
            segment_bytes=400,
            on_synced=self.ring,
        )

    @property
    def key(self) -> ProducerKey:
        return (self.node, self.epoch, self.index)

    def append(self) -> None:
        record = EventRecord(
            producer=self.spool.producer,
            seq=self.spool.next_seq,
            subject=SubjectId("00" * 16),
            message_id=MessageId(f"m-{self.epoch}-{self.spool.next_seq}"),
            type="track",
            name="Product Viewed",
            time_ms=1,
            received_ms=1,
            grants=Grants(),
        )
        assert self.spool.append(record) is not None
        self.records.append(record)

    def ring(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"s", doorbell_address(self.node))

    def kill(self) -> None:
        kill(self.spool)


class Shipping:
    """The agent's uplink, alone."""

    def __init__(self, settings: EdgeSettings) -> None:
        paths, clock = settings.paths, SystemClock()
        self.state = AgentState(paths, clock, site="shop", root_fingerprint=None, hub="", log=log())
        self.link = Link(settings, self.state, draw=lambda: 0.5, log=log())
        self.bell = Doorbell(node_id(paths))
        self.uplink = Uplink(
            settings, node_id(paths), bell=self.bell.spool, state=self.state, clock=clock, draw=lambda: 0.5, log=log()
        )
        self.task = asyncio.create_task(self.link.keep("uplink", self.uplink.session))

    async def stop(self) -> None:
        self.link.stopping.set()
        self.uplink.finish()
        await self.task
        await self.link.close()
        self.bell.close()


@asynccontextmanager
async def shipping(folder: Path, address: str, **values: int) -> AsyncIterator[Shipping]:
    """An agent's uplink to the hub at `address`, which needs not be one."""
    NodePaths(folder).create()
    started = Shipping(settings_of(folder, address, **{"reconnect_ms": 10, "reconnect_most_ms": 20} | values))
    try:
        yield started
    finally:
        await started.stop()
