"""The engine, stage by stage and as a whole: reasons, consent, degradation, what is logged, and that it is pure."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import strategies_features as some
import world
from hypothesis import given
from hypothesis import strategies as st
from world import CHALLENGER, CHAMPION, FILMS, HERO, LIST, NOW_MS

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.exploration import EpsilonGreedy, SquareCB
from edgewise.bundle.golden import Golden, encode_golden
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, Cap, Compare, encode_policy
from edgewise.consent import NOTHING, Grants
from edgewise.decide import Outcome, UnknownPlacement, decide
from edgewise.decision import PlacementDecision, canonical_bytes
from edgewise.draws import draw_from
from edgewise.errors import InputError
from edgewise.ids import ArmName, DecisionId, ItemId, ModelName, PlacementName
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.records import FeatureRows
from edgewise.request import Candidate, Context, PlacementRequest

BUNDLE = world.bundle()
BY_MODEL = {"home_hero": "challenger"}
OTHER_MODEL = ModelName("other")
THIRD = PlacementName("third")


def ask(
    question: Question,
    profile: Profile | None = None,
    *,
    bundle: Bundle = BUNDLE,
    score: Callable[[ModelName, world.Matrix], Any] = world.score,
    draw: Callable[[PlacementName, int], float] | None = None,
    **changes: Any,
) -> Outcome:
    return decide(
        question,
        Profile() if profile is None else profile,
        bundle=bundle,
        score=score,
        draw=draw or draw_from(bundle.policy.site.salt, question.decision_id),
        now_ms=NOW_MS,
        **changes,
    )


def hero(outcome: Outcome) -> PlacementDecision:
    return outcome.decision.placements[HERO]


def ids(placement: PlacementDecision) -> list[str]:
    return [item.id for item in placement.items]


def with_hero(**changes: Any) -> Bundle:
    return world.bundle(policy=world.policy({HERO: world.placement(**changes)}))


def explode(_model: ModelName, _matrix: world.Matrix) -> world.Matrix:
    raise RuntimeError("the model is gone")


def forbidden(placement: PlacementName, slot: int) -> float:
    raise AssertionError(f"{placement} drew for slot {slot}")


# --- rule and model --------------------------------------------------------------------------------------------------
def test_the_champion_ranks_by_rule() -> None:
    placement = hero(ask(world.question(force={HERO: "champion"})))
    assert ids(placement) == ["film-0"]
    assert placement.reason is placement.items[0].reason is Reason.RULE
    assert placement.policy == CHAMPION
    assert placement.items[0].score == 100
    assert placement.items[0].propensity == 1


def test_the_challenger_follows_what_was_looked_at() -> None:
    before = hero(ask(world.question(force=BY_MODEL)))
    after = hero(ask(world.question(force=BY_MODEL), world.profile(["film-13"])))
    assert before.reason is after.reason is Reason.MODEL
    assert ids(before) == ["film-0"]
    assert ids(after) == ["film-12"]
    assert after.items[0].content_digest == BUNDLE.items.items[12].approved_sha256


def test_ranks_count_from_one_and_scores_are_the_models() -> None:
    outcome = ask(world.question(PlacementRequest(HERO, count=4), force=BY_MODEL), world.profile(["film-3"]))
    items = hero(outcome).items
    assert [item.rank for item in items] == [1, 2, 3, 4]
    rows = outcome.shown[HERO]
    matrix = np.frombuffer(rows.data, "<f4").reshape(4, -1)
    assert [item.score for item in items] == world.score(world.RANKER, matrix).tolist()


def test_a_hundred_items_are_no_more_than_there_are() -> None:
    assert len(hero(ask(world.question(PlacementRequest(HERO, count=100)))).items) == len(FILMS)


# --- assignment ------------------------------------------------------------------------------------------------------
def test_an_experiment_is_reported() -> None:
    arms = {}
    for unit in ("a", "b", "c", "d", "e", "f"):
        placement = hero(ask(world.question(unit=unit)))
        assert placement.experiment is not None
        assert placement.experiment.arm == placement.policy
        assert not placement.experiment.forced
        arms[placement.policy] = placement.reason
    assert arms == {CHAMPION: Reason.RULE, CHALLENGER: Reason.MODEL}


def test_a_forced_arm_says_that_it_was_forced() -> None:
    placement = hero(ask(world.question(force=BY_MODEL)))
    assert placement.experiment is not None
    assert placement.experiment.forced


@pytest.mark.parametrize("refused", [{"grants": NOTHING}, {"dial": 0}, {"grants": Grants(analytics=True)}])
def test_who_did_not_agree_is_answered_by_the_page_alone(refused: dict[str, Any]) -> None:
    """Neither the profile, nor the force of an operator, nor the model, nor chance have a say."""
    visitor = world.shown(world.profile(["film-0", "film-13"]), "film-0", 9)
    question = world.question(HERO, LIST, force={**BY_MODEL, LIST: "challenger"}, **refused)
    outcome = ask(question, visitor, score=explode, draw=forbidden)
    for placement in outcome.decision.placements.values():
        assert placement.reason is Reason.OPTED_OUT
        assert {item.reason for item in placement.items} == {Reason.OPTED_OUT}
        assert {item.propensity for item in placement.items} == {1.0}
        assert placement.experiment is None
    assert ids(hero(outcome)) == ["film-0"]
    assert outcome.shown == outcome.matrices == {}
    assert outcome.impressions == ()
    assert canonical_bytes(outcome.decision) == canonical_bytes(ask(question, Profile()).decision)


def test_the_holdout_is_never_personalised_and_says_so() -> None:
    bundle = world.bundle(policy=world.policy(holdout=1.0))
    outcome = ask(world.question(HERO, LIST), world.profile(["film-13"]), bundle=bundle, score=explode)
    for placement in outcome.decision.placements.values():
        assert placement.reason is Reason.HOLDOUT
        assert placement.experiment is None
        assert placement.items[0].id == "film-0"
    assert outcome.degradation is Degradation.NONE


def test_the_dial_limits_what_the_model_sees() -> None:
    visitor = world.profile(["film-3", "film-13"], gap_ms=3_600_000)

    def columns(dial: int) -> dict[str, float]:
        outcome = ask(world.question(force=BY_MODEL, dial=dial), visitor)
        rows = outcome.matrices[HERO]
        first = np.frombuffer(rows.data, "<f4")[: len(rows.names)]
        return dict(zip(rows.names, first.tolist(), strict=True))

    assert columns(3)["history_length"] == 2
    assert columns(3)["views_7d"] == 2
    assert columns(2)["history_length"] == 1, "only this session"
    assert columns(2)["views_7d"] == 0
    assert columns(1)["history_length"] == 0, "only this page"
    assert columns(1)["is_mobile"] == 1


# --- exploration -----------------------------------------------------------------------------------------------------
def test_what_is_not_greedy_is_explored_and_says_so() -> None:
    bundle = with_hero(exploration=EpsilonGreedy(0.5), count=2)
    question = world.question(force=BY_MODEL)
    greedy = hero(ask(question, bundle=bundle, draw=lambda _placement, _slot: 0.0))
    assert [item.reason for item in greedy.items] == [Reason.MODEL, Reason.MODEL]
    assert greedy.reason is Reason.MODEL
    explored = hero(ask(question, bundle=bundle, draw=lambda _placement, slot: 0.0 if slot == 0 else 1 - 1e-9))
    assert [item.reason for item in explored.items] == [Reason.MODEL, Reason.EXPLORE]
    assert ids(explored) == ["film-0", "film-23"]
    assert explored.items[1].propensity == pytest.approx(0.5 / 23)
    assert explored.reason is Reason.EXPLORE


@given(st.integers(0, 2**64 - 1), st.sampled_from(["champion", "challenger"]))
def test_an_item_is_explored_if_and_only_if_it_is_not_the_best_of_its_slot(number: int, arm: str) -> None:
    bundle = EXPLORING
    question = world.question(HERO, decision_id=DecisionId(f"{number:026}"), force={HERO: arm})
    outcome = ask(question, world.profile(["film-5", "film-9"]), bundle=bundle)
    if arm == "challenger":
        rows = outcome.matrices[HERO]
        matrix = np.frombuffer(rows.data, "<f4").reshape(len(rows.items), -1)
        left = dict(zip(rows.items, world.score(world.RANKER, matrix).tolist(), strict=True))
    else:
        left = {film: float(100 - place) for place, film in enumerate(FILMS)}
    for item in hero(outcome).items:
        best = max(left, key=lambda film: (left[film], -FILMS.index(film)))
        assert (item.reason is Reason.EXPLORE) is (item.id != best)
        del left[item.id]


EXPLORING = with_hero(exploration=SquareCB(0.2, 0.3), count=5)


def test_a_safe_placement_is_never_explored_on() -> None:
    bundle = with_hero(exploration=EpsilonGreedy(1.0), safe=True, count=3)
    placement = hero(ask(world.question(force=BY_MODEL), bundle=bundle, draw=forbidden))
    assert [item.reason for item in placement.items] == [Reason.MODEL] * 3


# --- candidates of the caller ----------------------------------------------------------------------------------------
def test_the_caller_may_bring_its_own_items() -> None:
    brought = [
        Candidate(ItemId("article-1"), {"popularity": 1}),
        Candidate(ItemId("article-2"), {"popularity": 9, "category": ["drama"]}),
        Candidate(ItemId("article-1"), {"popularity": 99}),
    ]
    for arm, reason in (("champion", Reason.RULE), ("challenger", Reason.MODEL)):
        request = PlacementRequest(HERO, count=5, candidates=brought)
        placement = hero(ask(world.question(request, force={HERO: arm}), world.profile(["film-0"])))
        assert ids(placement) == ["article-2", "article-1"], "an id counts once"
        assert placement.reason is reason
        assert [item.content_digest for item in placement.items] == ["", ""]


def test_what_the_caller_brings_needs_no_approval_but_keeps_the_visitors_will() -> None:
    unapproved = [msgspec.structs.replace(world.item(number), approved_sha256=None) for number in range(24)]
    bundle = world.bundle(catalogue=world.catalogue(unapproved))
    brought = [Candidate(film) for film in FILMS[:4]]
    request = PlacementRequest(HERO, count=5, candidates=brought, exclude=[FILMS[1]])
    outcome = ask(world.question(request, mute={"items": ("film-0",)}), bundle=bundle)
    assert sorted(ids(hero(outcome))) == ["film-2", "film-3"]


def test_an_empty_list_of_candidates_is_no_candidate() -> None:
    placement = hero(ask(world.question(PlacementRequest(HERO, candidates=[]))))
    assert placement.reason is Reason.FALLBACK_NO_CANDIDATE
    assert ids(placement) == ["film-20"]


# --- degradation -----------------------------------------------------------------------------------------------------
def nan_scores(_model: ModelName, matrix: world.Matrix) -> world.Matrix:
    return np.full(len(matrix), np.nan, np.float32)


BAD_SCORES: dict[str, Callable[[ModelName, world.Matrix], Any]] = {
    "raises": explode,
    "nan": nan_scores,
    "infinite": lambda _model, matrix: np.full(len(matrix), np.inf, np.float32),
    "one too few": lambda _model, matrix: np.zeros(len(matrix) - 1, np.float32),
    "a column": lambda _model, matrix: np.zeros((len(matrix), 1), np.float32),
    "a number": lambda _model, _matrix: 0.5,
    "nothing": lambda _model, _matrix: None,
    "text": lambda _model, matrix: ["high"] * len(matrix),
}


@pytest.mark.parametrize("flaw", BAD_SCORES)
def test_a_model_that_does_not_answer_degrades_and_nothing_else(flaw: str) -> None:
    outcome = ask(world.question(HERO, LIST, force={HERO: "champion"}), score=BAD_SCORES[flaw])
    assert hero(outcome).reason is Reason.RULE
    listed = outcome.decision.placements[LIST]
    assert listed.reason is Reason.FALLBACK_SCORER
    assert ids(listed) == ["film-20", "film-21", "film-22"]
    assert [(item.propensity, item.score, item.reason) for item in listed.items] == [
        (1.0, 0.0, Reason.FALLBACK_SCORER)
    ] * 3
    assert listed.items[0].content_digest == BUNDLE.items.items[20].approved_sha256
    assert outcome.shown == outcome.matrices == {}


def test_a_failed_model_can_be_replayed_without_it() -> None:
    question = world.question(HERO, LIST, force=BY_MODEL)
    visitor = world.profile(["film-3"])
    live = ask(question, visitor, score=explode)
    assert live.degradation is Degradation.SCORER
    replayed = ask(msgspec.structs.replace(question, degradation=live.degradation), visitor, score=world.score)
    assert canonical_bytes(replayed.decision) == canonical_bytes(live.decision)


def test_one_failed_model_degrades_every_model_so_that_a_word_describes_it() -> None:
    bundle = two_models()
    calls: list[ModelName] = []

    def score(model: ModelName, matrix: world.Matrix) -> world.Matrix:
        calls.append(model)
        if model == OTHER_MODEL:
            raise RuntimeError
        return world.score(model, matrix)

    outcome = ask(world.question(HERO, LIST), bundle=bundle, score=score)
    assert set(calls) == {world.RANKER, OTHER_MODEL}
    assert {placement.reason for placement in outcome.decision.placements.values()} == {Reason.FALLBACK_SCORER}


def two_models() -> Bundle:
    """The hero by one model, the list by another, a third placement by rule."""
    policy = world.policy(
        {
            HERO: world.placement(arm=CHALLENGER),
            LIST: world.placement(
                arm=CHALLENGER, arms={CHAMPION: Arm(ByAttribute("popularity")), CHALLENGER: Arm(ByModel(OTHER_MODEL))}
            ),
            THIRD: world.placement(),
        }
    )
    policy = msgspec.structs.replace(policy, experiments={})
    rows = world.golden().models[world.RANKER]
    files = world.resources(
        policy=encode_policy(policy), golden=encode_golden(Golden({world.RANKER: rows, OTHER_MODEL: rows}))
    )
    entry = ModelEntry("models/ranker.onnx", BUNDLE.features.names)
    manifest = world.manifest(files, models={world.RANKER: entry, OTHER_MODEL: entry})
    return load_bundle(manifest, hashlib.sha256(b"two").hexdigest(), files)


@pytest.mark.parametrize(
    ("degradation", "reason"),
    [(Degradation.DEADLINE, Reason.FALLBACK_DEADLINE), (Degradation.OVERLOAD, Reason.FALLBACK_OVERLOAD)],
)
def test_short_time_and_high_load_show_the_fallback(degradation: Degradation, reason: Reason) -> None:
    outcome = ask(
        world.question(HERO, LIST, degradation=degradation, mute={"items": ("film-20",)}), score=explode, draw=forbidden
    )
    for placement in outcome.decision.placements.values():
        assert placement.reason is reason
    assert ids(hero(outcome)) == ["film-21"], "consent and mutes are never shed"
    assert outcome.degradation is degradation


class Running:
    """Time that runs out at a certain look at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", range(6))
