"""Preferences in the cache: a snapshot replaces the hub's word, and nothing that was stated here is lost by it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cache_world import statement
from hub_records import SUBJECT, preference
from hypothesis import given
from hypothesis import strategies as st

from edge.node.layout import NodePaths
from edge.profiles.cache import ProfileCache
from edge.profiles.recall import statements_in
from edge.spool.writer import SpoolWriter
from edgewise.consent import Consent, ConsentState
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import PreferenceRecord

OTHER = SubjectId("6" * 32)
HERE = (Producer("here/1/0"), Producer("here/1/1"))
THERE = (Producer("there/1/0"), Producer("there/1/1"))
NO_PROFILE = encode_profile(Profile())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ProfileCache]:
    opened = ProfileCache.open(tmp_path / "profiles", map_bytes=16 << 20)
    yield opened
    opened.close()


def folded(records: Iterable[PreferenceRecord]) -> bytes:
    preferences = Preferences()
    for record in sorted(records, key=lambda each: (each.producer, each.seq)):
        state(preferences, record)
    return encode_preferences(preferences)


def held(cache: ProfileCache, subject: SubjectId) -> bytes:
    return encode_preferences(cache.preferences(subject))


def rows(cache: ProfileCache, name: str) -> int:
    with cache.file.env.begin() as txn:
        return int(txn.stat(cache.file.db[name])["entries"])


def test_after_an_unmerge_nobody_keeps_the_other_ones_grant(cache: ProfileCache) -> None:
    own = statement(4, producer=THERE[0], consent=Consent(personalisation=ConsentState.DENIED))
    others = statement(9, subject=OTHER, producer=THERE[1], consent=Consent(personalisation=ConsentState.GRANTED))
    cache.snapshot(SUBJECT, NO_PROFILE, folded([own, others]))
    assert cache.preferences(SUBJECT).stored_consent.personalisation is ConsentState.GRANTED
    cache.snapshot(SUBJECT, NO_PROFILE, folded([own]))
    assert held(cache, SUBJECT) == folded([own])


def test_a_word_that_is_older_than_the_statement_does_not_undo_it_and_one_that_has_it_ends_the_waiting(
    cache: ProfileCache,
) -> None:
    first, last = statement(5, producer=HERE[0], dial=0), statement(7, producer=HERE[1], dial=1)
    heard = statement(1, producer=THERE[0], dial=3, less=("x",))
    cache.state(SUBJECT, first)
    cache.snapshot(SUBJECT, NO_PROFILE, folded([heard]))
    assert held(cache, SUBJECT) == folded([heard, first])
    cache.state(SUBJECT, last)
    cache.snapshot(SUBJECT, NO_PROFILE, folded([heard, first]))
    assert held(cache, SUBJECT) == folded([heard, first, last])
    assert rows(cache, "stated") == 1
    cache.snapshot(SUBJECT, NO_PROFILE, folded([heard, first, last]))
    assert held(cache, SUBJECT) == folded([heard, first, last])
    assert rows(cache, "stated") == 0


def test_whichever_row_is_damaged_the_opt_out_holds(cache: ProfileCache) -> None:
    key, nothing = bytes.fromhex(SUBJECT), encode_preferences(Preferences())
    for name in ("stated", "preferences"):
        cache.state(SUBJECT, statement(1 + rows(cache, "stated"), producer=HERE[0], dial=0))
        with cache.file.env.begin(write=True) as txn:
            txn.put(key, b"\xc1" * 30, db=cache.file.db[name])
        cache.snapshot(SUBJECT, NO_PROFILE, nothing)
        assert cache.preferences(SUBJECT).dial.value == 0
        cache.snapshot(SUBJECT, NO_PROFILE, nothing)
        assert cache.preferences(SUBJECT).dial.value == 0


def test_a_word_that_says_nothing_about_somebody_leaves_no_row(cache: ProfileCache) -> None:
    for said in (folded([statement(1, producer=THERE[0], dial=0)]), encode_preferences(Preferences())):
        cache.snapshot(SUBJECT, NO_PROFILE, said)
    assert (rows(cache, "preferences"), rows(cache, "stated")) == (0, 0)


class Twin:
    """A cache, and what is true as sets of statements: what happened, what the hub has, what its last word held."""

    def __init__(self, cache: ProfileCache, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.cache = cache
        self.draw = draw
        self.happened: dict[Producer, list[PreferenceRecord]] = {name: [] for name in (*HERE, *THERE)}
        self.stored: dict[Producer, int] = dict.fromkeys(self.happened, 0)
        self.erased: dict[SubjectId, dict[Producer, int]] = {}
        self.is_one_person = False
        self.on_its_way: list[dict[SubjectId, list[PreferenceRecord]]] = []
        self.heard: dict[SubjectId, list[PreferenceRecord]] = {SUBJECT: [], OTHER: []}

    def of(self, subject: SubjectId, producers: Iterable[Producer]) -> list[PreferenceRecord]:
        gone = self.erased.get(subject, {})
        return [
            each
            for name in producers
            for each in self.happened[name]
            if each.subject == subject and each.seq >= gone.get(name, 0)
        ]

    def at_hub(self, subject: SubjectId) -> list[PreferenceRecord]:
        members = (SUBJECT, OTHER) if self.is_one_person else (subject,)
        return [r for one in members for r in self.of(one, self.happened) if r.seq < self.stored[r.producer]]

    def expected(self, subject: SubjectId) -> bytes:
        heard = self.heard[subject]
        return folded([*heard, *(each for each in self.of(subject, HERE) if each not in heard)])

    # --- steps --------------------------------------------------------------------------------------------------------
    def state(self) -> None:
        producer = self.draw(st.sampled_from([*HERE, *THERE]))
        record = PreferenceRecord(
            producer,
            len(self.happened[producer]),
            self.draw(st.sampled_from([SUBJECT, OTHER])),
            time_ms=self.draw(st.integers(1, 6)),
            received_ms=9,
            dial=self.draw(st.sampled_from([None, 0, 3])),
            less=self.draw(st.sampled_from([None, ("x",), ("y", "z")])),
            consent=Consent(personalisation=self.draw(st.sampled_from([None, *ConsentState]))),
        )
        self.happened[producer].append(record)
        if producer in HERE:
            self.cache.state(record.subject, record)

    def store(self) -> None:
        producer = self.draw(st.sampled_from([*HERE, *THERE]))
        self.stored[producer] = len(self.happened[producer])

    def identity(self) -> None:
        self.is_one_person = not self.is_one_person

    def read(self) -> None:
        self.on_its_way.append({one: self.at_hub(one) for one in (SUBJECT, OTHER)})

    def deliver(self) -> None:
        for one, records in (self.on_its_way.pop(0) if self.on_its_way else {}).items():
            self.cache.snapshot(one, NO_PROFILE, folded(records))
            self.heard[one] = records

    def reconnect(self) -> None:
        self.on_its_way.clear()
        self.read()
        self.deliver()

    def sync(self) -> None:
        self.stored = {name: len(records) for name, records in self.happened.items()}
        self.reconnect()

    def evict(self) -> None:
        self.cache._evict()

    def recall(self) -> None:
        """The spool holds whatever the hub may not have."""
        unstored = [r for name in HERE for r in self.happened[name][self.stored[name] :]]
        self.cache.recall((r for r in unstored if r in self.of(r.subject, HERE)), is_all=False)

    def lose(self) -> None:
        """The file is gone: the spool says what the hub may not know, the hub all else."""
        self.cache.clear()
        self.recall()
        self.reconnect()

    def erase(self) -> None:
        self.stored = {name: len(records) for name, records in self.happened.items()}
        subject = self.draw(st.sampled_from([SUBJECT, OTHER]))
        self.erased[subject] = dict(self.stored)
        self.cache.erase(subject)
        self.reconnect()


OFTEN = (Twin.state, Twin.state, Twin.state, Twin.sync, Twin.identity)
STEPS = (*OFTEN, *OFTEN, Twin.store, Twin.read, Twin.deliver, Twin.evict, Twin.recall, Twin.lose, Twin.erase)


@given(data=st.data(), steps=st.lists(st.sampled_from(STEPS), min_size=15, max_size=40))
def test_what_holds_is_the_hubs_last_word_and_what_was_stated_here_that_it_does_not_contain(
    data: st.DataObject, steps: list[Callable[[Twin], None]]
) -> None:
    """Snapshots are delivered in the order in which they were read, however late; the hub stores in order."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ProfileCache.open(Path(folder), map_bytes=4 << 20)
        twin = Twin(cache, data.draw)
        for step in steps:
            step(twin)
            for one in (SUBJECT, OTHER):
                assert held(cache, one) == twin.expected(one)
        cache.close()


