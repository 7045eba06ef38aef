"""Batches are taken in turns: others are answered in between, and nothing is acknowledged that is not durable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from edge_world import KEYS, bundle_files, events, install, open_desk, profile_of, viewed
from fault_disk import SyncsWhenTold
from hypothesis import given
from hypothesis import strategies as st

from edge.node.layout import NodePaths
from edge.worker.desk import Desk
from edge.worker.identity import Caller
from edge.worker.outcome import Outcome
from edge.worker.reception import AT_ONCE, TURN_MS, Offer, Reception, _next_turn
from edgewise.errors import UnavailableError
from edgewise.intake import decode_call
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, encode_profile
from edgewise.subjects import subject_of

PAGE = Caller(
    is_public=True, is_operator=False, is_server=False, visitor=None, pseudonym=None, opts_out=False, origin=None
)


def offers(many: int, *, visitors: int = 1) -> list[Offer]:
    calls = ({**viewed(f"film-{n % 24}", f"b-{n}"), "anonymousId": f"v-{n % visitors}"} for n in range(many))
    return [Offer(decode_call(msgspec.json.encode(call), type=None)) for call in calls]


@contextlib.asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[Desk]:
    install(NodePaths(folder), bundle_files())
    desk = open_desk(folder)
    yield desk
    await desk.close()


def test_between_the_turns_of_a_batch_others_are_answered(tmp_path: Path) -> None:
    async def run() -> int:
        async with worker(tmp_path) as desk:
            taking = asyncio.create_task(Reception(desk).take(offers(500), PAGE))
            others = 0
            while not taking.done():
                await asyncio.sleep(0)
                others += desk.spool.next_seq < 500
            assert len(await taking) == 500
            assert desk.spool.is_synced()
            return others

    assert asyncio.run(run()) >= 500 // AT_ONCE


def test_batches_at_the_same_time_take_turns(tmp_path: Path) -> None:
    async def run() -> None:
        async with worker(tmp_path) as desk:
            reception = Reception(desk)
            batches = [asyncio.create_task(reception.take(offers(200), PAGE)) for _ in range(5)]
            before = most = 0
            while not all(batch.done() for batch in batches):
                await asyncio.sleep(0)
                before, most = desk.spool.next_seq, max(most, desk.spool.next_seq - before)
            assert most <= AT_ONCE
            outcomes = [taken.outcome for batch in batches for taken in await batch]
            assert (outcomes.count(Outcome.ACCEPTED), outcomes.count(Outcome.DUPLICATE)) == (200, 800)

    asyncio.run(run())


@given(most=st.integers(1, AT_ONCE), took_ms=st.floats(0, 1e4))
def test_a_turn_that_was_too_long_is_followed_by_a_shorter_one(most: int, took_ms: float) -> None:
    following = _next_turn(most, took_ms)
    assert 1 <= following <= AT_ONCE
    if took_ms > TURN_MS:
        assert following < most or most == 1
        assert following == 1 or following * took_ms / most <= TURN_MS
    else:
        assert following >= most


def test_the_profiles_of_a_batch_are_the_fold_of_its_events(tmp_path: Path) -> None:
    async def run() -> None:
        async with worker(tmp_path) as desk:
            await Reception(desk).take(offers(120, visitors=3), PAGE)
            for visitor in ("v-0", "v-1", "v-2"):
                subject = subject_of(KEYS.subject_key, "anonymousId", visitor)
                expected = fold(Profile(), [event for event in events(desk) if event.subject == subject])
                found = profile_of(desk, visitor)
                assert found is not None
                assert len(expected.items) == 8
                assert encode_profile(found) == encode_profile(expected)

    asyncio.run(run())


def test_half_a_batch_is_durable_and_the_rest_is_taken_when_it_comes_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with worker(tmp_path) as desk:
            reception, room = Reception(desk), desk.spool._most_bytes
            desk.spool._most_bytes = 30_000
            with pytest.raises(UnavailableError, match="no room"):
                await reception.take(offers(300), PAGE)
            assert 0 < len(events(desk)) < 300
            assert desk.spool.is_synced()
            kept = {event.message_id for event in events(desk)}
            desk.spool._most_bytes = room
            again = await reception.take(offers(300), PAGE)
            assert all(taken.refused is None for taken in again)
            assert any(taken.record is None for taken in again)
            assert kept < {event.message_id for event in events(desk)} == {f"b-{n}" for n in range(300)}

    asyncio.run(run())


def test_what_a_disk_lost_between_two_turns_is_not_acknowledged_with_the_last(tmp_path: Path) -> None:
    disk = SyncsWhenTold()

    async def run() -> None:
        async with worker(tmp_path) as desk:
            reception, folder = Reception(desk), desk.spool._folder
            desk.spool._files = disk
            taking = asyncio.create_task(reception.take(offers(300), PAGE))
            await asyncio.sleep(0)
            assert 0 < desk.spool.next_seq < 300
            # As upkeep would; what cannot be written elsewhere either is lost.
            disk.is_failing, desk.spool._folder = True, tmp_path / "nowhere"
            with pytest.raises(UnavailableError):
                await desk.spool.commit()
            disk.is_failing, desk.spool._folder = False, folder
            await desk.spool.measure()
            with pytest.raises(UnavailableError):
                await taking
            await reception.take(offers(300), PAGE)
            assert {event.message_id for event in events(desk)} == {f"b-{n}" for n in range(300)}

    asyncio.run(run())
