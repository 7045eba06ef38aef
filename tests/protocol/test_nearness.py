"""Content vectors: exact on every machine, refused when they lie, and found in lists as in the whole."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewise.bundle.vectors import MOST_WIDTH, UNIT, Vectors, decode_vectors, encode_vectors, quantised
from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.nearness import Nearness, taste
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from hub.content_vectors import in_lists

ITEMS: Final = 3_000
TOPICS: Final = 40


def ids(count: int) -> list[ItemId]:
    return [ItemId(f"film-{number}") for number in range(count)]


def listed() -> tuple[Vectors, Vectors]:
    """The same items about TOPICS topics, in lists and without."""
    generator = np.random.default_rng(11)
    topics = generator.normal(size=(TOPICS, 16))
    rows = quantised(topics[generator.integers(0, TOPICS, ITEMS)] + 0.4 * generator.normal(size=(ITEMS, 16)))
    order, centroids, bounds = in_lists(rows, seed=0)
    films = ids(ITEMS)
    in_order = [films[row] for row in order.tolist()]
    return decode_vectors(encode_vectors(in_order, rows[order], centroids, bounds)), decode_vectors(
        encode_vectors(films, rows)
    )


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 9)), elements=st.floats(-9, 9, width=32)))
def test_quantised_vectors_have_their_direction_and_the_length_of_one(vectors: np.ndarray) -> None:
    whole = quantised(vectors)
    decode_vectors(encode_vectors(ids(len(whole)), whole))  # never longer than is taken
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    for row, vector, size in zip(whole, vectors, length, strict=True):
        if size:
            assert np.abs(row / UNIT - vector / size).max() <= 0.5 / UNIT + 1e-6
        else:
            assert not row.any()


@given(st.integers(0, 2**32 - 1))
def test_dot_products_are_exact_whatever_the_order(seed: int) -> None:
    """Why the hub's replay finds what the edge found: another BLAS adds in another order."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(-UNIT, UNIT + 1, (20, MOST_WIDTH))
    query = generator.integers(-UNIT, UNIT + 1, MOST_WIDTH)
    exact = (rows * query).sum(axis=1)
    shuffled = generator.permutation(MOST_WIDTH)
    for order in (np.arange(MOST_WIDTH), shuffled):
        floats = rows[:, order].astype(np.float32) @ query[order].astype(np.float32)
        assert floats.astype(np.int64).tolist() == exact.tolist()


