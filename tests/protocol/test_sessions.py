"""`edgewise.sessions` and its resource: what a node hears equals the method, read literally."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from sessions_naive import idf, naive_scores, visits_of

from edgewise.bundle.sessions import Sessions, Walk, decode_sessions, encode_sessions
from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.profile.read import history
from edgewise.profile.state import LastTouch, Profile
from edgewise.sessions import MINUTE_MS, SessionIndex, scores_of, steps_to_speaker, visit_of

WALK = Walk()
ITEMS = [ItemId(f"i{number}") for number in range(9)]
codes = st.integers(0, len(ITEMS) - 1)
walks = st.builds(
    Walk,
    most_recent=st.integers(1, 6),
    neighbours=st.integers(1, 4),
    last=st.integers(1, 4),
    pause_minutes=st.integers(1, 60),
)
visits = st.lists(st.sets(codes, min_size=1, max_size=5), min_size=1, max_size=12)


def sessions_of(sets: list[set[int]], walk: Walk = WALK) -> Sessions:
    """The resource of these visits, the most recent first; weights are ln(visits / visits with the item)."""
    weights = idf([{ITEMS[code] for code in members} for members in sets])
    members = [code for one in sets for code in sorted(one)]
    bounds = np.cumsum([0, *(len(one) for one in sets)])
    said = np.array([weights.get(item, 0.0) for item in ITEMS], np.float32)
    return decode_sessions(encode_sessions(ITEMS, said, bounds, np.array(members), walk))


@given(sets=visits, walk=walks, latest=st.lists(st.sampled_from([*ITEMS, ItemId("unknown")]), max_size=6))
def test_what_is_heard_equals_the_method_read_literally(sets: list[set[int]], walk: Walk, latest: list[ItemId]) -> None:
    sessions = sessions_of(sets, walk)
    heard = SessionIndex(sessions).hear(latest)
    weights = dict(zip(ITEMS, sessions.weights.astype(np.float64).tolist(), strict=True))
    expected = naive_scores(latest, visits_of(sessions), weights, walk) if latest else {}
    assert {sessions.items[code]: score for code, score in zip(heard.codes, heard.scores, strict=True)} == expected
    assert heard.codes.tolist() == sorted(heard.codes.tolist())
    looked_at = scores_of(heard, np.arange(len(ITEMS) + 1))
    assert looked_at.tolist() == [*(expected.get(item, 0.0) for item in ITEMS), 0.0]


@given(sets=visits, walk=walks, latest=st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4, unique=True))
def test_whoever_speaks_for_an_item_was_with_it_in_a_visit(
    sets: list[set[int]], walk: Walk, latest: list[ItemId]
) -> None:
    heard = SessionIndex(sessions_of(sets, walk)).hear(latest)
    for code, score in zip(heard.codes.tolist(), heard.scores.tolist(), strict=True):
        steps = steps_to_speaker(heard, code)
        assert steps is not None or score == 0
        if steps is not None:
            speaker = ITEMS.index(latest[steps])
            assert any({speaker, code} <= visit for visit in sets)
    assert steps_to_speaker(heard, len(ITEMS)) is None


def touched(*minutes: int) -> Profile:
    """A profile that touched i0, i1, … at these minutes."""
    return Profile(
        items={
            ITEMS[number]: LastTouch(world.NOW_MS + minute * MINUTE_MS, Kind.VIEW)
            for number, minute in enumerate(minutes)
        }
    )


@pytest.mark.parametrize(
    ("minutes", "last", "visit"),
    [
        ((0, 10, 20), 3, ["i2", "i1", "i0"]),
        ((0, 10, 20), 2, ["i2", "i1"]),
        ((0, 31, 60), 3, ["i2", "i1"]),
        ((0, 30), 2, ["i1"]),
        ((), 2, []),
    ],
)
def test_a_visit_ends_at_a_pause(minutes: tuple[int, ...], last: int, visit: list[str]) -> None:
    profile = touched(*minutes)
    assert visit_of(history(profile), profile, Walk(last=last, pause_minutes=30)) == visit


def test_an_item_that_was_just_clicked_is_walked_first() -> None:
    sets = [{0, 5}, {1, 6}]
    index = SessionIndex(sessions_of(sets))
    profile = touched(0, 1)
    first = index.hear(visit_of(history(profile), profile, index.walk))
    assert int(first.codes[first.scores.argmax()]) == 6
    profile.items[ITEMS[0]] = LastTouch(world.NOW_MS + 2 * MINUTE_MS, Kind.VIEW)
    then = index.hear(visit_of(history(profile), profile, index.walk))
    assert int(then.codes[then.scores.argmax()]) == 5


# --- the resource ----------------------------------------------------------------------------------------------------
def flawed(**changes: Any) -> bytes:
    """The resource of two visits with one thing changed."""
    good = encode_sessions(ITEMS[:2], np.zeros(2), np.array([0, 2, 3]), np.array([0, 1, 0]), Walk())
    return msgspec.msgpack.encode(msgspec.msgpack.decode(good) | changes)


def int32(*numbers: int) -> bytes:
    return np.array(numbers, "<i4").tobytes()


def float32(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": float32(0)}, "1 weights for 2 items"),
        ({"weights": float32(0, float("nan"))}, "a weight lies outside"),
        ({"weights": float32(0, -1)}, "a weight lies outside"),
        ({"indptr": int32(0, 2)}, "bounds of sequences"),
        ({"indptr": int32(0, 3, 2, 3)}, "bounds of sequences"),
        ({"indptr": b""}, "bounds of sequences"),
        ({"indptr": int32(0, 300), "members": int32(*range(300))}, "a sequence of 300 items, at most 256"),
        ({"members": int32(0, 1, 2)}, "a member lies outside 0..1"),
        ({"members": int32(1, 0, 0)}, "members of a sequence must rise"),
        ({"members": int32(0, 1, 0) + b"x"}, "13 bytes of members of 4 bytes each"),
        ({"items": ["i0", "i0"]}, "an item is listed twice"),
        ({"walk": {"last": 11}}, "<= 10 - at `$.walk.last`"),
    ],
)
def test_sequences_that_do_not_hold_together_are_refused(changes: dict[str, Any], message: str) -> None:
    assert decode_sessions(flawed()).members.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=message.replace("$", r"\$").replace("..", r"\.\.")):
        decode_sessions(flawed(**changes))
