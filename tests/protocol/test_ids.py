"""ULIDs and producers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.ids import NodeId, producer, ulid, ulid_time_ms


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_ulid_tells_its_time_and_sorts_by_it(now_ms: int, entropy: bytes) -> None:
    text = ulid(now_ms, entropy)
    assert len(text) == 26
    assert ulid_time_ms(text) == now_ms
    if now_ms:
        assert ulid(now_ms - 1, b"\xff" * 10) < text


def test_the_specifications_example_time() -> None:
    assert ulid(1_469_918_176_385, bytes(10)).startswith("01ARYZ6S41")


@pytest.mark.parametrize("text", ["", "01ARYZ6S41", "01ARYZ6S41TSV4RRFFQ69G5FAU", "8" * 26, "Z" * 26, "é" * 26])
def test_other_texts_are_no_ulids(text: str) -> None:
    with pytest.raises(ValueError, match="not a ULID"):
        ulid_time_ms(text)


@pytest.mark.parametrize(("now_ms", "entropy"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9))])
def test_what_does_not_fit_is_refused(now_ms: int, entropy: bytes) -> None:
    with pytest.raises(ValueError, match=r"ULID|48 bits"):
        ulid(now_ms, entropy)


def test_a_producer_names_node_epoch_and_worker() -> None:
    assert producer(NodeId("n-1"), 7, 2) == "n-1/7/2"
