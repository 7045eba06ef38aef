"""What a node remembers for a while: bounded, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.profiles.cache_file import CacheFile
from edge.profiles.recent import MESSAGE_AGE_MS, RecentDecisions, RecentMessages, RememberedDecision
from edgewise.ids import DecisionId, MessageId, SubjectId, ulid

HIM, HER = SubjectId("1" * 32), SubjectId("2" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[CacheFile]:
    opened = CacheFile(tmp_path, map_bytes=4 << 20)
    yield opened
    opened.close()


@given(
    arrivals=st.lists(st.tuples(st.integers(0, 30), st.integers(0, MESSAGE_AGE_MS // 2)), max_size=60),
)
def test_a_message_is_new_once_a_day(tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[int, int]]) -> None:
    file = CacheFile(tmp_path_factory.mktemp("cache"), map_bytes=4 << 20)
    messages = RecentMessages(file)
    now_ms, last_new_ms = 0, dict[int, int]()
    for number, pause_ms in arrivals:
        now_ms += pause_ms
        with file.env.begin(write=True) as txn:
            found = messages.is_new(txn, MessageId(f"m-{number}"), now_ms)
        expected = number not in last_new_ms or now_ms - last_new_ms[number] >= MESSAGE_AGE_MS
        assert found is expected
        if found:
            last_new_ms[number] = now_ms
    with file.env.begin() as txn:
        assert txn.stat(file.db["messages"])["entries"] == txn.stat(file.db["message_ages"])["entries"]
    file.close()


def test_of_too_many_messages_the_oldest_are_forgotten(file: CacheFile) -> None:
    messages = RecentMessages(file, most=100)
    with file.env.begin(write=True) as txn:
        for number in range(500):
            assert messages.is_new(txn, MessageId(f"m-{number}"), number)
        assert txn.stat(file.db["messages"])["entries"] <= 100
        assert not messages.is_new(txn, MessageId("m-499"), 500)
        assert messages.is_new(txn, MessageId("m-0"), 500)


def test_a_message_that_could_not_be_kept_counts_as_new_again(file: CacheFile) -> None:
    messages = RecentMessages(file)
    with file.env.begin(write=True) as txn:
        assert messages.is_new(txn, MessageId("m"), 1)
        messages.forget(txn, [MessageId("m"), MessageId("never seen")])
        assert messages.is_new(txn, MessageId("m"), 2)


def test_the_latest_decisions_stay_as_long_as_there_is_room(file: CacheFile) -> None:
    decisions = RecentDecisions(file)
    made = [DecisionId(ulid(1_000 + number, bytes(10))) for number in range(1_000)]
    for decision_id in made:
        with file.env.begin(write=True) as txn:
            decisions.remember(txn, [(decision_id, RememberedDecision((HIM,), b"x" * 1_500))])
    kept = [decision_id for decision_id in made if decisions.find(decision_id)]
    assert 100 < len(kept) < 1_000
    assert kept == made[-len(kept) :]
    assert decisions.find(DecisionId("unknown")) is None


@pytest.mark.parametrize("count", [0, 1, 29, 30])
def test_decisions_of_an_erased_subject_are_forgotten(file: CacheFile, count: int) -> None:
    """Also where his is the last one of all."""
    decisions = RecentDecisions(file)
    ids = [DecisionId(ulid(number, bytes(10))) for number in range(count)]
    with file.env.begin(write=True) as txn:
        decisions.remember(txn, [(key, RememberedDecision((HIM, HER)[n % 2 :][:1], b"r")) for n, key in enumerate(ids)])
        decisions.forget(txn, HIM)
    assert [bool(decisions.find(key)) for key in ids] == [n % 2 == 1 for n in range(count)]
