"""A visitor's own will: dial, mutes, consent.

Kept apart from the profile, because it is read first and decides whether the profile may be read at all. The latest
statement wins; at the same moment, the stricter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec

from edgewise.consent import Consent, ConsentState, Purpose
from edgewise.dial import DIAL_EVERYTHING
from edgewise.ids import Producer
from edgewise.records import PreferenceRecord

MUTE_KINDS: Final = ("categories", "topics", "brands", "items")
MAX_MUTED: Final = 500
_STRICTNESS: Final = {ConsentState.GRANTED: 0, ConsentState.PENDING: 1, ConsentState.DENIED: 2}

T = TypeVar("T")
Mutes = dict[str, tuple[str, ...]]
Stamp = tuple[int, int, Producer, int]
"""(time_ms, strictness, producer, seq): the greater one holds."""
_NEVER: Final[Stamp] = (0, 0, Producer(""), 0)


class Stated(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """A value and the stamp of who stated it."""

    stamp: Stamp
    value: T


class Preferences(msgspec.Struct):
    """One visitor's will. Mutable: `state` works in place."""

    format: int = 1
    applied: dict[Producer, int] = {}
    dial: Stated[int] = Stated(_NEVER, DIAL_EVERYTHING)
    mute: Stated[Mutes] = Stated(_NEVER, {})
    more: Stated[tuple[str, ...]] = Stated(_NEVER, ())
    less: Stated[tuple[str, ...]] = Stated(_NEVER, ())
    consent: dict[Purpose, Stated[ConsentState]] = {}
    mail: Stated[int] | msgspec.UnsetType = msgspec.UNSET
    """At least so many days between two mails; unset, and no byte, where nothing was ever stated of it."""

    @property
    def mail_days(self) -> int:
        """At least so many days between two mails; 0: as they come."""
        return 0 if self.mail is msgspec.UNSET else self.mail.value

    @property
    def latest_ms(self) -> int:
        """The greatest time that a statement carries, 0 where nothing was stated. A new one must carry a later time.

        A clock may jump back; by its reading alone what the visitor says now would lose against what he said before.
        """
        return max(stamps_of(self))[0]

    @property
    def stored_consent(self) -> Consent:
        """What was said of each purpose, None where nothing was."""
        said = {purpose.value: stated.value for purpose, stated in self.consent.items()}
        return Consent(**said)


def later_than(preferences: Preferences, until_ms: int, stored: Mapping[Producer, int] | None = None) -> Preferences:
    """What of it was stated after a moment; of a producer of whom nothing is left nothing counts as applied.

    `stored`: and behind those of its producers' numbers.
    """
    marks = stored or {}

    def stands(stamp: Stamp) -> bool:
        time_ms, _, producer, seq = stamp
        return time_ms > until_ms and seq > marks.get(producer, -1)

    kept = Preferences(consent={of: said for of, said in preferences.consent.items() if stands(said.stamp)})
    for name in ("dial", "mute", "more", "less"):
        if stands((said := getattr(preferences, name)).stamp):
            setattr(kept, name, said)
    if preferences.mail is not msgspec.UNSET and stands(preferences.mail.stamp):
        kept.mail = preferences.mail
    speakers = {producer for _, _, producer, _ in stamps_of(kept)}
    kept.applied = {name: seq for name, seq in preferences.applied.items() if name in speakers}
    return kept


def state(preferences: Preferences, record: PreferenceRecord) -> bool:
    """Apply one statement in place; False when its producer's sequence says that it was applied before."""
    if record.seq <= preferences.applied.get(record.producer, -1):
        return False
    preferences.applied[record.producer] = record.seq

    def stamp(strictness: int) -> Stamp:
        return (record.time_ms, strictness, record.producer, record.seq)

    if record.dial is not None:
        preferences.dial = _later(preferences.dial, Stated(stamp(DIAL_EVERYTHING - record.dial), record.dial))
    if record.mute is not None:
        muted = {kind: tuple(sorted(set(values)))[:MAX_MUTED] for kind, values in sorted(record.mute.items()) if values}
        preferences.mute = _later(preferences.mute, Stated(stamp(sum(map(len, muted.values()))), muted))
    if record.more is not None:
        preferences.more = _later(preferences.more, Stated(stamp(0), record.more))
    if record.less is not None:
        preferences.less = _later(preferences.less, Stated(stamp(len(record.less)), record.less))
    if record.mail_days is not None:
        rare = Stated(stamp(record.mail_days), record.mail_days)
        preferences.mail = rare if preferences.mail is msgspec.UNSET else _later(preferences.mail, rare)
    for purpose in Purpose:
        said = record.consent.of(purpose)
        if said is not None:
            stated = Stated(stamp(_STRICTNESS[said]), said)
            known = preferences.consent.get(purpose)
            preferences.consent[purpose] = stated if known is None else _later(known, stated)
    return True


def merge_preferences(left: Preferences, right: Preferences) -> Preferences:
    """The later statement of both for each thing; associative, commutative and idempotent."""
    merged = decode_preferences(encode_preferences(left))
    for producer, seq in right.applied.items():
        merged.applied[producer] = max(seq, merged.applied.get(producer, seq))
    merged.dial = _later(merged.dial, right.dial)
    merged.mute = _later(merged.mute, right.mute)
    merged.more = _later(merged.more, right.more)
    merged.less = _later(merged.less, right.less)
    if right.mail is not msgspec.UNSET:
        merged.mail = right.mail if merged.mail is msgspec.UNSET else _later(merged.mail, right.mail)
    for purpose, stated in right.consent.items():
        known = merged.consent.get(purpose)
        merged.consent[purpose] = stated if known is None else _later(known, stated)
    return merged


def stamps_of(preferences: Preferences) -> list[Stamp]:
    """Of each thing that can be stated; of what never was, the beginning of time."""
    found = [preferences.dial.stamp, preferences.mute.stamp, preferences.more.stamp, preferences.less.stamp]
    if preferences.mail is not msgspec.UNSET:
        found.append(preferences.mail.stamp)
    return found + [stated.stamp for stated in preferences.consent.values()]


def _later(left: Stated[T], right: Stated[T]) -> Stated[T]:
    return right if right.stamp > left.stamp else left


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Preferences)


def encode_preferences(preferences: Preferences) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(preferences)


def decode_preferences(data: bytes) -> Preferences:
    """Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _decoder.decode(data)
