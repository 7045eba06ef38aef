"""Eviction: who was here for the longest time goes first, who comes often stays, and the hub hears of who went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_world import statement, view
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.profiles.cache import MINUTE_MS, USE_MINUTES, ProfileCache
from edge.profiles.eviction import EVICTED_AT_ONCE, MOST_ASKED
from edge.profiles.rows import last_use
from edgewise.clock import ManualClock
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import EventRecord

NOBODY = encode_preferences(Preferences())
START_MS = 1_700_000_000_000
MAP_BYTES = 4 << 20


def wide_view(subject: SubjectId, seq: int = 0) -> EventRecord:
    """So that a map is full soon."""
    return view(seq, subject=subject, item="i" * 200)


def visitor(number: int) -> SubjectId:
    """Spread over the key space, as hashes are."""
    return SubjectId(f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_MS)


@pytest.fixture
def cache(tmp_path: Path, clock: ManualClock) -> Iterator[ProfileCache]:
    opened = ProfileCache.open(tmp_path, map_bytes=MAP_BYTES, clock=clock)
    yield opened
    opened.close()


def flush(cache: ProfileCache) -> None:
    cache.write(cache.stamp_in)
    cache.forget_uses()


def is_waiting(cache: ProfileCache) -> bool:
    """A call, since mypy takes a property for what it was when a test last looked."""
    return cache.has_uses


def minute_of(cache: ProfileCache, subject: SubjectId) -> int:
    with cache.file.env.begin() as txn:
        return last_use(txn.get(bytes.fromhex(subject), db=cache.file.db["profiles"]) or b"", -1)


@given(hot=st.integers(1, 120), seed=st.integers(0, 1 << 32))
@settings(max_examples=3, deadline=None)
def test_who_comes_often_survives_a_flood_of_those_who_come_once(
    tmp_path_factory: pytest.TempPathFactory, hot: int, seed: int
) -> None:
    """No hot visitor is lost: at most half of all rows are hot, so the bound of `edge.profiles.eviction` holds.

    Of about 60 evictions each evicts a hot one with probability at most 10^-25; a random choice would lose of `hot`
    visitors all but some: each eviction takes one row in twenty.
    """
    clock = ManualClock(START_MS)
    cache = ProfileCache.open(tmp_path_factory.mktemp("cache"), map_bytes=MAP_BYTES, clock=clock)
    regulars = [visitor(seed + number) for number in range(hot)]
    for subject in regulars:
        cache.apply(subject, [wide_view(subject)])
    before, came = cache.figures()[0], 0
    for hour in range(40):
        for number in range(100):
            subject = visitor(seed + 1_000 + 100 * hour + number)
            cache.apply(subject, [wide_view(subject)])
            came += 1
        clock.advance(USE_MINUTES * MINUTE_MS)
        assert [subject for subject in regulars if cache.profile(subject) is None] == []
        flush(cache)
    count, _ = cache.figures()
    assert before + came - count > 20 * EVICTED_AT_ONCE, "a flood it was"
    assert hot <= count / 2, "what the bound asks for"
    cache.close()


def test_a_use_is_written_down_rarely_and_by_whoever_came_not_by_the_hub(
    cache: ProfileCache, clock: ManualClock
) -> None:
    subject, minute = visitor(1), START_MS // MINUTE_MS
    cache.apply(subject, [wide_view(subject)])
    clock.advance((USE_MINUTES - 1) * MINUTE_MS)
    cache.profile(subject)
    assert not is_waiting(cache)
    cache.snapshot(subject, encode_profile(Profile()), NOBODY)
    assert minute_of(cache, subject) == minute
    clock.advance(MINUTE_MS)
    cache.profile(subject)
    assert is_waiting(cache)
    flush(cache)
    assert not is_waiting(cache)
    assert minute_of(cache, subject) == minute + USE_MINUTES
    assert cache.profile(subject) is not None, "the stamp stands outside the checksum"
    cache.apply(subject, [wide_view(subject, seq=1)])
    assert minute_of(cache, subject) == minute + USE_MINUTES
    cache.unknown(visitor(2))
    assert minute_of(cache, visitor(2)) == minute + USE_MINUTES


def fill(cache: ProfileCache, first: int, count: int) -> set[SubjectId]:
    """Returns whom the hub was asked about when he had gone again: his answer brings him back, so he is not told of."""
    asked: set[SubjectId] = set()
    for number in range(first, first + count):
        cache.apply(visitor(number), [wide_view(visitor(number))])
        asked |= {subject for subject in cache.take_wanted() if cache.profile(subject) is None}
    return asked


def everybody_evicted(cache: ProfileCache) -> set[SubjectId]:
    found: set[SubjectId] = set()
    while part := cache.take_evicted():
        found |= set(part)
    return found


def test_the_hub_hears_of_those_who_went_and_of_nobody_who_is_there_or_has_stated_something(
    cache: ProfileCache,
) -> None:
    opted_out = [visitor(number) for number in range(0, 100, 10)]
    for seq, subject in enumerate(opted_out):
        cache.state(subject, statement(seq, subject=subject, dial=1))
    asked = fill(cache, 0, 2_600)
    evicted = everybody_evicted(cache)
    cached = {subject for subject in map(visitor, range(2_600)) if cache.profile(subject) is not None}
    assert len(evicted) > 2 * EVICTED_AT_ONCE
    assert evicted | cached | asked | set(opted_out) == set(map(visitor, range(2_600)))
    assert not evicted & (cached | asked | set(opted_out))
    assert all(cache.preferences(subject).dial.value == 1 for subject in opted_out)
    assert set(opted_out) <= set(cache.subjects()), "followed on"


def test_who_is_wanted_again_is_not_told_to_have_gone(cache: ProfileCache) -> None:
    asked = fill(cache, 0, 2_600)
    gone = [
        subject for subject in map(visitor, range(2_600)) if cache.profile(subject) is None and subject not in asked
    ]
    cache.want(gone[:5])
    assert everybody_evicted(cache) == set(gone[5:])
    assert set(cache.take_wanted()) == set(gone[:5])


def test_news_of_who_was_evicted_meanwhile_does_not_bring_him_back(cache: ProfileCache) -> None:
    """The hub was told that it need not follow him: it would not tell of his opt-out, either."""
    subject = visitor(1)
    stated = Preferences()
    assert not cache.snapshot(subject, encode_profile(Profile(last_ms=1)), NOBODY, is_asked=False)
    assert cache.profile(subject) is None
    cache.state(subject, statement(0, subject=subject, dial=1))
    assert not cache.snapshot(subject, encode_profile(Profile(last_ms=1)), encode_preferences(stated), is_asked=False)
    assert (cache.profile(subject), cache.preferences(subject).dial.value) == (None, 1)
    assert cache.snapshot(subject, encode_profile(Profile(last_ms=1)), NOBODY)
    assert cache.snapshot(subject, encode_profile(Profile(last_ms=2)), NOBODY, is_asked=False)
    assert cache.profile(subject) == Profile(last_ms=2)


def test_who_has_stated_nothing_leaves_no_preferences_behind(cache: ProfileCache) -> None:
    """Statements are never evicted, so there must be none of those who made none."""
    for number in range(100):
        cache.snapshot(visitor(number), encode_profile(Profile()), NOBODY)
    with cache.file.env.begin() as txn:
        assert txn.stat(cache.file.db["preferences"])["entries"] == 0


def test_without_a_hub_nobody_is_wanted_and_nobody_told_of(tmp_path: Path) -> None:
    cache = ProfileCache.open(tmp_path, map_bytes=1 << 20, has_hub=False)
    for number in range(1_000):
        cache.apply(visitor(number), [wide_view(visitor(number))])
    cache.want([visitor(5)])
    assert (cache.take_wanted(), cache.take_evicted()) == ([], [])
    cache.close()


def test_of_those_who_wait_to_be_asked_for_there_are_only_so_many(tmp_path: Path) -> None:
    cache = ProfileCache.open(tmp_path, map_bytes=64 << 20)
    for first in range(0, MOST_ASKED + 5_000, 5_000):
        cache.want([visitor(number) for number in range(first, first + 5_000)])
    with cache.file.env.begin() as txn:
        assert txn.stat(cache.file.db["wanted"])["entries"] == MOST_ASKED
    cache.close()
