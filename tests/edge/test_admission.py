"""Admission control: what is shed, in which order, and how soon it ends. Time is passed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.worker.admission import INTERVAL_MS, MOST_LEVEL, TURNS, Admission, Stage, is_sheddable, shedding

TARGET_MS = 5.0
MOST_MS = 8.0


def admission(level: float = 0.0) -> Admission:
    made = Admission(target_ms=TARGET_MS, most_ms=MOST_MS)
    made.level = level
    return made


def wait(made: Admission, waited_ms: float, *, for_ms: float, from_ms: float = 0.0) -> Iterator[float]:
    """Levels while requests have waited `waited_ms` in each turn, as long as a turn is then."""
    now_ms = from_ms
    while now_ms < from_ms + for_ms:
        now_ms += max(1.0, waited_ms)
        made.note(waited_ms, now_ms)
        yield made.level


def test_who_does_not_wait_is_shed_nothing() -> None:
    made = admission()
    assert set(wait(made, 0.9 * TARGET_MS, for_ms=10_000)) == {0.0}
    assert (made.stage, shedding(made)) == (None, "nothing")
    assert not any(made.sheds(stage) for stage in Stage)
    assert not made.refuses(FAR_ENOUGH)


FAR_ENOUGH = 4 * MOST_MS


def test_a_queue_that_stays_takes_stage_after_stage_and_all_come_back_when_it_has_gone() -> None:
    made = admission()
    order: list[Stage | None] = []
    for level in wait(made, 1.5 * TARGET_MS, for_ms=1_500):
        assert 0.0 <= level <= MOST_LEVEL
        if not order or order[-1] is not made.stage:
            order.append(made.stage)
        assert made.level == level
    assert order == [None, Stage.DEBUG, Stage.RERANK, Stage.DEFAULT]
    assert made.refuses(MOST_MS + 0.1)
    assert made.stage is Stage.REFUSE
    calm = list(wait(made, 0.1, for_ms=4_000, from_ms=10_000))
    assert calm == sorted(calm, reverse=True)
    assert calm[-1] == 0.0
    assert shedding(made) == "nothing"


def test_it_rises_faster_than_it_falls() -> None:
    made = admission()
    up = list(wait(made, 4 * TARGET_MS, for_ms=2_000)).index(MOST_LEVEL)
    down = list(wait(made, 0.0, for_ms=4_000, from_ms=2_000)).index(0.0)
    assert up * 4 * TARGET_MS < 500
    assert 500 < down < 3_000, "turns of a millisecond"


def test_between_calm_and_target_it_stays() -> None:
    made = admission(1.5)
    assert set(wait(made, 0.75 * TARGET_MS, for_ms=2_000)) == {1.5}


def test_one_long_pause_is_no_overload() -> None:
    made = admission()
    now_ms = 0.0
    for turn in range(1_000):
        # Every tenth turn the machine stops for a while; what piled up then has waited, what comes next has not.
        waited_ms = 60.0 if turn % 10 == 0 else 0.3
        now_ms += max(5.0, waited_ms)
        made.note(waited_ms, now_ms)
    assert made.level == 0.0


def test_when_nobody_comes_any_more_the_level_falls_by_the_clock() -> None:
    made = admission(MOST_LEVEL)
    made.note(20.0, 1_000.0)
    for now_ms in range(1_250, 6_000, 250):
        made.rest(float(now_ms))
    assert made.level == 0.0


def test_a_share_is_dealt_out_exactly() -> None:
    made = admission(1.3)
    dealt = [made.sheds(Stage.RERANK) for _ in range(1_000)]
    assert abs(sum(dealt) - 300) <= 1
    assert all(abs(sum(dealt[:count]) - 0.3 * count) <= 1 for count in range(1_000)), "evenly, too"
    assert all(made.sheds(Stage.DEBUG) for _ in range(100)), "what is before it is shed for all"
    assert not any(made.sheds(Stage.DEFAULT) for _ in range(100)), "what is behind it for none"


def test_a_request_is_judged_by_its_own_wait_as_well() -> None:
    made = admission()
    assert not made.sheds(Stage.DEFAULT, MOST_MS)
    assert made.sheds(Stage.DEFAULT, MOST_MS + 0.1)
    assert not made.refuses(MOST_MS + 0.1), "a node that paused answers what piled up"
    assert made.refuses(FAR_ENOUGH + 0.1), "but not for ever"
    made.level = 2.5
    assert not made.refuses(MOST_MS)
    assert made.refuses(MOST_MS + 0.1)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.booleans()), max_size=300))
def test_the_level_keeps_its_bounds_whatever_is_noted(steps: list[tuple[float, float, bool]]) -> None:
    made = admission()
    now_ms = 0.0
    for after_ms, waited_ms, comes in steps:
        now_ms += after_ms
        if comes:
            made.note(waited_ms, now_ms)
        else:
            made.rest(now_ms)
        assert 0.0 <= made.level <= MOST_LEVEL
        assert (made.stage is None) == (made.level == 0.0)


@given(st.lists(st.floats(0, 0.99 * TARGET_MS), min_size=TURNS, max_size=200))
def test_waits_below_the_target_never_raise_it(waits: list[float]) -> None:
    made = admission(1.0)
    before = made.level
    for turn, waited_ms in enumerate(waits):
        made.note(waited_ms, turn * INTERVAL_MS)
        assert made.level <= before
        before = made.level


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/decide", True),
        ("/v1/track", True),
        ("/v1/b", True),
        ("/v1/import", True),
        ("/v1/import/", True),
        ("/v1/imported", False),
        ("/v1/fragment/home_hero", True),
        ("/ofrep/v1/evaluate/flags", True),
        ("/v1/preferences", False),
        ("/v1/privacy/erase", False),
        ("/v1/privacy/export", False),
        ("/health/live", False),
        ("/health/ready", False),
        ("/status", False),
        ("/metrics", False),
    ],
)
def test_a_visitor_s_will_and_who_looks_after_the_node_are_never_refused(path: str, *, expected: bool) -> None:
    assert is_sheddable(path) is expected