def test_what_time_did_not_suffice_for_falls_back_and_is_replayed_to_the_byte(looks: int) -> None:
    bundle = two_models()
    question = world.question(HERO, LIST, THIRD)
    profile, time = world.profile(["film-13", "film-2"]), Running(looks)
    outcome = ask(question, profile, bundle=bundle, is_late=time)
    reasons = {name: placed.reason for name, placed in outcome.decision.placements.items()}
    # A look before each of three placements, and one before each of two models.
    if looks < 3:
        assert outcome.degradation is Degradation.DEADLINE
        assert set(reasons.values()) == {Reason.FALLBACK_DEADLINE}
    elif looks < 5:
        assert outcome.degradation is Degradation.DEADLINE_SCORING
        assert reasons == {HERO: Reason.FALLBACK_DEADLINE, LIST: Reason.FALLBACK_DEADLINE, THIRD: Reason.RULE}
        assert set(outcome.shown) == set()
    else:
        assert outcome.degradation is Degradation.NONE
        assert reasons == {HERO: Reason.MODEL, LIST: Reason.MODEL, THIRD: Reason.RULE}
    again = ask(msgspec.structs.replace(question, degradation=outcome.degradation), profile, bundle=bundle)
    assert canonical_bytes(again.decision) == canonical_bytes(outcome.decision)
    assert (again.shown, again.matrices, again.impressions) == (outcome.shown, outcome.matrices, outcome.impressions)
    assert again.degradation is outcome.degradation


