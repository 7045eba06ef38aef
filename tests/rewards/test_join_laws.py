"""Laws of joins: what the naive twin says, for any history; the same bytes for any order and any repetition."""

from __future__ import annotations

from typing import Any

from hub_records import NOW_MS
from hypothesis import given, settings
from hypothesis import strategies as st
from rewards_naive import NaiveJoin
from rewards_world import ASIDE, HOME, HOUR_MS, join, said, shown

from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.ids import DecisionId, PlacementName, SubjectId
from edgewise.records import DecisionRecord, EventRecord
from hub.rewards.joined import canonical_bytes

SUBJECTS = [SubjectId(letter * 32) for letter in "abc"] + [SubjectId("")]
PERSON_OF = {SUBJECTS[1]: SUBJECTS[0]}
ITEMS = "xyz"
NOW = NOW_MS + 40 * HOUR_MS
minutes = st.integers(0, 60 * 36)
NAMES = ["Content Clicked", "Product Added", "Order Completed", "Order Refunded", "Promotion Viewed", "Content Viewed"]

definitions = st.builds(
    RewardDefinition,
    events=st.just(
        {"click": 1.0, "Product Added": 3.0, "order": Worth(10.0, 0.01), "refund": Worth(per_minor=-0.01), "view": 0.5}
    ),
    wait_hours=st.sampled_from([0.5, 6.0, 48.0]),
    default=st.sampled_from([0.0, -0.25]),
    aggregate=st.sampled_from(["sum", "earliest", "latest", "max", "mean"]),
    window_hours=st.sampled_from([0.5, 6.0, 48.0]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[DecisionRecord], list[EventRecord]]:
    """A few visitors, two of them one person; times are whole minutes, so that many of them are equal."""
    decisions = []
    times = sorted(draw(st.lists(minutes, max_size=6)))
    slate = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3, unique=True)
    for seq, minute in enumerate(times, 1):
        others: dict[str, tuple[str, ...]] = {ASIDE: tuple(draw(slate))} if draw(st.booleans()) else {}
        decisions.append(
            shown(
                seq,
                *draw(slate),
                at_ms=NOW_MS + minute * 60_000,
                others=others,
                subject=draw(st.sampled_from(SUBJECTS)),
                deferred=draw(st.booleans()),
            )
        )
    events = []
    for number in range(draw(st.integers(0, 10))):
        of = draw(st.sampled_from([None, *decisions]))
        changes: dict[str, Any] = {}
        if draw(st.booleans()):
            changes["placement"] = draw(st.sampled_from([HOME, ASIDE]))
        if draw(st.integers(0, 9)) == 0:
            changes["decision_id"] = DecisionId("unknown")
        events.append(
            said(
                number,
                draw(st.sampled_from(NAMES)),
                *draw(slate),
                at_ms=NOW_MS + draw(minutes) * 60_000,
                of=of,
                subject=draw(st.sampled_from(SUBJECTS)),
                touch={"value_minor": draw(st.sampled_from([0, 250]))},
                **changes,
            )
        )
    return decisions, events


def person_of(subject: SubjectId) -> SubjectId:
    return PERSON_OF.get(subject, subject)


@settings(max_examples=60, deadline=None)
@given(histories(), definitions, st.sampled_from([HOME, ASIDE]))
def test_a_join_is_what_its_rules_say(
    history: tuple[list[DecisionRecord], list[EventRecord]], definition: RewardDefinition, placement: PlacementName
) -> None:
    decisions, events = history
    naive = NaiveJoin(decisions, events, definition, NOW, {str(key): str(value) for key, value in PERSON_OF.items()})
    found = join(decisions, events, definition, placement=placement, now_ms=NOW, person_of=person_of)

    rows = list(zip(found.decision_id, [placement] * len(found), (found.slot - 1).tolist(), strict=True))
    assert sorted(rows) == sorted(
        (decision_id, name, position)
        for (decision_id, name) in naive.exposed
        if name == placement
        for position in range(len(naive.slates[decision_id, name]))
    )
    assert found.reward.tolist() == [naive.reward(row) for row in rows]
    assert [len(late) for late in found.late] == [naive.late[row] for row in rows]


@settings(max_examples=25, deadline=None)
@given(histories(), definitions, st.data())
def test_neither_order_of_arrival_nor_repetition_changes_a_byte(
    history: tuple[list[DecisionRecord], list[EventRecord]], definition: RewardDefinition, data: st.DataObject
) -> None:
    decisions, events = history
    once = canonical_bytes(join(decisions, events, definition, now_ms=NOW, person_of=person_of))
    again = data.draw(st.permutations([*decisions, *decisions[:2]]))
    more = data.draw(st.permutations([*events, *events[1:]]))

    assert canonical_bytes(join(again, more, definition, now_ms=NOW, person_of=person_of)) == once


@settings(max_examples=25, deadline=None)
@given(histories(), definitions)
def test_an_outcome_counts_once_over_all_placements(
    history: tuple[list[DecisionRecord], list[EventRecord]], definition: RewardDefinition
) -> None:
    decisions, events = history
    found = [
        join(decisions, events, definition, placement=placement, now_ms=NOW, person_of=person_of)
        for placement in (HOME, ASIDE)
    ]
    counted = [
        (outcome.message_id, outcome.item)
        for joined in found
        for outcomes in (*joined.outcomes, *joined.late)
        for outcome in outcomes
    ]
    assert len(counted) == len(set(counted))


@settings(max_examples=25, deadline=None)
@given(histories(), definitions, minutes)
def test_two_windows_hold_what_one_holds(
    history: tuple[list[DecisionRecord], list[EventRecord]], definition: RewardDefinition, cut: int
) -> None:
    """Made, shown, dropped and every reward: nothing depends on where a window was cut."""
    decisions, events = history
    cut_ms = NOW_MS + cut * 60_000
    whole = join(decisions, events, definition, now_ms=NOW, person_of=person_of)
    parts = [
        join(decisions, events, definition, now_ms=NOW, person_of=person_of, since_ms=since_ms, until_ms=until_ms)
        for since_ms, until_ms in ((0, cut_ms), (cut_ms, NOW))
    ]
    assert sum(part.counts.made for part in parts) == whole.counts.made
    assert [*parts[0].decision_id, *parts[1].decision_id] == list(whole.decision_id)
    assert [*parts[0].reward.tolist(), *parts[1].reward.tolist()] == whole.reward.tolist()
