"""Events into profiles. The same code folds at the edge (live), at the hub (canonical) and in training.

Laws (tests/profile/test_laws.py): events of one producer come in its order; across producers in any order, in any
split, repeated at will, the bytes are equal; `merge(fold(A), fold(B)) == fold(A + B)` for disjoint A and B.

What keeps "the latest k" and "the last n days" is cut to its bound once behind a fold and not at every event: a later
cut leaves the same, because what is out once stays out.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Final

from edgewise.events import DIMENSIONS, DONE_TO, IN_CART, TOUCHING, VISITING, Kind, affinity_weight, kind_of
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.buckets import Buckets, add_to_day, add_to_tally, drop_until, mark_in_day
from edgewise.profile.cart import Cart, put
from edgewise.profile.impressions import of_decision, of_event
from edgewise.profile.sketch import add_hash, has_place, hash64
from edgewise.profile.state import (
    AFFINITY_HORIZON_DAYS,
    COUNT_HORIZON_DAYS,
    DAY_MS,
    EARLIEST_MS,
    ENROLMENTS,
    MAX_CURRENCIES,
    MAX_ENROLMENTS,
    MAX_IDENTIFIERS,
    MAX_IMPRESSIONS,
    MAX_ITEMS,
    MAX_TRAITS,
    MAX_VALUES,
    SLOT_HORIZON_DAYS,
    SLOT_MS,
    SPENT_ELSEWHERE,
    TOPIC_MS,
    TRAITS,
    Enrolment,
    Impression,
    LastTouch,
    Orders,
    Profile,
    Trait,
    copy_profile,
)
from edgewise.profile.tickets import Desk, put_ticket
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord, Touch

_PAYING: Final = frozenset({Kind.ORDER, Kind.REFUND})
_TICKETS: Final = frozenset({Kind.TICKET_OPENED, Kind.TICKET_CLOSED})
_DEALING: Final = _PAYING | _TICKETS | {Kind.ADD, Kind.REMOVE, Kind.CART}
_DIMENSIONS: Final = frozenset(DIMENSIONS)
_LOOSE: Final = 2
"""How many times its bound a list may reach within one fold, before it is cut."""


def fold(profile: Profile, records: Iterable[EventRecord | DecisionRecord | PreferenceRecord]) -> Profile:
    """A new profile: `profile` with `records` applied in the order given."""
    folded = copy_profile(profile)
    apply_all(folded, records)
    return folded


def apply_all(profile: Profile, records: Iterable[EventRecord | DecisionRecord | PreferenceRecord]) -> None:
    """As `apply` for each of them, at less cost; in place."""
    day = profile.last_day
    for record in records:
        _advance(profile, record)
    _cut(profile)
    if profile.last_day > day:
        expire(profile)


def apply(profile: Profile, record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
    """Apply one record in place; False when it moves no profile, or was applied before by its sequence.

    What may not be tied to a person (no grant, dry run) moves nothing. Preferences are kept apart
    (`profile.preferences`), because they must be readable before the profile may be.
    """
    day = profile.last_day
    if not _advance(profile, record):
        return False
    _cut(profile)
    if profile.last_day > day:
        expire(profile)
    return True


def touches_profile(record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
    """Whether a record has anything to say to a profile; the same answer on every node and at the hub."""
    if isinstance(record, EventRecord):
        return record.grants.personalisation
    if isinstance(record, DecisionRecord):
        has_something = bool(record.impressions or record.enrolled)
        return has_something and record.grants.personalisation and not record.dry_run
    return False


def skip(profile: Profile, record: EventRecord) -> None:
    """Move past a record without counting it: the hub has stored its `messageId` before; in place."""
    profile.applied[record.producer] = max(record.seq, profile.applied.get(record.producer, -1))


def _advance(profile: Profile, record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
    """As `apply`, but for the bounds that `_cut` and `expire` keep."""
    producer, seq, applied = record.producer, record.seq, profile.applied
    if seq <= applied.get(producer, -1):
        return False
    if isinstance(record, EventRecord):
        if not record.grants.personalisation:  # `touches_profile`, without its call
            return False
        applied[producer] = seq
        _event(profile, record)
        return True
    if not touches_profile(record):
        return False
    applied[producer] = seq
    if isinstance(record, DecisionRecord):
        for impression in of_decision(record):
            _show(profile, impression)
        for experiment, arm in record.enrolled.items():
            enrol(profile, experiment, Enrolment(record.time_ms, arm))
    return True


def _cut(profile: Profile) -> None:
    if len(profile.items) > MAX_ITEMS:
        forget_oldest_items(profile)
    if len(profile.impressions) > MAX_IMPRESSIONS:
        del profile.impressions[:-MAX_IMPRESSIONS]


def count_shown(profile: Profile, impressions: Iterable[Impression]) -> None:
    """Remember what was shown, for caps; in place. Repeats are harmless: an impression is a set member."""
    for impression in impressions:
        _show(profile, impression)
    _cut(profile)


def enrol(profile: Profile, experiment: str, enrolment: Enrolment) -> None:
    """Remember an assignment unless an earlier one is known; in place. Repeats are harmless: it is a minimum."""
    known = profile.enrolments.get(experiment)
    if known is None:
        if has_place(profile.bars, ENROLMENTS, profile.enrolments, experiment, MAX_ENROLMENTS):
            profile.enrolments[experiment] = enrolment
    elif enrolment < known:
        profile.enrolments[experiment] = enrolment


def _show(profile: Profile, impression: Impression) -> None:
    shown = profile.impressions
    if not shown or impression > shown[-1]:
        shown.append(impression)
    else:
        position = bisect.bisect_left(shown, impression)
        if shown[position] != impression:
            shown.insert(position, impression)
    if len(shown) > _LOOSE * MAX_IMPRESSIONS:
        del shown[:-MAX_IMPRESSIONS]


def _event(profile: Profile, event: EventRecord) -> None:  # noqa: C901, PLR0912  # one branch an aggregate
    """Where the time of a fold goes: what nearly every event does stands here, and not behind a call each."""
    kind = kind_of(event.type, event.name)
    time_ms = event.time_ms
    day = time_ms // DAY_MS
    today = _move_time(profile, time_ms if time_ms > 0 else EARLIEST_MS, kind)
    counts = profile.counts.get(kind)
    if counts is None:
        counts = profile.counts[kind] = []
    if day > today - COUNT_HORIZON_DAYS:
        if counts and (last := counts[-1])[0] == day:
            counts[-1] = (day, last[1] + 1)
        else:
            add_to_day(counts, day, 1)
    if kind in VISITING and day > today - SLOT_HORIZON_DAYS:
        mark_in_day(profile.slots, day, 1 << (time_ms % DAY_MS // SLOT_MS))
    if event.touches:
        if kind in TOUCHING:
            _touch_all(profile, event, kind, day, today - AFFINITY_HORIZON_DAYS)
        if kind is Kind.IMPRESSION or event.decision_id is not None:
            for impression in of_event(event):
                _show(profile, impression)
    if kind in _DEALING:
        _deal(profile, event, kind, day, today)
    if event.engaged_ms:
        _spend_time(profile, event, day, today - AFFINITY_HORIZON_DAYS)
    if event.traits:
        _state(profile, event)
    for kind_of_id, hashed in event.identifiers.items():
        known = profile.identifiers.get(kind_of_id)
        if known is None or hashed not in known:
            add_identifiers(profile, kind_of_id, [hashed])


def _move_time(profile: Profile, time_ms: int, kind: Kind) -> int:
    """Move first, last and seen; returns the profile's last day. Compared by hand: calls of `max` would cost more."""
    last_ms = profile.last_ms
    if time_ms > last_ms:
        profile.last_ms = last_ms = time_ms
    if time_ms < profile.first_ms or not profile.first_ms:
        profile.first_ms = time_ms
    if time_ms > profile.seen_ms and kind not in DONE_TO:
        profile.seen_ms = time_ms
    return last_ms // DAY_MS


