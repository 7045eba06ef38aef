"""What recent browsing says: the latest interest wins over an old one; what goes with it is offered, and said."""

from __future__ import annotations

from typing import Any

import world
from hypothesis import given
from hypothesis import strategies as st
from world import FILMS, GENRES, HERO, NOW_MS

from edgewise.admission.load import Bundle
from edgewise.bundle.policy import Arm, ByAttribute, ByPriority, Compare, Not, Rule, Some
from edgewise.decide import decide
from edgewise.decision import PlacementDecision
from edgewise.derived import HALF_LIFE_DAYS, LEAST_WEIGHT, completed, likely
from edgewise.events import Kind, affinity_weight
from edgewise.ids import ArmName, ItemId
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.reasons import Reason
from edgewise.request import Context

COMPLEMENTS = {"category": {"drama": ["horror"], "western": ["musical", "thriller"]}}
BUNDLE = world.bundle()
DRAMAS = [film for film in FILMS if world.genres_of(int(film.removeprefix("film-"))) == ["drama"]]
WESTERNS = [film for film in FILMS if "western" in world.genres_of(int(film.removeprefix("film-")))]
VIEW_OF = "profile.complement.category"


def visitor(touches: dict[ItemId, tuple[float, Kind]]) -> Profile:
    """Items touched so many days ago."""
    profile = Profile()
    for item, (days, kind) in touches.items():
        profile.items[item] = LastTouch(NOW_MS - round(days * DAY_MS), kind)
    return profile


def sought(profile: Profile, bundle: Bundle = BUNDLE) -> str | None:
    return likely(bundle.features.view(profile, Context(), NOW_MS), "category")


def test_what_was_clicked_today_wins_over_more_that_lies_weeks_back() -> None:
    old = dict.fromkeys(DRAMAS, (20.0, Kind.CLICK))
    assert sought(visitor({**old, WESTERNS[0]: (0.1, Kind.CLICK)})) in {"western", *GENRES} - {"drama"}
    assert sought(visitor(old)) is None, "and an interest of three weeks ago is none today"
    assert sought(visitor(dict.fromkeys(DRAMAS, (2.0, Kind.CLICK)))) == "drama"


def test_a_single_look_says_nothing_and_two_do() -> None:
    assert sought(visitor({DRAMAS[0]: (0.01, Kind.VIEW)})) is None
    assert sought(visitor({DRAMAS[0]: (0.01, Kind.VIEW), DRAMAS[1]: (1.0, Kind.VIEW)})) == "drama"
    assert sought(Profile()) is None


touched = st.dictionaries(
    st.sampled_from(FILMS),
    st.tuples(st.floats(0, 30), st.sampled_from([Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER])),
    max_size=8,
)


@given(touched)
def test_it_is_the_value_with_the_largest_decayed_weight(touches: dict[ItemId, tuple[float, Kind]]) -> None:
    weights = dict.fromkeys(GENRES, 0.0)
    profile = visitor(touches)
    for item, touch in profile.items.items():
        faded = affinity_weight(touch.kind, None) * 0.5 ** ((NOW_MS - touch.time_ms) / DAY_MS / HALF_LIFE_DAYS)
        for genre in world.genres_of(int(item.removeprefix("film-"))):
            weights[genre] += faded
    found = sought(profile)
    if found is None:
        assert max(weights.values()) < LEAST_WEIGHT + 1e-9
    else:
        assert weights[found] >= max(LEAST_WEIGHT, *weights.values()) - 1e-9


