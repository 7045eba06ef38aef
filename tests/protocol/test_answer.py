"""From scores to what is shown: nothing, diversity, the budget, and propensities that are true through the engine."""

from __future__ import annotations

import functools
import hashlib
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import world
from numpy.typing import NDArray
from propensity_law import assert_frequencies_are_the_propensities
from world import CHALLENGER, CHAMPION, HERO, NOW_MS

from edgewise.admission.load import Bundle, load_bundle
from edgewise.answer import choice_of
from edgewise.bundle.exploration import EpsilonGreedy, Exploration, Greedy, Softmax, SquareCB, Thompson
from edgewise.bundle.golden import Golden, encode_golden, golden_rows, unpack
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, Cap, Diversity, Nothing, Policy, encode_policy
from edgewise.consent import NOTHING as NO_GRANTS
from edgewise.decide import Outcome, decide
from edgewise.decision import NOTHING as NO_ITEM
from edgewise.decision import ChosenNothing, PlacementDecision
from edgewise.draws import draw_from
from edgewise.entry import Asked, compete, enter
from edgewise.errors import BundleRefused
from edgewise.explain import why_nothing
from edgewise.ids import DecisionId, ItemId, ModelName
from edgewise.policy import NOBODY, NOTHING, pmf, slates
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.ranking import Ranked, rank
from edgewise.reasons import Degradation, Reason
from edgewise.request import PlacementRequest
from edgewise.scores import Score

MANY = PlacementRequest(HERO, count=6)


def shop(exploration: Exploration | None = None, nothing: float | None = None, **changes: Any) -> Bundle:
    """The hero by the model: scores are popularity / 1000, from .1 down to .077, for whoever comes new."""
    known = world.placement(exploration, arm=CHALLENGER)
    arm = known.arms[CHALLENGER]
    if nothing is not None:
        arm, changes = msgspec.structs.replace(arm, nothing=Nothing(nothing)), {"may_be_empty": True, **changes}
    arms = {**known.arms, CHALLENGER: arm}
    return world.bundle(policy=world.policy({HERO: world.placement(**{"arm": CHALLENGER, "arms": arms, **changes})}))


def ask(
    bundle: Bundle,
    question: Question | None = None,
    profile: Profile | None = None,
    draw: Callable[[str, int], float] | None = None,
    score: Score = world.score,
) -> Outcome:
    question = question or world.question(MANY)
    return decide(
        question,
        Profile() if profile is None else profile,
        bundle=bundle,
        score=score,
        draw=draw or draw_from("salt", question.decision_id),
        now_ms=NOW_MS,
    )


def hero(outcome: Outcome) -> PlacementDecision:
    return outcome.decision.placements[HERO]


# --- nothing ---------------------------------------------------------------------------------------------------------
def test_a_slate_ends_where_nothing_is_worth_more_than_every_item_that_is_left() -> None:
    placed = hero(ask(shop(nothing=0.0975)))
    assert [item.id for item in placed.items] == ["film-0", "film-1", "film-2"]
    assert placed.nothing == ChosenNothing(rank=4, reason=Reason.MODEL, score=0.0975, propensity=1.0)
    assert placed.reason is Reason.MODEL
    assert placed.joint_propensity == 1


def test_a_whole_placement_may_stay_empty_and_is_learned_from() -> None:
    outcome = ask(shop(nothing=5.0), world.question(MANY, explain=True))
    placed = hero(outcome)
    assert placed.items == ()
    assert isinstance(placed.nothing, ChosenNothing)
    assert (placed.nothing.rank, placed.nothing.propensity) == (1, 1.0)
    assert placed.nothing.why == why_nothing(Reason.MODEL)
    assert outcome.shown == {}
    assert outcome.matrices[HERO].items == tuple(world.FILMS)


def test_an_item_that_is_worth_as_much_comes_first() -> None:
    bundle = shop(nothing=100.0, arm=CHAMPION, arms={CHAMPION: Arm(ByAttribute("popularity"), nothing=Nothing(99.0))})
    placed = hero(ask(bundle))
    assert [item.id for item in placed.items] == ["film-0", "film-1"]


