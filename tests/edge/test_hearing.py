"""Events of visitors of whom a node has not heard wait for the hub's word, and never for a hub that is away."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from edge_world import KEYS, bundle_files, events, install, open_desk, sha256
from world import NOW_MS

from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, write_status
from edge.worker.desk import Desk
from edge.worker.hearing import hear_of
from edge.worker.identity import Caller
from edge.worker.reception import Offer, Reception
from edgewise.ids import Producer, SubjectId
from edgewise.intake import decode_call
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import ANONYMOUS, EventRecord, PreferenceRecord
from edgewise.subjects import subject_of

SERVER = Caller(
    is_public=True, is_operator=False, is_server=True, visitor=None, pseudonym=None, opts_out=False, origin=None
)
PUBLIC = SERVER._replace(is_server=False)
ANN, BOB = (subject_of(KEYS.subject_key, "userId", name) for name in ("ann", "bob"))


def desk_of(folder: Path, *, connected: bool) -> Desk:
    install(NodePaths(folder), bundle_files())
    desk = open_desk(folder, hub="127.0.0.1:1", server_keys_sha256=[sha256("server")])
    write_status(desk.paths.agent_status, AgentStatus(pid=os.getpid(), written_ms=NOW_MS, connected=connected))
    desk.condition.look()
    return desk


def offer(user: str) -> Offer:
    call = {"userId": user, "type": "track", "event": "Product Viewed", "properties": {"product_id": "film-3"}}
    return Offer(decode_call(msgspec.json.encode(call), type=None))


async def speak(desk: Desk) -> None:
    """The hub's answers, once it was asked for both: it knows nothing of Ann, and Bob has opted out elsewhere."""
    await desk.asking.wait()
    assert desk.wanted == {ANN, BOB}
    stated = Preferences()
    state(stated, PreferenceRecord(Producer("other/1/0"), 0, BOB, time_ms=5, received_ms=5, dial=0))
    desk.cache.unknown(ANN)
    desk.cache.snapshot(BOB, encode_profile(Profile()), encode_preferences(stated))


@pytest.mark.parametrize("caller", [SERVER, PUBLIC], ids=["server", "write key"])
def test_what_is_reported_of_users_is_taken_by_what_the_hub_says_of_each(tmp_path: Path, caller: Caller) -> None:
    """Also by a client that has the public write key only, as Segment's own ones for servers do."""

    async def story() -> list[EventRecord]:
        desk = desk_of(tmp_path, connected=True)
        _, taken = await asyncio.gather(speak(desk), Reception(desk).take([offer("ann"), offer("bob")], caller))
        assert [each.outcome for each in taken] == ["accepted", "without_consent"]
        written = events(desk)
        await desk.close()
        return written

    assert [event.subject for event in asyncio.run(story())] == [ANN, ANONYMOUS]


@pytest.mark.parametrize("subjects", [[ANN], []])
def test_nobody_waits_for_a_hub_that_is_away_nor_for_nobody(tmp_path: Path, subjects: list[SubjectId]) -> None:
    async def story() -> set[SubjectId]:
        desk = desk_of(tmp_path, connected=not subjects)
        hearing = asyncio.ensure_future(hear_of(desk, subjects))
        await asyncio.sleep(0)
        assert hearing.done()
        wanted = desk.wanted
        await desk.close()
        return wanted

    assert asyncio.run(story()) == set()


def test_a_hub_that_does_not_answer_is_waited_for_in_vain_and_the_event_counts_for_nobody(tmp_path: Path) -> None:
    async def story() -> dict[str, int]:
        desk = desk_of(tmp_path, connected=True)
        taken = await Reception(desk).take([offer("ann")], SERVER)
        assert [each.outcome for each in taken] == ["without_consent"]
        await desk.close()
        return desk.counts.unkept

    assert asyncio.run(story()) == {"unheard": 1}
