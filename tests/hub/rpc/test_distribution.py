"""Offers and answers over real gRPC: who is offered what and when, what is written down, which bytes are handed out."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hub_server import Hub, RepositoryInMemory, eventually, hello, patiently, running_hub
from typing_extensions import override

from edgewise.bundle.assignment import Assignment
from edgewise.errors import UnavailableError
from edgewise.ids import NodeId
from edgewise.reasons import State
from edgewise.v1 import distribution_pb2 as pb
from hub.rpc.distribution import CHUNK_BYTES, Announcer
from hub.rpc.server import SERVICES


def ack(nonce: str, version: int = 4) -> pb.WatchRequest:
    return pb.WatchRequest(ack=pb.Ack(nonce=nonce, bundle_version=version, bundle_digest="e" * 64))


def nack(nonce: str) -> pb.WatchRequest:
    return pb.WatchRequest(nack=pb.Nack(nonce=nonce, code="digest", detail="one byte is wrong", still_version=3))


def heartbeat(state: str) -> pb.WatchRequest:
    beat = pb.Heartbeat(state=state, bundle_version=3, bundle_digest="d" * 64, spool_bytes=7, decisions=11)
    return pb.WatchRequest(heartbeat=beat)


async def watching(hub: Hub, node: str = "n-a") -> Any:
    """The watch of a node that has said hello."""
    watch = hub.distribution.Watch()
    await watch.write(hello(node))
    return watch


@asynccontextmanager
async def offering(folder: Path) -> AsyncIterator[tuple[Hub, Any, pb.WatchResponse]]:
    """A hub where version 4 is published, the watch of a node there, and what was said in it first."""
    repository = RepositoryInMemory()
    repository.publish(4)
    async with running_hub(folder, repository) as hub:
        watch = await watching(hub)
        yield hub, watch, await watch.read()


def test_a_node_is_offered_what_is_published_and_whatever_is_published_later(tmp_path: Path) -> None:
    async def story() -> None:
        async with offering(tmp_path) as (hub, watch, first):
            assert (first.hub_incarnation, first.offer.bundle_version) == ("i" * 32, 4)
            hub.repository.publish(5)
            second = await watch.read()
            assert second.offer.bundle_version == 5
            assert second.offer.nonce != first.offer.nonce

    patiently(story())


def test_without_a_release_a_node_hears_that_the_hub_is_alive(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            watch = await watching(hub)
            said = await watch.read()
            assert (said.hub_incarnation, said.HasField("offer")) == ("i" * 32, False)
            await watch.write(heartbeat("READY"))
            assert not (await watch.read()).HasField("offer")
            hub.repository.publish(4)
            assert (await watch.read()).offer.bundle_version == 4

    patiently(story())


def test_what_a_node_answers_is_written_down(tmp_path: Path) -> None:
    async def story() -> None:
        async with offering(tmp_path) as (hub, watch, said):
            offer = said.offer
            await watch.write(nack(offer.nonce))
            await eventually(lambda: bool(hub.ledger.nodes()) and hub.ledger.nodes()[0].nack_code is not None)
            [row] = hub.ledger.nodes()
            assert (row.nack_code, row.nack_detail, row.bundle_version) == ("digest", "one byte is wrong", 3)
            assert (row.connected, row.state, row.protocol_version) == (True, State.READY, 1)

            hub.repository.publish(5)
            offer = (await watch.read()).offer
            await watch.write(ack(offer.nonce, 5))
            await eventually(lambda: hub.ledger.nodes()[0].bundle_version == 5)
            [row] = hub.ledger.nodes()
            assert (row.nack_code, row.nack_detail, row.nacked_ms, row.bundle_digest) == (None, None, None, "e" * 64)

            await watch.write(heartbeat("STALE"))
            await eventually(lambda: hub.ledger.nodes()[0].state is State.STALE)
            [row] = hub.ledger.nodes()
            assert (row.spool_bytes, row.decisions) == (7, 11)

            watch.cancel()
            await eventually(lambda: not hub.ledger.nodes()[0].connected)

    patiently(story())


def test_an_answer_to_an_older_offer_says_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with offering(tmp_path) as (hub, watch, said):
            old = said.offer
            hub.repository.publish(5)
            new = (await watch.read()).offer
            await watch.write(nack(old.nonce))
            await watch.write(ack(new.nonce, 5))
            await eventually(lambda: bool(hub.ledger.nodes()) and hub.ledger.nodes()[0].bundle_version == 5)
            assert hub.ledger.nodes()[0].nack_code is None
            sample = hub.meters.registry.get_sample_value("edgewise_offer_answers_total", {"answer": "outdated"})
            assert sample == 1

    patiently(story())


def test_a_node_with_two_watches_is_connected_until_both_have_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            first, second = await watching(hub), await watching(hub)
            for watch in (first, second):
                await watch.read()
            first.cancel()
            await second.write(heartbeat("READY"))
            await second.read()
            await hub.server.fleet.flush()
            assert hub.ledger.nodes()[0].connected
            await second.done_writing()
            assert await second.read() is grpc.aio.EOF
            await eventually(lambda: not hub.ledger.nodes()[0].connected)

    patiently(story())


async def all_of(call: Any) -> list[Any]:
    return [message async for message in call]


@pytest.mark.parametrize(
    ("statements", "detail"),
    [
        ([heartbeat("READY")], "expected a hello"),
        ([pb.WatchRequest()], "expected a hello"),
        ([hello(node="a/b")], "node id 'a/b'"),
        ([hello(), hello()], "after the hello"),
        ([hello(), heartbeat("FINE")], "state 'FINE'; expected READY, STALE, ERROR"),
    ],
)
def test_a_statement_that_makes_no_sense_ends_the_watch(
    tmp_path: Path, statements: list[pb.WatchRequest], detail: str
) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            watch = hub.distribution.Watch()
            for statement in statements:
                await watch.write(statement)
            with pytest.raises(grpc.aio.AioRpcError, match=detail) as ended:
                await all_of(watch)
            assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    patiently(story())


async def fetched(hub: Hub, path: str, offset: int = 0) -> tuple[bytes, list[int]]:
    pieces = [piece async for piece in hub.distribution.Fetch(pb.FetchRequest(path=path, offset=offset))]
    assert len({piece.total_bytes for piece in pieces}) == 1
    return b"".join(piece.data for piece in pieces), [len(piece.data) for piece in pieces]


def test_resources_come_in_pieces_from_any_offset_on(tmp_path: Path) -> None:
    async def story() -> None:
        model = bytes(range(256)) * (10 << 10)
        digest = hashlib.sha256(model).hexdigest()
        repository = RepositoryInMemory()
        repository.files = {
            f"blobs/{digest}": model,
            "metadata/1.root.json": b"{}",
            "targets/releases/42/ab.manifest.json": b"[]",
            "metadata/empty.json": b"",
        }
        async with running_hub(tmp_path, repository) as hub:
            data, sizes = await fetched(hub, f"blobs/{digest}")
            assert data == model
            assert sizes == [CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES // 2]
            assert (await fetched(hub, f"blobs/{digest}", len(model) - 5))[0] == model[-5:]
            assert (await fetched(hub, f"blobs/{digest}", len(model)))[0] == b""
            assert (await fetched(hub, "metadata/1.root.json"))[0] == b"{}"
            assert (await fetched(hub, "targets/releases/42/ab.manifest.json"))[0] == b"[]"
            assert (await fetched(hub, "metadata/empty.json"))[0] == b""
            with pytest.raises(grpc.aio.AioRpcError, match=f"has {len(model)} bytes"):
                await fetched(hub, f"blobs/{digest}", len(model) + 1)

    patiently(story())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "blobs/",
        "blobs/../metadata/1.root.json",
        "metadata/../keys/root.pem",
        "/metadata/1.root.json",
        "metadata//1.root.json",
        "metadata/.hidden",
        "keys/root.pem",
        "metadata/1.root.json\0",
        "metadata\\1.root.json",
        "metadata/%2e%2e/x",
    ],
)
def test_a_path_that_leaves_the_repository_finds_nothing(tmp_path: Path, path: str) -> None:
    async def story() -> None:
        repository = RepositoryInMemory()
        repository.files = {path: b"not for you", "metadata/1.root.json": b"{}"}
        async with running_hub(tmp_path, repository) as hub:
            with pytest.raises(grpc.aio.AioRpcError, match="nothing is published") as refused:
                await fetched(hub, path)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    patiently(story())


def test_a_new_node_is_told_what_to_pin_while_only_this_machine_can_ask(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            told = await hub.distribution.Enrol(pb.EnrolRequest(node_id="n-a"))
            assert (told.site, told.root) == ("film-shop", b"root of the site")
            assert (told.subject_key, told.visitor_key) == (b"s" * 32, b"v" * 32)
            with pytest.raises(grpc.aio.AioRpcError, match="node id"):
                await hub.distribution.Enrol(pb.EnrolRequest(node_id="../n"))

    patiently(story())


def test_health_and_reflection_name_the_services(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            health = health_pb2_grpc.HealthStub(hub.channel)
            for service in ("", *SERVICES):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
            asked = reflection_pb2_grpc.ServerReflectionStub(hub.channel).ServerReflectionInfo()
            await asked.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            listed = {service.name for service in (await asked.read()).list_services_response.service}
            assert set(SERVICES) <= listed
            await asked.done_writing()
            assert await asked.read() is grpc.aio.EOF

    patiently(story())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(UnavailableError, match=address):
                async with running_hub(tmp_path, grpc=address):
                    pass

    patiently(story())


def test_a_stopping_hub_ends_watches_well(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            watch = await watching(hub)
            await watch.read()
            stopping = asyncio.create_task(hub.server.stop())
            assert await watch.read() is grpc.aio.EOF
            assert await watch.code() is grpc.StatusCode.OK
            await stopping
            assert not hub.ledger.nodes()[0].connected

    patiently(story())


def test_live_facts_are_told_beside_offers_and_answers_to_them_written_down(tmp_path: Path) -> None:
    """A price that moves every second must not have nodes look for a new release every second."""

    async def story() -> None:
        async with offering(tmp_path) as (hub, watch, first):
            offer = first.offer
            for version in (1, 2):
                hub.repository.publish_facts(version)
                said = await watch.read()
                assert (said.HasField("offer"), said.facts.version) == (False, version)
            await watch.write(ack(offer.nonce, 4))
            await eventually(lambda: bool(hub.ledger.nodes()) and hub.ledger.nodes()[0].bundle_version == 4)

            refusal = pb.FactsAnswer(version=1, code="rollback", detail="none falls")
            await watch.write(pb.WatchRequest(facts=refusal))
            await eventually(lambda: hub.ledger.nodes()[0].facts_code == "rollback")
            [row] = hub.ledger.nodes()
            assert (row.facts_version, row.facts_detail, row.nack_code) == (1, "none falls", None)
            await watch.write(pb.WatchRequest(facts=pb.FactsAnswer(version=2)))
            await eventually(lambda: hub.ledger.nodes()[0].facts_version == 2)
            assert hub.ledger.nodes()[0].facts_code is None

            another = await watching(hub, "n-b")
            assert (await another.read()).offer.bundle_version == 4
            assert (await another.read()).facts.version == 2, "who comes later is told what there is"

    patiently(story())


class CountedReads(RepositoryInMemory):
    """How often it was asked for the assignment; `damaged`: it cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.damaged = False

    @override
    def assignment(self) -> Assignment | None:
        self.reads += 1
        if self.damaged:
            raise UnavailableError("damaged")
        return super().assignment()


def test_a_price_does_not_cost_another_reading_of_the_assignment_until_it_is_due() -> None:
    repository, node = CountedReads(), NodeId("n-a")
    announcer = Announcer(repository, 1_000, structlog.get_logger())
    repository.publish(4)
    for version in range(1, 5):
        announcer.look()
        repository.publish_facts(version)
    announcer.look()
    assert (repository.reads, announcer.version_for(node), announcer.facts_version) == (1, 4, 4)

    repository.damaged = True
    repository.publish(5)
    announcer.look()
    assert announcer.version_for(node) == 4
    repository.damaged = False
    repository.publish_facts(6)
    announcer.look()
    assert (repository.reads, announcer.version_for(node)) == (3, 5), (
        "what could not be read is read at the next chance"
    )
