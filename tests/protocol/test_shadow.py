"""An apprentice's challenger: asked beside, never instead, and logged with the probabilities that it would have had."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from world import CHALLENGER, CHAMPION, HERO, LIST, NOW_MS

from edgewise.admission.load import Bundle
from edgewise.bundle.exploration import EpsilonGreedy, SquareCB
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, External, Nothing
from edgewise.consent import NOTHING
from edgewise.decide import Outcome, decide
from edgewise.decision import canonical_bytes
from edgewise.draws import draw_from
from edgewise.ids import ArmName, DecisionId, ModelName
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.records import FeatureRows, Shadow
from edgewise.request import PlacementRequest
from edgewise.scores import Score

ARMS = {CHAMPION: Arm(ByAttribute("popularity")), CHALLENGER: Arm(ByModel(world.RANKER), EpsilonGreedy(0.2))}
APPRENTICE: dict[str, Any] = {"arms": ARMS, "learning": "apprentice", "challenger": CHALLENGER}
FAN = world.profile(["film-13"])
"""Somebody for whom the model has another first choice than the champion."""


def shop(**changes: Any) -> Bundle:
    hero = world.placement(**{**APPRENTICE, **changes})
    return world.bundle(policy=world.policy({HERO: hero, LIST: world.placement()}))


BUNDLE = shop()


def ask(
    question: Question,
    profile: Profile = FAN,
    *,
    bundle: Bundle = BUNDLE,
    score: Score = world.score,
    is_late: Callable[[], bool] = lambda: False,
) -> Outcome:
    return decide(
        question,
        profile,
        bundle=bundle,
        score=score,
        draw=draw_from("salt", question.decision_id),
        now_ms=NOW_MS,
        is_late=is_late,
    )


def test_the_champion_serves_and_the_challenger_is_logged() -> None:
    outcome = ask(world.question(PlacementRequest(HERO, count=2)))
    placed = outcome.decision.placements[HERO]
    assert [item.id for item in placed.items] == ["film-0", "film-1"]
    assert (placed.policy, placed.reason) == (CHAMPION, Reason.RULE)
    shadow = outcome.shadows[HERO]
    assert shadow.arm == CHALLENGER
    assert shadow.reason in {Reason.MODEL, Reason.EXPLORE}
    assert len(shadow.items) == len(shadow.scores) == len(shadow.propensities) == len(shadow.agreements) == 2
    assert list(shadow.agreements) == pytest.approx([0.2 / 24, 0.2 / 23])
    assert LIST not in outcome.shadows


@given(st.integers(0, 2**64 - 1), st.integers(1, 5))
def test_it_is_what_the_challenger_would_have_answered(number: int, count: int) -> None:
    """By its own draws, so that the choice of one tells nothing of the other's: same ranking, same probabilities."""
    question = world.question(PlacementRequest(HERO, count=count), decision_id=DecisionId(f"{number:026}"))
    shadow = ask(question).shadows[HERO]
    draw = draw_from("salt", question.decision_id)
    alone = decide(
        question,
        FAN,
        bundle=shop(arm=CHALLENGER, learning="online", challenger=None),
        score=world.score,
        draw=lambda name, slot: draw(type(name)(f"{name}\0shadow"), slot),
        now_ms=NOW_MS,
    ).decision.placements[HERO]
    assert shadow.items == tuple(item.id for item in alone.items)
    assert shadow.propensities == tuple(item.propensity for item in alone.items)
    assert shadow.scores == tuple(item.score for item in alone.items)
    assert shadow.reason is alone.reason


def test_the_answer_is_the_same_as_without_a_challenger() -> None:
    question = world.question(PlacementRequest(HERO, count=3), LIST)
    without = ask(question, bundle=shop(learning="online", challenger=None))
    beside = ask(question)
    assert beside.decision.placements == without.decision.placements
    assert without.shadows == {}


def test_where_both_agree_the_product_is_the_probability_of_what_was_shown() -> None:
    arms = {CHAMPION: ARMS[CHAMPION], CHALLENGER: Arm(ByAttribute("popularity"), SquareCB(2.0, 0.1))}
    shadow = ask(world.question(PlacementRequest(HERO, count=3)), bundle=shop(arms=arms)).shadows[HERO]
    served = decide(
        world.question(PlacementRequest(HERO, count=3)),
        FAN,
        bundle=shop(arms=arms, arm=CHALLENGER, learning="online", challenger=None),
        score=world.score,
        draw=lambda _name, _slot: 0.1,
        now_ms=NOW_MS,
    ).decision.placements[HERO]
    assert [item.id for item in served.items] == ["film-0", "film-1", "film-2"]
    assert math.prod(shadow.agreements) == pytest.approx(served.joint_propensity)


