"""Draws are a function of salt, decision, placement and slot, and look uniform."""

from hypothesis import given
from hypothesis import strategies as st
from world import DECISION, HERO

from edgewise.draws import draw_from
from edgewise.ids import DecisionId, PlacementName, ulid


@given(st.text(max_size=200), st.text(min_size=1, max_size=40), st.text(max_size=40), st.integers(0, 99))
def test_a_draw_is_a_number_in_the_unit_interval_that_can_be_drawn_again(
    salt: str, decision: str, placement: str, slot: int
) -> None:
    first = draw_from(salt, DecisionId(decision))(PlacementName(placement), slot)
    assert 0 <= first < 1
    assert first == draw_from(salt, DecisionId(decision))(PlacementName(placement), slot)


def test_a_draw_is_pinned() -> None:
    """A replay years later must draw the same: these digits may never change."""
    assert draw_from("salt", DECISION)(HERO, 0) == 0.1548047399388437


def test_salt_decision_placement_and_slot_each_change_the_draw() -> None:
    other = DecisionId(ulid(1, bytes(10)))
    drawn = {
        draw_from("salt", DECISION)(HERO, 0),
        draw_from("other", DECISION)(HERO, 0),
        draw_from("salt", other)(HERO, 0),
        draw_from("salt", DECISION)(PlacementName("list"), 0),
        draw_from("salt", DECISION)(HERO, 1),
    }
    assert len(drawn) == 5


def test_a_name_cannot_run_into_another_field() -> None:
    ab, c = draw_from("s", DecisionId("ab"))(PlacementName("c"), 0), draw_from("s", DecisionId("a"))
    assert ab != c(PlacementName("bc"), 0)


def test_the_order_of_asking_does_not_matter() -> None:
    forward, backward = draw_from("s", DECISION), draw_from("s", DECISION)
    ahead = [forward(HERO, slot) for slot in range(10)]
    assert ahead == [backward(HERO, slot) for slot in reversed(range(10))][::-1]


def test_draws_are_uniform() -> None:
    """Chi-squared over 20 cells of 20,000 draws: the 99.99 % quantile at 19 degrees of freedom is 50.8."""
    counts = [0] * 20
    for number in range(20_000):
        counts[int(draw_from("salt", DecisionId(f"{number:026}"))(HERO, 0) * 20)] += 1
    assert sum((count - 1_000) ** 2 / 1_000 for count in counts) < 50.8
