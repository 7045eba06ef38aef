"""Leases over real gRPC: lent, taken, gone on with after a start, lost to a copy; and a channel that is closed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from agent_world import log
from codes_world import NODE, NOW_MS, SPRING, HandClock, promotion
from hub_server import Hub, eventually, patiently, refusal_of, running_hub

from edge.agent.codes_feed import LEAST, CodesFeed
from edge.agent.link import Line, Link
from edge.agent.state import AgentState
from edge.codes.stock_file import StockFile
from edge.node.layout import NodePaths
from edge.settings import EdgeSettings
from edgewise.clock import ManualClock
from edgewise.profile.state import DAY_MS
from edgewise.v1 import codes_pb2 as pb
from edgewise.v1.codes_pb2_grpc import CodesStub
from hub.codes.book import CodeBook
from hub.ledger.ledger import Ledger

CHANCE = iter(range(1, 1_000_000))


def book(ledger: Ledger) -> CodeBook:
    """A thousand codes of the spring."""
    return CodeBook(
        ledger, lambda: {SPRING: promotion(1_000)}, HandClock(), lambda length: next(CHANCE).to_bytes(length)
    )


def stock_of(folder: Path) -> StockFile:
    paths = NodePaths(folder)
    paths.create()
    return StockFile(paths)


@asynccontextmanager
async def feeding(hub: Hub, file: StockFile, incarnation: str) -> AsyncIterator[None]:
    """An agent's part that keeps the codes, until the block ends."""
    feed = CodesFeed(file, NODE, incarnation, clock=HandClock(), log=log())
    heard: list[None] = []
    running = asyncio.create_task(feed.session(Line(hub.channel, ()), lambda: heard.append(None)))
    try:
        await eventually(lambda: bool(heard) or running.done())
        yield
    finally:
        feed.finish()
        await running


def left(file: StockFile) -> int:
    return file.stock().left(SPRING, NOW_MS)


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


def test_a_node_that_serves_a_promotion_is_lent_numbers_and_keys(tmp_path: Path, hub_folder: Path) -> None:
    async def story() -> None:
        file = stock_of(tmp_path / "node")
        async with running_hub(hub_folder, codes=book) as hub, feeding(hub, file, "i1"):
            assert [key.promotion for key in file.stock().keys] == [SPRING]
            assert left(file) == 0
            assert file.take(SPRING, 8, NOW_MS) == []  # a worker that finds nothing makes the agent ask
            await eventually(lambda: left(file) == LEAST)
            taken = await asyncio.to_thread(file.take, SPRING, LEAST - 1, NOW_MS)
            assert len(taken) == LEAST - 1
            await eventually(lambda: left(file) >= LEAST)
            budget = hub.ledger.budgets()[0]
            assert (budget.redeemed, budget.total) == (0, 1_000)

    patiently(story())


def test_a_start_goes_on_and_a_copy_takes_over(tmp_path: Path, hub_folder: Path) -> None:
    async def story() -> None:
        folder, copied = tmp_path / "node", tmp_path / "copy"
        file = stock_of(folder)
        file.change(lambda stock: stock.wants(SPRING))
        async with running_hub(hub_folder, codes=book) as hub:
            async with feeding(hub, file, "i1"):
                await asyncio.to_thread(file.take, SPRING, 5, NOW_MS)
            shutil.copytree(folder, copied)
            copy = StockFile(NodePaths(copied))
            async with feeding(hub, copy, "i2"):
                assert [number.number for number in copy.take(SPRING, 1, NOW_MS)] == [6]
            async with feeding(hub, file, "i3"):
                first = file.take(SPRING, 1, NOW_MS)[0].number
                assert first > LEAST  # what the copy has is not this one's any more
            assert {lease.id for lease in file.stock().leases}.isdisjoint(lease.id for lease in copy.stock().leases)

    patiently(story())


def test_what_is_over_is_given_back(tmp_path: Path, hub_folder: Path) -> None:
    async def story() -> None:
        file = stock_of(tmp_path / "node")
        file.change(lambda stock: stock.wants(SPRING))
        async with running_hub(hub_folder, codes=book) as hub:
            async with feeding(hub, file, "i1"):
                await asyncio.to_thread(file.take, SPRING, 5, NOW_MS)
            feed = CodesFeed(file, NODE, "i1", clock=HandClock(NOW_MS + DAY_MS), log=log())
            session = asyncio.create_task(feed.session(Line(hub.channel, ()), lambda: None))
            await eventually(lambda: hub.ledger.budgets()[0].open == 5 + LEAST)
            feed.finish()
            await session

    patiently(story())


def test_what_makes_no_sense_is_refused(hub_folder: Path) -> None:
    async def story() -> None:
        async with running_hub(hub_folder, codes=book) as hub:
            stub: Any = CodesStub(hub.channel)  # type: ignore[no-untyped-call]
            for request in (
                pb.ExchangeRequest(node_id="no node!", incarnation="i1"),
                pb.ExchangeRequest(node_id=NODE),
                pb.ExchangeRequest(node_id=NODE, incarnation="i" * 65),
                pb.ExchangeRequest(node_id=NODE, incarnation="i1", held=[pb.HeldLease(id="x")] * 10_001),
            ):
                refusal = await refusal_of(partial(stub.Exchange, request))
                assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT

    patiently(story())


def test_a_hub_that_lends_nothing_is_left_in_peace(tmp_path: Path, hub_folder: Path) -> None:
    """An older one: the stream does not fail, so that the connection of all others is not thrown away."""

    async def story() -> None:
        file = stock_of(tmp_path / "node")
        async with running_hub(hub_folder) as hub:
            feed = CodesFeed(file, NODE, "i1", clock=HandClock(), log=log())
            session = asyncio.create_task(feed.session(Line(hub.channel, ()), lambda: None))
            await eventually(lambda: file.stock().incarnation == "i1")
            feed.finish()
            await session

    patiently(story())


def test_a_call_on_a_channel_that_was_just_renewed_does_not_end_the_agent(tmp_path: Path, hub_folder: Path) -> None:
    """grpc.aio says UsageError then, which is no RpcError."""

    async def story() -> None:
        async with running_hub(hub_folder, codes=book) as hub:
            closed = grpc.aio.insecure_channel("127.0.0.1:1")
            await closed.close()
            state = AgentState(
                NodePaths(tmp_path), ManualClock(), site=None, root_fingerprint=None, hub="hub", log=log("critical")
            )
            settings = EdgeSettings(hub="127.0.0.1:1", reconnect_ms=10, reconnect_most_ms=10)
            link = Link(settings, state, draw=lambda: 0.5, log=log("critical"), open_channel=lambda *_: closed)
            usage_errors = 0

            async def session(_: Line, heard: Any) -> None:
                nonlocal usage_errors
                channel = closed if not usage_errors else hub.channel
                stub: Any = CodesStub(channel)  # type: ignore[no-untyped-call]
                try:
                    await stub.Exchange(pb.ExchangeRequest(node_id=NODE, incarnation="i1"))
                except grpc.aio.UsageError:
                    usage_errors += 1
                    raise
                heard()
                link.stopping.set()

            await link.keep("codes", session)
            assert usage_errors == 1
            with contextlib.suppress(grpc.aio.UsageError):
                await link.close()

    patiently(story())
