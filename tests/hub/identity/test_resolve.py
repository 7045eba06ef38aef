"""Who is one person: the same for every order of arrival, within limits, and undone without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import SubjectId
from hub.identity.resolve import (
    MERGE,
    UNMERGE,
    Link,
    Statement,
    pair_of,
    resolve,
    standing,
)
from hub.identity.rules import DEFAULT_RULES, IdentityRules, Kind

People = list[tuple[SubjectId, ...]]
PREFIXES = {"u": "userId", "a": "anonymousId", "e": "email", "p": "phone", "c": "crm_id", "g": "groupId"}
TIGHT = IdentityRules(
    kinds=(
        Kind("previousId", limit=3),
        Kind("userId", limit=1, most_people=4),
        Kind("email", limit=2, most_people=3, most_users=2),
        Kind("anonymousId", limit=3, most_users=1),
        Kind("groupId", links_people=False),
    ),
    blocked=(SubjectId("e5"),),
    most_identifiers=4,
)


def kind_of(name: str) -> str:
    return PREFIXES[name[0]]


def link(subject: str, identifier: str, at_ms: int = 1, kind: str | None = None, *, vouched: bool = True) -> Link:
    kinds = kind_of(subject), kind or kind_of(identifier)
    return Link(SubjectId(subject), kinds[0], SubjectId(identifier), kinds[1], at_ms, "n/1/0", vouched)


def stated(position: int, kind: str, left: str, right: str) -> Statement:
    return Statement(position, kind, *pair_of(SubjectId(left), SubjectId(right)))


def together(people: People, *names: str) -> bool:
    return any(set(names) <= set(person) for person in people)


names = st.sampled_from([f"{prefix}{number}" for prefix in "uaecg" for number in range(6)])
pairs = st.tuples(names, names).filter(lambda pair: pair[0] != pair[1])
links = st.builds(lambda pair, at: link(pair[0], pair[1], at), pairs, st.integers(1, 5)) | st.builds(
    lambda pair: link(pair[0], pair[1], 1, "previousId"),
    st.tuples(*[st.sampled_from([f"u{n}" for n in range(6)])] * 2).filter(lambda pair: pair[0] != pair[1]),
)
graphs = st.lists(links, max_size=25, unique_by=lambda one: (one.subject, one.identifier, one.kind))
statements = st.lists(st.tuples(st.sampled_from([MERGE, UNMERGE]), pairs), max_size=6).map(
    lambda some: [stated(position, kind, *pair) for position, (kind, pair) in enumerate(some, 1)]
)


@given(graphs, statements, st.data())
def test_no_order_and_no_repetition_matters(graph: list[Link], said: list[Statement], data: st.DataObject) -> None:
    people = resolve(graph, said, TIGHT)
    shuffled = data.draw(st.permutations([*graph, *graph[:3]]))
    shuffled_said = data.draw(st.permutations(said))
    assert resolve(shuffled, shuffled_said, TIGHT) == people
    nodes = [node for person in people for node in person]
    assert len(nodes) == len(set(nodes)), "a partition"


@given(graphs, statements, pairs, st.integers(0, 6))
def test_a_merge_that_is_taken_back_never_happened(
    graph: list[Link], said: list[Statement], pair: tuple[str, str], at: int
) -> None:
    others = [each for each in said if (each.left, each.right) != pair_of(SubjectId(pair[0]), SubjectId(pair[1]))]
    merged = [*others, stated(at * 100 + 50, MERGE, *pair), stated(at * 100 + 60, UNMERGE, *pair)]
    moved = [each._replace(position=each.position * 100) for each in merged[:-2]] + merged[-2:]
    assert resolve(graph, moved, TIGHT) == resolve(graph, others, TIGHT)


@given(graphs, statements)
def test_limits_hold_for_everybody_whom_no_person_merged(graph: list[Link], said: list[Statement]) -> None:
    renamed = {one.identifier for one in graph if one.kind == "previousId"}
    for person in resolve(graph, [each for each in said if each.kind == UNMERGE], TIGHT):
        users = [node for node in person if node.startswith("u") and node not in renamed]
        assert len(users) <= 1
        assert sum(node.startswith("a") for node in person) <= 3
        assert sum(node.startswith("e") for node in person) <= 2 or person == (person[0],)
    apart = standing(said).apart
    for person in resolve(graph, said, TIGHT):
        assert not any({left, right} <= set(person) for left, right in apart)


def test_an_address_joins_a_user_and_his_devices() -> None:
    people = resolve([link("a1", "u1"), link("a2", "u1"), link("u1", "e1"), link("c1", "e1")], [], DEFAULT_RULES)
    assert people == [("a1", "a2", "c1", "e1", "u1")]


def test_a_device_that_two_users_share_joins_neither() -> None:
    people = resolve([link("a1", "u1", 1), link("a1", "u2", 9), link("a1", "e1"), link("u1", "e1")], [], DEFAULT_RULES)
    assert people == [("a1",), ("e1", "u1"), ("u2",)]


def test_a_device_of_two_ids_of_one_user_is_not_shared() -> None:
    graph = [link("a1", "u1"), link("a1", "u2")]
    renamed = [*graph, link("u2", "u1", kind="previousId")]
    assert resolve(renamed, [], DEFAULT_RULES) == [("a1", "u1", "u2")]
    said = [stated(1, MERGE, "u1", "u2")]
    assert resolve(graph, said, DEFAULT_RULES) == [("a1", "u1", "u2")]


def test_what_a_browser_claims_is_weaker_than_what_a_server_says_and_nothing_where_the_rules_say_so() -> None:
    claimed = [link("a1", "u1", 1, vouched=False), link("u2", "e1", 5), link("a1", "e1", 1, vouched=False)]
    trusting = IdentityRules(DEFAULT_RULES.kinds, browsers_link=True)
    assert resolve(claimed, [], trusting) == [("a1", "u1"), ("e1", "u2")]
    earlier = [link("u1", "e1", 1, vouched=False), link("u2", "e1", 5)]
    assert resolve(earlier, [], trusting) == [("e1", "u2"), ("u1",)]
    assert resolve([*claimed, link("a2", "u2")], [], DEFAULT_RULES) == [("a2", "e1", "u2")]


def test_two_users_with_one_address_stay_two_and_the_first_has_it() -> None:
    graph = [link("u2", "e1", 1), link("u1", "e1", 2), link("u1", "p1", 3), link("u2", "p1", 4)]
    assert resolve(graph, [], DEFAULT_RULES) == [("e1", "u2"), ("p1", "u1")]


@pytest.mark.parametrize("start", range(3))
def test_aliases_may_run_in_a_circle(start: int) -> None:
    circle = [link(f"u{n}", f"u{(n + 1) % 3}", n, "previousId") for n in range(3)]
    assert resolve(circle[start:] + circle[:start], [], DEFAULT_RULES) == [("u0", "u1", "u2")]


def test_what_everybody_has_is_nobodys() -> None:
    shared = [link(f"u{n}", "e1", n) for n in range(4)]
    assert together(resolve(shared[:3], [], DEFAULT_RULES), "u0", "e1")
    assert all(len(person) == 1 for person in resolve(shared, [], DEFAULT_RULES)), "more users than an address may have"
    visits = [link(f"a{n}", "e1", n) for n in range(201)]
    assert max(map(len, resolve(visits[:200], [], DEFAULT_RULES))) == 101, "as many devices as a person may have"
    assert all(len(person) == 1 for person in resolve(visits, [], DEFAULT_RULES))
    blocked = IdentityRules(DEFAULT_RULES.kinds, blocked=(SubjectId("e1"),))
    assert all(len(person) == 1 for person in resolve(shared[:3], [], blocked))


def test_a_group_joins_nobody() -> None:
    assert resolve([link("u1", "g1"), link("u2", "g1")], [], DEFAULT_RULES) == []


def test_what_a_person_states_is_stronger_than_links_and_limits() -> None:
    graph = [link("u1", "e1"), link("a1", "e1")]
    assert together(resolve(graph, [stated(1, MERGE, "u1", "u2")], DEFAULT_RULES), "a1", "u1", "u2")
    split = resolve(graph, [stated(1, UNMERGE, "u1", "a1")], DEFAULT_RULES)
    assert together(split, "e1", "u1") != together(split, "a1", "e1")
    assert not together(split, "u1", "a1")
    again = [stated(1, UNMERGE, "u1", "a1"), stated(2, MERGE, "u1", "a1")]
    assert together(resolve(graph, again, DEFAULT_RULES), "u1", "a1", "e1")


def test_one_identifier_with_ten_thousand_others_is_one_person_where_the_rules_let_it() -> None:
    """Quadratic joining of these would take minutes."""
    wide = tuple(Kind(kind, most_people=100_000) for kind in ("email", "anonymousId"))
    rules = IdentityRules(wide, most_identifiers=100_000)
    assert max(map(len, resolve([link(f"a{n}", "e1", n) for n in range(10_000)], [], rules))) == 10_001
    assert max(map(len, resolve([link("c1", f"a{n}", n) for n in range(10_000)], [], rules))) == 10_001
    chain = [link(f"a{n}", f"a{n + 1}", n) for n in range(10_000)]
    assert max(map(len, resolve(chain, [], rules))) == 10_001
    assert max(map(len, resolve(chain, [], DEFAULT_RULES))) == 100
