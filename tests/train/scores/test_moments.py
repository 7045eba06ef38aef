"""When a score is asked and what came of it: nothing of the future is known, nothing of the end is guessed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_world import granted_event, numbered

from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.site.score_recipe import Calendar, Churn, NextCategory, Purchase, ScoreRecipe, TraitScore
from hub.train.history import History
from hub.train.scores.moments import NO, YES, Moment, moments_of, visits_of

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def at(hours: float, name: str = "Product Viewed", who: str = "v", category: str = "tea") -> EventRecord:
    touches = (Touch(ItemId(category), dimensions={"category": (category,)}),)
    return granted_event(who, START_MS + round(hours * HOUR_MS), "track", name, touches=touches)


def asked(recipe: ScoreRecipe, *records: EventRecord, seed: int = 0) -> tuple[History, list[Moment]]:
    history = History(numbered(records))
    return history, moments_of(history, recipe, seed=seed)


def answers(moments: list[Moment]) -> list[str]:
    return [moment.answer for moment in moments]


def test_a_pause_of_more_than_half_an_hour_ends_a_visit() -> None:
    history, _ = asked(ScoreRecipe(Purchase(1)), at(0), at(0.5), at(1.01), at(9), at(9.1, "Email Delivered"))
    visits = visits_of(history, list(range(5)))
    assert [visit.deeds for visit in visits] == [[0, 1], [2], [3]], "what is done to a visitor is no visit"


def test_a_purchase_counts_within_its_days_and_only_behind_the_moment() -> None:
    _, moments = asked(
        ScoreRecipe(Purchase(days=2)), at(0, "Order Completed"), at(20), at(60, "Order Completed"), at(24 * 9)
    )
    # 0 h: the order of 60 h is too late, its own does not count; 20 h: within two days; 60 h and later: not known yet
    assert answers(moments) == [NO, YES, NO]
    assert [moment.now_ms - START_MS for moment in moments] == [0, 20 * HOUR_MS, 60 * HOUR_MS]
    assert all(moment.known_ms == moment.now_ms + 2 * DAY_MS for moment in moments)


def test_what_the_end_cuts_off_is_left_out_and_not_a_no() -> None:
    _, moments = asked(ScoreRecipe(Purchase(days=5)), at(0), at(24 * 4.9))
    assert moments == []


def test_churn_is_that_no_later_visit_begins() -> None:
    _, moments = asked(ScoreRecipe(Churn(days=3)), at(0), at(0.4), at(24 * 2), at(24 * 9), at(24 * 20))
    # the rest of the same visit is no return
    assert answers(moments) == [NO, YES, YES]


def test_on_days_the_visitor_need_not_be_there() -> None:
    recipe = ScoreRecipe(Churn(days=2), calendar=Calendar(every_days=1, active_days=3))
    history, moments = asked(recipe, at(1), at(40), at(24 * 12, who="other"))
    own = [moment for moment in moments if moment.visitor == 0]
    days = [(moment.now_ms - START_MS) / DAY_MS for moment in own]
    assert days == [1, 2, 3, 4], "until three days after he was last seen"
    assert answers(own) == [NO, YES, YES, YES]
    assert [history.deeds[moment.deed].moment_ms - START_MS for moment in own] == [HOUR_MS, *[40 * HOUR_MS] * 3]
    assert all(moment.page is None for moment in own)


def test_the_next_category_is_that_of_the_next_touch_in_time() -> None:
    _, moments = asked(
        ScoreRecipe(NextCategory(minutes=30)),
        at(0, category="tea"),
        at(0.1, category="mugs"),
        at(0.2, "Product Removed", category="lamps"),
        at(0.3, category="tea"),
        at(5, category="books"),
    )
    assert [(moment.last, moment.answer) for moment in moments] == [("tea", "mugs"), ("mugs", "tea")]


def test_on_arrival_nothing_of_the_visit_is_known() -> None:
    history, moments = asked(
        ScoreRecipe(NextCategory(next="visit")),
        at(0, category="tea"),
        at(0.1, category="mugs"),
        at(9, category="lamps"),
        at(9.1, category="books"),
        at(9.2, category="books"),
        at(30, category="tea"),
        at(30.1, category="lamps"),
    )
    assert [(moment.last, moment.answer) for moment in moments] == [("mugs", "books"), ("books", "tea")]
    assert [moment.deed for moment in moments] == [1, 4]
    assert [moment.now_ms - START_MS for moment in moments] == [9 * HOUR_MS, 30 * HOUR_MS]
    assert all(history.deeds[moment.deed].moment_ms < moment.now_ms for moment in moments)


def test_a_trait_is_what_was_said_last_and_at_most_so_many_visits_are_asked_about() -> None:
    said = [
        granted_event("v", START_MS + hour * HOUR_MS, "identify", traits={"stage": stage})
        for hour, stage in ((0, "student"), (50, "retired"))
    ]
    recipe = ScoreRecipe(TraitScore("stage", moments=2))
    _, moments = asked(recipe, *said, at(10), at(20), at(30), at(11, who="silent"))
    assert answers(moments) == ["retired", "retired"]
    _, moments = asked(ScoreRecipe(TraitScore("stage", value="student")), *said, at(10))
    assert set(answers(moments)) == {NO}


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (3, "3"), (2.5, "2.5"), (3.0, "3"), ("a", "a")])
def test_a_trait_that_is_no_text_is_written_as_sites_write_it(value: object, text: str) -> None:
    said = granted_event("v", START_MS, "identify", traits={"stage": value})
    _, moments = asked(ScoreRecipe(TraitScore("stage")), said)
    assert answers(moments) == [text]


hours = st.lists(st.integers(0, 24 * 30), min_size=2, max_size=30)


@given(hours=hours, seed=st.integers(0, 99), later=st.integers(1, 24 * 20))
def test_a_moment_is_chosen_by_its_own_past_alone(hours: list[int], seed: int, later: int) -> None:
    """Visits that come later change no moment of those before, nor an answer that was known by then."""
    recipe = ScoreRecipe(Purchase(days=1))
    names = np.random.default_rng(seed).choice(["Product Viewed", "Order Completed"], len(hours))
    records = [at(hour, str(name)) for hour, name in zip(hours, names, strict=True)]
    _, moments = asked(recipe, *records, seed=seed)
    _, more = asked(recipe, *records, at(max(hours) + 1 + later, "Order Completed"), seed=seed)
    kept = [(moment.now_ms, moment.answer) for moment in moments]
    assert [(moment.now_ms, moment.answer) for moment in more][: len(kept)] == kept