@pytest.mark.parametrize("looks", range(4))
def test_slow_rules_are_given_up_when_time_is_up(looks: int) -> None:
    rule = Compare("item.price", "le", "$context.attributes.most")
    bundle = with_hero(eligibility=[rule])
    question = world.question(context=Context(attributes={"most": 5.0}), force={HERO: "champion"})
    outcome = ask(question, bundle=bundle, is_late=Running(looks))
    # A look before the placement, and one when its rules begin; the rule that ranks needs none.
    assert outcome.degradation is (Degradation.DEADLINE if looks < 2 else Degradation.NONE)
    again = ask(msgspec.structs.replace(question, degradation=outcome.degradation), bundle=bundle)
    assert canonical_bytes(again.decision) == canonical_bytes(outcome.decision)


def test_under_load_no_model_ranks_and_candidates_stay_in_their_order() -> None:
    hurried = world.question(
        PlacementRequest(HERO, count=4), degradation=Degradation.UNRANKED, force=BY_MODEL, mute={"items": ("film-0",)}
    )
    outcome = ask(hurried, score=explode, draw=forbidden)
    calm = msgspec.structs.replace(hurried, degradation=Degradation.NONE, force={HERO: "editors"})
    assert ids(hero(outcome)) == ids(hero(ask(calm)))
    assert ids(hero(outcome)) == ["film-1", "film-2", "film-3", "film-4"], "mutes are never shed"
    assert {hero(outcome).reason, *(item.reason for item in hero(outcome).items)} == {Reason.FALLBACK_OVERLOAD}
    assert {item.propensity for item in hero(outcome).items} == {1.0}
    assert (outcome.degradation, outcome.shown) == (Degradation.UNRANKED, {})
    by_rule = world.question(degradation=Degradation.UNRANKED, force={HERO: "champion"})
    assert hero(ask(by_rule)).reason is Reason.RULE, "a rule costs next to nothing"


