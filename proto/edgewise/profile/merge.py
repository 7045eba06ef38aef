"""Two profiles into one: associative, commutative, with `Profile()` as identity.

Both must come from disjoint sets of events (two identifiers of one person). Profiles of the *same* events are not
merged but replaced: counters could not tell a repeat from a second time.
"""

from __future__ import annotations

from edgewise.profile.reduce import (
    add_identifiers,
    add_to_day,
    count_shown,
    expire,
    forget_oldest_items,
    smallest_hashes,
)
from edgewise.profile.state import MAX_TRAITS, MAX_VALUES, Buckets, Profile, copy_profile


def merge(left: Profile, right: Profile) -> Profile:
    """A new profile of both sides' events."""
    merged = copy_profile(left)
    for producer, seq in right.applied.items():
        merged.applied[producer] = max(seq, merged.applied.get(producer, seq))
    if right.first_ms:
        merged.first_ms = min(merged.first_ms or right.first_ms, right.first_ms)
    merged.last_ms = max(merged.last_ms, right.last_ms)
    for kind, buckets in right.counts.items():
        _add(merged.counts.setdefault(kind, []), buckets)
    for dimension, values in right.affinity.items():
        _add_affinity(merged, dimension, values)
    _add(merged.spent_minor, right.spent_minor)
    _later_touches(merged, right)
    count_shown(merged, right.impressions)
    _later_traits(merged, right)
    for kind_of_id, hashes in right.identifiers.items():
        add_identifiers(merged, kind_of_id, hashes)
    expire(merged)
    return merged


def _add_affinity(merged: Profile, dimension: str, values: dict[str, Buckets]) -> None:
    mine = merged.affinity.setdefault(dimension, {})
    for value, buckets in values.items():
        _add(mine.setdefault(value, []), buckets)
    if len(mine) > MAX_VALUES:
        merged.affinity[dimension] = {key: mine[key] for key in smallest_hashes(mine, MAX_VALUES)}


def _later_touches(merged: Profile, right: Profile) -> None:
    for item, touch in right.items.items():
        known = merged.items.get(item)
        if known is None or touch > known:
            merged.items[item] = touch
    forget_oldest_items(merged)


def _later_traits(merged: Profile, right: Profile) -> None:
    for name, trait in right.traits.items():
        stated = merged.traits.get(name)
        if stated is None or trait.stamp > stated.stamp:
            merged.traits[name] = trait
    if len(merged.traits) > MAX_TRAITS:
        merged.traits = {name: merged.traits[name] for name in smallest_hashes(merged.traits, MAX_TRAITS)}


def _add(into: Buckets, buckets: Buckets) -> None:
    for day, amount in buckets:
        add_to_day(into, day, amount)
