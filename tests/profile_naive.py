"""The slow and obvious twin of the profile reducer: computes every aggregate from the whole set of events at once."""

from collections import Counter, defaultdict

from edgewise.events import Kind, affinity_weight, kind_of
from edgewise.ids import ItemId, Producer, SubjectId, ulid_time_ms
from edgewise.profile.buckets import Buckets
from edgewise.profile.cart import Cart, CartOperation
from edgewise.profile.state import NO_ORDERS, Impression, LastTouch, Orders, Profile, Trait
from edgewise.profile.tickets import Desk, Mood, Ticket
from edgewise.records import EventRecord, Touch

DAY_MS = 86_400_000
TASTES = {Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER, Kind.REVIEW}
VISITS = {*TASTES, Kind.REMOVE, Kind.PAGE, Kind.SEARCH, Kind.CART, Kind.CHECKOUT}
SAYING_SHOWN = {"Promotion Viewed", "Content Viewed", "Email Delivered", "Email Sent"}
PASSIVE = {Kind.REFUND, Kind.EMAIL_DELIVERED, Kind.EMAIL_BOUNCED, Kind.TICKET_CLOSED}


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
        seen_ms=max([0, *(max(1, event.time_ms) for event in counted if _kind(event) not in PASSIVE)]),
        spent_elsewhere=_spent_elsewhere(counted, last_day),
        orders=_orders(counted),
        slots=_slots(counted, last_day),
        topic_ms=_topic_ms(counted, last_day),
        price_bands=_price_bands(counted),
        cart=_cart(counted),
        desk=_desk(counted),
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
        if kind not in TASTES:
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
        if _kind(event) in TASTES:
            for touch in event.touches:
                rating = -1.0 if touch.rating is None else touch.rating
                items[touch.item].append(LastTouch(event.time_ms, _kind(event), rating))
    return {item: max(touches) for item, touches in items.items()}


def _impressions(events: list[EventRecord]) -> list[Impression]:
    shown = set()
    for event in events:
        made_ms = _decided_ms(event)
        for touch in event.touches:
            if made_ms is not None and event.name in SAYING_SHOWN:
                shown.add(Impression(made_ms, Producer(str(event.decision_id)), 0, touch.item))
            elif _kind(event) is Kind.IMPRESSION:
                shown.add(Impression(event.time_ms, event.producer, event.seq, touch.item))
    return sorted(shown)


def _decided_ms(event: EventRecord) -> int | None:
    """When its decision was made, where it can have been."""
    if event.type != "track" or event.decision_id is None or event.decision_id != event.decision_id.upper():
        return None
    try:
        made_ms = ulid_time_ms(event.decision_id)
    except ValueError:
        return None
    return made_ms if made_ms <= event.received_ms + 3_600_000 else None


def _paid(event: EventRecord) -> int:
    total = sum(touch.value_minor * touch.quantity for touch in event.touches)
    return -abs(total) if _kind(event) is Kind.REFUND else total


def _paying(events: list[EventRecord]) -> list[EventRecord]:
    return [event for event in events if _kind(event) in {Kind.ORDER, Kind.REFUND}]


def _spent(events: list[EventRecord], last_day: int, currency: str = "") -> Buckets:
    spent: Counter[int] = Counter()
    for event in _paying(events):
        day = event.time_ms // DAY_MS
        if event.currency == currency and day > last_day - 400 and _paid(event):
            spent[day] += _paid(event)
    return [(day, (total + 2**63) % 2**64 - 2**63) for day, total in sorted(spent.items())]


def _spent_elsewhere(events: list[EventRecord], last_day: int) -> dict[str, Buckets]:
    currencies = {event.currency for event in _paying(events) if event.currency}
    return {currency: _spent(events, last_day, currency) for currency in currencies}


def _orders(events: list[EventRecord]) -> Orders:
    times = [max(1, event.time_ms) for event in events if _kind(event) is Kind.ORDER and _paid(event) >= 0]
    return Orders(min(times), max(times), len(times)) if times else NO_ORDERS


def _slots(events: list[EventRecord], last_day: int) -> Buckets:
    halves = {event.time_ms // 1_800_000 for event in events if _kind(event) in VISITS}
    days = {half // 48 for half in halves if half // 48 > last_day - 90}
    return [(day, sum(2**half for half in range(48) if day * 48 + half in halves)) for day in sorted(days)]


def _topic_ms(events: list[EventRecord], last_day: int) -> dict[str, Buckets]:
    spent: dict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        of_touches = {topic for touch in event.touches for topic in touch.dimensions.get("topic", ())}
        day = event.time_ms // DAY_MS
        for topic in (set(event.topics) or of_touches) if event.engaged_ms else ():
            spent[topic].update({day: event.engaged_ms} if day > last_day - 180 else {})
    return {topic: sorted(days.items()) for topic, days in spent.items()}


def _price(event: EventRecord, touch: Touch) -> int:
    return (0 if event.currency else touch.value_minor) or touch.listed_minor


def _price_bands(events: list[EventRecord]) -> dict[Kind, list[int]]:
    bands: dict[Kind, Counter[int]] = defaultdict(Counter)
    for event in events:
        if _kind(event) in TASTES:
            for touch in event.touches:
                if _price(event, touch) > 0:
                    bands[_kind(event)][len(f"{_price(event, touch):b}")] += 1
    return {kind: [times[band] for band in range(max(times) + 1)] for kind, times in bands.items()}


def _cart(events: list[EventRecord]) -> Cart | None:
    carts = {"Product Added": 1, "Product Removed": -1, "Cart Viewed": 1, "Order Completed": 0}
    moving = [event for event in events if event.type == "track" and event.name in carts]
    clearing = [_stamp(event) for event in moving if event.name in {"Cart Viewed", "Order Completed"}]
    operations = [
        CartOperation(*_stamp(event), line, touch.item, carts[event.name] * touch.quantity, _price(event, touch))
        for event in moving
        if carts[event.name] and _stamp(event) >= max(clearing, default=(0, Producer(""), 0))
        for line, touch in enumerate(event.touches)
    ]
    return Cart(max(clearing, default=None), sorted(operations)[-128:]) if moving else None


def _desk(events: list[EventRecord]) -> Desk | None:
    asked = sorted((event for event in events if _kind(event) in {Kind.TICKET_OPENED, Kind.TICKET_CLOSED}), key=_stamp)
    tickets = {
        event.ticket: Ticket(*_stamp(event), event.name == "Ticket Opened", event.topics[0] if event.topics else "")
        for event in asked
        if event.ticket
    }
    moods = [Mood(*_stamp(event), event.mood) for event in asked if event.mood is not None]
    return Desk(tickets, moods[-1] if moods else None) if asked else None


def _stamp(event: EventRecord) -> tuple[int, Producer, int]:
    return (event.time_ms, event.producer, event.seq)


def _traits(events: list[EventRecord]) -> dict[str, Trait]:
    stated: dict[str, list[Trait]] = defaultdict(list)
    for event in events:
        for name, value in event.traits.items():
            stated[name].append(Trait(event.time_ms, event.producer, event.seq, value, event.vouched))
    return {
        name: max(traits, key=lambda each: (each.vouched, each.time_ms, each.producer, each.seq))
        for name, traits in stated.items()
    }


def _identifiers(events: list[EventRecord]) -> dict[str, list[SubjectId]]:
    linked: dict[str, set[SubjectId]] = defaultdict(set)
    for event in events:
        for kind, hashed in event.identifiers.items():
            linked[kind].add(hashed)
    return {kind: sorted(hashes) for kind, hashes in linked.items()}