def _deal(profile: Profile, event: EventRecord, kind: Kind, day: int, today: int) -> None:
    """What carts, orders, refunds and tickets say."""
    if kind in _PAYING:
        _pay(profile, event, kind, day, today - COUNT_HORIZON_DAYS)
    if kind in _TICKETS:
        if profile.desk is None:
            profile.desk = Desk()
        put_ticket(profile.desk, event, kind)
    elif event.name in IN_CART:
        if profile.cart is None:
            profile.cart = Cart()
        put(profile.cart, event)


def _touch_all(profile: Profile, event: EventRecord, kind: Kind, day: int, oldest: int) -> None:
    """What touches say of items, prices and taste. `oldest` is the last day that is too old."""
    items, time_ms, weight = profile.items, event.time_ms, _WEIGHT.get(kind)
    for touch in event.touches:
        item, rating = touch.item, touch.rating
        known = items.get(item)
        if known is None:
            _remember(profile, item)
            items[item] = LastTouch(time_ms, kind) if rating is None else LastTouch(time_ms, kind, rating)
        elif time_ms >= known.time_ms:
            latest = LastTouch(time_ms, kind) if rating is None else LastTouch(time_ms, kind, rating)
            if time_ms > known.time_ms or latest > known:
                items[item] = latest
        price_minor = touch.listed_minor if event.currency else touch.value_minor or touch.listed_minor
        if price_minor > 0:
            bands, band = profile.price_bands.get(kind), price_minor.bit_length()
            if bands is not None and band < len(bands):
                bands[band] += 1
            else:
                add_to_tally(profile.price_bands.setdefault(kind, []), band, 1)
        if touch.dimensions:
            of_touch = affinity_weight(kind, rating) if weight is None else weight
            _like(profile, touch, day, of_touch if day > oldest else 0)


