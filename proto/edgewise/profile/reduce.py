"""Events into profiles. The same code folds at the edge (live), at the hub (canonical) and in training.

Laws (tests/profile/test_laws.py): events of one producer come in its order; across producers in any order, in any
split, repeated at will, the bytes are equal; `merge(fold(A), fold(B)) == fold(A + B)` for disjoint A and B.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable

from edgewise.events import DIMENSIONS, TOUCHING, Kind, affinity_weight, kind_of
from edgewise.ids import ItemId, SubjectId
from edgewise.profile.state import (
    AFFINITY_HORIZON_DAYS,
    COUNT_HORIZON_DAYS,
    DAY_MS,
    EARLIEST_MS,
    MAX_IDENTIFIERS,
    MAX_IMPRESSIONS,
    MAX_ITEMS,
    MAX_TRAITS,
    MAX_VALUES,
    Buckets,
    Impression,
    LastTouch,
    Profile,
    Trait,
    copy_profile,
)
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord, Touch


def fold(profile: Profile, records: Iterable[EventRecord | DecisionRecord | PreferenceRecord]) -> Profile:
    """A new profile: `profile` with `records` applied in the order given."""
    folded = copy_profile(profile)
    for record in records:
        apply(folded, record)
    return folded


def apply(profile: Profile, record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
    """Apply one record in place; False when it moves no profile, or was applied before by its sequence.

    What may not be tied to a person (no grant, dry run) moves nothing. Preferences are kept apart
    (`profile.preferences`), because they must be readable before the profile may be.
    """
    if not touches_profile(record) or record.seq <= profile.applied.get(record.producer, -1):
        return False
    profile.applied[record.producer] = record.seq
    match record:
        case EventRecord():
            _event(profile, record)
        case DecisionRecord():
            count_shown(
                profile,
                [Impression(record.time_ms, record.producer, record.seq, item) for item in record.impressions],
            )
        case PreferenceRecord():
            pass
    return True


def touches_profile(record: EventRecord | DecisionRecord | PreferenceRecord) -> bool:
    """Whether a record has anything to say to a profile; the same answer on every node and at the hub."""
    match record:
        case EventRecord():
            return record.grants.personalisation
        case DecisionRecord():
            return bool(record.impressions) and record.grants.personalisation and not record.dry_run
        case PreferenceRecord():
            return False


def skip(profile: Profile, record: EventRecord) -> None:
    """Move past a record without counting it: the hub has stored its `messageId` before; in place."""
    profile.applied[record.producer] = max(record.seq, profile.applied.get(record.producer, -1))


def count_shown(profile: Profile, impressions: Iterable[Impression]) -> None:
    """Remember what was shown, for caps; in place. Repeats are harmless: an impression is a set member."""
    for impression in impressions:
        position = bisect.bisect_left(profile.impressions, impression)
        if position == len(profile.impressions) or profile.impressions[position] != impression:
            profile.impressions.insert(position, impression)
    del profile.impressions[: max(0, len(profile.impressions) - MAX_IMPRESSIONS)]


def _event(profile: Profile, event: EventRecord) -> None:
    kind = kind_of(event.type, event.name)
    _move_time(profile, event.time_ms)
    day = event.time_ms // DAY_MS
    _count(profile.counts.setdefault(kind, []), day, 1, profile.last_day - COUNT_HORIZON_DAYS)
    for touch in event.touches:
        _touch(profile, event, kind, day, touch)
    if len(profile.items) > MAX_ITEMS:
        forget_oldest_items(profile)
    for name, stated_value in event.traits.items():
        stated = Trait(event.time_ms, event.producer, event.seq, stated_value)
        known = profile.traits.get(name)
        if known is None or stated.stamp > known.stamp:
            profile.traits[name] = stated
    if len(profile.traits) > MAX_TRAITS:
        profile.traits = {name: profile.traits[name] for name in smallest_hashes(profile.traits, MAX_TRAITS)}
    for kind_of_id, hashed in event.identifiers.items():
        add_identifiers(profile, kind_of_id, [hashed])


def _touch(profile: Profile, event: EventRecord, kind: Kind, day: int, touch: Touch) -> None:
    if kind is Kind.IMPRESSION:
        count_shown(profile, [Impression(event.time_ms, event.producer, event.seq, touch.item)])
        return
    if kind is Kind.ORDER and touch.value_minor:
        spent_minor = touch.value_minor * touch.quantity
        _count(profile.spent_minor, day, spent_minor, profile.last_day - COUNT_HORIZON_DAYS)
    if kind not in TOUCHING:
        return
    latest = LastTouch(event.time_ms, kind, -1.0 if touch.rating is None else touch.rating)
    known = profile.items.get(touch.item)
    if known is None or latest > known:
        profile.items[touch.item] = latest
    weight = affinity_weight(kind, touch.rating)
    for dimension in DIMENSIONS:
        for value in touch.dimensions.get(dimension, ()):
            values = profile.affinity.setdefault(dimension, {})
            _count(values.setdefault(value, []), day, weight, profile.last_day - AFFINITY_HORIZON_DAYS)
            if len(values) > MAX_VALUES:
                profile.affinity[dimension] = {key: values[key] for key in smallest_hashes(values, MAX_VALUES)}


def _move_time(profile: Profile, time_ms: int) -> None:
    time_ms = max(EARLIEST_MS, time_ms)
    profile.first_ms = time_ms if profile.first_ms == 0 else min(profile.first_ms, time_ms)
    if time_ms > profile.last_ms:
        before = profile.last_day
        profile.last_ms = time_ms
        if profile.last_day > before:
            expire(profile)


def _count(buckets: Buckets, day: int, amount: int, oldest: int) -> None:
    if amount and day > oldest:
        add_to_day(buckets, day, amount)


def add_to_day(buckets: Buckets, day: int, amount: int) -> None:
    """Add to one day's count, keeping the buckets sorted; in place.

    A sum beyond 64 bits, which only a forged history reaches, wraps. To stop at a bound would depend on the order in
    which purchases and refunds arrive; wrapped sums are as absurd, and equal everywhere.
    """
    if buckets and buckets[-1][0] == day:
        buckets[-1] = (day, _in_64_bits(buckets[-1][1] + amount))
        return
    position = bisect.bisect_left(buckets, (day,))
    if position < len(buckets) and buckets[position][0] == day:
        buckets[position] = (day, _in_64_bits(buckets[position][1] + amount))
    else:
        buckets.insert(position, (day, _in_64_bits(amount)))


def _in_64_bits(total: int) -> int:
    return total if -(2**63) <= total < 2**63 else (total + 2**63) % 2**64 - 2**63


def expire(profile: Profile) -> None:
    """Drop the buckets that lie beyond their horizon, measured from the profile's last day; in place."""
    oldest = profile.last_day - COUNT_HORIZON_DAYS
    for buckets in (*profile.counts.values(), profile.spent_minor):
        _drop(buckets, oldest)
    oldest = profile.last_day - AFFINITY_HORIZON_DAYS
    for values in profile.affinity.values():
        for buckets in values.values():
            _drop(buckets, oldest)