@pytest.mark.parametrize("until_ms", [3, 0])
def test_an_erasure_takes_nothing_back_that_was_stated_after_it(cache: ProfileCache, until_ms: int) -> None:
    """The hub's answer about somebody erased may come after he has come back and opted out."""
    cache.state(SUBJECT, statement(2, producer=HERE[0], less=("x",)))
    cache.state(SUBJECT, statement(5, producer=HERE[1], dial=0))
    cache.unknown(SUBJECT)
    cache.erase(SUBJECT, until_ms=until_ms)
    left = cache.preferences(SUBJECT)
    if until_ms:
        assert (left.dial.value, left.less.value, left.applied) == (0, (), {HERE[1]: 5})
        cache.snapshot(SUBJECT, NO_PROFILE, encode_preferences(Preferences()))
        assert cache.preferences(SUBJECT).dial.value == 0
    else:
        assert left == Preferences()


def test_what_the_hub_had_stored_goes_with_an_erasure_also_where_the_nodes_clock_was_ahead(cache: ProfileCache) -> None:
    """Then all of it is dated later than the erasure, as if he had come back."""
    cache.snapshot(SUBJECT, NO_PROFILE, folded([statement(7, producer=THERE[0], more=("y",))]))
    cache.state(SUBJECT, statement(8, producer=HERE[0], less=("x",)))
    cache.state(SUBJECT, statement(9, producer=HERE[1], dial=0))
    cache.erase(SUBJECT, until_ms=3, stored={HERE[0]: 8, HERE[1]: 8})
    left = cache.preferences(SUBJECT)
    assert (left.dial.value, left.less.value, left.more.value, left.applied) == (0, (), (), {HERE[1]: 9})
    cache.erase(SUBJECT, until_ms=3, stored={HERE[1]: 9})
    assert rows(cache, "preferences") == rows(cache, "stated") == 0


@pytest.mark.parametrize("order", [HERE, HERE[::-1]])
def test_what_was_erased_stays_so_and_what_was_stated_since_holds_in_any_order_of_folders(
    cache: ProfileCache, tmp_path: Path, order: tuple[Producer, Producer]
) -> None:
    async def fill(name: Producer, *said: dict[str, Any]) -> None:
        spool = SpoolWriter(NodePaths(tmp_path).producer(1, HERE.index(name)), producer=name, most_bytes=1 << 20)
        for seq, fields in enumerate(said):
            spool.append(preference(seq, producer=name, received_ms=1, **{"dial": None, **fields}))
        await spool.close()

    first, second = order
    asyncio.run(fill(first, {"time_ms": 1, "less": ("x",)}, {"time_ms": 5, "dial": 0}))
    asyncio.run(fill(second, {"time_ms": 3, "erasure": "E"}))
    cache.recall(statements_in(tmp_path / "spool"), is_all=True)
    left = cache.preferences(SUBJECT)
    assert (left.dial.value, left.less.value) == (0, ())
