"""A hub's gRPC server inside the test's process, on a free port, with a repository in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import structlog

from edgewise.bundle.assignment import Assignment
from edgewise.clock import ManualClock
from edgewise.ids import BundleVersion, SiteName
from edgewise.seal import sealed
from edgewise.v1 import (
    distribution_pb2,
    distribution_pb2_grpc,
    profiles_pb2,
    profiles_pb2_grpc,
    uplink_pb2,
    uplink_pb2_grpc,
)
from hub.codes.book import CodeBook
from hub.keys import SiteSecrets
from hub.ledger.ledger import Ledger
from hub.ledger.suppression import SuppressionList
from hub.meters import Meters
from hub.release.repository import Standing
from hub.rpc.server import RpcServer
from hub.settings import HubSettings

PATIENCE_S = 10.0


class RepositoryInMemory:
    """Implements `hub.rpc.server.SignedRepository`; `files` holds what may be fetched."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.site = SiteName("film-shop")
        self.default: int | None = None
        self.facts = 0

    def publish(self, version: int) -> None:
        """A new timestamp, as every signing writes one."""
        self.default = version
        self.files["metadata/timestamp.json"] = f"timestamp of {version}".encode()

    def publish_facts(self, version: int) -> None:
        """A new timestamp, and nothing else but live facts is new."""
        self.facts = version
        self.files["metadata/timestamp.json"] = f"timestamp of facts {version}".encode()

    def standing(self) -> Standing:
        return Standing((1, 1, self.default or 0), self.facts, self.facts)

    def metadata(self, name: str) -> bytes | None:
        return self.files.get(f"metadata/{name}")

    def target(self, path: str) -> bytes | None:
        return self.files.get(f"targets/{path}")

    def blob(self, sha256: str) -> bytes | None:
        return self.files.get(f"blobs/{sha256}")

    def trust_anchor(self) -> bytes:
        return b"root of the site"

    def assignment(self) -> Assignment | None:
        return None if self.default is None else Assignment(1, BundleVersion(self.default))


class Hub(NamedTuple):
    """A running server and what stands behind it."""

    ledger: Ledger
    repository: RepositoryInMemory
    server: RpcServer
    channel: grpc.aio.Channel
    meters: Meters
    clock: ManualClock

    @property
    def distribution(self) -> Any:
        return distribution_pb2_grpc.DistributionStub(self.channel)  # type: ignore[no-untyped-call]

    @property
    def uplink(self) -> Any:
        return uplink_pb2_grpc.UplinkStub(self.channel)  # type: ignore[no-untyped-call]

    @property
    def profiles(self) -> Any:
        return profiles_pb2_grpc.ProfilesStub(self.channel)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def running_hub(
    folder: Path,
    repository: RepositoryInMemory | None = None,
    *,
    suppressions: SuppressionList | None = None,
    codes: Callable[[Ledger], CodeBook] | None = None,
    **settings: Any,
) -> AsyncIterator[Hub]:
    """Serve from a folder's ledger until the block ends."""
    repository = repository or RepositoryInMemory()
    chosen = HubSettings(**{"grpc": "127.0.0.1:0", "offer_poll_ms": 10, "profile_poll_ms": 10, **settings})
    clock = ManualClock()
    meters = Meters()
    ledger = Ledger.of(folder)
    server = RpcServer(
        ledger,
        repository,
        lambda: SiteSecrets(b"s" * 32, b"v" * 32),
        settings=chosen,
        incarnation="i" * 32,
        clock=clock,
        meters=meters,
        log=structlog.get_logger(),
        suppressions=suppressions,
        codes=None if codes is None else codes(ledger),
    )
    address = await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Hub(ledger, repository, server, channel, meters, clock)
    finally:
        await server.stop()
        ledger.close()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for a condition; fails after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # the condition lies in a database
            await asyncio.sleep(0.005)


async def first_of(call: Any, request: object) -> Any:
    """What a stream answers to its first message."""
    await call.write(request)
    return await call.read()


async def refusal_of(ask: Callable[[], Awaitable[object]]) -> grpc.aio.AioRpcError:
    """How the hub refuses a call before it has heard anything; each `ask` makes a new one.

    A refusal that comes while gRPC still sends is hidden behind an INTERNAL of the client's own: asked again then.
    """
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await ask()
        if ended.value.code() is not grpc.StatusCode.INTERNAL:
            return ended.value
    raise AssertionError("hidden twenty times")


def patiently(test: Awaitable[None]) -> None:
    """Run a test's coroutine; a hub that does not answer fails it."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def report(*records: bytes, node: str = "n-a", epoch: int = 1, worker: int = 0) -> uplink_pb2.ReportRequest:
    return sealed(uplink_pb2.ReportRequest(node_id=node, epoch=epoch, worker=worker, records=records))


def hello(node: str = "n-a", version: int = 3) -> distribution_pb2.WatchRequest:
    return distribution_pb2.WatchRequest(
        hello=distribution_pb2.Hello(
            node_id=node, protocol_version=1, bundle_version=version, bundle_digest="d" * 64, hub_incarnation=""
        )
    )


def follow(*subjects: str, node: str = "n-a") -> profiles_pb2.SyncRequest:
    return profiles_pb2.SyncRequest(node_id=node, add=subjects)