def _drop(buckets: Buckets, oldest: int) -> None:
    del buckets[: bisect.bisect_left(buckets, (oldest + 1,))]


def forget_oldest_items(profile: Profile) -> None:
    """Keep the MAX_ITEMS latest items; ties by item id, so that the choice depends on the set alone."""
    latest = sorted(profile.items, key=lambda item: (profile.items[item], item), reverse=True)
    profile.items = {item: profile.items[item] for item in latest[:MAX_ITEMS]}


def add_identifiers(profile: Profile, kind: str, hashes: Iterable[SubjectId]) -> None:
    """Link hashed identifiers of one kind; in place. Of too many, the smallest stay (they are hashes already)."""
    known = set(profile.identifiers.get(kind, ())) | set(hashes)
    profile.identifiers[kind] = sorted(known)[:MAX_IDENTIFIERS]


def smallest_hashes(keys: Iterable[str], most: int) -> list[str]:
    """The `most` keys with the smallest hash: a bounded choice that only depends on the set of keys.

    Keeping the latest or the heaviest keys instead would lose what an evicted key had counted, so that the result
    would depend on the order of arrival.
    """
    return sorted(keys, key=lambda key: (hashlib.blake2b(key.encode(), digest_size=8).digest(), key))[:most]


def seen(profile: Profile) -> frozenset[ItemId]:
    """Items that the visitor has touched, as far as they are remembered."""
    return frozenset(profile.items)
