"""Ids are types, so that a placement can never be passed where an item is meant.

All ids are strings on every wire, digit for digit: a 64-bit number from a shop system survives JSON and
JavaScript only that way.
"""

from __future__ import annotations

from typing import Final, NewType

ItemId = NewType("ItemId", str)
PlacementName = NewType("PlacementName", str)
CollectionName = NewType("CollectionName", str)
ModelName = NewType("ModelName", str)
ExperimentKey = NewType("ExperimentKey", str)
ArmName = NewType("ArmName", str)
TemplateName = NewType("TemplateName", str)
SiteName = NewType("SiteName", str)
NodeId = NewType("NodeId", str)
MessageId = NewType("MessageId", str)
"""Segment's `messageId`; a repeated one is counted once."""
DecisionId = NewType("DecisionId", str)
"""A ULID: 48 bits of milliseconds, 80 random bits, Crockford base 32, 26 characters."""
SubjectId = NewType("SubjectId", str)
"""Whose profile: a keyed hash of an identifier, 32 hex digits. The raw identifier never leaves the node."""
Producer = NewType("Producer", str)
"""Who numbered an event: `node/epoch/worker`, or `import/NAME`."""
BundleVersion = NewType("BundleVersion", int)
"""Grows by one with every release of a site; 0 is the starter bundle."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [first + second for first in _CROCKFORD for second in _CROCKFORD]
"""Ten bits at once: every decision has an id to be written."""


def ulid(now_ms: int, entropy: bytes) -> str:
    """A ULID (github.com/ulid/spec) of a time and 10 random bytes.

    Raises ValueError when the time does not fit 48 bits or the entropy is not 10 bytes.
    """
    if not 0 <= now_ms < 1 << 48:
        raise ValueError(f"time {now_ms} ms does not fit 48 bits")
    if len(entropy) != 10:  # noqa: PLR2004  # the specification's 80 bits
        raise ValueError(f"{len(entropy)} bytes of entropy, a ULID takes 10")
    number = now_ms << 80 | int.from_bytes(entropy)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def ulid_time_ms(text: str) -> int:
    """The milliseconds of a ULID. Raises ValueError for anything that is none."""
    if len(text) != 26:  # noqa: PLR2004
        raise ValueError(f"{text!r} is not a ULID: {len(text)} characters, not 26")
    number = 0
    for character in text.upper():
        digit = _CROCKFORD.find(character)
        if digit < 0:
            raise ValueError(f"{text!r} is not a ULID: {character!r} is no Crockford digit")
        number = number << 5 | digit
    if number >> 128:
        raise ValueError(f"{text!r} is not a ULID: it exceeds 128 bits")
    return number >> 80


def producer(node: NodeId, epoch: int, worker: int) -> Producer:
    """The name under which one worker process numbers its events."""
    return Producer(f"{node}/{epoch}/{worker}")