def test_the_fallback_of_brought_items_is_the_caller_s_own_order() -> None:
    brought = [Candidate(ItemId("article-1")), Candidate(FILMS[3])]
    request = PlacementRequest(HERO, count=2, candidates=brought)
    placement = hero(ask(world.question(request, force=BY_MODEL), score=explode))
    assert placement.reason is Reason.FALLBACK_SCORER
    assert ids(placement) == ["article-1", "film-3"]
    assert [item.content_digest for item in placement.items] == ["", ""]
    muted = hero(ask(world.question(request, force=BY_MODEL, mute={"items": ("article-1", "film-3")}), score=explode))
    assert ids(muted) == ["film-20", "film-21"]
    assert all(item.content_digest for item in muted.items)


def test_a_fallback_that_nobody_approved_is_not_shown() -> None:
    items = [world.item(number) for number in range(24)]
    items[20] = msgspec.structs.replace(items[20], approved_sha256="0" * 64)
    items[21] = msgspec.structs.replace(items[21], ends_ms=NOW_MS)
    bundle = world.bundle(catalogue=world.catalogue(items))
    placement = hero(ask(world.question(degradation=Degradation.OVERLOAD), bundle=bundle))
    assert ids(placement) == ["film-22"]


def test_when_nothing_can_be_shown_nothing_is() -> None:
    bundle = world.bundle(
        catalogue=world.catalogue(
            [msgspec.structs.replace(world.item(number), approved_sha256=None) for number in range(24)]
        )
    )
    outcome = ask(world.question(HERO, LIST), bundle=bundle)
    for placement in outcome.decision.placements.values():
        assert placement.items == ()
        assert placement.reason is Reason.FALLBACK_NO_CANDIDATE