def test_what_the_catalogue_does_not_know_is_told_by_the_days_of_affinities() -> None:
    profile = visitor({ItemId("sold-long-ago"): (0.0, Kind.ORDER)})
    assert sought(profile) is None
    profile.affinity = {"category": {"laptops": [(NOW_MS // DAY_MS, 4)], "phones": [(NOW_MS // DAY_MS - 9, 8)]}}
    assert sought(profile) == "laptops"


def test_who_looked_at_the_offer_is_still_after_what_it_goes_with() -> None:
    """Horror is offered with drama, and nothing with horror: a look at the offer does not take it away."""
    horrors = [film for film in FILMS if "horror" in world.genres_of(int(film.removeprefix("film-")))]
    profile = visitor({**dict.fromkeys(DRAMAS, (1.0, Kind.CLICK)), **dict.fromkeys(horrors, (0.0, Kind.ADD))})
    view = BUNDLE.features.view(profile, Context(), NOW_MS)
    assert likely(view, "category") == "horror"
    assert completed(view, "category", COMPLEMENTS) == "drama"
    assert completed(view, "category", {}) is None
    assert completed(view, "brand", COMPLEMENTS) is None


def offered(profile: Profile, rule: Rule, **changes: Any) -> PlacementDecision:
    hero = world.placement(eligibility=[rule])
    bundle = world.bundle(policy=world.policy({HERO: hero}, complements=COMPLEMENTS))
    question = world.question(explain=True, **changes)
    outcome = decide(question, profile, bundle=bundle, score=world.score, draw=lambda *_: 0.0, now_ms=NOW_MS)
    return outcome.decision.placements[HERO]


COMPLEMENT = Compare("item.category", "in", f"${VIEW_OF}")


def test_a_complement_of_what_is_looked_for_is_offered_and_said() -> None:
    decided = offered(visitor(dict.fromkeys(DRAMAS, (0.1, Kind.CLICK))), COMPLEMENT)
    (item,) = decided.items
    assert "horror" in world.genres_of(int(item.id.removeprefix("film-")))
    assert (item.why[0].code, item.why[0].text) == ("complement", "Goes with drama, which you have been looking for")
    assert decided.reason is Reason.RULE


def test_likely_itself_is_told_as_what_it_is() -> None:
    rule = Compare("item.category", "contains", "$profile.likely.category")
    (item,) = offered(visitor(dict.fromkeys(DRAMAS, (0.1, Kind.CLICK))), rule).items
    assert "drama" in world.genres_of(int(item.id.removeprefix("film-")))
    assert item.why[0].text == "Because you have been looking for drama"


def test_who_is_not_known_gets_the_season_and_no_sentence_about_himself() -> None:
    seasonal = Some([Compare("item.id", "eq", "film-5"), COMPLEMENT])
    known = visitor(dict.fromkeys(DRAMAS, (0.1, Kind.CLICK)))
    assert offered(known, seasonal).items[0].why[0].code == "complement"
    for asked in ({"dial": 1}, {"dial": 0}):
        decided = offered(known, seasonal, **asked)
        assert [item.id for item in decided.items] == ["film-5"]
        assert all(why.code != "complement" for why in decided.items[0].why)
    assert [item.id for item in offered(Profile(), seasonal).items] == ["film-5"]
    assert offered(Profile(), COMPLEMENT).reason is Reason.FALLBACK_NO_CANDIDATE


def test_what_keeps_an_item_out_is_no_reason_to_show_another() -> None:
    decided = offered(visitor(dict.fromkeys(DRAMAS, (0.1, Kind.CLICK))), Not(COMPLEMENT))
    assert all(why.code == "popularity" for why in decided.items[0].why)


def test_this_session_is_enough_for_a_dial_of_two() -> None:
    now = visitor(dict.fromkeys(DRAMAS, (0.001, Kind.CLICK)))
    before = visitor(dict.fromkeys(DRAMAS, (1.0, Kind.CLICK)))
    assert offered(now, COMPLEMENT, dial=2).reason is Reason.RULE
    assert offered(before, COMPLEMENT, dial=2).reason is Reason.FALLBACK_NO_CANDIDATE


def test_a_champion_of_priority_still_says_who_put_it_first() -> None:
    hero = world.placement(arms={ArmName("only"): Arm(ByPriority())}, arm="only", opted_out_arm="only")
    bundle = world.bundle(policy=world.policy({HERO: hero}))
    asked = world.question(explain=True)
    outcome = decide(asked, Profile(), bundle=bundle, score=world.score, draw=lambda *_: 0.0, now_ms=NOW_MS)
    assert [why.code for why in outcome.decision.placements[HERO].items[0].why] == ["priority"]
    assert isinstance(world.placement().arms[world.CHAMPION].ranking, ByAttribute)
