"""Exactly once, as a property over histories: batches sent, repeated, reordered, lost, cut off by crashes.

The model is the list that each producer wrote. Whatever happened on the way, in the end each of its numbers lies in
exactly one table, canonical profiles equal the naive fold, and the counters equal the rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from databases import empty_ledger, is_sound, mostly_sqlite
from hub_records import NOW_MS, decision, event, gap, preference
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import DecisionId, MessageId, Producer, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.reduce import apply, skip, touches_profile
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Record, encode_record
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger

pytestmark = pytest.mark.usefixtures("either_database")

PRODUCERS = (Producer("n-a/1/0"), Producer("n-a/1/1"), Producer("n-b/7/0"))
SUBJECTS = (SubjectId("a" * 32), SubjectId("b" * 32), SubjectId(""))
POISON = b"\xc1"


class Crash(Exception):  # noqa: N818
    """The process dies here."""


@contextmanager
def dying_at(ledger: Ledger, statement: int) -> Iterator[None]:
    """Die before the n-th statement of the writer, counted from 0; whatever runs behind it never happens."""
    count = -1

    def count_and_die(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == statement:
            raise Crash

    engine = ledger.storage._writer
    sa.event.listen(engine, "before_cursor_execute", count_and_die)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", count_and_die)


def records_of(name: Producer, draws: list[tuple[str, int, int]]) -> list[tuple[int, Record | bytes]]:
    """(last number, record) as a producer writes them; `draws` are (kind, subject, id)."""
    written: list[tuple[int, Record | bytes]] = []
    seq = 0
    for kind, subject, number in draws:
        whose = SUBJECTS[subject]
        match kind:
            case "event":
                # ids are shared between producers: the same message may be sent to two nodes
                written.append((seq, event(seq, producer=name, subject=whose, message=f"m-{number}")))
            case "decision":
                written.append((seq, decision(seq, producer=name, subject=whose, number=number)))
            case "preference":
                written.append((seq, preference(seq, producer=name, subject=whose, dial=number % 4)))
            case "gap":
                written.append((seq + number, gap(seq, seq + number, producer=name)))
                seq += number
            case _:
                written.append((seq, POISON + bytes([seq])))
        seq += 1
    return written


def payload(record: Record | bytes) -> bytes:
    return record if isinstance(record, bytes) else encode_record(record)


one_record = st.tuples(
    st.sampled_from(["event", "event", "event", "decision", "preference", "gap", "poison"]),
    st.integers(0, len(SUBJECTS) - 1),
    st.integers(0, 12),
)
one_step = st.tuples(
    st.integers(0, len(PRODUCERS) - 1),
    st.integers(0, 20),  # first record of the batch, modulo
    st.integers(1, 8),  # how many
    st.booleans(),  # together with the next step, in one transaction
    st.none() | st.integers(0, 30),  # the statement at which the hub dies
)


@mostly_sqlite
@given(
    written=st.tuples(*[st.lists(one_record, max_size=12)] * len(PRODUCERS)),
    steps=st.lists(one_step, max_size=12),
)
def test_any_history_ends_with_each_record_stored_once(
    written: tuple[list[tuple[str, int, int]], ...], steps: list[tuple[int, int, int, bool, int | None]]
) -> None:
    sources = {name: records_of(name, draws) for name, draws in zip(PRODUCERS, written, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        ledger = empty_ledger(Path(folder))
        together: list[Batch] = []
        for which, first, count, joined, dies_at in steps:
            name = PRODUCERS[which]
            source = sources[name]
            start = first % (len(source) + 1)
            batch = source[start : start + count]
            if batch and all(isinstance(record, bytes) for _, record in batch):
                # garbage alone tells no number: a node sends it only from where the hub said, or again
                batch = [one for one in batch if one[0] <= ledger.stored_seq(name)]
            together.append(Batch(name, [payload(record) for _, record in batch]))
            if joined:
                continue
            before = marks(ledger)
            try:
                if dies_at is None:
                    ledger.store(together, NOW_MS)
                else:
                    with dying_at(ledger, dies_at):
                        ledger.store(together, NOW_MS)
            except Crash:
                ledger.close()
                ledger = Ledger.of(Path(folder))
                assert marks(ledger) == before
            together = []
            assert all(marks(ledger)[name] >= mark for name, mark in before.items())
            check(ledger, sources)
        for name in PRODUCERS:
            send_the_rest(ledger, name, sources[name])
        assert marks(ledger) == {name: source[-1][0] for name, source in sources.items() if source}
        check(ledger, sources)
        with ledger.storage.reading() as connection:
            assert is_sound(connection)
        ledger.close()


def marks(ledger: Ledger) -> dict[Producer, int]:
    return {row.producer: row.stored_seq for row in ledger.producers()}


def send_the_rest(ledger: Ledger, name: Producer, source: list[tuple[int, Record | bytes]]) -> None:
    """As a node does: from the hub's mark on, two records at a time, each batch twice (its answer was lost)."""
    while rest := [payload(record) for last_seq, record in source if last_seq > ledger.stored_seq(name)]:
        before = ledger.stored_seq(name)
        ledger.store([Batch(name, rest[:2])], NOW_MS)
        assert ledger.stored_seq(name) > before
        ledger.store([Batch(name, rest[:2])], NOW_MS)


