"""Statements without a time: new unless the latest, and a file that is read again says nothing new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import MessageId
from hub.sources.repeating import Statements, ids_after, key_of, untimed_id

KEY = "0" * 32
FILES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=6)


def ids_of(file: list[int]) -> list[MessageId]:
    return [MessageId(untimed_id("crm", KEY, f"{content:032x}")) for content in file]


def content_of(message_id: MessageId) -> int:
    return int(message_id.partition(".")[2].partition("~")[0], 16)


def read(stored: list[MessageId], file: list[int]) -> list[MessageId]:
    """What is stored once the file is; the ledger passes over ids that it has."""
    named = Statements(stored).ids(ids_of(file))
    return [*stored, *(one for one in dict.fromkeys(named) if one not in stored)]


@given(files=FILES)
def test_the_last_word_of_the_last_file_holds_and_each_file_again_is_nothing(files: list[list[int]]) -> None:
    stored: list[MessageId] = []
    for file in files:
        stored = read(stored, file)
        assert content_of(stored[-1]) == file[-1]
        assert read(stored, file) == stored
        assert len(set(stored)) == len(stored)


@given(said=st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_words_that_come_one_by_one_are_new_where_they_change(said: list[int]) -> None:
    stored: list[MessageId] = []
    for word in said:
        stored = read(stored, [word])
    assert [content_of(one) for one in stored] == [
        word for place, word in enumerate(said) if place == 0 or said[place - 1] != word
    ]


def test_what_says_when_keeps_its_id_and_keys_do_not_mix() -> None:
    other = MessageId(untimed_id("crm", "f" * 32, "1" * 32))
    said = [MessageId("crm:" + "a" * 32), *ids_of([1]), other]
    assert key_of(said[0]) is None
    stored = {f"crm:{KEY}.": ids_of([1, 2])}
    assert ids_after(said, stored) == [said[0], MessageId(f"{said[1]}~1"), other]