def test_lists_hold_every_item_once_and_find_what_the_whole_finds() -> None:
    vectors, whole = listed()
    assert sorted(vectors.items) == sorted(whole.items)
    pool = ids(ITEMS)
    read, exact = Nearness(vectors, pool, exact_items=100), Nearness(whole, pool)
    generator = np.random.default_rng(12)
    hits = asked = 0
    for code in generator.choice(ITEMS, 50, replace=False).tolist():
        likes = whole.rows[code].astype(np.float32)
        found = read.near(likes, probed_items=ITEMS // 5)
        assert ITEMS // 5 <= len(found.places) < ITEMS // 2
        truth = exact.near(likes)
        assert found.scores.tolist() == truth.scores[found.places].tolist(), "scores are exact"
        best = set(np.argsort(-truth.scores, kind="stable")[:50].tolist())
        hits += len(best & set(found.places.tolist()))
        asked += 50
    # A fifth of the rows read blindly would hold a fifth of the best.
    assert hits / asked > 0.9
    everything = read.near(whole.rows[0].astype(np.float32), probed_items=10 * ITEMS)
    assert sorted(everything.places.tolist()) == list(range(ITEMS))


def test_lists_of_a_part_of_the_catalogue_hold_that_part() -> None:
    vectors, whole = listed()
    pool = [*ids(ITEMS)[5:1_000:3], ItemId("stranger")]
    read = Nearness(vectors, pool, exact_items=100)
    found = read.near(whole.rows[5].astype(np.float32), probed_items=ITEMS)
    assert sorted(found.places.tolist()) == list(range(len(pool) - 1))
    exact = Nearness(whole, pool).near(whole.rows[5].astype(np.float32))
    assert found.scores.tolist() == exact.scores[found.places].tolist()


# --- what a visitor likes ------------------------------------------------------------------------------------------
def test_what_was_done_lately_and_says_much_weighs_most() -> None:
    vectors = decode_vectors(encode_vectors(ids(3), quantised(np.eye(3))))
    touches = {
        ItemId("film-0"): LastTouch(world.NOW_MS, Kind.VIEW),
        ItemId("film-1"): LastTouch(world.NOW_MS - 14 * DAY_MS, Kind.ORDER),
        ItemId("film-2"): LastTouch(world.NOW_MS - 1, Kind.REVIEW, 1.0),
    }
    profile = Profile(items=touches)
    # An order says 8 times as much as a view, and is halved once; bad reviews say nothing of what is liked.
    for order in (list(touches), list(reversed(touches))):
        likes = taste(order, profile, vectors, world.NOW_MS, 14.0)
        assert likes is not None
        assert likes.tolist() == [round(127 / 4), 127, 0]


def test_nothing_is_liked_by_who_touched_nothing_that_is_known() -> None:
    vectors = decode_vectors(encode_vectors(ids(2), np.array([[UNIT], [0]], np.int8)))
    profile = Profile(
        items={
            ItemId("film-1"): LastTouch(world.NOW_MS, Kind.VIEW),
            ItemId("stranger"): LastTouch(world.NOW_MS, Kind.ORDER),
        }
    )
    assert taste(list(profile.items), profile, vectors, world.NOW_MS, 14.0) is None
    assert taste([], profile, vectors, world.NOW_MS, 14.0) is None


# --- refusals ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "items", "width", "rows", "centroids", "bounds"),
    [
        ("bytes of rows", 2, 2, b"\0" * 3, b"", b""),
        ("bytes of centroids", 1, 2, b"\0" * 2, b"\0" * 3, b"\0" * 8),
        ("bytes of bounds", 1, 2, b"\0" * 2, b"\0" * 2, b"\0" * 7),
        ("expected one more than lists", 1, 2, b"\0" * 2, b"\0" * 2, b"\0" * 4),
        ("expected one more than lists", 1, 2, b"\0" * 2, b"", b"\0" * 8),
        ("must rise", 1, 2, b"\0" * 2, b"\0" * 2, np.array([0, 2], "<i4").tobytes()),
        ("must rise", 1, 2, b"\0" * 2, b"\0" * 4, np.array([0, 2, 1], "<i4").tobytes()),
        ("must rise", 1, 2, b"\0" * 2, b"\0" * 2, np.array([1, 1], "<i4").tobytes()),
        ("longer than 127", 1, 2, b"\x7f\x7f", b"", b""),
        ("longer than 127", 1, 1, b"\x80", b"", b""),
        ("longer than 127", 1, 2, b"\0\0", b"\x7f\x7f", np.array([0, 1], "<i4").tobytes()),
        ("width", 1, 0, b"", b"", b""),
        ("width", 1, MOST_WIDTH + 1, b"\0" * (MOST_WIDTH + 1), b"", b""),
    ],
)
def test_vectors_that_do_not_hold_together_are_refused(
    *, said: str, items: int, width: int, rows: bytes, centroids: bytes, bounds: bytes
) -> None:
    import msgspec

    data = msgspec.msgpack.encode(
        {"items": ids(items), "width": width, "rows": rows, "centroids": centroids, "bounds": bounds}
    )
    with pytest.raises(ValueError, match=said):
        decode_vectors(data)


def test_an_item_may_have_one_vector() -> None:
    with pytest.raises(ValueError, match="listed twice"):
        decode_vectors(encode_vectors([ItemId("film-0")] * 2, np.zeros((2, 1), np.int8)))
