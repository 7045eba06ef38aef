"""The profile cache: the hub's word under local events, each counted once; preferences; interest; rebuilding."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_records
import pytest
from cache_world import statement, view
from hub_records import NOW_MS
from hypothesis import given
from hypothesis import strategies as st
from spool_world import PRODUCER
from strategies_profile import SUBJECT, histories

from edge.profiles.cache import ProfileCache
from edge.profiles.recent import RecentDecisions, RememberedDecision
from edgewise.consent import Consent, ConsentState
from edgewise.errors import UnavailableError
from edgewise.ids import ArmName, Producer, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import ANONYMOUS, EventRecord, encode_record

NOBODY = encode_preferences(Preferences())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ProfileCache]:
    opened = ProfileCache.open(tmp_path / "profiles", map_bytes=64 << 20)
    yield opened
    opened.close()


def test_nothing_is_cached_at_first_and_an_event_makes_a_profile_that_is_wanted(cache: ProfileCache) -> None:
    assert cache.profile(SUBJECT) is None
    cache.apply(SUBJECT, [view(0)])
    profile = cache.profile(SUBJECT)
    assert profile is not None
    assert encode_profile(profile) == encode_profile(fold(Profile(), [view(0)]))
    assert cache.take_wanted() == [SUBJECT]
    assert cache.take_wanted() == []
    assert cache.figures()[0] == 1


def test_what_may_not_be_tied_to_a_person_leaves_no_trace(cache: ProfileCache) -> None:
    cache.apply(SUBJECT, [view(0, granted=False)])
    cache.apply(ANONYMOUS, [view(1)])
    assert cache.profile(SUBJECT) is None
    assert list(cache.subjects()) == []
    assert cache.take_wanted() == []


@st.composite
def _arrivals(draw: st.DrawFn) -> list[tuple[str, Producer]]:
    """What happens: `local` events of producers of this node, `remote` ones elsewhere, the hub storing, its word."""
    steps = st.sampled_from(["local", "local", "remote", "store", "snapshot"])
    return draw(st.lists(st.tuples(steps, st.sampled_from([Producer(f"n{n}/1/0") for n in range(3)])), max_size=40))


@given(history=histories(most=10), arrivals=_arrivals(), most_pending=st.sampled_from([2, 4, 256]))
def test_the_profile_is_the_fold_of_hub_and_local_events_each_once(
    history: dict[Producer, list[EventRecord]], arrivals: list[tuple[str, Producer]], most_pending: int
) -> None:
    local = {Producer("n0/1/0"), Producer("n1/1/0")}
    with tempfile.TemporaryDirectory() as name:
        cache = ProfileCache.open(Path(name), map_bytes=16 << 20, most_pending=most_pending)
        happened: dict[Producer, list[EventRecord]] = {producer: [] for producer in history}
        stored: dict[Producer, int] = dict.fromkeys(history, 0)
        taken: dict[Producer, int] = {}
        for step, producer in arrivals:
            if step in {"local", "remote"} and (producer in local) == (step == "local"):
                queue = history[producer]
                if len(happened[producer]) < len(queue):
                    record = queue[len(happened[producer])]
                    happened[producer].append(record)
                    if step == "local":
                        cache.apply(SUBJECT, [record])
            elif step == "store":
                stored[producer] = min(stored[producer] + 2, len(happened[producer]))
            elif step == "snapshot":
                hub = fold(Profile(), [record for p in history for record in happened[p][: stored[p]]])
                if cache.snapshot(SUBJECT, encode_profile(hub), NOBODY):
                    taken = dict(stored)
            expected = fold(
                Profile(),
                [record for p in history for record in (happened[p] if p in local else happened[p][: taken.get(p, 0)])],
            )
            found = cache.profile(SUBJECT)
            assert encode_profile(found or Profile()) == encode_profile(expected)
        # In the end the hub has everything, and its word is taken whatever was given up.
        stored = {p: len(happened[p]) for p in history}
        hub = fold(Profile(), [record for p in history for record in happened[p]])
        assert cache.snapshot(SUBJECT, encode_profile(hub), NOBODY)
        found = cache.profile(SUBJECT)
        assert encode_profile(found or Profile()) == encode_profile(hub)
        cache.close()


def test_a_snapshot_that_misses_what_was_given_up_waits(tmp_path: Path) -> None:
    cache = ProfileCache.open(tmp_path, map_bytes=16 << 20, most_pending=4)
    clicks = [view(seq, item=f"i{seq}") for seq in range(10)]
    cache.apply(SUBJECT, clicks)
    other = view(0, producer=Producer("elsewhere/1/0"), item="x")
    for known, taken in ((2, False), (5, False), (8, True)):
        hub = fold(Profile(), [*clicks[:known], other])
        assert cache.snapshot(SUBJECT, encode_profile(hub), NOBODY) is taken
    profile = cache.profile(SUBJECT)
    assert profile is not None
    assert encode_profile(profile) == encode_profile(fold(Profile(), [*clicks, other]))
    cache.close()


def test_preferences_hold_at_once_and_a_later_word_of_the_hub_wins(cache: ProfileCache) -> None:
    assert cache.preferences(SUBJECT).dial.value == 3
    cache.state(SUBJECT, statement(5, dial=0))
    assert cache.preferences(SUBJECT).dial.value == 0
    older, newer = Preferences(), Preferences()
    state(older, statement(1, dial=3))
    state(newer, statement(9, dial=2, consent=Consent(personalisation=ConsentState.DENIED)))
    assert cache.snapshot(SUBJECT, encode_profile(Profile()), encode_preferences(older))
    assert cache.preferences(SUBJECT).dial.value == 0
    assert cache.snapshot(SUBJECT, encode_profile(Profile()), encode_preferences(newer))
    assert cache.preferences(SUBJECT).dial.value == 2
    assert cache.preferences(SUBJECT).stored_consent.personalisation is ConsentState.DENIED


def test_bytes_that_are_no_profile_change_nothing(cache: ProfileCache) -> None:
    cache.apply(SUBJECT, [view(0)])
    with pytest.raises(ValueError, match="MessagePack"):
        cache.snapshot(SUBJECT, b"\xc1", NOBODY)
    profile = cache.profile(SUBJECT)
    assert profile is not None
    assert len(profile.items) == 1


def test_a_subject_that_the_hub_does_not_know_is_not_asked_for_again(cache: ProfileCache) -> None:
    cache.want([SUBJECT])
    assert cache.take_wanted() == [SUBJECT]
    cache.unknown(SUBJECT)
    assert cache.profile(SUBJECT) == Profile()
    cache.apply(SUBJECT, [view(0)])
    assert cache.take_wanted() == []
    cache.unknown(SUBJECT)
    profile = cache.profile(SUBJECT)
    assert profile is not None
    assert len(profile.items) == 1


def test_who_has_but_begun_here_is_cached_and_not_followed_and_what_is_known_is_not_overwritten(
    cache: ProfileCache,
) -> None:
    def stands() -> tuple[bool, bool]:
        with cache.reading() as reading:
            return reading.is_cached(SUBJECT), reading.is_followed(SUBJECT)

    assert stands() == (False, False)
    cache.begin(SUBJECT)
    assert stands() == (True, False)
    assert cache.profile(SUBJECT) is None
    assert (list(cache.subjects()), cache.take_wanted()) == ([], [])
    cache.apply(SUBJECT, [view(0)])
    assert stands() == (True, True)
    assert (list(cache.subjects()), cache.take_wanted()) == ([SUBJECT], [SUBJECT])
    cache.begin(SUBJECT)
    assert stands() == (True, True)
    cache.erase(SUBJECT)
    cache.begin(SUBJECT)
    cache.unknown(SUBJECT)
    assert stands() == (True, True)


def test_rows_that_cannot_be_read_are_as_good_as_none_and_nobody_is_granted_anything_by_them(
    cache: ProfileCache,
) -> None:
    key = bytes.fromhex(SUBJECT)

    def damage(row: bytes) -> None:
        with cache.file.env.begin(write=True) as txn:
            for name in ("profiles", "preferences"):
                txn.put(key, row, db=cache.file.db[name])

    for row in (b"", b"\xc1" * 30, b"\x00" * 6 + b"\xa2\xff\xff"):
        damage(row)
        assert cache.profile(SUBJECT) is None
        with pytest.raises(ValueError, match=r".*"):
            cache.preferences(SUBJECT)
        cache.apply(SUBJECT, [view(0)])
        profile = cache.profile(SUBJECT)
        assert profile is not None
        assert len(profile.items) == 1
        damage(row)
        cache.state(SUBJECT, statement(1, dial=0))
        assert cache.preferences(SUBJECT).dial.value == 0
        damage(row)
        assert cache.snapshot(SUBJECT, encode_profile(Profile()), NOBODY)
        assert cache.preferences(SUBJECT).dial.value == 0  # he said it here, and the hub has not heard of it
        cache.erase(SUBJECT)


def test_an_erased_subject_is_gone_with_all_that_waited(cache: ProfileCache) -> None:
    other = SubjectId("6" * 32)
    cache.apply(SUBJECT, [view(0)])
    cache.apply(other, [view(1)])
    cache.state(SUBJECT, statement(2, dial=1))
    cache.erase(SUBJECT)
    assert cache.profile(SUBJECT) is None
    assert cache.preferences(SUBJECT).dial.value == 3
    assert list(cache.subjects()) == [other]
    assert cache.snapshot(SUBJECT, encode_profile(Profile()), NOBODY)
    assert cache.profile(SUBJECT) == Profile()


def test_where_the_hub_holds_nothing_its_snapshot_goes_however_late_it_is_dated(cache: ProfileCache) -> None:
    """A node's clock that was ahead has dated all of it later than the erasure. What is not stored yet is to come."""

    def items() -> set[str]:
        profile = cache.profile(SUBJECT)
        return set() if profile is None else set(profile.items)

    until_ms = NOW_MS - 1
    cache.snapshot(SUBJECT, encode_profile(fold(Profile(), [view(0, producer=Producer("n-b/1/0"), item="i0")])), NOBODY)
    cache.apply(SUBJECT, [view(1, item="i1"), view(2, item="i2")])
    cache.erase(SUBJECT, until_ms=until_ms)
    assert items() == {"i0", "i1", "i2"}  # by the time alone: he has come back
    cache.erase(SUBJECT, until_ms=until_ms, stored={PRODUCER: 1})
    assert items() == {"i2"}
    cache.snapshot(SUBJECT, encode_profile(fold(Profile(), [view(2, item="i2")])), NOBODY)
    assert items() == {"i2"}
    cache.erase(SUBJECT, until_ms=until_ms, stored={PRODUCER: 2})
    assert cache.profile(SUBJECT) is None


