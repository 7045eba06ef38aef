"""What all visitors do with an item and on the site: the laws of the profile algebra, and a naive count."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_profile import START_MS, SUBJECT, histories, interleavings

from edgewise.consent import Grants
from edgewise.events import Kind, kind_of
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.scopes import (
    ITEM_SKETCH,
    Scope,
    Scopes,
    decode_scopes,
    encode_scopes,
    merge_scopes,
    observe,
)
from edgewise.profile.sketch import estimate, hash64
from edgewise.records import ANONYMOUS, EventRecord, Touch

DAY_MS = 86_400_000


def observed(events: list[EventRecord], *, most_items: int = 50_000) -> Scopes:
    scopes = Scopes()
    observe(scopes, events, most_items=most_items)
    return scopes


def of_several(events: list[EventRecord]) -> list[EventRecord]:
    """The same events, of several visitors, some of whom may not be counted."""
    subjects = (SUBJECT, SubjectId("6" * 32), ANONYMOUS)
    return [
        msgspec.structs.replace(
            event, subject=subjects[event.seq % 3], grants=Grants(analytics=event.grants.personalisation)
        )
        for event in events
    ]


@given(st.data())
def test_any_order_any_split_and_any_repetition_give_equal_bytes(data: st.DataObject) -> None:
    history = data.draw(histories())
    one, other = (of_several(data.draw(interleavings(history))) for _ in range(2))
    whole = observed(one)
    scopes, position = Scopes(), 0
    while position < len(other):
        again, step = data.draw(st.integers(0, position)), data.draw(st.integers(1, 5))
        observe(scopes, other[again : position + step])
        position += step
    assert encode_scopes(scopes) == encode_scopes(whole)
    assert decode_scopes(encode_scopes(whole)) == whole


@given(histories(producers=3))
def test_merge_is_that_of_an_algebra_and_merges_folds(history: dict[Producer, list[EventRecord]]) -> None:
    a, b, c = (observed(of_several(records)) for records in history.values())
    assert encode_scopes(merge_scopes(merge_scopes(a, b), c)) == encode_scopes(merge_scopes(a, merge_scopes(b, c)))
    assert encode_scopes(merge_scopes(a, b)) == encode_scopes(merge_scopes(b, a))
    assert encode_scopes(merge_scopes(a, Scopes())) == encode_scopes(a) == encode_scopes(merge_scopes(Scopes(), a))
    both = observed(of_several([event for records in history.values() for event in records]))
    assert encode_scopes(merge_scopes(merge_scopes(a, b), c)) == encode_scopes(both)


@given(st.data())
def test_counts_are_those_of_a_naive_count(data: st.DataObject) -> None:
    events = of_several(data.draw(interleavings(data.draw(histories(most=6)))))
    scopes = observed(events)
    assert set(scopes.items) == {touch.item for event in events for touch in event.touches}
    last_day = max((max(1, event.time_ms) for event in events), default=0) // DAY_MS
    recent = [event for event in events if event.time_ms // DAY_MS > last_day - 90]
    for item, scope in [(None, scopes.site), *scopes.items.items()]:
        of_item = [e for e in recent if item is None or item in {touch.item for touch in e.touches}]
        counts = {
            kind: sorted(Counter(e.time_ms // DAY_MS for e in of_item if kind_of(e.type, e.name) is kind).items())
            for kind in Kind
        }
        assert {kind: days for kind, days in scope.counts.items() if days} == {k: d for k, d in counts.items() if d}
        assert dict(scope.units) == _sum(of_item, item, money=False)
        assert dict(scope.revenue_minor) == _sum([e for e in of_item if not e.currency], item, money=True)
        every = [e for e in events if item is None or item in {touch.item for touch in e.touches}]
        seen = {hash64(e.subject) for e in every if e.subject and e.grants.analytics}
        assert scope.visitors == sorted(seen)


def _sum(events: list[EventRecord], item: ItemId | None, *, money: bool) -> dict[int, int]:
    total: Counter[int] = Counter()
    for event in events:
        kind = kind_of(event.type, event.name)
        for touch in event.touches:
            if kind in {Kind.ORDER, Kind.REFUND} and item in {None, touch.item}:
                amount = touch.quantity * (touch.value_minor if money else 1)
                total[event.time_ms // DAY_MS] += -abs(amount) if kind is Kind.REFUND else amount
    return {day: (amount + 2**63) % 2**64 - 2**63 for day, amount in total.items()}


def viewed(number: int, item: str, subject: SubjectId = SUBJECT, rating: float | None = None) -> EventRecord:
    return EventRecord(
        producer=Producer("n/1/0"),
        seq=number,
        subject=subject,
        message_id=MessageId(f"m{number}"),
        type="track",
        name="Product Viewed" if rating is None else "Product Reviewed",
        time_ms=START_MS,
        received_ms=START_MS,
        grants=Grants(analytics=True),
        touches=(Touch(ItemId(item), rating=rating),),
    )


def test_items_beyond_the_bound_are_those_with_the_largest_hash_in_any_split() -> None:
    names = [f"i{number}" for number in range(700)]
    events = [viewed(number, names[number % 700]) for number in range(1_400)]
    whole, parts = observed(events, most_items=200), observed(events[:250], most_items=200)
    observe(parts, events[250:900], most_items=200)
    observe(parts, events[900:], most_items=200)
    assert set(whole.items) == set(sorted(names, key=hash64)[:200])
    assert {sum(times for _, times in scope.counts[Kind.VIEW]) for scope in whole.items.values()} == {2}
    assert encode_scopes(whole) == encode_scopes(parts)
    others = [msgspec.structs.replace(each, producer=Producer("m/1/0")) for each in events[700:]]
    merged = merge_scopes(observed(events[:700], most_items=200), observed(others, most_items=200), most_items=200)
    assert (merged.items, merged.bar, merged.site.counts) == (whole.items, whole.bar, whole.site.counts)


def test_an_items_visitors_are_counted_once_and_its_stars_remembered() -> None:
    events = [viewed(number, "tea", SubjectId(f"{number % 40:032x}"), rating=4.5) for number in range(120)]
    tea = observed(events).items[ItemId("tea")]
    assert estimate(tea.visitors, ITEM_SKETCH) == 40
    assert tea.half_stars == [0] * 9 + [120]
    assert tea.counts == {Kind.REVIEW: [(START_MS // DAY_MS, 120)]}


def test_another_format_is_refused() -> None:
    assert decode_scopes(encode_scopes(Scopes())).site == Scope()
    with pytest.raises(msgspec.ValidationError, match="scopes format 9"):
        decode_scopes(msgspec.msgpack.encode({"format": 9}))
