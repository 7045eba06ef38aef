"""Framed bytes of a spool segment: length, CRC32C, payload. Pure: bytes in, bytes out.

    frame = length (u32 little endian) | crc32c(length bytes + payload) (u32 little endian) | payload

The checksum covers the length, so that a torn or flipped length is found as surely as a torn payload.
A scan stops at the first frame that does not hold: whatever follows was never acknowledged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import google_crc32c

HEADER_BYTES: Final = 8
MAX_PAYLOAD_BYTES: Final = 1 << 20
_header = struct.Struct("<II")
_length = struct.Struct("<I")


class Frame(NamedTuple):
    """One whole frame found in a segment."""

    start: int
    """Offset of its header."""
    end: int
    """Offset behind its payload."""
    payload: bytes


def frame(payload: bytes) -> bytes:
    """Raises ValueError for a payload that is empty or longer than MAX_PAYLOAD_BYTES."""
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame holds 1 to {MAX_PAYLOAD_BYTES} bytes, this payload has {len(payload)}")
    length = _length.pack(len(payload))
    checksum = google_crc32c.extend(google_crc32c.value(length), payload)
    return _header.pack(len(payload), checksum) + payload


def scan(data: bytes | memoryview, start: int = 0) -> Iterator[Frame]:
    """Whole frames from `start` on, up to the first that is torn or damaged."""
    view = memoryview(data)
    while start + HEADER_BYTES <= len(view):
        length, checksum = _header.unpack_from(view, start)
        end = start + HEADER_BYTES + length
        if not 0 < length <= MAX_PAYLOAD_BYTES or end > len(view):
            return
        payload = bytes(view[start + HEADER_BYTES : end])
        if google_crc32c.extend(google_crc32c.value(_length.pack(length)), payload) != checksum:
            return
        yield Frame(start, end, payload)
        start = end