def check(ledger: Ledger, sources: dict[Producer, list[tuple[int, Record | bytes]]]) -> None:
    """Every number up to the mark is in exactly one place, and profiles are what the stored records make of them."""
    places: Counter[tuple[Producer, int]] = Counter()
    with ledger.storage.reading() as connection:
        for table in tables.NUMBERED:
            rows = connection.execute(sa.select(table.c.producer, table.c.seq))
            places.update((Producer(name), seq) for name, seq in rows)
        for row in connection.execute(sa.select(tables.gaps)):
            places.update((Producer(row.producer), seq) for seq in range(row.first_seq, row.last_seq + 1))
        counted = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for table in (*tables.NUMBERED, tables.profiles, tables.rewards)
        }
    stored = marks(ledger)
    assert places == Counter((name, seq) for name, mark in stored.items() for seq in range(mark + 1))
    totals = msgspec.structs.asdict(ledger.totals())
    assert {name: count for name, count in counted.items() if name in totals} == {
        name: totals[name] for name in counted if name in totals
    }
    assert naive_profiles(ledger, sources) == {
        subject: (row.profile, row.preferences) for subject, row in ledger.profiles(SUBJECTS).items()
    }


def naive_profiles(
    ledger: Ledger, sources: dict[Producer, list[tuple[int, Record | bytes]]]
) -> dict[SubjectId, tuple[bytes, bytes]]:
    """Profiles from the producers' own lists, told only up to where each is stored and which ids count."""
    kept = {(record.producer, record.seq) for _, record in ledger.events()}
    kept |= {(record.producer, record.seq) for _, record in ledger.decisions()}
    profiles: dict[SubjectId, tuple[Profile, Preferences]] = {}
    for name, source in sources.items():
        for last_seq, record in source:
            if isinstance(record, bytes | GapRecord) or last_seq > ledger.stored_seq(name) or not record.subject:
                continue
            counts = (name, last_seq) in kept
            if isinstance(record, PreferenceRecord):
                state(profiles.setdefault(record.subject, (Profile(), Preferences()))[1], record)
            elif touches_profile(record) and (counts or isinstance(record, EventRecord)):
                profile, _ = profiles.setdefault(record.subject, (Profile(), Preferences()))
                if counts:
                    apply(profile, record)
                else:
                    assert isinstance(record, EventRecord)
                    skip(profile, record)
    return {
        subject: (encode_profile(profile), encode_preferences(said)) for subject, (profile, said) in profiles.items()
    }


@given(
    damage=st.dictionaries(st.integers(0, 8), st.tuples(st.integers(0, 10_000), st.integers(0, 255))),
    cut=st.integers(1, 9),
)
def test_damaged_payloads_never_hold_up_what_follows(damage: dict[int, tuple[int, int]], cut: int) -> None:
    """Any byte of any record may be anything: the stream goes on behind it, and every sound record is stored."""
    name = PRODUCERS[0]
    sound = [payload(record) for _, record in records_of(name, [("event", 0, number) for number in range(10)])]
    sent = list(sound)
    for index, (place, value) in damage.items():
        broken = bytearray(sent[index])
        broken[place % len(broken)] = value
        sent[index] = bytes(broken)
    with tempfile.TemporaryDirectory() as folder:
        ledger = empty_ledger(Path(folder))
        # the last record is sound, so the end of the stream tells where everything before it belongs
        for _ in range(2):
            ledger.store([Batch(name, sent[:cut])], NOW_MS)
            ledger.store([Batch(name, sent[max(0, ledger.stored_seq(name) + 1) :])], NOW_MS)
        assert ledger.stored_seq(name) == 9
        stored = {record.seq for _, record in ledger.events()}
        unharmed = {index for index in range(10) if sent[index] == sound[index]}
        harmed_ids = {MessageId(f"m-{index}") for index in unharmed}
        kept = {record.message_id for _, record in ledger.events()}
        # a damaged byte may turn one record's id into another's, which then counts once, under the first
        assert unharmed - stored <= {letter.seq for letter in duplicates(ledger)}
        assert harmed_ids <= kept
        ledger.close()


def duplicates(ledger: Ledger) -> list[Any]:
    with ledger.storage.reading() as connection:
        return list(connection.execute(sa.select(tables.duplicates)))


def test_a_message_may_be_called_like_a_decision(tmp_path: Path) -> None:
    ledger = Ledger.of(tmp_path)
    shown = decision(0, number=1)
    assert isinstance(shown, DecisionRecord)
    same_name = event(1, message=str(DecisionId(shown.decision_id)))
    ledger.store([Batch(PRODUCERS[0], [payload(shown), payload(same_name)])], NOW_MS)
    assert (ledger.totals().decisions, ledger.totals().events) == (1, 1)
    ledger.close()