def _remember(profile: Profile, item: ItemId) -> None:
    """An item that is not among those remembered comes to them."""
    if profile.distinct_items:
        add_hash(profile.distinct_items, hash64(item))
    if len(profile.items) >= _LOOSE * MAX_ITEMS:
        forget_oldest_items(profile)


def _like(profile: Profile, touch: Touch, day: int, weight: int) -> None:
    """Count a touch for its values; with weight 0 they are only known."""
    affinity = profile.affinity
    for dimension, stated in touch.dimensions.items():
        values = affinity.get(dimension)
        if values is None:
            if dimension not in _DIMENSIONS or not stated:
                continue
            values = affinity[dimension] = {}
        for value in stated:
            buckets = values.get(value)
            if buckets is None:
                if has_place(profile.bars, dimension, values, value, MAX_VALUES):
                    values[value] = [(day, weight)] if weight else []
            elif weight:
                last = buckets[-1] if buckets else None
                if last is not None and last[0] == day:
                    buckets[-1] = (day, last[1] + weight)
                else:
                    add_to_day(buckets, day, weight)


_WEIGHT: Final = {kind: affinity_weight(kind, None) for kind in TOUCHING - {Kind.REVIEW}}
"""Of the kinds whose weight no rating changes."""


def _pay(profile: Profile, event: EventRecord, kind: Kind, day: int, oldest: int) -> None:
    paid_minor = sum([touch.value_minor * touch.quantity for touch in event.touches])
    if kind is Kind.ORDER and paid_minor >= 0:
        time_ms = max(EARLIEST_MS, event.time_ms)
        profile.orders = both_orders(profile.orders, Orders(time_ms, time_ms, 1))
    if kind is Kind.REFUND:
        paid_minor = -abs(paid_minor)
    spent = _spent(profile, event.currency)
    if spent is not None and paid_minor and day > oldest:
        add_to_day(spent, day, paid_minor)


