"""Erasures go to every node in the order of the list, and nodes say how far they have followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from hub_records import NOW_MS, SUBJECT
from hub_server import eventually, follow, patiently, running_hub

from edgewise.errors import UnavailableError
from edgewise.ids import SubjectId
from edgewise.v1 import profiles_pb2 as pb
from hub.ledger.suppression import SuppressionList

OTHER = SubjectId("6" * 32)


def said(name: str = "", through: int = 0, node: str = "n-a") -> pb.SyncRequest:
    return pb.SyncRequest(node_id=node, erasure_list=name, erased_through=through)


def told(news: Any) -> tuple[str, int, int]:
    assert news.WhichOneof("news") == "erasure"
    return news.subject, news.erasure.number, news.erasure.time_ms


def test_a_node_hears_of_everybody_who_was_and_is_erased(tmp_path: Path) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([SUBJECT, OTHER], time_ms=NOW_MS)

    async def story() -> None:
        async with running_hub(tmp_path, suppressions=listed) as hub:
            sync = hub.profiles.Sync()
            await sync.write(said())
            assert [told(await sync.read()), told(await sync.read())] == [(SUBJECT, 0, NOW_MS), (OTHER, 1, NOW_MS)]
            SuppressionList(tmp_path).append([OTHER], time_ms=NOW_MS + 1)  # by another process
            assert told(await sync.read()) == (OTHER, 2, NOW_MS + 1)
            name = listed.listed().name
            assert hub.ledger.node_erasures() == []
            await sync.write(pb.SyncRequest(erasure_list=name, erased_through=2))
            await eventually(lambda: [row[:3] for row in hub.ledger.node_erasures()] == [("n-a", name, 2)])

            hub.clock.advance(1_000)
            repeated = hub.profiles.Sync()  # nothing new: nothing is written
            await repeated.write(said(name, 2))
            await repeated.write(pb.SyncRequest(add=["7" * 32]))
            assert (await repeated.read()).WhichOneof("news") == "unknown"
            written = hub.ledger.node_erasures()
            assert [row.updated_ms for row in written] == [hub.clock.now_ms() - 1_000]

            again = hub.profiles.Sync()  # it comes back, and is told what is new only
            await again.write(said(name, 1))
            assert told(await again.read()) == (OTHER, 2, NOW_MS + 1)

    patiently(story())


def test_a_node_that_followed_another_list_begins_at_the_first(tmp_path: Path) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([SUBJECT], time_ms=NOW_MS)

    async def story() -> None:
        async with running_hub(tmp_path, suppressions=listed) as hub:
            sync = hub.profiles.Sync()
            await sync.write(said("the list of a hub that is gone", 99))
            assert told(await sync.read()) == (SUBJECT, 1, NOW_MS)
            assert hub.ledger.node_erasures() == []

    patiently(story())


def test_a_node_that_does_not_count_erasures_hears_of_those_that_it_caches(tmp_path: Path) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([SUBJECT], time_ms=NOW_MS)
    listed.append([OTHER], time_ms=NOW_MS)

    async def story() -> None:
        async with running_hub(tmp_path, suppressions=listed) as hub:
            hub.ledger.follow(listed)
            sync = hub.profiles.Sync()
            await sync.write(follow(OTHER))
            # The time, so that the node keeps what was stated there since.
            assert told(await sync.read()) == (OTHER, 0, NOW_MS)
            await sync.write(pb.SyncRequest(add=["7" * 32]))
            assert (await sync.read()).WhichOneof("news") == "unknown"

    patiently(story())


def test_a_ledger_that_takes_no_confirmation_ends_the_stream_as_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = SuppressionList(tmp_path)
    listed.append([SUBJECT], time_ms=NOW_MS)

    def is_locked(*_: object) -> None:
        raise UnavailableError("the ledger is locked")

    async def story() -> None:
        async with running_hub(tmp_path, suppressions=listed) as hub:
            monkeypatch.setattr(hub.ledger, "confirm_erasures", is_locked)
            sync = hub.profiles.Sync()
            await sync.write(said(listed.listed().name, 1))
            assert (await sync.code(), await sync.details()) == (
                grpc.StatusCode.UNAVAILABLE,
                "the ledger is locked",
            )

    patiently(story())