def test_nothing_is_a_choice_of_a_challenger_as_well() -> None:
    arms = {CHAMPION: ARMS[CHAMPION], CHALLENGER: Arm(ByModel(world.RANKER), nothing=Nothing(99.0))}
    shadow = ask(world.question(), bundle=shop(arms=arms, may_be_empty=True)).shadows[HERO]
    assert (shadow.items, shadow.scores, shadow.propensities, shadow.agreements) == (("",), (99.0,), (1.0,), (0.0,))


def test_a_champion_that_lives_in_the_page_can_have_a_challenger() -> None:
    arms = {**ARMS, ArmName("page"): Arm(External())}
    outcome = ask(world.question(PlacementRequest(HERO, count=2)), bundle=shop(arms=arms, arm=ArmName("page")))
    shadow = outcome.shadows[HERO]
    assert outcome.decision.placements[HERO].items == ()
    assert (len(shadow.items), shadow.agreements) == (2, ())


def explode(_model: ModelName, _matrix: world.Matrix) -> world.Matrix:
    raise RuntimeError("the challenger's model is gone")


def test_a_challenger_that_fails_costs_nobody_anything() -> None:
    question = world.question(PlacementRequest(HERO, count=2))
    failed, sound = ask(question, score=explode), ask(question)
    assert failed.shadows == {HERO: Shadow(CHALLENGER, Reason.FALLBACK_SCORER)}
    assert canonical_bytes(failed.decision) == canonical_bytes(sound.decision)
    assert failed.degradation is Degradation.NONE


def test_where_no_time_is_left_it_is_not_asked() -> None:
    looks = iter([False] * 1 + [True] * 9)
    outcome = ask(world.question(), score=explode, is_late=lambda: next(looks))
    assert outcome.shadows == {HERO: Shadow(CHALLENGER, Reason.FALLBACK_DEADLINE)}
    assert outcome.decision.placements[HERO].reason is Reason.RULE


@pytest.mark.parametrize(
    ("degradation", "reason"),
    [
        (Degradation.SCORER, Reason.FALLBACK_SCORER),
        (Degradation.DEADLINE, Reason.FALLBACK_DEADLINE),
        (Degradation.UNRANKED, Reason.FALLBACK_OVERLOAD),
    ],
)
def test_what_the_answer_went_without_a_challenger_is_not_asked_for(degradation: Degradation, reason: Reason) -> None:
    outcome = ask(world.question(degradation=degradation), score=explode)
    assert outcome.shadows == {HERO: Shadow(CHALLENGER, reason)}


@pytest.mark.parametrize("question", [{"grants": NOTHING}, {"dial": 0}, {"force": {HERO: "champion"}}])
def test_who_is_not_learned_from_has_no_shadow(question: dict[str, Any]) -> None:
    assert ask(world.question(**question), score=explode).shadows == {}


# --- what a first model can learn from -------------------------------------------------------------------------------
@pytest.mark.parametrize("changes", [{}, {"learning": "logging-only", "challenger": None}])
def test_features_of_what_a_rule_showed_are_logged_where_they_are_to_be_learned_from(changes: dict[str, Any]) -> None:
    arms = {CHAMPION: ARMS[CHAMPION], CHALLENGER: Arm(ByAttribute("price"))}
    outcome = ask(world.question(PlacementRequest(HERO, count=3)), bundle=shop(**changes, arms=arms))
    by_model = ask(
        world.question(PlacementRequest(HERO, count=3), force={HERO: "challenger"}),
        bundle=shop(arm=CHAMPION, learning="online", challenger=None),
    )
    rows, whole = outcome.shown[HERO], outcome.matrices[HERO]
    assert rows.items == tuple(item.id for item in outcome.decision.placements[HERO].items)
    assert whole == by_model.matrices[HERO], "what a model would have seen"
    assert matrix(rows).tobytes() == matrix(whole)[:3].tobytes()
    assert ask(world.question(grants=NOTHING), bundle=shop(**changes, arms=arms)).shown == {}
    assert ask(world.question(LIST)).shown == {}


def matrix(rows: FeatureRows) -> world.Matrix:
    return np.frombuffer(rows.data, "<f4").reshape(len(rows.items), -1)


def test_where_one_only_logs_nothing_is_explored() -> None:
    """Sites and bundles that say otherwise are refused; the engine keeps to it all the same."""
    bundle = shop()
    catalogued = bundle.placements[HERO]
    arms = {CHAMPION: Arm(ByAttribute("popularity"), EpsilonGreedy(1.0))}
    catalogued.placement = msgspec.structs.replace(catalogued.placement, learning="logging-only", arms=arms)
    placed = ask(world.question(PlacementRequest(HERO, count=4)), bundle=bundle).decision.placements[HERO]
    assert {item.reason for item in placed.items} == {Reason.RULE}
