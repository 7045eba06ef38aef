"""Profiles over real gRPC: what a node follows is pushed when it changes, and nothing piles up for a slow one."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from hub_records import NOW_MS, decision, event, payloads, preference
from hub_server import eventually, follow, patiently, report, running_hub
from hypothesis import given
from hypothesis import strategies as st

from edgewise.events import Kind
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import Profile, decode_profile
from edgewise.v1 import profiles_pb2 as pb
from hub.ledger.ledger import Ledger
from hub.meters import Meters
from hub.rpc.interest import Interest

SUBJECT = SubjectId("5" * 32)
OTHER = SubjectId("6" * 32)
USER = SubjectId("7" * 32)


def test_a_click_reported_by_one_node_reaches_another_that_follows(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()
            await sync.write(follow(SUBJECT, node="n-b"))
            assert (await sync.read()).WhichOneof("news") == "unknown"
            uplink = hub.uplink.Report()
            await uplink.write(report(*payloads(event(0), preference(1))))
            news = await sync.read()
            assert (news.subject, news.WhichOneof("news")) == (SUBJECT, "snapshot")
            profile = decode_profile(news.snapshot.profile)
            assert [count for _, count in profile.counts[Kind.CLICK]] == [1]
            assert decode_preferences(news.snapshot.preferences).dial.value == 2
            await uplink.write(report(*payloads(event(2))))
            assert decode_profile((await sync.read()).snapshot.profile).applied == {"n-a/1/0": 2}

    patiently(story())


def test_a_node_that_reconnects_is_told_the_present_state(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            uplink = hub.uplink.Report()
            await uplink.write(report(*payloads(event(0))))
            await uplink.read()
            sync = hub.profiles.Sync()
            await sync.write(follow(SUBJECT, OTHER))
            news = [await sync.read(), await sync.read()]
            assert {one.subject: one.WhichOneof("news") for one in news} == {SUBJECT: "snapshot", OTHER: "unknown"}

    patiently(story())


def test_nothing_is_told_of_what_a_node_follows_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()
            await sync.write(follow(SUBJECT, OTHER))
            await sync.read()
            await sync.read()
            await sync.write(pb.SyncRequest(remove=[SUBJECT]))
            uplink = hub.uplink.Report()
            await eventually(lambda: hub.meters.registry.get_sample_value("edgewise_profile_interest") == 1)
            await uplink.write(report(*payloads(event(0), event(1, subject=OTHER))))
            assert (await sync.read()).subject == OTHER

    patiently(story())


def test_what_another_process_changes_is_pushed_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()
            await sync.write(follow(SUBJECT))
            assert (await sync.read()).WhichOneof("news") == "unknown"
            elsewhere = Ledger.of(tmp_path)
            elsewhere.append(Producer("import/history"), [event(0)], NOW_MS)
            assert (await sync.read()).WhichOneof("news") == "snapshot"
            elsewhere.erase(SUBJECT, NOW_MS)
            assert (await sync.read()).WhichOneof("news") == "erasure"
            elsewhere.close()

    patiently(story())


def test_an_erasure_says_how_far_the_nodes_own_records_are_stored(tmp_path: Path) -> None:
    """By that the node knows what it holds of the erased that will never come in a snapshot."""

    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            uplink = hub.uplink.Report()
            await uplink.write(report(*payloads(event(0), event(1))))
            await uplink.read()
            hub.ledger.erase(SUBJECT, NOW_MS)
            for node, marks in (("n-a", {"n-a/1/0": 1}), ("n-b", {})):
                sync = hub.profiles.Sync()
                await sync.write(follow(SUBJECT, node=node))
                news = await sync.read()
                assert {mark.producer: mark.stored_seq for mark in news.erasure.stored} == marks
                assert (news.erasure.list, news.erasure.time_ms) == ("", NOW_MS)

    patiently(story())


def test_every_subject_of_a_person_is_told_of_the_whole_person(tmp_path: Path) -> None:
    """A user and his device on two nodes: what either does, and who states that they are one or are not, is news."""

    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()

            async def clicks_are(**wanted: int | None) -> None:
                """Until the last that was said of each is that; what a poll finds as well is said twice."""
                latest: dict[str, int | None] = {}
                while any(latest.get(name, -1) != count for name, count in wanted.items()):
                    one = await sync.read()
                    latest[called[one.subject]] = clicked(one.snapshot.profile)

            called = {SUBJECT: "device", OTHER: "other", USER: "user"}
            await sync.write(follow(SUBJECT, OTHER, USER))
            assert {(await sync.read()).WhichOneof("news") for _ in range(3)} == {"unknown"}
            uplink = hub.uplink.Report()
            await uplink.write(report(*payloads(event(0), event(1, subject=OTHER))))
            await clicks_are(device=1, other=1)

            await uplink.write(report(*payloads(event(2, identifiers={"anonymousId": SUBJECT, "userId": USER}))))
            await clicks_are(device=2, user=2)

            elsewhere = Ledger.of(tmp_path)
            elsewhere.state_merge(USER, OTHER, who="ann", reason="", now_ms=NOW_MS)
            await clicks_are(device=3, user=3, other=3)

            await uplink.write(report(*payloads(event(3, subject=OTHER))))
            await clicks_are(device=4, user=4, other=4)

            elsewhere.state_unmerge(USER, OTHER, who="ann", reason="", now_ms=NOW_MS)
            await clicks_are(device=2, user=2, other=2)

            elsewhere.state_unmerge(USER, SUBJECT, who="ann", reason="", now_ms=NOW_MS)
            # he has no part of his own, and a node must not go on with another's
            await clicks_are(device=2, user=None)
            elsewhere.close()

    def clicked(profile: bytes) -> int | None:
        read = decode_profile(profile)
        return None if read == Profile() else sum(count for _, count in read.counts[Kind.CLICK])

    patiently(story())


def test_impressions_of_decisions_reach_other_nodes_for_their_caps(tmp_path: Path) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()
            await sync.write(follow(SUBJECT))
            await sync.read()
            uplink = hub.uplink.Report()
            await uplink.write(report(*payloads(decision(0))))
            impressions = decode_profile((await sync.read()).snapshot.profile).impressions
            assert [impression.item for impression in impressions] == ["film-1"]

    patiently(story())


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(pb.SyncRequest(add=[SUBJECT]), id="no node"),
        pytest.param(follow(node="a b"), id="no node id"),
        pytest.param(follow(""), id="empty subject"),
        pytest.param(follow("5" * 600), id="long subject"),
        pytest.param(follow("a\0b"), id="NUL"),
    ],
)
def test_a_request_that_makes_no_sense_ends_the_stream(tmp_path: Path, request_: pb.SyncRequest) -> None:
    async def story() -> None:
        async with running_hub(tmp_path) as hub:
            sync = hub.profiles.Sync()
            await sync.write(request_)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await sync.read()
            assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    patiently(story())


@given(
    changes=st.lists(st.sampled_from("abc")),
    followed=st.lists(st.sampled_from("abc"), unique=True),
)
def test_a_node_that_does_not_listen_is_told_each_subject_once(changes: list[str], followed: list[str]) -> None:
    interest = Interest(10, Meters())
    follower = interest.enter()
    interest.follow(follower, map(SubjectId, followed))
    follower.take(10)
    for subject in changes:
        interest.changed([SubjectId(subject)])
    assert sorted(follower.take(10)) == sorted(set(changes) & set(followed))
    assert follower.take(10) == []


def test_beyond_its_bound_a_node_lets_its_oldest_profiles_go() -> None:
    meters = Meters()
    interest = Interest(3, meters)
    follower = interest.enter()
    interest.follow(follower, map(SubjectId, "abc"))
    interest.follow(follower, map(SubjectId, "ade"))
    assert list(follower.subjects) == ["a", "d", "e"]
    interest.changed(map(SubjectId, "abcde"))
    assert sorted(follower.take(10)) == ["a", "d", "e"]
    assert meters.registry.get_sample_value("edgewise_profile_interest") == 3
    assert meters.registry.get_sample_value("edgewise_profile_interest_dropped_total") == 2
    interest.leave(follower)
    assert meters.registry.get_sample_value("edgewise_profile_interest") == 0