def test_rules_that_leave_nothing_fall_back() -> None:
    bundle = with_hero(eligibility=[Compare("context.locale", "eq", "nowhere")])
    placement = hero(ask(world.question(), bundle=bundle))
    assert placement.reason is Reason.FALLBACK_NO_CANDIDATE
    assert ids(placement) == ["film-20"]


# --- force -----------------------------------------------------------------------------------------------------------
def test_forced_items_are_shown_as_far_as_they_are_approved() -> None:
    items = [world.item(number) for number in range(24)]
    items[4] = msgspec.structs.replace(items[4], approved_sha256=None)
    bundle = world.bundle(catalogue=world.catalogue(items))
    forced: list[ItemId] = [FILMS[5], FILMS[4], ItemId("gone"), FILMS[6], FILMS[5]]
    request = PlacementRequest(HERO, count=9)
    placement = hero(ask(world.question(request, force={HERO: forced}), bundle=bundle, draw=forbidden))
    assert ids(placement) == ["film-5", "film-6"]
    assert placement.reason is Reason.FORCED
    assert {item.propensity for item in placement.items} == {1.0}
    assert placement.experiment is not None
    assert placement.experiment.forced, "what was forced is no exposure"


def test_forced_items_that_cannot_be_shown_fall_back() -> None:
    placement = hero(ask(world.question(force={HERO: [ItemId("gone")]})))
    assert placement.reason is Reason.FALLBACK_NO_CANDIDATE
    assert ids(placement) == ["film-20"]


