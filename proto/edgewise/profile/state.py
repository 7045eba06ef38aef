"""What a profile holds, and its canonical bytes.

Every field is an aggregate whose value is a function of the *set* of applied events: counters are integers in day
buckets, decayed when read (a float sum would depend on order); "last k" and "largest k of all that was ever seen"
keep the top of a total order. That is why folding in any order, in any split, gives equal bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.events import Kind
from edgewise.ids import ItemId, Producer, SubjectId

FORMAT: Final = 1
DAY_MS: Final = 86_400_000
EARLIEST_MS: Final = 1
"""The first moment at which something can have happened: 0 says that nothing has."""

COUNT_HORIZON_DAYS: Final = 400
AFFINITY_HORIZON_DAYS: Final = 180
MAX_ITEMS: Final = 1_024
"""Different items remembered, latest first."""
MAX_IMPRESSIONS: Final = 512
MAX_VALUES: Final = 512
"""Different values remembered a dimension: those with the smallest hash, a choice that no order can change."""
MAX_TRAITS: Final = 128
MAX_IDENTIFIERS: Final = 64

Buckets = list[tuple[int, int]]
"""(Day number since the epoch in UTC, count), sorted by day, one entry a day.

A list and not a dict: nearly every event falls on the last day, and the codec sorts text keys only.
"""


class LastTouch(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The latest touch of one item; the order of the fields is the order that decides which is latest."""

    time_ms: int
    kind: Kind
    rating: float = -1.0
    """Stars of a review, -1 where there are none."""


class Impression(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One time that an item was shown."""

    time_ms: int
    producer: Producer
    seq: int
    item: ItemId


class Trait(msgspec.Struct, frozen=True, array_like=True):
    """The latest value that somebody stated."""

    time_ms: int
    producer: Producer
    seq: int
    value: str | int | float | bool | None

    @property
    def stamp(self) -> tuple[int, Producer, int]:
        """What decides which statement is later."""
        return (self.time_ms, self.producer, self.seq)


class Profile(msgspec.Struct):
    """One visitor. Mutable: `reduce.apply` works in place, on a copy that its caller owns."""

    format: int = FORMAT
    applied: dict[Producer, int] = {}
    """Highest applied sequence per producer: what was folded is never folded again."""
    first_ms: int = 0
    """0: no event yet."""
    last_ms: int = 0
    counts: dict[Kind, Buckets] = {}
    affinity: dict[str, dict[str, Buckets]] = {}
    """Dimension -> value -> day -> weight. A value whose days have all expired stays as an empty entry."""
    items: dict[ItemId, LastTouch] = {}
    impressions: list[Impression] = []
    """Sorted, oldest first."""
    spent_minor: Buckets = []
    traits: dict[str, Trait] = {}
    identifiers: dict[str, list[SubjectId]] = {}
    """Kind -> sorted hashes."""

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
    """Raises `msgspec.ValidationError` or `msgspec.DecodeError`, also for a format of the future."""
    profile = _decoder.decode(data)
    if profile.format != FORMAT:
        raise msgspec.ValidationError(f"profile format {profile.format}, this code reads {FORMAT} - at `$.format`")
    return profile


def copy_profile(profile: Profile) -> Profile:
    """An independent copy. Going through the codec is faster than `copy.deepcopy` and proves it lossless."""
    return _decoder.decode(_encoder.encode(profile))
