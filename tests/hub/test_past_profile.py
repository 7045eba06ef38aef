"""`hub.past_profile`: the profile that a node read, folded again from the ledger, or its flaws said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from hub_records import NOW_MS, decision, event, gap, payloads, preference
from hypothesis import given
from hypothesis import strategies as st

from edge.profiles.cache import ProfileCache
from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Touch
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.past_profile import past_profile

NODES = 2
_numbers = itertools.count(1)


class Fleet(NamedTuple):
    """Two nodes' caches, and the hub's ledger."""

    caches: list[ProfileCache]
    ledger: Ledger


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        caches = [ProfileCache.open(folder / f"node-{number}", map_bytes=32 << 20) for number in range(NODES)]
        for cache in caches:
            stack.callback(cache.close)
        yield Fleet(caches, stack.enter_context(open_ledger(folder / "hub")))


class Look(NamedTuple):
    """What a node had at a moment."""

    applied: dict[Producer, int]
    profile: bytes


class Life:
    """One new visitor on both nodes, whose processes number from 0."""

    def __init__(self, fleet: Fleet) -> None:
        number = next(_numbers)
        self.fleet = fleet
        self.subject = SubjectId(f"{number:032x}")
        self.producers = [Producer(f"n-{number}-{node}/1/0") for node in range(NODES)]
        self.looks: list[Look] = []
        self._number = number
        self._written: list[list[EventRecord | DecisionRecord]] = [[] for _ in range(NODES)]
        self._reported = [0] * NODES
        self._heard: list[set[int]] = [set() for _ in range(NODES)]

    def click(self, node: int, message: int) -> None:
        """A message, which a node counts once; another node may get it too."""
        if message in self._heard[node]:
            return
        self._heard[node].add(message)
        film = Touch(ItemId(f"film-{message % 5}"), dimensions={"category": ("drama", "war")[: 1 + message % 2]})
        fields: dict[str, Any] = {
            "subject": self.subject,
            "message": f"{self._number}-{message}",
            "time_ms": NOW_MS + message * 40_000_000,
            "touches": (film,),
        }
        self._write(node, event(len(self._written[node]), producer=self.producers[node], **fields))

    def show(self, node: int, film: int) -> None:
        seq = len(self._written[node])
        unique = self._number * 1_000_000 + node * 1_000 + seq
        shown = decision(
            seq,
            producer=self.producers[node],
            number=unique,
            subject=self.subject,
            impressions=(ItemId(f"film-{film}"),),
        )
        self._write(node, shown)

    def report(self, node: int) -> None:
        new = self._written[node][self._reported[node] :]
        self._reported[node] += len(new)
        if new:
            self.fleet.ledger.store([Batch(self.producers[node], payloads(*new))], NOW_MS)

    def sync(self, node: int) -> None:
        """The node hears what the hub knows."""
        stored = self.fleet.ledger.profile(self.subject)
        if stored is not None:
            self.fleet.caches[node].snapshot(self.subject, stored.profile, stored.preferences)

    def look(self, node: int) -> Look:
        profile = self.fleet.caches[node].profile(self.subject) or Profile()
        self.looks.append(Look(dict(profile.applied), encode_profile(profile)))
        return self.looks[-1]

    def _write(self, node: int, record: EventRecord | DecisionRecord) -> None:
        self._written[node].append(record)
        self.fleet.caches[node].apply(self.subject, [record])


nodes = st.integers(0, NODES - 1)


def deeds(*, messages: st.SearchStrategy[int] | None) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """`messages` None: every message comes to one node only."""
    clicks = st.tuples(st.just("click"), nodes, st.none() if messages is None else messages)
    rest = [st.tuples(st.just(what), nodes) for what in ("report", "sync", "look", "look")]
    return st.lists(st.one_of(clicks, st.tuples(st.just("show"), nodes, st.integers(0, 4)), *rest), max_size=25)


def live(fleet: Fleet, lived: list[tuple[Any, ...]]) -> Life:
    life = Life(fleet)
    for number, (what, node, *about) in enumerate(lived):
        getattr(life, what)(node, *([number] if about == [None] else about))
    for node in range(NODES):
        life.look(node)
        life.report(node)
    return life


@given(deeds(messages=None))
def test_whatever_a_node_had_read_is_folded_again_to_the_byte(fleet: Fleet, lived: list[tuple[Any, ...]]) -> None:
    life = live(fleet, lived)
    for look in life.looks:
        past = past_profile(fleet.ledger, life.subject, look.applied)
        assert (past.missing, past.notes) == ((), ())
        assert encode_profile(past.profile) == look.profile


@given(deeds(messages=st.integers(0, 3)))
def test_with_messages_that_came_twice_it_is_equal_or_says_which(fleet: Fleet, lived: list[tuple[Any, ...]]) -> None:
    life = live(fleet, lived)
    for look in life.looks:
        past = past_profile(fleet.ledger, life.subject, look.applied)
        assert past.missing == ()
        assert past.profile.applied == look.applied
        if encode_profile(past.profile) != look.profile:
            assert any("came through" in note for note in past.notes)


def test_a_message_that_came_twice_is_counted_as_the_second_node_counted_it(fleet: Fleet) -> None:
    life = Life(fleet)
    life.click(0, 1)
    life.report(0)
    life.click(1, 1)
    before = life.look(1)
    life.report(1)
    life.sync(1)
    after = life.look(1)
    for look, count in ((before, 1), (after, 1)):
        past = past_profile(fleet.ledger, life.subject, look.applied)
        assert encode_profile(past.profile) == look.profile
        assert sum(amount for buckets in past.profile.counts.values() for _, amount in buckets) == count
        assert past.notes == (
            f"message {life._number}-1 came through {life.producers[0]} and through {life.producers[1]}",
        )
    assert set(after.applied) == set(life.producers)


# --- flaws that are said ---------------------------------------------------------------------------------------------
NODE = Producer("n-a/1/0")
SUBJECT = SubjectId("5" * 32)


@pytest.fixture
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("hub")) as opened:
        yield opened


def store(ledger: Ledger, *records: EventRecord | DecisionRecord | PreferenceRecord | GapRecord) -> None:
    ledger.store([Batch(NODE, payloads(*records))], NOW_MS)


def test_nothing_applied_is_an_empty_profile(ledger: Ledger) -> None:
    store(ledger, event(0))
    past = past_profile(ledger, SUBJECT, {})
    assert (past.profile, past.missing, past.notes) == (Profile(), (), ())


def test_only_what_the_vector_covers_is_folded(ledger: Ledger) -> None:
    """Also not what moves no profile: preferences, and events without the grant."""
    others = event(2, subject=SubjectId("6" * 32))
    silent = event(3, grants=Grants(analytics=True))
    records = (event(0), preference(1), others, silent, decision(4), event(5))
    store(ledger, *records)
    past = past_profile(ledger, SUBJECT, {NODE: 4})
    assert encode_profile(past.profile) == encode_profile(fold(Profile(), [records[0], records[4]]))
    assert (past.missing, past.notes) == ((), ())


def test_imported_history_counts(ledger: Ledger) -> None:
    history = Producer("import/history")
    ledger.append(
        history, [event(0, message="h-0", producer=history), event(1, message="h-1", producer=history)], NOW_MS
    )
    assert len(past_profile(ledger, SUBJECT, {history: 0}).profile.items) == 1
    assert len(past_profile(ledger, SUBJECT, {history: 1}).profile.items) == 2


def test_records_that_have_not_arrived_are_missing(ledger: Ledger) -> None:
    store(ledger, event(0), event(1))
    past = past_profile(ledger, SUBJECT, {NODE: 1_205, Producer("n-b/1/0"): 3})
    assert past.missing == (
        "n-a/1/0: applied up to 1,205 there, up to 1 here",
        "n-b/1/0: applied up to 3 there, nothing here",
    )


def test_records_that_were_dropped_are_noted_if_they_came_before(ledger: Ledger) -> None:
    store(ledger, event(0), gap(1, 3), event(4), gap(5, 9))
    past = past_profile(ledger, SUBJECT, {NODE: 4})
    assert past.missing == ()
    assert past.notes == ("n-a/1/0 declared 3 records lost, 1 to 3 (impression)",)


def test_records_that_nobody_could_read_are_noted_if_they_came_before(ledger: Ledger) -> None:
    first, last = payloads(event(0), event(2))
    ledger.store([Batch(NODE, [first, b"\xc1", last, b"\xc1"])], NOW_MS)
    past = past_profile(ledger, SUBJECT, {NODE: 2})
    assert past.missing == ()
    (note,) = past.notes
    assert note.startswith("record 1 of n-a/1/0 could not be used: ")


def test_an_erased_visitor_is_said_to_be_erased(ledger: Ledger) -> None:
    store(ledger, event(0), event(1, message=MessageId("m")))
    ledger.erase(SUBJECT, NOW_MS)
    past = past_profile(ledger, SUBJECT, {NODE: 1})
    assert past.missing == ("n-a/1/0: applied up to 1 there, nothing here",)
    assert past.notes == ("the visitor was erased",)
