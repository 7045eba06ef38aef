"""The profile algebra for more than one visitor: what all do with an item, and on the whole site.

The laws are those of a visitor's profile (tests/profile/test_scopes.py): any order across producers, any split, any
repetition give equal bytes, and the merge of two folds is the fold of both. Rates of items: `profile.rates`, whose
counts these are. Who came is only counted, by a sketch of hashes of subjects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from edgewise.events import Kind, kind_of
from edgewise.ids import ItemId, Producer
from edgewise.profile.buckets import Buckets, Tally, add_all, add_to_day, add_to_tally, drop_until
from edgewise.profile.sketch import Sketch, add_hash, has_place, hash64, keep_smallest
from edgewise.profile.state import DAY_MS, EARLIEST_MS, MAX_CURRENCIES, SPENT_ELSEWHERE
from edgewise.records import ANONYMOUS, EventRecord, Touch

SCOPES_FORMAT: Final = 1
SCOPE_HORIZON_DAYS: Final = 90
MAX_SCOPED_ITEMS: Final = 50_000
"""Items that are counted: those with the smallest hash. A catalogue has fewer; made-up ids have not."""
ITEM_SKETCH: Final = 64
"""Hashes that tell an item's visitors, with a standard error of 13 %."""
SITE_SKETCH: Final = 1_024
"""Those of the site, with 3 %."""
MOST_HALF_STARS: Final = 40
_LOOSE: Final = 2


class Scope(msgspec.Struct, omit_defaults=True):
    """What was done with one item, or on the whole site."""

    first_ms: int = 0
    last_ms: int = 0
    counts: dict[Kind, Buckets] = {}
    """Events by kind and day; one that names an item twice counts once for it."""
    units: Buckets = []
    """Pieces ordered, less those that were refunded."""
    revenue_minor: Buckets = []
    """In the site's own currency, less refunds."""
    revenue_elsewhere: dict[str, Buckets] = {}
    visitors: Sketch = []
    """Of those who may be counted (purpose analytics)."""
    half_stars: Tally = []
    """Reviews by twice their stars."""
    bars: dict[str, str] = {}


class Scopes(msgspec.Struct, omit_defaults=True):
    """A site and its items. Mutable: `observe` works in place."""

    format: int = msgspec.field(default_factory=lambda: SCOPES_FORMAT)
    applied: dict[Producer, int] = {}
    site: Scope = msgspec.field(default_factory=Scope)
    items: dict[ItemId, Scope] = {}
    bar: int = -1
    """The largest hash of an item that is kept, once there were too many; -1: none was left out."""


def observe(scopes: Scopes, events: Iterable[EventRecord], *, most_items: int = MAX_SCOPED_ITEMS) -> None:
    """Count events, each producer's in its order; in place. What was applied before is passed over.

    `most_items` is the same for all that is folded into one.
    """
    day = scopes.site.last_ms // DAY_MS
    for event in events:
        if event.seq > scopes.applied.get(event.producer, -1):
            scopes.applied[event.producer] = event.seq
            _observe(scopes, event)
            if len(scopes.items) > _LOOSE * most_items:
                _keep_items(scopes, most_items)
    _keep_items(scopes, most_items)
    if scopes.site.last_ms // DAY_MS > day:
        _expire(scopes)


def merge_scopes(left: Scopes, right: Scopes, *, most_items: int = MAX_SCOPED_ITEMS) -> Scopes:
    """New scopes of both sides' events, which are disjoint."""
    merged = decode_scopes(encode_scopes(left))
    for producer, seq in right.applied.items():
        merged.applied[producer] = max(seq, merged.applied.get(producer, seq))
    _merge(merged.site, right.site, SITE_SKETCH)
    for item, scope in right.items.items():
        _merge(merged.items.setdefault(item, Scope()), scope, ITEM_SKETCH)
    if right.bar >= 0:
        merged.bar = min(right.bar, merged.bar) if merged.bar >= 0 else right.bar
    _keep_items(merged, most_items)
    _expire(merged)
    return merged


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Scopes)


def encode_scopes(scopes: Scopes) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(scopes)


def decode_scopes(data: bytes) -> Scopes:
    """Raises `msgspec.ValidationError` or `msgspec.DecodeError`, also for another format."""
    scopes = _decoder.decode(data)
    if scopes.format != SCOPES_FORMAT:
        raise msgspec.ValidationError(f"scopes format {scopes.format}, this code reads {SCOPES_FORMAT} - at `$.format`")
    return scopes


