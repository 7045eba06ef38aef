"""`hub.recommend.session_knn`: what travels about visits, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions_naive import idf, naive_scores, visits_of

from edgewise.bundle.sessions import Sessions, Walk, decode_sessions
from edgewise.errors import InputError
from edgewise.ids import ItemId
from edgewise.sessions import SessionIndex
from hub.recommend.interactions import encode, moments
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS, settings_of
from hub.recommend.session_knn import Clicks, learn, walk_of

ITEMS = [ItemId(f"i{number}") for number in range(8)]
Click = tuple[int, int, int]
"""Person, which visit of the person, item."""
clicks = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=40)


def columns(said: list[Click]) -> Clicks:
    table = np.array(said, np.int64).reshape(-1, 3)
    return Clicks(table[:, 0], 2 * table[:, 0] + table[:, 1], table[:, 2])


def learned(said: list[Click], *, walk: Walk = Walk(), fewest: int = 1, longest: float = 100.0) -> Sessions:  # noqa: B008  # frozen
    return decode_sessions(learn(ITEMS, columns(said), walk, fewest_people=fewest, longest_percentile=longest))


def naive_visits(said: list[Click]) -> list[set[ItemId]]:
    """Sets of items, the visit with the latest click first."""
    found: dict[tuple[int, int], set[ItemId]] = {}
    for person, visit, item in said:
        key = (person, visit)
        found[key] = {*found.pop(key, set()), ITEMS[item]}
    return list(found.values())[::-1]


@given(said=clicks)
def test_visits_are_sets_the_most_recent_first(said: list[Click]) -> None:
    sessions = learned(said)
    assert visits_of(sessions) == naive_visits(said)
    expected = idf(naive_visits(said))
    weights = dict(zip(sessions.items, sessions.weights.tolist(), strict=True))
    assert weights == pytest.approx(expected, abs=1e-6)
    first = [min(n for n, visit in enumerate(naive_visits(said)) if item in visit) for item in sessions.items]
    assert first == sorted(first), "items that were touched most recently come first"


@given(said=clicks, fewest=st.integers(2, 4))
def test_no_item_travels_that_few_people_touched(said: list[Click], fewest: int) -> None:
    people = {item: len({person for person, _, touched in said if ITEMS[touched] == item}) for item in ITEMS}
    public = {item for item in ITEMS if people[item] >= fewest}
    if not public:
        with pytest.raises(InputError, match=f"no item was touched by {fewest} people"):
            learned(said, fewest=fewest)
        return
    sessions = learned(said, fewest=fewest)
    assert set(sessions.items) == public
    assert visits_of(sessions) == [visit & public for visit in naive_visits(said) if visit & public]


@given(said=clicks, rare=st.lists(st.integers(6, 7), min_size=1, max_size=5), at=st.integers(0, 40))
def test_who_touched_only_rare_items_leaves_no_trace(said: list[Click], rare: list[int], at: int) -> None:
    with_them = [*said[:at], *((9, 0, item) for item in rare), *said[at:]]
    try:
        without = learn(ITEMS, columns(said), Walk(), fewest_people=2, longest_percentile=100.0)
    except InputError:
        return
    assert learn(ITEMS, columns(with_them), Walk(), fewest_people=2, longest_percentile=100.0) == without


@given(said=clicks, latest=st.lists(st.sampled_from(ITEMS[:6]), min_size=1, max_size=3), most=st.integers(1, 4))
def test_visits_that_nobody_would_look_at_are_left_at_home(said: list[Click], latest: list[ItemId], most: int) -> None:
    walk = Walk(most_recent=most, neighbours=3, last=2)
    sessions = learned(said, walk=walk)
    weights = dict(zip(sessions.items, sessions.weights.astype(np.float64).tolist(), strict=True))
    heard = SessionIndex(sessions).hear(latest)
    got = {sessions.items[code]: score for code, score in zip(heard.codes, heard.scores, strict=True)}
    assert got == naive_scores(latest, naive_visits(said), weights, walk)


def test_visits_with_very_many_clicks_are_left_out() -> None:
    said = [(0, 0, 0), (0, 0, 1), *((1, 0, item % 6) for item in range(60)), (2, 0, 0), (2, 0, 1)]
    assert visits_of(learned(said, longest=80.0)) == [{ITEMS[0], ITEMS[1]}] * 2


def test_a_visit_of_more_items_than_a_node_takes_is_left_out() -> None:
    items = [ItemId(f"i{number:03}") for number in range(300)]
    said = np.array([*([0, 0, item] for item in range(300)), [1, 1, 0], [1, 1, 1]])
    data = learn(items, Clicks(said[:, 0], said[:, 1], said[:, 2]), Walk(), longest_percentile=100.0)
    assert visits_of(decode_sessions(data)) == [{"i000", "i001"}]


def test_the_same_clicks_give_the_same_bytes_and_only_recent_visits_are_kept() -> None:
    said = [(person, 0, item) for person in range(4) for item in (person, person + 1)]
    data = learn(ITEMS, columns(said), Walk(), most_visits=2)
    assert data == learn(ITEMS, columns(said), Walk(), most_visits=2)
    assert visits_of(decode_sessions(data)) == [{ITEMS[3], ITEMS[4]}, {ITEMS[2], ITEMS[3]}]


def test_a_file_of_interactions_is_heard_in_the_order_of_time() -> None:
    # u1 and u2 went from a to b and from c to d; u3 was at a, and then at c.
    told = encode(
        ["u3", "u1", "u1", "u2", "u2", "u3"], ["c", "a", "b", "c", "d", "a"], time=[9.0, 1.0, 2.0, 3.0, 4.0, 8.0]
    )
    history = moments(told, np.arange(6))
    assert history.toarray()[2].tolist() == [8.0, 0.0, 9.0, 0.0]
    learned = Lessons(told, np.arange(1, 5))
    scores = METHODS["session-knn"].fit(learned, settings_of("session-knn", ["last=1"]))(history)
    assert told.items[int(scores[2].argmax())] == "d"


@pytest.mark.parametrize("setting", ["last=11", "k=0", "m=inf", "m=nan"])
def test_a_setting_out_of_range_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=r"session-knn: .*expected m, k and last"):
        walk_of(settings_of("session-knn", [setting]))