@pytest.mark.parametrize("left", [{}, {"impressions": (), "enrolled": {"hero__0": ArmName("challenger")}}])
def test_who_has_come_back_keeps_nothing_that_decisions_left_before_his_erasure(
    cache: ProfileCache, left: dict[str, Any]
) -> None:
    before, after = (
        hub_records.decision(seq, producer=PRODUCER, subject=SUBJECT, time_ms=NOW_MS + time_ms, **left)
        for seq, time_ms in ((0, -20), (1, 20))
    )
    remembered = [RememberedDecision((SUBJECT,), encode_record(record)) for record in (before, after)]
    recent = RecentDecisions(cache.file)
    ids = before.decision_id, after.decision_id
    cache.write(lambda txn: recent.remember(txn, list(zip(ids, remembered, strict=True))))
    cache.snapshot(SUBJECT, encode_profile(fold(Profile(), [before])), NOBODY)  # stored, so that it is pending no more
    cache.apply(SUBJECT, [view(1, producer=Producer("n-b/1/0"))])
    cache.erase(SUBJECT, until_ms=NOW_MS - 10)
    profile = cache.profile(SUBJECT)
    assert profile is None or not (profile.impressions or profile.enrolments)
    assert recent.find(before.decision_id) is None
    cache.apply(SUBJECT, [view(2, producer=Producer("n-b/1/0"))])
    cache.write(lambda txn: recent.remember(txn, list(zip(ids, remembered, strict=True))))
    cache.erase(SUBJECT, until_ms=NOW_MS - 10)
    assert cache.profile(SUBJECT) is not None
    assert [recent.find(each) is not None for each in ids] == [False, True]


def test_interest_names_everybody_once(cache: ProfileCache) -> None:
    cached = [SubjectId(f"{number:032x}") for number in range(2_500)]
    for subject in cached[:2_400]:
        cache.unknown(subject)
    for subject in cached[2_300:]:
        cache.state(subject, statement(0, dial=1))
    assert sorted(cache.subjects()) == cached


def test_a_full_map_makes_room_and_never_for_a_visitors_will(tmp_path: Path) -> None:
    cache = ProfileCache.open(tmp_path, map_bytes=1 << 20)
    cache.state(SUBJECT, statement(0, dial=0))
    for number in range(3_000):
        cache.apply(SubjectId(f"{number:032x}"), [view(number, item="i" * 200)])
    assert 0 < cache.figures()[0] < 3_000
    assert cache.profile(SubjectId(f"{2_999:032x}")) is not None
    assert cache.preferences(SUBJECT).dial.value == 0
    cache.close()


def test_two_openings_in_one_process_are_refused(tmp_path: Path) -> None:
    cache = ProfileCache.open(tmp_path, map_bytes=1 << 20)
    with pytest.raises(UnavailableError, match="profile cache"):
        ProfileCache.open(tmp_path, map_bytes=1 << 20)
    cache.close()
