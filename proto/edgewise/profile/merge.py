"""Two profiles into one: associative, commutative, with `Profile()` as identity.

Both must come from disjoint sets of events (two identifiers of one person). Profiles of the *same* events are not
merged but replaced: counters could not tell a repeat from a second time.
"""

from __future__ import annotations

from typing import TypeVar

from edgewise.profile.buckets import Buckets, add_all, add_to_tally, mark_in_day
from edgewise.profile.cart import Cart, merge_carts
from edgewise.profile.reduce import add_identifiers, both_orders, count_shown, expire, forget_oldest_items
from edgewise.profile.sketch import add_hash, hash64
from edgewise.profile.state import Profile, copy_profile, keep_bounds
from edgewise.profile.tickets import Desk, merge_desks

K = TypeVar("K", bound=str)


def merge(left: Profile, right: Profile) -> Profile:
    """A new profile of both sides' events."""
    merged = copy_profile(left)
    for producer, seq in right.applied.items():
        merged.applied[producer] = max(seq, merged.applied.get(producer, seq))
    if right.first_ms:
        merged.first_ms = min(merged.first_ms or right.first_ms, right.first_ms)
    merged.last_ms = max(merged.last_ms, right.last_ms)
    merged.seen_ms = max(merged.seen_ms, right.seen_ms)
    _add_sums(merged, right)
    _later_touches(merged, right)
    count_shown(merged, right.impressions)
    _later_statements(merged, right)
    keep_bounds(merged)
    expire(merged)
    return merged


def _add_sums(merged: Profile, right: Profile) -> None:
    _add_each(merged.counts, right.counts)
    for dimension, values in right.affinity.items():
        _add_each(merged.affinity.setdefault(dimension, {}), values)
    _add_each(merged.topic_ms, right.topic_ms)
    for kind, tally in right.price_bands.items():
        mine = merged.price_bands.setdefault(kind, [])
        for band, times in enumerate(tally):
            if times:
                add_to_tally(mine, band, times)
    _add_each(merged.spent_elsewhere, right.spent_elsewhere)
    add_all(merged.spent_minor, right.spent_minor)
    merged.orders = both_orders(merged.orders, right.orders)
    for day, bits in right.slots:
        mark_in_day(merged.slots, day, bits)


def _later_statements(merged: Profile, right: Profile) -> None:
    if right.cart is not None:
        merged.cart = merged.cart or Cart()
        merge_carts(merged.cart, right.cart)
    if right.desk is not None:
        merged.desk = merged.desk or Desk()
        merge_desks(merged.desk, right.desk)
    for name, trait in right.traits.items():
        stated = merged.traits.get(name)
        if stated is None or trait.stamp > stated.stamp:
            merged.traits[name] = trait
    for experiment, enrolment in right.enrolments.items():
        # bounded afterwards: one side's bar may stand below what the other side still holds
        merged.enrolments[experiment] = min(enrolment, merged.enrolments.get(experiment, enrolment))
    for kind_of_id, hashes in right.identifiers.items():
        add_identifiers(merged, kind_of_id, hashes)


def _add_each(into: dict[K, Buckets], buckets: dict[K, Buckets]) -> None:
    for name, days in buckets.items():
        known = into.get(name)
        if known is None:
            into[name] = days.copy()
        else:
            add_all(known, days)


def _later_touches(merged: Profile, right: Profile) -> None:
    for item, touch in right.items.items():
        known = merged.items.get(item)
        if known is None or touch > known:
            merged.items[item] = touch
    if merged.distinct_items or right.distinct_items:
        # one side has forgotten items already, so the other's count in the sketch too
        for hashed in (*right.distinct_items, *map(hash64, merged.items)):
            add_hash(merged.distinct_items, hashed)
    forget_oldest_items(merged)
