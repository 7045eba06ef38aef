"""A hub that other machines can reach: nothing is answered, and nothing stored, for who shows no token of ours."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hub_records import NODE, event, gap, payloads
from hub_server import (
    Hub,
    RepositoryInMemory,
    first_of,
    follow,
    hello,
    patiently,
    refusal_of,
    report,
    running_hub,
)

from edgewise.errors import InputError
from edgewise.v1 import distribution_pb2 as pb

TOKENS = ("let-me-in", "me-too")
OURS = (("authorization", f"Bearer {TOKENS[1]}"),)
Metadata = tuple[tuple[str, str], ...]


@asynccontextmanager
async def reachable_hub(folder: Path) -> AsyncIterator[Hub]:
    repository = RepositoryInMemory()
    repository.publish(4)
    digests = [hashlib.sha256(token.encode()).hexdigest() for token in TOKENS]
    async with running_hub(folder, repository, grpc="0.0.0.0:0", enrol_tokens_sha256=digests) as hub:
        yield hub


async def enrol(hub: Hub, shown: Metadata) -> bool:
    return bool((await hub.distribution.Enrol(pb.EnrolRequest(node_id="n-a"), metadata=shown)).root)


async def watch(hub: Hub, shown: Metadata) -> bool:
    return bool((await first_of(hub.distribution.Watch(metadata=shown), hello())).hub_incarnation)


async def fetch(hub: Hub, shown: Metadata) -> bool:
    request = pb.FetchRequest(path="metadata/timestamp.json")
    return bool([piece async for piece in hub.distribution.Fetch(request, metadata=shown)])


async def tell(hub: Hub, shown: Metadata) -> bool:
    answer = await first_of(hub.uplink.Report(metadata=shown), report(*payloads(event(0))))
    return bool(answer.stored_seq == 0)


async def sync(hub: Hub, shown: Metadata) -> bool:
    return bool((await first_of(hub.profiles.Sync(metadata=shown), follow("s" * 32))).WhichOneof("news"))


CALLS: list[Callable[[Hub, Metadata], Awaitable[bool]]] = [enrol, watch, fetch, tell, sync]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_needs_a_token_of_ours(tmp_path: Path, call: Callable[[Hub, Metadata], Awaitable[bool]]) -> None:
    async def story() -> None:
        async with reachable_hub(tmp_path) as hub:
            refused: dict[str, Metadata] = {
                "no token was shown": (),
                "the token that was shown is unknown": (("authorization", "Bearer let-me-out"),),
                "is unknown": (("authorization", TOKENS[0]),),
                "shown is unknown": (("authorization", f"Bearer {TOKENS[0]} "),),
            }
            for said, shown in refused.items():
                refusal = await refusal_of(partial(call, hub, shown))
                assert refusal.code() is grpc.StatusCode.UNAUTHENTICATED
                assert said in str(refusal.details())
                assert "enrol_tokens_sha256" in str(refusal.details())
            assert await call(hub, OURS)

    patiently(story())


def test_a_stranger_moves_no_mark(tmp_path: Path) -> None:
    async def story() -> None:
        async with reachable_hub(tmp_path) as hub:
            call = hub.uplink.Report()
            with pytest.raises(grpc.aio.AioRpcError):
                await first_of(call, report(*payloads(gap(0, 1_000))))
            assert hub.ledger.producers() == []
            assert await tell(hub, OURS)
            assert [(row.producer, row.stored_seq) for row in hub.ledger.producers()] == [(NODE, 0)]

    patiently(story())


def test_a_probe_needs_none_and_nobody_is_told_what_can_be_called(tmp_path: Path) -> None:
    async def story() -> None:
        async with reachable_hub(tmp_path) as hub:
            answer = await health_pb2_grpc.HealthStub(hub.channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            question = reflection_pb2.ServerReflectionRequest(list_services="")
            reflection = reflection_pb2_grpc.ServerReflectionStub(hub.channel).ServerReflectionInfo

            async def reflected(shown: Metadata) -> object:
                return await first_of(reflection(metadata=shown), question)

            statuses: dict[Metadata, grpc.StatusCode] = {
                (): grpc.StatusCode.UNAUTHENTICATED,
                OURS: grpc.StatusCode.UNIMPLEMENTED,
            }
            for shown, status in statuses.items():
                refusal = await refusal_of(partial(reflected, shown))
                assert refusal.code() is status

    patiently(story())


def test_without_any_token_it_does_not_start(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(InputError, match=r"grpc 0\.0\.0\.0:0 can be reached .* set enrol_tokens_sha256"):
            async with running_hub(tmp_path, grpc="0.0.0.0:0"):
                pass

    patiently(story())