def test_leaving_a_space_empty_to_learn_is_an_exploration_and_its_propensity_is_logged() -> None:
    bundle = shop(EpsilonGreedy(0.25), nothing=-1.0)
    placed = hero(ask(bundle, world.question(MANY, explain=True), draw=lambda _name, slot: (0.0, 1 - 1e-9)[slot]))
    assert [item.id for item in placed.items] == ["film-0"]
    assert isinstance(placed.nothing, ChosenNothing)
    assert placed.nothing.reason is placed.reason is Reason.EXPLORE
    assert placed.items[0].reason is Reason.MODEL
    assert placed.nothing.propensity == pytest.approx(0.25 / 24)
    assert placed.joint_propensity == pytest.approx((0.75 + 0.25 / 25) * 0.25 / 24)
    assert placed.nothing.why == why_nothing(Reason.EXPLORE)


@pytest.mark.parametrize("degradation", [Degradation.UNRANKED, Degradation.SCORER, Degradation.OVERLOAD])
def test_what_falls_back_is_never_left_empty(degradation: Degradation) -> None:
    placed = hero(ask(shop(nothing=50.0), world.question(MANY, degradation=degradation)))
    assert placed.items
    assert placed.nothing is msgspec.UNSET


def test_a_placement_that_says_nothing_of_it_is_never_empty() -> None:
    assert b"nothing" not in msgspec.json.encode(ask(shop(SquareCB(9.0))).decision)


# --- diversity -------------------------------------------------------------------------------------------------------
def categories(placed: PlacementDecision) -> Counter[str]:
    return Counter(genre for item in placed.items for genre in world.genres_of(int(item.id.removeprefix("film-"))))


def test_of_one_kind_there_are_at_most_so_many() -> None:
    bundle = shop(diversity=Diversity("category", 2))
    placed = hero(ask(bundle, world.question(PlacementRequest(HERO, count=24))))
    assert max(categories(placed).values()) == 2
    assert all(item.propensity == 1 and item.reason is Reason.MODEL for item in placed.items)
    exploring = shop(EpsilonGreedy(1.0), diversity=Diversity("category", 1))
    for number in range(30):
        question = world.question(PlacementRequest(HERO, count=24), decision_id=DecisionId(f"{number:026}"))
        assert max(categories(hero(ask(exploring, question))).values()) == 1


def test_a_lone_attribute_nobody_has_limits_nothing() -> None:
    placed = hero(ask(shop(diversity=Diversity("director"))))
    assert len(placed.items) == 6


# --- the budget, and what is never explored --------------------------------------------------------------------------
def test_without_a_budget_for_it_nothing_is_drawn() -> None:
    def forbidden(placement: str, slot: int) -> float:
        raise AssertionError(f"{placement} drew for slot {slot}")

    for changes in ({"exploration_budget": 0.0}, {"safe": True}):
        placed = hero(ask(shop(Softmax(10.0), **changes), draw=forbidden))
        assert [item.id for item in placed.items] == list(world.FILMS[:6])


@pytest.mark.parametrize("refused", [{"grants": NO_GRANTS}, {"dial": 0}])
def test_who_did_not_agree_is_not_explored_on(refused: dict[str, Any]) -> None:
    bundle = shop(
        EpsilonGreedy(1.0),
        arms={name: Arm(ByAttribute("popularity"), EpsilonGreedy(1.0)) for name in (CHAMPION, CHALLENGER)},
    )
    placed = hero(ask(bundle, world.question(MANY, **refused)))
    assert {item.propensity for item in placed.items} == {1.0}


# --- the law ----------------------------------------------------------------------------------------------------------
LIMITED: dict[str, Any] = {
    "diversity": Diversity("category", 1),
    "exploration_budget": 0.5,
    "cap": Cap(impressions=2, days=1),
    "count": 2,
}
VISITS: dict[str, dict[str, Any]] = {
    "everything": {},
    "muted": {"mute": {"categories": ("drama",)}},
    "this session": {"dial": 2},
}


