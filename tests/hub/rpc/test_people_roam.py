"""Roaming, unknown visitors and bounded interest hold for people: nodes follow subjects and know of nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_world import log
from hub_records import NODE, NOW_MS, event

from edgewise.clock import SystemClock
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.state import decode_profile
from edgewise.records import EventRecord, Touch, encode_record
from edgewise.v1.profiles_pb2 import SyncResponse
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.meters import Meters
from hub.rpc.erasure_feed import ErasureFeed
from hub.rpc.interest import Follower, Interest
from hub.rpc.profiles import Profiles

PHONE, LAPTOP, USER = (SubjectId(digit * 32) for digit in "abc")
MOST = 3


class Hub:
    def __init__(self, ledger: Ledger) -> None:
        meters, unused = Meters(), None
        self.ledger = ledger
        self.interest = Interest(MOST, meters)
        threads: Any = unused
        feed = ErasureFeed(ledger, None, SystemClock())
        self.profiles = Profiles(
            ledger, self.interest, threads, feed, writer=threads, streams=threads, meters=meters, log=log("critical")
        )
        self._seq = 0

    def happens(self, subject: SubjectId, item: str, **identifiers: SubjectId) -> None:
        """A click that a node reports."""
        record: EventRecord = event(
            self._seq,
            subject=subject,
            touches=(Touch(ItemId(item)),),
            identifiers={"anonymousId": subject, **identifiers},
        )
        self._seq += 1
        self.profiles.stored(self.ledger.store([Batch(NODE, [encode_record(record)])], NOW_MS))

    def news(self, follower: Follower) -> dict[SubjectId, SyncResponse]:
        """What this node is told now."""
        return {SubjectId(one.subject): one for one in self.profiles._read(follower.take(100))}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with open_ledger(tmp_path) as ledger:
        yield Hub(ledger)


def items(news: SyncResponse) -> set[str]:
    return set(decode_profile(news.snapshot.profile).items)


def test_who_comes_to_another_node_by_another_name_is_known_there(hub: Hub) -> None:
    hub.happens(PHONE, "kettle", userId=USER)
    hub.happens(LAPTOP, "teapot", userId=USER)
    elsewhere = hub.interest.enter()
    hub.interest.follow(elsewhere, [LAPTOP])
    assert items(hub.news(elsewhere)[LAPTOP]) == {"kettle", "teapot"}
    hub.happens(PHONE, "cup")  # the node has never heard of the phone
    assert {subject: items(one) for subject, one in hub.news(elsewhere).items()} == {
        LAPTOP: {"kettle", "teapot", "cup"}
    }


def test_who_was_unknown_is_news_once_he_turns_out_to_be_somebody(hub: Hub) -> None:
    hub.happens(PHONE, "kettle", userId=USER)
    node = hub.interest.enter()
    hub.interest.follow(node, [LAPTOP, USER])
    told = hub.news(node)
    assert told[LAPTOP].WhichOneof("news") == "unknown"
    assert items(told[USER]) == {"kettle"}
    hub.happens(LAPTOP, "teapot", userId=USER)
    assert {subject: items(one) for subject, one in hub.news(node).items()} == {
        LAPTOP: {"kettle", "teapot"},
        USER: {"kettle", "teapot"},
    }


def test_a_person_of_many_names_costs_a_node_no_more_than_what_it_follows(hub: Hub) -> None:
    devices = [SubjectId(f"{number:032x}") for number in range(1, 31)]
    for device in devices:
        hub.happens(device, "kettle", userId=USER)
    assert len(hub.ledger.members_of(USER)) == 31
    node = hub.interest.enter()
    hub.interest.follow(node, devices[:10])
    assert list(node.subjects) == devices[7:10]  # the oldest were let go
    hub.news(node)
    hub.happens(devices[20], "teapot")
    told = hub.news(node)
    assert set(told) == set(devices[7:10])
    assert all(items(one) == {"kettle", "teapot"} for one in told.values())
    hub.interest.unfollow(node, devices)
    hub.happens(devices[20], "cup")
    assert hub.news(node) == {}