def test_force_of_a_placement_that_is_not_asked_for_is_passed_over() -> None:
    assert hero(ask(world.question(force={LIST: "no such arm"}))).items


# --- what is refused -------------------------------------------------------------------------------------------------
def test_an_unknown_placement_refuses_the_whole_request() -> None:
    with pytest.raises(UnknownPlacement) as refused:
        ask(world.question(HERO, PlacementName("footer"), PlacementName("header")))
    assert [problem.path for problem in refused.value.problems] == ["$.placements[1].name", "$.placements[2].name"]
    assert "footer" in refused.value.problems[0].message


def test_a_placement_cannot_be_asked_for_twice_nor_forced_to_a_strange_arm() -> None:
    with pytest.raises(InputError) as refused:
        ask(world.question(HERO, HERO, force={HERO: "third"}))
    assert not isinstance(refused.value, UnknownPlacement)
    assert [problem.path for problem in refused.value.problems] == [
        "$.options.force.home_hero",
        "$.options.force.home_hero",
        "$.placements[1].name",
    ]


# --- what is logged --------------------------------------------------------------------------------------------------
def matrix_of(rows: FeatureRows) -> world.Matrix:
    return np.frombuffer(rows.data, "<f4").reshape(len(rows.items), len(rows.names))


def test_shown_rows_are_rows_of_the_whole_matrix_and_equal_a_fresh_computation() -> None:
    visitor = world.profile(["film-3", "film-9"])
    outcome = ask(world.question(HERO, LIST, force=BY_MODEL), visitor)
    assert set(outcome.shown) == set(outcome.matrices) == {HERO, LIST}
    for name, shown in outcome.shown.items():
        assert list(shown.items) == ids(outcome.decision.placements[name])
        whole = outcome.matrices[name]
        places = [whole.items.index(item) for item in shown.items]
        np.testing.assert_array_equal(matrix_of(shown), matrix_of(whole)[places])
        question = world.question()
        fresh = BUNDLE.features.compute(visitor, question.context, question.grants, NOW_MS, list(whole.items))
        np.testing.assert_array_equal(matrix_of(whole), fresh)
    assert len(outcome.matrices[HERO].items) == 24
    assert len(outcome.matrices[LIST].items) == 16, "what retrieval found"


def test_a_rule_logs_no_rows() -> None:
    outcome = ask(world.question(force={HERO: "champion"}), score=explode)
    assert outcome.shown == outcome.matrices == {}


def test_one_call_of_the_model_serves_all_placements() -> None:
    rows: list[int] = []

    def score(model: ModelName, matrix: world.Matrix) -> world.Matrix:
        rows.append(len(matrix))
        return world.score(model, matrix)

    outcome = ask(world.question(HERO, LIST, force=BY_MODEL), world.profile(["film-3"]), score=score)
    assert rows == [24 + 16]
    alone = ask(world.question(LIST), world.profile(["film-3"]))
    assert outcome.decision.placements[LIST] == alone.decision.placements[LIST]


def test_impressions_count_where_there_is_a_cap_and_a_visitor() -> None:
    outcome = ask(world.question(HERO, LIST), world.profile(["film-3"]))
    assert list(outcome.impressions) == ids(outcome.decision.placements[LIST])
    assert len(outcome.impressions) == 10
    bundle = world.bundle(policy=world.policy({HERO: world.placement(cap=Cap(1, 1))}, holdout=1.0))
    assert ask(world.question(), bundle=bundle).impressions == (), "a stranger has no counter"


def test_a_cap_is_kept() -> None:
    visitor = world.shown(world.profile(["film-3"]), "film-2", 3)
    assert "film-2" in ask(world.question(LIST), world.profile(["film-3"])).matrices[LIST].items
    assert "film-2" not in ask(world.question(LIST), visitor).matrices[LIST].items


def test_what_was_seen_is_left_out_where_the_placement_says_so() -> None:
    visitor = world.profile(["film-0"])
    assert "film-0" not in ask(world.question(LIST), visitor).matrices[LIST].items
    assert "film-0" in ids(hero(ask(world.question(PlacementRequest(HERO, count=24)), visitor)))


