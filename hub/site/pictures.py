"""How many pixels a picture has, read from the head of its file: PNG, JPEG, GIF, WebP, AVIF.

Nothing is decoded, so that a picture that was made to break a decoder breaks nothing here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, NamedTuple

PICTURES: Final = "pictures"
"""The folder of a site that holds them."""
_HEAD_BYTES: Final = 256 << 10
"""JPEG may have an embedded thumbnail and a colour profile before it tells its size."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's start-of-frame markers (ITU T.81, table B.1)."""
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG's markers without a length."""


class Picture(NamedTuple):
    """A picture that was measured."""

    kind: str
    """As in `image/KIND`."""
    width: int
    height: int
    size_bytes: int


def local_path(value: str) -> str | None:
    """Where below the site's folder the picture of a content lies; None for one that lives elsewhere.

    `pictures/tea.webp` and `/pictures/tea.webp`, as a page on the shop's own host asks for it.
    """
    path = value.removeprefix("/").partition("?")[0].partition("#")[0]
    return path if path.startswith(f"{PICTURES}/") else None


def measure(path: Path) -> Picture | None:
    """The picture of a file; None when it is none that we know, or is cut short. Raises OSError."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = picture_size(head)
    return None if found is None else Picture(*found, size_bytes)


def picture_size(head: bytes) -> tuple[str, int, int] | None:
    """Kind, width and height by the first bytes of a file; None when they tell none, or none above 0."""
    try:
        found = _size(head)
    except (struct.error, IndexError):
        return None
    return found if found is not None and min(found[1:]) > 0 else None


def _size(head: bytes) -> tuple[str, int, int] | None:
    if head.startswith(_PNG) and head[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", head, 16)
        return "png", width, height
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        width, height = struct.unpack_from("<HH", head, 6)
        return "gif", width, height
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    if head[4:8] == b"ftyp" and b"avif" in head[8:64]:
        # ISO/IEC 23008-12, 6.5.3: ImageSpatialExtentsProperty, behind 4 bytes of version and flags.
        at = head.index(b"ispe") if b"ispe" in head else len(head)
        width, height = struct.unpack_from(">II", head, at + 8)
        return "avif", width, height
    return None


def _jpeg(head: bytes) -> tuple[str, int, int] | None:
    at = 2
    while head[at] == 0xFF:  # noqa: PLR2004  # every marker begins with it
        marker = head[at + 1]
        if marker == 0xFF:  # noqa: PLR2004  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _SOF:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return "jpeg", width, height
        else:
            at += 2 + max(2, struct.unpack_from(">H", head, at + 2)[0])
    return None


def _webp(head: bytes) -> tuple[str, int, int] | None:
    """RFC 9649: lossy, lossless, extended."""
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return "webp", width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if head[20] == 0x2F:  # noqa: PLR2004  # its signature
            (bits,) = struct.unpack_from("<I", head, 21)
            return "webp", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8X":
            width = int.from_bytes(head[24:27], "little") + 1
            return ("webp", width, int.from_bytes(head[27:30], "little") + 1) if len(head) >= 30 else None  # noqa: PLR2004
        case _:
            return None