def _observe(scopes: Scopes, event: EventRecord) -> None:
    kind, time_ms = kind_of(event.type, event.name), max(EARLIEST_MS, event.time_ms)
    visitor = hash64(event.subject) if event.subject != ANONYMOUS and event.grants.analytics else None
    is_recent = time_ms // DAY_MS > max(time_ms, scopes.site.last_ms) // DAY_MS - SCOPE_HORIZON_DAYS
    _count(scopes.site, kind, time_ms, visitor, is_recent=is_recent, most=SITE_SKETCH)
    for touch in event.touches:
        _trade(scopes.site, event, kind, touch, is_recent=is_recent)
    for item in dict.fromkeys(touch.item for touch in event.touches):
        scope = scopes.items.get(item)
        if scope is None:
            if scopes.bar >= 0 and hash64(item) > scopes.bar:
                continue
            scope = scopes.items[item] = Scope()
        _count(scope, kind, time_ms, visitor, is_recent=is_recent, most=ITEM_SKETCH)
        for touch in event.touches:
            if touch.item == item:
                _trade(scope, event, kind, touch, is_recent=is_recent)


def _count(scope: Scope, kind: Kind, time_ms: int, visitor: int | None, *, is_recent: bool, most: int) -> None:
    scope.last_ms = max(scope.last_ms, time_ms)
    scope.first_ms = min(scope.first_ms or time_ms, time_ms)
    days = scope.counts.setdefault(kind, [])
    if is_recent:
        add_to_day(days, time_ms // DAY_MS, 1)
    if visitor is not None:
        add_hash(scope.visitors, visitor, most)


def _trade(scope: Scope, event: EventRecord, kind: Kind, touch: Touch, *, is_recent: bool) -> None:
    if kind is Kind.REVIEW and touch.rating is not None:
        add_to_tally(scope.half_stars, round(2 * min(MOST_HALF_STARS / 2, max(0.0, touch.rating))), 1)
    if kind is not Kind.ORDER and kind is not Kind.REFUND:
        return
    day = max(EARLIEST_MS, event.time_ms) // DAY_MS
    units, money = touch.quantity, touch.value_minor * touch.quantity
    if kind is Kind.REFUND:
        units, money = -abs(units), -abs(money)
    revenue = _revenue(scope, event.currency)
    if is_recent:
        add_to_day(scope.units, day, units)
        if revenue is not None:
            add_to_day(revenue, day, money)


def _revenue(scope: Scope, currency: str) -> Buckets | None:
    """Where money of a currency is added up; None for one too many."""
    if not currency:
        return scope.revenue_minor
    elsewhere = scope.revenue_elsewhere
    if currency not in elsewhere:
        if not has_place(scope.bars, SPENT_ELSEWHERE, elsewhere, currency, MAX_CURRENCIES):
            return None
        elsewhere[currency] = []
    return elsewhere[currency]


def _merge(into: Scope, scope: Scope, most: int) -> None:
    into.last_ms = max(into.last_ms, scope.last_ms)
    if scope.first_ms:
        into.first_ms = min(into.first_ms or scope.first_ms, scope.first_ms)
    for kind, buckets in scope.counts.items():
        add_all(into.counts.setdefault(kind, []), buckets)
    for currency, buckets in scope.revenue_elsewhere.items():
        add_all(into.revenue_elsewhere.setdefault(currency, []), buckets)
    keep_smallest(into.bars, SPENT_ELSEWHERE, into.revenue_elsewhere, MAX_CURRENCIES)
    add_all(into.units, scope.units)
    add_all(into.revenue_minor, scope.revenue_minor)
    for hashed in scope.visitors:
        add_hash(into.visitors, hashed, most)
    for halves, times in enumerate(scope.half_stars):
        if times:
            add_to_tally(into.half_stars, halves, times)


def _expire(scopes: Scopes) -> None:
    """Horizons are measured from the site's last day, for what nobody touches must be forgotten too."""
    oldest = scopes.site.last_ms // DAY_MS - SCOPE_HORIZON_DAYS
    for scope in (scopes.site, *scopes.items.values()):
        money = (scope.units, scope.revenue_minor, *scope.revenue_elsewhere.values())
        for buckets in (*scope.counts.values(), *money):
            drop_until(buckets, oldest)


def _keep_items(scopes: Scopes, most: int) -> None:
    if len(scopes.items) <= most:
        return
    ranked = sorted(scopes.items, key=lambda item: (hash64(item), item))
    for item in ranked[most:]:
        del scopes.items[item]
    scopes.bar = hash64(ranked[most - 1])