def frequencies(exploration: Exploration, visit: dict[str, Any], draws: int) -> None:
    """Slates of 2 of eight films through the engine, or nothing; conditional frequencies against what was logged.

    Hoeffding, with at most 10 + 90 histories and nine settings: it fails with a probability below 1e-9 in all.
    """
    bundle = shop(exploration, nothing=0.0945, **LIMITED)
    visitor = world.shown(world.profile(["film-5"]), "film-2", 2)
    request = PlacementRequest(HERO, count=2, exclude=list(world.FILMS[10:]))
    confidence = math.log(2 * 100 * 9 / 1e-9) / 2
    seen, logged = Counter[tuple[str, ...]](), dict[tuple[str, ...], float]()
    explored = 0
    for number in range(draws):
        question = world.question(request, decision_id=DecisionId(f"{number:026}"), **visit)
        placed = hero(ask(bundle, question, visitor))
        chosen: list[tuple[str, float]] = [(item.id, item.propensity) for item in placed.items]
        if isinstance(placed.nothing, ChosenNothing):
            chosen.append(("", placed.nothing.propensity))
        history: tuple[str, ...] = ()
        for item, propensity in chosen:
            history = (*history, item)
            seen[history] += 1
            assert logged.setdefault(history, propensity) == propensity
        explored += placed.reason is Reason.EXPLORE
    for history, count in seen.items():
        before = seen[history[:-1]] if len(history) > 1 else draws
        assert abs(count / before - logged[history]) <= math.sqrt(confidence / before), history
    assert not any("film-2" in history for history in seen), "the cap holds before the draw"
    assert len({history[0] for history in seen}) > 2
    assert 0 < explored < draws


@pytest.mark.parametrize("visit", VISITS)
@pytest.mark.parametrize("exploration", [SquareCB(60.0, 0.1)])
def test_the_frequency_through_the_engine_is_the_logged_propensity(exploration: Exploration, visit: str) -> None:
    frequencies(exploration, VISITS[visit], 400)


@functools.cache
def hashed(draws: int) -> NDArray[np.float64]:
    """What decisions of these numbers draw for their first two slots: float64 (draws, 2)."""
    made = (draw_from("salt", DecisionId(f"{number:026}")) for number in range(draws))
    return np.array([(draw(HERO, 0), draw(HERO, 1)) for draw in made])


@pytest.mark.parametrize(
    ("exploration", "visit"),
    [
        (Greedy(), "everything"),
        (EpsilonGreedy(0.3), "everything"),
        (SquareCB(60.0, 0.1), "muted"),
        (Softmax(0.02, 0.05), "this session"),
        (Thompson(), "everything"),
        (Thompson(0.5, 0.1), "muted"),
    ],
)
def test_over_a_hundred_thousand_decisions_the_frequency_is_the_logged_propensity(
    exploration: Exploration, visit: str
) -> None:
    """With the draws that these decisions hash, and with the engine itself where it is asked: every 500th."""
    bundle, visitor = uncertain(by(exploration, 0.0945, **LIMITED)), world.shown(world.profile(["film-5"]), "film-2", 2)
    request = PlacementRequest(HERO, count=2, exclude=list(world.FILMS[10:]))
    asked = Asked(world.question(request, **VISITS[visit]), visitor, bundle, NOW_MS, score=unsure)
    entry = enter(request, asked)
    fields, _ = compete([entry], asked)
    (ranked,), _ = rank([entry], fields, asked, unsure, degradation=Degradation.NONE)
    assert isinstance(ranked, Ranked)
    choice = choice_of(entry, fields[0], ranked)
    uniforms = hashed(100_000)
    drawn = slates(ranked.scores, 2, choice.exploration, uniforms, errors=ranked.errors, limits=choice.limits)
    assert_frequencies_are_the_propensities(drawn, budget=LIMITED["exploration_budget"], settings=6)
    items = ranked.features.ids(ranked.rows)
    for number in range(0, 100_000, 500):
        question = world.question(request, decision_id=DecisionId(f"{number:026}"), **VISITS[visit])
        placed = hero(ask(bundle, question, visitor, score=unsure))
        told = [(item.id, item.propensity, item.reason is not Reason.EXPLORE) for item in placed.items]
        if isinstance(placed.nothing, ChosenNothing):
            told.append((NO_ITEM, placed.nothing.propensity, placed.nothing.reason is not Reason.EXPLORE))
        rows = zip(*(column[number].tolist() for column in drawn), strict=True)
        expected = [
            (NO_ITEM if place == NOTHING else items[place], propensity, bool(is_greedy))
            for place, propensity, is_greedy in rows
            if place != NOBODY
        ]
        assert told == expected


