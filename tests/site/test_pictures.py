"""Pictures are measured by their heads alone; what is none, or is cut short, is said to be none."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import png

from hub.site.pictures import Picture, local_path, measure, picture_size

WIDTH, HEIGHT = 1200, 600


def _jpeg(width: int, height: int) -> bytes:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 10) + b"\xff\xc0\0\0\0\0\0\0"
    frame = b"\xff\xc2" + struct.pack(">HBHH", 11, 8, height, width) + b"\x01\x11\x00"
    return b"\xff\xd8" + thumbnail + b"\xff" + frame


def _box(kind: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", 8 + len(inside)) + kind + inside


def _riff(kind: bytes, data: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


HEADS: Final = {
    "png": png(WIDTH, HEIGHT),
    "gif": b"GIF89a" + struct.pack("<HH", WIDTH, HEIGHT) + bytes(3),
    "jpeg": _jpeg(WIDTH, HEIGHT),
    "webp": _riff(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", WIDTH | 0x4000, HEIGHT)),
    "webp lossless": _riff(b"VP8L", b"\x2f" + struct.pack("<I", (WIDTH - 1) | (HEIGHT - 1) << 14)),
    "webp extended": _riff(b"VP8X", bytes(4) + (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")),
    "avif": _box(b"ftyp", b"avif" + bytes(4) + b"mif1")
    + _box(b"meta", _box(b"ispe", bytes(4) + struct.pack(">II", WIDTH, HEIGHT))),
}


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_tells_its_size(kind: str) -> None:
    assert picture_size(HEADS[kind]) == (kind.partition(" ")[0], WIDTH, HEIGHT)


@given(st.sampled_from(sorted(HEADS)), st.data())
def test_a_head_that_was_cut_or_bent_breaks_nothing(kind: str, data: st.DataObject) -> None:
    head = bytearray(HEADS[kind][:80])
    for _ in range(data.draw(st.integers(0, 3))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    found = picture_size(bytes(head[: data.draw(st.integers(0, len(head)))]))
    assert found is None or min(found[1:]) > 0


@given(st.binary(max_size=64))
def test_other_bytes_are_no_picture(data: bytes) -> None:
    assert picture_size(b"<svg>" + data) is None


def test_a_file_is_measured_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tea.png"
    path.write_bytes(png(30, 20))
    assert measure(path) == Picture("png", 30, 20, path.stat().st_size)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("pictures/tea.webp", "pictures/tea.webp"),
        ("/pictures/tea.webp?v=2", "pictures/tea.webp"),
        ("/images/tea.webp", None),
        ("https://shop.example/pictures/tea.webp", None),
    ],
)
def test_only_pictures_of_the_site_are_local(value: str, path: str | None) -> None:
    assert local_path(value) == path
