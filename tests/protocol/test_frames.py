"""Frames of a spool segment: whole ones are read, torn and damaged ones end the scan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.frames import HEADER_BYTES, MAX_PAYLOAD_BYTES, frame, scan

payloads = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6)


@given(payloads)
def test_what_was_framed_is_read_back_with_its_offsets(written: list[bytes]) -> None:
    data = b"".join(map(frame, written))
    frames = list(scan(data))
    assert [found.payload for found in frames] == written
    assert frames[-1].end == len(data)
    assert [found.payload for found in scan(data, frames[0].end)] == written[1:]


@given(payloads)
def test_a_tail_torn_at_any_byte_loses_the_last_frame_only(written: list[bytes]) -> None:
    data = b"".join(map(frame, written))
    for cut in range(len(data) - len(frame(written[-1])), len(data)):
        assert [found.payload for found in scan(data[:cut])] == written[:-1]


@given(payloads, st.data())
def test_a_flipped_bit_ends_the_scan_at_its_frame(written: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(frame, written)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    intact = [found.payload for found in scan(bytes(whole))]
    assert intact == written[: len(intact)]
    assert len(intact) < len(written)


def test_zeros_behind_the_last_frame_are_no_frames() -> None:
    assert [found.payload for found in scan(frame(b"a") + bytes(64))] == [b"a"]


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1])
def test_payloads_outside_the_bounds_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="a frame holds"):
        frame(bytes(size))


def naive_crc32c(data: bytes) -> int:
    """RFC 3720 appendix B.4, bit by bit: reflected polynomial 0x82F63B78."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_the_format_is_pinned() -> None:
    # written once, must never change: old segments are read by new code
    assert naive_crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogue
    length = bytes([9, 0, 0, 0])
    checksum = naive_crc32c(length + b"123456789").to_bytes(4, "little")
    assert frame(b"123456789") == length + checksum + b"123456789"
    assert HEADER_BYTES == 8
