"""What a profile holds, and its canonical bytes.

Every field is an aggregate whose value is a function of the *set* of applied events: counters are integers in day
buckets, decayed when read (a float sum would depend on order); "last k" and "largest k of all that was ever seen"
keep the top of a total order. That is why folding in any order, in any split, gives equal bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.events import Kind
from edgewise.ids import ArmName, DecisionId, ItemId, Producer, SubjectId
from edgewise.profile.buckets import Buckets, Tally
from edgewise.profile.cart import Cart
from edgewise.profile.sketch import Sketch, keep_smallest
from edgewise.profile.tickets import Desk

FORMAT: Final = 2
DAY_MS: Final = 86_400_000
EARLIEST_MS: Final = 1
"""The first moment at which something can have happened: 0 says that nothing has."""

COUNT_HORIZON_DAYS: Final = 400
AFFINITY_HORIZON_DAYS: Final = 180
SLOT_HORIZON_DAYS: Final = 90
SLOT_MS: Final = 30 * 60 * 1_000
"""Half an hour, the pause that ends a session: a visit is a run of such slots with something in each."""
MAX_ITEMS: Final = 1_024
"""Different items remembered, latest first."""
MAX_IMPRESSIONS: Final = 512
MAX_VALUES: Final = 512
"""Different values remembered a dimension: those with the smallest hash, a choice that no order can change."""
MAX_TRAITS: Final = 128
MAX_CURRENCIES: Final = 16
MAX_IDENTIFIERS: Final = 64
MAX_ENROLMENTS: Final = 64
"""Experiments remembered, each of its bucket versions for itself."""


class LastTouch(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The latest touch of one item; the order of the fields is the order that decides which is latest."""

    time_ms: int
    kind: Kind
    rating: float = -1.0
    """Stars of a review, -1 where there are none."""


class Impression(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """One time that an item was shown (`edgewise.profile.impressions`)."""

    time_ms: int
    said_by: DecisionId | Producer
    """The decision; of what the page shows without one, the producer of the event that says so."""
    seq: int
    """Of that event; 0 of a decision."""
    item: ItemId


class Trait(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest value that somebody stated whose word counts most."""

    time_ms: int
    producer: Producer
    seq: int
    value: str | int | float | bool | None
    vouched: bool = False
    """A source or a server stated it. Last, so that profiles without it are read, and older code reads this."""

    @property
    def stamp(self) -> tuple[bool, int, Producer, int]:
        """What decides which statement holds: the latest, but whoever has the public write key unsays no source."""
        return (self.vouched, self.time_ms, self.producer, self.seq)


class Enrolment(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The first time that the visitor was assigned in an experiment; the smallest of all that were ever made holds."""

    time_ms: int
    arm: ArmName


class Orders(msgspec.Struct, frozen=True, array_like=True):
    """Recency and frequency of buying; its money lies in `Profile.spent_minor`."""

    first_ms: int = 0
    last_ms: int = 0
    count: int = 0
    """Ever. A receipt of which more comes back than is bought is no order."""


NO_ORDERS: Final = Orders()
TOPIC_MS: Final = "topic_ms"
TRAITS: Final = "traits"
SPENT_ELSEWHERE: Final = "spent_elsewhere"
ENROLMENTS: Final = "enrolments"


class Profile(msgspec.Struct, omit_defaults=True):
    """One visitor. Mutable: `reduce.apply` works in place, on a copy that its caller owns.

    What is empty takes no byte: a node reads a profile at every decision.
    """

    format: int = msgspec.field(default_factory=lambda: FORMAT)
    """By a factory, so that it is written all the same: it says how to read the rest."""
    applied: dict[Producer, int] = {}
    """Highest applied sequence per producer: what was folded is never folded again."""
    first_ms: int = 0
    """0: no event yet."""
    last_ms: int = 0
    seen_ms: int = 0
    """When the visitor last did something himself (`edgewise.events.DONE_TO`); 0: never."""
    counts: dict[Kind, Buckets] = {}
    affinity: dict[str, dict[str, Buckets]] = {}
    """Dimension -> value -> day -> weight. A value whose days have all expired stays as an empty entry."""
    items: dict[ItemId, LastTouch] = {}
    impressions: list[Impression] = []
    """Sorted, oldest first."""
    spent_minor: Buckets = []
    """In the site's own currency, less what was refunded."""
    traits: dict[str, Trait] = {}
    identifiers: dict[str, list[SubjectId]] = {}
    """Kind -> sorted hashes."""
    spent_elsewhere: dict[str, Buckets] = {}
    """Currency -> day -> money in its own minor unit: sums of different currencies mean nothing."""
    orders: Orders = NO_ORDERS
    slots: Buckets = []
    """Day -> which of its 48 half hours had a visit, the first one in the lowest bit."""
    topic_ms: dict[str, Buckets] = {}
    """Topic -> day -> time spent."""
    price_bands: dict[Kind, Tally] = {}
    """Kind of touch -> band -> times, ever. Band b is a price in [2^(b-1), 2^b) minor units."""
    cart: Cart | None = None
    desk: Desk | None = None
    distinct_items: Sketch = []
    """Empty as long as `items` holds all that were ever touched, and tells their number exactly."""
    enrolments: dict[str, Enrolment] = {}
    """Experiment and bucket version (`edgewise.sticky`) -> its first assignment."""
    bars: dict[str, str] = {}
    """Of each full map that is bounded by hash, the key with the largest (`sketch.has_place`)."""

    @property
    def last_day(self) -> int:
        """The day that horizons are measured from."""
        return self.last_ms // DAY_MS


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Profile)


def encode_profile(profile: Profile) -> bytes:
    """Canonical bytes: equal profiles have equal bytes."""
    return _encoder.encode(profile)


def decode_profile(data: bytes) -> Profile:
    """A profile of this format or an older one, which is brought up to this.

    Raises `msgspec.ValidationError` or `msgspec.DecodeError`, also for a format of the future.
    """
    profile = _decoder.decode(data)
    if profile.format == FORMAT:
        return profile
    if profile.format != 1:
        reason = f"profile format {profile.format}, this code reads 1 and {FORMAT}"
        raise msgspec.ValidationError(f"{reason} - at `$.format`")
    _bring_up(profile)
    return profile


def copy_profile(profile: Profile) -> Profile:
    """An independent copy. Going through the codec is faster than `copy.deepcopy` and proves it lossless."""
    return _decoder.decode(_encoder.encode(profile))


def keep_bounds(profile: Profile) -> None:
    """Bring every map that is bounded by hash back to its bound, after a union; in place."""
    for dimension, values in profile.affinity.items():
        keep_smallest(profile.bars, dimension, values, MAX_VALUES)
    keep_smallest(profile.bars, TOPIC_MS, profile.topic_ms, MAX_VALUES)
    keep_smallest(profile.bars, TRAITS, profile.traits, MAX_TRAITS)
    keep_smallest(profile.bars, SPENT_ELSEWHERE, profile.spent_elsewhere, MAX_CURRENCIES)
    keep_smallest(profile.bars, ENROLMENTS, profile.enrolments, MAX_ENROLMENTS)


def _bring_up(profile: Profile) -> None:
    """From format 1: what it tells of the new aggregates, orders to the day; the rest begins with the next event."""
    profile.format = FORMAT
    profile.seen_ms = profile.last_ms
    days = profile.counts.get(Kind.ORDER)
    if days:
        first_ms, last_ms = (max(EARLIEST_MS, day * DAY_MS) for day in (days[0][0], days[-1][0]))
        profile.orders = Orders(first_ms, last_ms, sum(count for _, count in days))
    keep_bounds(profile)
