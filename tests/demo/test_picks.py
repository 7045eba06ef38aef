"""Guests meet films that they really watched, each at most once, and none twice what was not shown."""

from __future__ import annotations

from edgewise.ids import ItemId
from hub.datasets import world
from hub.demo.picks import CANDIDATES, EXPIRE, MOST_PICKS, Guest, Pick, _in_turns, guests_of
from hub.demo.story import Rated, tell
from hub.demo.turning import lift_of


def films(count: int) -> list[Rated]:
    return [Rated("somebody", ItemId(f"film-{number}"), 1.0 + number % 5, number) for number in range(count)]


def test_a_guest_goes_on_by_one_film_that_he_watches_and_two_that_he_does_not() -> None:
    watched = films(31)
    guest = Guest("guest-1", watched)
    assert guest.picks == (31 - CANDIDATES) // (EXPIRE + 1) == 7
    seen = []
    while guest.made < guest.picks:
        assert len(guest.candidates) == CANDIDATES
        seen.append(guest.candidates[-1])
        guest.watch(guest.candidates[-1])
    assert len(set(seen)) == len(seen), "nobody watches a film twice"
    left = set(watched) - set(seen)
    assert guest.candidates == sorted(left, key=watched.index)[EXPIRE * 7 :], "what was not shown is over after a while"


def test_who_watched_little_never_asks_and_who_watched_all_asks_a_bounded_number_of_times() -> None:
    assert Guest("guest-1", films(CANDIDATES)).picks == 0
    assert Guest("guest-1", films(3)).picks == 0
    assert Guest("guest-1", films(1_000)).picks == MOST_PICKS


def test_everybody_s_visits_are_spread_over_the_whole_time() -> None:
    """Who judges a model are the latest choices: those who watched little must be among them."""
    often, seldom = Guest("guest-1", films(70)), Guest("guest-2", films(16))
    turns = [guest.name for guest in _in_turns([often, seldom], 1.0)]
    assert (turns.count("guest-1"), turns.count("guest-2")) == (often.picks, seldom.picks) == (20, 2)
    assert turns.index("guest-2") == 5
    assert turns[::-1].index("guest-2") == 5
    assert len(_in_turns([often, seldom], 0.5)) == 11


def test_guests_are_the_visitors_of_the_future_under_other_names() -> None:
    story = tell(world.simulate(3, visitors=60, films=80, events=2_000))
    names = {guest.name for guest in guests_of(story)}
    assert names
    assert not names & {rated.visitor for rated in [*story.past, *story.future]}


def test_the_order_of_choices_changes_no_share() -> None:
    picks = [Pick(f"guest-{n * n % 11}", 0.0, 1, liked=n % 2 == 0, rule_liked=n % 3 == 0) for n in range(84)]
    rule, model, lift = lift_of(picks)
    assert (rule.estimate, model.estimate) == (1 / 3, 1 / 2)
    assert abs(lift.estimate - 1 / 6) < 1e-12
    assert lift_of(picks[::-1]) == (rule, model, lift)
    assert lift.ci_low < lift.estimate < lift.ci_high