def _spent(profile: Profile, currency: str) -> Buckets | None:
    if not currency:
        return profile.spent_minor
    elsewhere = profile.spent_elsewhere
    if currency not in elsewhere:
        if not has_place(profile.bars, SPENT_ELSEWHERE, elsewhere, currency, MAX_CURRENCIES):
            return None
        elsewhere[currency] = []
    return elsewhere[currency]


def both_orders(left: Orders, right: Orders) -> Orders:
    """The orders of both."""
    if not left.count or not right.count:
        return left if left.count else right
    return Orders(min(left.first_ms, right.first_ms), max(left.last_ms, right.last_ms), left.count + right.count)


def _spend_time(profile: Profile, event: EventRecord, day: int, oldest: int) -> None:
    """Time counts in full for each different topic: to divide it would need fractions, whose sums depend on order."""
    topics = event.topics or [topic for touch in event.touches for topic in touch.dimensions.get("topic", ())]
    for topic in dict.fromkeys(topics):
        buckets = profile.topic_ms.get(topic)
        if buckets is None:
            if not has_place(profile.bars, TOPIC_MS, profile.topic_ms, topic, MAX_VALUES):
                continue
            buckets = profile.topic_ms[topic] = []
        if day > oldest:
            add_to_day(buckets, day, event.engaged_ms)


def _state(profile: Profile, event: EventRecord) -> None:
    traits = profile.traits
    for name, stated_value in event.traits.items():
        known = traits.get(name)
        if known is None and not has_place(profile.bars, TRAITS, traits, name, MAX_TRAITS):
            continue
        stated = Trait(event.time_ms, event.producer, event.seq, stated_value, event.vouched)
        if known is None or stated.stamp > known.stamp:
            traits[name] = stated


def expire(profile: Profile) -> None:
    """Drop the buckets that lie beyond their horizon, measured from the profile's last day; in place."""
    today = profile.last_day
    oldest = today - COUNT_HORIZON_DAYS
    for buckets in (*profile.counts.values(), profile.spent_minor, *profile.spent_elsewhere.values()):
        drop_until(buckets, oldest)
    drop_until(profile.slots, today - SLOT_HORIZON_DAYS)
    oldest = today - AFFINITY_HORIZON_DAYS
    for values in (*profile.affinity.values(), profile.topic_ms):
        for buckets in values.values():
            if buckets and buckets[0][0] <= oldest:
                drop_until(buckets, oldest)


def forget_oldest_items(profile: Profile) -> None:
    """Keep the MAX_ITEMS latest items; ties by item id, so that the choice depends on the set alone.

    From then on a sketch counts the different ones, all that were ever touched.
    """
    if len(profile.items) <= MAX_ITEMS:
        return
    if not profile.distinct_items:
        for item in profile.items:
            add_hash(profile.distinct_items, hash64(item))
    items = profile.items
    # by time alone, which is fast; only those of the last moment that is kept need the whole order
    earliest_ms = sorted([touch.time_ms for touch in items.values()])[-MAX_ITEMS]
    for item in [item for item, touch in items.items() if touch.time_ms < earliest_ms]:
        del items[item]
    tied = sorted((touch, item) for item, touch in items.items() if touch.time_ms == earliest_ms)
    for _, item in tied[: len(items) - MAX_ITEMS]:
        del items[item]


def add_identifiers(profile: Profile, kind: str, hashes: Iterable[SubjectId]) -> None:
    """Link hashed identifiers of one kind; in place. Of too many, the smallest stay (they are hashes already)."""
    known = set(profile.identifiers.get(kind, ())) | set(hashes)
    profile.identifiers[kind] = sorted(known)[:MAX_IDENTIFIERS]


def seen(profile: Profile) -> frozenset[ItemId]:
    """Items that the visitor has touched, as far as they are remembered."""
    return frozenset(profile.items)
