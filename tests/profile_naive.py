"""The slow and obvious twin of the profile reducer: computes every aggregate from the whole set of events at once."""

from collections import Counter, defaultdict

from edgewise.events import Kind, affinity_weight, kind_of
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.profile.state import Buckets, Impression, LastTouch, Profile, Trait
from edgewise.records import EventRecord

DAY_MS = 86_400_000


def naive_profile(events: list[EventRecord]) -> Profile:
    """What a profile of exactly these events must be (bounds that keep the latest N are not reached here)."""
    counted = [event for event in events if event.grants.personalisation]
    if not counted:
        return Profile()
    last_day = max(event.time_ms for event in counted) // DAY_MS
    return Profile(
        applied=_applied(counted),
        first_ms=max(1, min(event.time_ms for event in counted)),
        last_ms=max(1, *(event.time_ms for event in counted)),
        counts=_counts(counted, last_day),
        affinity=_affinity(counted, last_day),
        items=_items(counted),
        impressions=_impressions(counted),
        spent_minor=_spent(counted, last_day),
        traits=_traits(counted),
        identifiers=_identifiers(counted),
    )


def _kind(event: EventRecord) -> Kind:
    return kind_of(event.type, event.name)


def _applied(events: list[EventRecord]) -> dict[Producer, int]:
    highest: dict[Producer, int] = {}
    for event in events:
        highest[event.producer] = max(event.seq, highest.get(event.producer, 0))
    return highest


def _counts(events: list[EventRecord], last_day: int) -> dict[Kind, Buckets]:
    counts: dict[Kind, Counter[int]] = defaultdict(Counter)
    for event in events:
        day = event.time_ms // DAY_MS
        counts[_kind(event)].update([day] if day > last_day - 400 else [])
    return {kind: sorted(days.items()) for kind, days in counts.items()}


def _affinity(events: list[EventRecord], last_day: int) -> dict[str, dict[str, Buckets]]:
    affinity: dict[str, dict[str, Counter[int]]] = {}
    for event in events:
        kind = _kind(event)
        if kind not in {Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER, Kind.REVIEW}:
            continue
        for touch in event.touches:
            for dimension, values in touch.dimensions.items():
                for value in values:
                    days = affinity.setdefault(dimension, {}).setdefault(value, Counter())
                    weight = affinity_weight(kind, touch.rating)
                    if event.time_ms // DAY_MS > last_day - 180 and weight:
                        days[event.time_ms // DAY_MS] += weight
    return {
        dimension: {value: sorted(days.items()) for value, days in values.items()}
        for dimension, values in affinity.items()
    }


def _items(events: list[EventRecord]) -> dict[ItemId, LastTouch]:
    items: dict[ItemId, list[LastTouch]] = defaultdict(list)
    for event in events:
        if _kind(event) in {Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER, Kind.REVIEW}:
            for touch in event.touches:
                rating = -1.0 if touch.rating is None else touch.rating
                items[touch.item].append(LastTouch(event.time_ms, _kind(event), rating))
    return {item: max(touches) for item, touches in items.items()}


def _impressions(events: list[EventRecord]) -> list[Impression]:
    shown = {
        Impression(event.time_ms, event.producer, event.seq, touch.item)
        for event in events
        if _kind(event) is Kind.IMPRESSION
        for touch in event.touches
    }
    return sorted(shown)


def _spent(events: list[EventRecord], last_day: int) -> Buckets:
    spent: Counter[int] = Counter()
    for event in events:
        day = event.time_ms // DAY_MS
        if _kind(event) is Kind.ORDER and day > last_day - 400:
            for touch in event.touches:
                if touch.value_minor:
                    spent[day] += touch.value_minor * touch.quantity
    return [(day, (total + 2**63) % 2**64 - 2**63) for day, total in sorted(spent.items())]


def _traits(events: list[EventRecord]) -> dict[str, Trait]:
    stated: dict[str, list[Trait]] = defaultdict(list)
    for event in events:
        for name, value in event.traits.items():
            stated[name].append(Trait(event.time_ms, event.producer, event.seq, value))
    return {name: max(traits, key=lambda trait: trait.stamp) for name, traits in stated.items()}


def _identifiers(events: list[EventRecord]) -> dict[str, list[SubjectId]]:
    linked: dict[str, set[SubjectId]] = defaultdict(set)
    for event in events:
        for kind, hashed in event.identifiers.items():
            linked[kind].add(hashed)
    return {kind: sorted(hashes) for kind, hashes in linked.items()}
