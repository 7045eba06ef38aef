"""A checksum in a protocol message, over all that it says: what changed on its way is not believed.

TCP's own is 16 bits wide and ends at every proxy. Releases are signed and need none; records, marks and profiles are
not, and one bit in a mark makes a node delete what nobody has. A message without a checksum is not whole either: the
bit that changed may have been the field's own.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import google_crc32c


class Sealable(Protocol):
    """A generated message with a field `checksum`."""

    checksum: int

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:  # noqa: N802, D102  # protobuf's own name
        ...


M = TypeVar("M", bound=Sealable)


def sealed(message: M) -> M:
    """The same message, with the checksum of the rest of it."""
    message.checksum = 0
    message.checksum = _checksum(message)
    return message


def is_whole(message: Sealable) -> bool:
    """Whether a message is what its sender has sealed; leaves it as it is."""
    said = message.checksum
    message.checksum = 0
    found = _checksum(message)
    message.checksum = said
    return found == said


def _checksum(message: Sealable) -> int:
    """CRC32C; also of fields that this program does not know, which are serialised as they came."""
    checksum: int = google_crc32c.value(message.SerializeToString(deterministic=True))
    return checksum
