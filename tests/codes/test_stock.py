"""What a node may spend: each number once, nothing of other incarnations, nothing beyond its time."""

from __future__ import annotations

from codes_world import KEY, NOW_MS, SPRING
from hypothesis import given
from hypothesis import strategies as st

from edgewise.codes.code import day_of
from edgewise.codes.stock import Lease, Number, Stock
from edgewise.profile.state import DAY_MS


def lease(name: str = "l1", first: int = 1, last: int = 10, **changes: object) -> Lease:
    """For the incarnation i1, until tomorrow."""
    known = {
        "id": name,
        "promotion": SPRING,
        "incarnation": "i1",
        "first": first,
        "last": last,
        "until_ms": NOW_MS + DAY_MS,
        "last_day": day_of(NOW_MS) + 15,
    }
    return Lease(**{**known, **changes})  # type: ignore[arg-type]


def stock(*leases: Lease) -> Stock:
    """Of the incarnation i1."""
    return Stock(incarnation="i1").told(leases, [KEY], [])


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=12))
def test_no_number_is_given_twice_but_what_was_brought_back(steps: list[tuple[int, bool]]) -> None:
    held = stock(lease(), lease("l2", 11, 15))
    out: set[int] = set()
    for most, is_back in steps:
        held, given_now = held.take(SPRING, most, NOW_MS)
        numbers = [one.number for one in given_now]
        assert len(numbers) == len(set(numbers)) <= most
        assert out.isdisjoint(numbers)
        out.update(numbers)
        if is_back:
            held = held.bring_back(given_now)
            out.difference_update(numbers)
    assert held.left(SPRING, NOW_MS) == 15 - len(out)


def test_a_number_says_until_when() -> None:
    _, taken = stock(lease()).take(SPRING, 1, NOW_MS)
    assert taken == [Number("l1", 1, NOW_MS + DAY_MS, day_of(NOW_MS) + 15)]


def test_after_a_start_nothing_is_taken_until_the_hub_was_heard() -> None:
    begun = stock(lease()).begun("i2")
    assert begun.take(SPRING, 5, NOW_MS)[1] == []
    told = begun.told([lease(incarnation="i2", taken=3)], [KEY], [])
    assert [one.number for one in told.take(SPRING, 2, NOW_MS)[1]] == [4, 5]


def test_the_hubs_word_never_gives_back_what_is_gone() -> None:
    """An answer that was long on its way."""
    held, _ = stock(lease()).take(SPRING, 6, NOW_MS)
    assert held.told([lease(taken=2)], [KEY], []).take(SPRING, 1, NOW_MS)[1][0].number == 7


def test_what_the_hub_does_not_name_is_dropped() -> None:
    assert stock(lease()).told([], [KEY], []).left(SPRING, NOW_MS) == 0


def test_beyond_its_time_nothing_is_taken_and_it_stays_finished_when_the_clock_is_set_back() -> None:
    held = stock(lease())
    late = NOW_MS + DAY_MS
    assert held.take(SPRING, 1, late)[1] == []
    finished = held.finish(late)
    assert finished.leases[0].finished
    assert finished.take(SPRING, 1, NOW_MS)[1] == []
    assert finished.told([lease()], [KEY], []).take(SPRING, 1, NOW_MS)[1] == []


def test_what_is_used_up_is_finished() -> None:
    held, taken = stock(lease(last=3)).take(SPRING, 9, NOW_MS)
    assert len(taken) == 3
    assert held.finish(NOW_MS).leases[0].finished
    assert not held.bring_back(taken).finish(NOW_MS).leases[0].finished


def test_strange_numbers_are_not_taken_back() -> None:
    held = stock(lease())
    assert held.bring_back([Number("l1", 7, 0, 0), Number("l9", 1, 0, 0)]).leases == held.leases