@pytest.mark.parametrize("exploration", [EpsilonGreedy(0.3), SquareCB(60.0, 0.1), Softmax(0.02, 0.05), None])
def test_another_can_ask_with_which_probability_this_would_have_been_shown(exploration: Exploration | None) -> None:
    bundle = shop(exploration, nothing=0.0945, **LIMITED)
    for number in range(20):
        outcome = ask(bundle, world.question(PlacementRequest(HERO, count=3), decision_id=DecisionId(f"{number:026}")))
        placed = hero(outcome)
        items, propensities = [item.id for item in placed.items], [item.propensity for item in placed.items]
        if isinstance(placed.nothing, ChosenNothing):
            items, propensities = [*items, NO_ITEM], [*propensities, placed.nothing.propensity]
        assert outcome.propensities_of(HERO, items) == propensities
        assert outcome.propensities_of(HERO, [ItemId("a stranger"), *items[1:]])[0] == 0


def test_what_was_fallen_back_to_had_no_alternative() -> None:
    outcome = ask(shop(), world.question(PlacementRequest(HERO, count=2), degradation=Degradation.OVERLOAD))
    first, second = (item.id for item in hero(outcome).items)
    assert outcome.propensities_of(HERO, [first, second]) == [1.0, 1.0]
    assert outcome.propensities_of(HERO, [second, second, first]) == [0.0, 1.0, 0.0]


# --- a model that knows how sure it is --------------------------------------------------------------------------------
def unsure(_model: ModelName, matrix: world.Matrix) -> world.Matrix:
    """Scores as ever, with a standard error of a fiftieth."""
    return np.stack([world.score(_model, matrix), np.full(len(matrix), 0.02, np.float32)], axis=1)


def uncertain(policy: Policy) -> Bundle:
    matrix, _ = unpack(world.golden().models[world.RANKER])
    golden = Golden({world.RANKER: golden_rows(matrix, unsure(world.RANKER, matrix).astype(np.float64))})
    files = world.resources(policy=encode_policy(policy), golden=encode_golden(golden))
    names = world.bundle().features.names
    made = world.manifest(files, models={world.RANKER: ModelEntry("models/ranker.onnx", names, uncertain=True)})
    return load_bundle(made, hashlib.sha256(b"uncertain").hexdigest(), files)


def by(exploration: Exploration, nothing: float = -9.0, **changes: Any) -> Policy:
    arm = Arm(ByModel(world.RANKER), exploration, nothing=Nothing(nothing))
    arms = {CHAMPION: Arm(ByAttribute("popularity")), CHALLENGER: arm}
    return world.policy({HERO: world.placement(**{"arm": CHALLENGER, "arms": arms, "may_be_empty": True, **changes})})


def test_thompson_draws_by_the_probability_of_being_the_best() -> None:
    bundle, question = uncertain(by(Thompson())), world.question(PlacementRequest(HERO, count=3))
    scores = 0.1 - np.arange(24) / 1_000
    expected = pmf(scores, Thompson(), errors=np.full(24, 0.02))
    seen = set()
    for number in range(40):
        asked = msgspec.structs.replace(question, decision_id=DecisionId(f"{number:026}"))
        first = hero(ask(bundle, asked, score=unsure)).items[0]
        seen.add(first.id)
        assert first.propensity == pytest.approx(expected[world.FILMS.index(first.id)], rel=1e-3)
        assert first.reason is (Reason.MODEL if first.id == "film-0" else Reason.EXPLORE)
    assert len(seen) > 4


def test_a_model_that_is_sure_is_followed() -> None:
    def sure(model: ModelName, matrix: world.Matrix) -> world.Matrix:
        said = unsure(model, matrix)
        said[:, 1] = 0.0
        return said

    placed = hero(ask(uncertain(by(Thompson())), score=sure))
    assert [(item.id, item.propensity) for item in placed.items] == [(film, 1.0) for film in world.FILMS[:6]]


@pytest.mark.parametrize("flaw", ["no errors", "negative", "not finite", "three columns"])
def test_standard_errors_that_are_none_degrade_the_answer(flaw: str) -> None:
    def wrong(model: ModelName, matrix: world.Matrix) -> world.Matrix:
        said = unsure(model, matrix)
        match flaw:
            case "no errors":
                return said[:, 0]
            case "negative":
                return said * np.float32(-1)
            case "not finite":
                return np.where([False, True], np.float32(np.inf), said)
            case _:
                return np.concatenate([said, said[:, :1]], axis=1)

    assert hero(ask(uncertain(by(Thompson())), score=wrong)).reason is Reason.FALLBACK_SCORER


def test_thompson_over_scores_without_errors_is_no_bundle() -> None:
    with pytest.raises(BundleRefused, match="without a standard error"):
        world.bundle(policy=by(Thompson()))