# --- purity ----------------------------------------------------------------------------------------------------------
requests = st.builds(
    PlacementRequest,
    st.sampled_from([HERO, LIST]),
    st.none() | st.integers(1, 30),
    st.lists(st.sampled_from(FILMS), max_size=3),
    st.none() | st.lists(some.candidates, max_size=4),
)
forces = st.dictionaries(
    st.sampled_from([HERO, LIST]),
    st.sampled_from(["champion", "challenger"]) | st.lists(st.sampled_from([*FILMS, ItemId("gone")]), max_size=3),
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    asked = draw(st.lists(requests, min_size=1, max_size=2, unique_by=lambda request: request.name))
    return world.question(
        *asked,
        unit=draw(st.text(max_size=8)),
        context=draw(some.contexts),
        grants=draw(some.grants),
        dial=draw(st.integers(0, 3)),
        mute=draw(
            st.dictionaries(st.sampled_from(["items", "categories", "brands", "x"]), st.just(("film-0", "drama")))
        ),
        degradation=draw(st.sampled_from(list(Degradation))),
        force=draw(forces),
        explain=draw(st.booleans()),
    )


@given(question=questions(), profile=some.profiles(), fails=st.booleans())
def test_any_question_is_answered_the_same_twice_and_changes_nothing(
    question: Question, profile: Profile, *, fails: bool
) -> None:
    before = msgspec.json.encode(profile)
    score = explode if fails else world.score
    first = ask(question, profile, score=score, attribute=world.attribute)
    again = ask(question, profile, score=score, attribute=world.attribute)
    assert canonical_bytes(first.decision) == canonical_bytes(again.decision)
    assert (first.shown, first.matrices, first.impressions) == (again.shown, again.matrices, again.impressions)
    assert msgspec.json.encode(profile) == before
    replayed = ask(msgspec.structs.replace(question, degradation=first.degradation), profile, attribute=world.attribute)
    assert canonical_bytes(replayed.decision) == canonical_bytes(first.decision)
    check(question, first)


def check(question: Question, outcome: Outcome) -> None:
    """What holds of every decision."""
    allowed = question.grants.personalisation and question.dial > 0
    asked = {request.name: request for request in question.placements}
    assert list(outcome.decision.placements) == list(asked)
    for name, placement in outcome.decision.placements.items():
        request, known = asked[name], BUNDLE.policy.placements[name]
        assert len(placement.items) <= (request.count or known.count)
        assert len(set(ids(placement))) == len(placement.items)
        assert placement.policy in known.arms
        brought = {candidate.id for candidate in request.candidates or ()}
        for rank, item in enumerate(placement.items, start=1):
            assert item.rank == rank
            assert 0 < item.propensity <= 1
            assert item.id not in request.exclude
            assert item.id not in question.mute.get("items", ())
            catalogued = BUNDLE.item(item.id)
            assert (item.content_digest == "") is (item.id in brought)
            assert item.id in brought or (catalogued and item.content_digest == catalogued.approved_sha256)
        if not allowed:
            assert placement.reason not in {Reason.MODEL, Reason.RULE, Reason.EXPLORE, Reason.HOLDOUT}
            assert placement.experiment is None
            assert name not in outcome.shown
    if not question.explain:
        assert not any(item.why for placement in outcome.decision.placements.values() for item in placement.items)


@given(some.profiles(), some.profiles(), st.integers(0, 1))
def test_below_this_session_no_two_visitors_differ(one: Profile, other: Profile, dial: int) -> None:
    question = world.question(HERO, LIST, dial=dial, explain=True)
    assert canonical_bytes(ask(question, one).decision) == canonical_bytes(ask(question, other).decision)


def test_a_decision_is_pinned() -> None:
    """A logged decision must be computed again to the byte, also by a later version of this code."""
    question = world.question(HERO, LIST, force=BY_MODEL, explain=True, context=Context(locale="de"))
    outcome = ask(question, world.profile(["film-3", "film-9", "film-13"]), attribute=world.attribute)
    assert canonical_bytes(outcome.decision) == GOLDEN.read_bytes()


GOLDEN = Path(__file__).with_name("golden") / "decision.json"


def test_arms_are_names_of_their_own() -> None:
    bundle = with_hero(arm=ArmName("editors"))
    placement = hero(ask(world.question(), bundle=bundle))
    assert placement.policy == "editors"
    assert placement.reason is Reason.RULE
    assert ids(placement) == ["film-0"]
    assert placement.items[0].score == 0
