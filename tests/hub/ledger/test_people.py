"""People in the ledger: the same persons and merged profiles for every order and split, and nothing left of a merge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from databases import empty_ledger, mostly_sqlite
from hub_records import NODE, NOW_MS, event, payloads, preference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edgewise.errors import InputError
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.profile.merge import merge
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import Profile, decode_profile, encode_profile
from edgewise.records import EventRecord
from edgewise.subjects import subject_of
from hub.identity.resolve import Statement, resolve
from hub.identity.rules import DEFAULT_RULES, IdentityRules, Kind
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AuditEntry, Change, StoredProfile

pytestmark = pytest.mark.usefixtures("either_database")

KEY = b"k" * 32
KINDS = {"u": "userId", "a": "anonymousId", "e": "email", "g": "groupId"}
TIGHT = IdentityRules(
    (
        Kind("previousId", limit=3),
        Kind("userId", limit=1, most_people=3),
        Kind("email", limit=2, most_people=2, most_users=2),
        Kind("anonymousId", limit=3, most_users=1, most_people=3),
        Kind("groupId", links_people=False),
    ),
    most_identifiers=3,
)
AUDIT = AuditEntry("ann", "profile rules", "identity.yaml")


@contextmanager
def fresh() -> Iterator[Ledger]:
    """To make tables takes longer than all else in an example."""
    with TemporaryDirectory() as folder, closing(empty_ledger(Path(folder))) as ledger:
        yield ledger


def subject(name: str) -> SubjectId:
    return subject_of(KEY, KINDS[name[0]], name)


def named(seq: int, *names: str, producer: Producer = NODE, **changes: Any) -> EventRecord:
    """A call of the first name that also names the others."""
    identifiers = {KINDS[name[0]]: subject(name) for name in names}
    return event(
        seq,
        producer=producer,
        subject=subject(names[0]),
        identifiers=identifiers,
        message_id=MessageId(f"{producer}:{seq}"),
        **changes,
    )


@pytest.fixture
def ledger(either_database: str, tmp_path: Path) -> Iterator[Ledger]:
    assert either_database
    with open_ledger(tmp_path) as opened:
        yield opened


def people_in(ledger: Ledger) -> set[tuple[SubjectId, ...]]:
    return set(ledger.people_of(everybody_in(ledger)).values())


def everybody_in(ledger: Ledger) -> set[SubjectId]:
    nodes = {node for link in ledger.links() for node in (link.subject, link.identifier)}
    return nodes | {node for row in ledger.statements() for node in (row.left, row.right)}


def computed(ledger: Ledger, rules: IdentityRules) -> set[tuple[SubjectId, ...]]:
    """The people as one look at everything finds them."""
    links = list(ledger.links())
    said = [Statement(row.position, row.kind, row.left, row.right) for row in ledger.statements()]
    found = resolve(links, said, rules)
    grouped = {node for person in found for node in person}
    return {*found, *((node,) for node in everybody_in(ledger) - grouped)}


names = st.sampled_from(
    [f"{prefix}{number}" for prefix, most in (("u", 4), ("a", 5), ("e", 4), ("g", 2)) for number in range(most)]
)
calls = st.lists(names, min_size=1, max_size=3, unique_by=lambda name: name[0])
histories = st.lists(calls, min_size=1, max_size=14)
deeds = st.lists(st.tuples(st.booleans(), st.lists(names, min_size=2, max_size=2, unique=True)), max_size=3)


def store(ledger: Ledger, history: Sequence[Sequence[str]], order: Sequence[int], cuts: set[int]) -> None:
    """Each call from a producer of its own, so that any order is one that may come; `cuts` end transactions."""
    batch: list[Batch] = []
    for place, index in enumerate(order):
        producer = Producer(f"n-{index}/1/0")
        record = named(0, *history[index], producer=producer, time_ms=NOW_MS + index % 3, vouched=index % 2 == 0)
        batch.append(Batch(producer, payloads(record)))
        if place in cuts or place == len(order) - 1:
            ledger.store(batch, NOW_MS)
            batch = []


@mostly_sqlite
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(histories, deeds, st.data())
def test_people_computed_on_arrival_are_those_of_the_whole_whatever_the_order(
    history: list[list[str]], said: list[tuple[bool, list[str]]], data: st.DataObject
) -> None:
    rules = replace(TIGHT, browsers_link=data.draw(st.booleans()))
    found: list[tuple[set[tuple[SubjectId, ...]], dict[SubjectId, StoredProfile]]] = []
    for _ in range(2):
        order = data.draw(st.permutations(range(len(history))))
        cuts = data.draw(st.sets(st.integers(0, len(history))))
        with fresh() as ledger:
            ledger.use_rules(rules, now_ms=NOW_MS, audit=AUDIT)
            for is_merge, (left, right) in said:
                state = ledger.state_merge if is_merge else ledger.state_unmerge
                state(subject(left), subject(right), who="ann", reason="", now_ms=NOW_MS)
            store(ledger, history, order, cuts)
            people = people_in(ledger)
            assert people == computed(ledger, rules)
            everybody = sorted({node for person in people for node in person})
            profiles = ledger.person_profiles(everybody)
            found.append((people, {each: row._replace(revision=0) for each, row in profiles.items()}))
            ledger.erase(subject(history[0][0]), NOW_MS)
            assert people_in(ledger) == computed(ledger, rules), "also of what an erasure leaves"
    assert found[0] == found[1]


@mostly_sqlite
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.lists(names, min_size=2, max_size=2, unique=True), st.data())
def test_after_a_merge_was_taken_back_every_byte_is_as_if_it_had_never_been(
    history: list[list[str]], pair: list[str], data: st.DataObject
) -> None:
    """Merged at one moment of the history and taken back at a later one; the other hub never heard of it."""
    merged_at, taken_back_at = sorted(data.draw(st.lists(st.integers(0, len(history)), min_size=2, max_size=2)))
    left, right = map(subject, pair)
    everybody = sorted({subject(name) for call in history for name in call} | {left, right})
    found = []
    for is_merged in (True, False):
        with fresh() as ledger:
            for index in range(len(history) + 1):
                if is_merged and index == merged_at:
                    ledger.state_merge(left, right, who="ann", reason="same address", now_ms=NOW_MS)
                if is_merged and index == taken_back_at:
                    ledger.state_unmerge(left, right, who="ann", reason="not the same", now_ms=NOW_MS)
                if index < len(history):
                    store(ledger, history, [index], set())
            profiles = ledger.person_profiles(everybody)
            found.append(
                (ledger.people_of(everybody), {each: (row.profile, row.preferences) for each, row in profiles.items()})
            )
    assert found[0] == found[1]


def test_a_person_is_merged_from_his_parts_and_asked_for_by_any_of_his_names(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(named(0, "a1"), named(1, "a2"), preference(2, subject=subject("a2"))))], NOW_MS)
    parts = ledger.profiles([subject("a1"), subject("a2")])
    assert ledger.person_profiles([subject("a1")]) == {subject("a1"): parts[subject("a1")]}
    stored = ledger.store(
        [Batch(NODE, payloads(named(3, "u1", "a1"), named(4, "u1", "e1"), named(5, "a2", "e1")))], NOW_MS
    )
    members = tuple(sorted(map(subject, ("a1", "a2", "e1", "u1"))))
    assert ledger.members_of(subject("e1")) == members
    assert stored.changed == set(members)
    whole = ledger.person_profiles([subject("e1"), subject("a1"), subject("u9")])
    assert whole.keys() == {subject("e1"), subject("a1")}
    assert whole[subject("e1")] == whole[subject("a1")]
    expected = Profile()
    for part in ledger.profiles(members).values():
        expected = merge(expected, decode_profile(part.profile))
    assert whole[subject("a1")].profile == encode_profile(expected)
    assert sum(sum(dict(days).values()) for days in expected.counts.values()) == 5
    assert decode_preferences(whole[subject("a1")].preferences).dial.value == 2


def test_a_change_of_one_part_is_news_of_all(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(named(0, "u1", "a1")))], NOW_MS)
    stored = ledger.store([Batch(NODE, payloads(named(1, "a1"), named(2, "a7")))], NOW_MS)
    assert stored.changed == {subject("u1"), subject("a1"), subject("a7")}


def test_what_another_process_stated_is_among_the_changes(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(named(0, "a1"), named(1, "a2")))], NOW_MS)
    seen = ledger.changed_since(Change(0, SubjectId("")))[-1]
    pair = {subject("a1"), subject("a2")}
    assert ledger.state_merge(*sorted(pair), who="ann", reason="told so", now_ms=NOW_MS) == pair
    assert {change.subject for change in ledger.changed_since(seen)} == pair
    seen = ledger.changed_since(seen)[-1]
    assert ledger.state_unmerge(*sorted(pair), who="ann", reason="", now_ms=NOW_MS) == pair
    assert {change.subject for change in ledger.changed_since(seen)} == pair
    assert [(row.what, row.who) for row in ledger.audit()] == [("profile unmerge", "ann"), ("profile merge", "ann")]
    with pytest.raises(InputError, match="twice"):
        ledger.state_merge(subject("a1"), subject("a1"), who="ann", reason="", now_ms=NOW_MS)


def test_what_only_a_browser_claims_is_no_right_to_anothers_data(ledger: Ledger) -> None:
    claim = named(0, "a1", "u1", vouched=False)
    ledger.store([Batch(NODE, payloads(claim, named(1, "u1", "e1")))], NOW_MS)
    assert ledger.members_of(subject("a1")) == (subject("a1"),)
    ledger.use_rules(replace(DEFAULT_RULES, browsers_link=True), now_ms=NOW_MS, audit=AUDIT)
    assert len(ledger.members_of(subject("a1"))) == 3
    assert ledger.vouched_members_of(subject("a1")) == (subject("a1"),)
    assert ledger.vouched_members_of(subject("u1")) == tuple(sorted(map(subject, ("e1", "u1"))))
    ledger.store([Batch(NODE, payloads(named(2, "a1", "u1", vouched=True)))], NOW_MS)
    assert ledger.vouched_members_of(subject("a1")) == ledger.members_of(subject("u1"))


def test_a_person_keeps_its_name_while_others_join(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(named(0, "a1"), named(1, "a1", "e1")))], NOW_MS)
    name = ledger.person_of(subject("a1"))
    assert name == subject("a1"), "who has a profile, not an address"
    for number in range(2, 30):
        ledger.store([Batch(NODE, payloads(named(number, f"a{number}", "e1")))], NOW_MS)
    assert len(ledger.members_of(subject("e1"))) == 30
    assert {ledger.person_of(each) for each in ledger.members_of(subject("a1"))} == {name}


def test_erasing_one_part_leaves_no_link_to_it(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(named(0, "u1", "a1"), named(1, "u1", "e1")))], NOW_MS)
    ledger.erase(subject("u1"), NOW_MS)
    assert list(ledger.links()) == []
    assert ledger.members_of(subject("a1")) == (subject("a1"),)


def test_an_identifier_that_becomes_crowded_lets_go_of_everybody(ledger: Ledger) -> None:
    ledger.use_rules(TIGHT, now_ms=NOW_MS, audit=AUDIT)
    ledger.store([Batch(NODE, payloads(named(0, "a1", "e1"), named(1, "a2", "e1")))], NOW_MS)
    assert len(ledger.members_of(subject("a1"))) == 3
    stored = ledger.store([Batch(NODE, payloads(named(2, "a3", "e1")))], NOW_MS)
    assert ledger.members_of(subject("a1")) == (subject("a1"),)
    assert stored.changed >= {subject("a1"), subject("a2"), subject("e1")}
    assert ledger.use_rules(DEFAULT_RULES, now_ms=NOW_MS, audit=AUDIT) == set(map(subject, ("a1", "a2", "a3", "e1")))
    assert ledger.use_rules(DEFAULT_RULES, now_ms=NOW_MS, audit=AUDIT) == frozenset()


def test_a_link_is_as_old_as_its_earliest_record(ledger: Ledger) -> None:
    other = Producer("import/crm")
    ledger.store([Batch(NODE, payloads(named(0, "u1", "a1", time_ms=NOW_MS)))], NOW_MS)
    ledger.append(other, [named(0, "u1", "a1", producer=other, time_ms=NOW_MS - 5)], NOW_MS)
    ledger.store([Batch(NODE, payloads(named(1, "u1", "a1", time_ms=NOW_MS + 5)))], NOW_MS)
    (link,) = ledger.links()
    assert (link.first_ms, link.source, link.subject_kind, link.kind) == (NOW_MS - 5, other, "userId", "anonymousId")
