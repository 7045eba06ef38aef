"""Visitor scores: asked once and only if needed, missing where a model is, and the same when a decision is replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import scores_world
import world
from hypothesis import given
from hypothesis import strategies as st
from scores_world import CHURN, CLASSES, MOOD
from world import CHALLENGER, CHAMPION, HERO, LIST, RANKER, Matrix

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.exploration import Greedy, SquareCB
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByFormula,
    ByModel,
    Compare,
    OfItem,
    OfModel,
    OfScore,
    Placement,
    Policy,
    Product,
    Sum,
)
from edgewise.consent import Grants
from edgewise.decide import Outcome, decide
from edgewise.decision import canonical_bytes
from edgewise.errors import BundleRefused
from edgewise.features import table as declared
from edgewise.features.constants import is_constant
from edgewise.ids import ArmName, ModelName, PlacementName
from edgewise.profile.state import Profile
from edgewise.reasons import Degradation, Reason
from edgewise.scores import Score, ScoreModel

VIEWER = world.profile(["film-3", "film-5"])
FORMULA = ArmName("formula")
GATED = PlacementName("gated")
CHEAP = ByFormula(Product([OfItem("price"), Sum([OfScore(CHURN, missing=0.0), OfItem("popularity", missing=0.0)])]))
MIXED = ByFormula(Sum([OfModel(RANKER), Product([OfScore(CHURN), OfItem("price")])]), sentence="Cheap and fitting")


def gated(*rules: Compare, **changes: Any) -> Placement:
    """A placement that only shows something where all `rules` hold."""
    return world.placement(eligibility=list(rules), arm=CHAMPION, **changes)


def policy(**placements: Placement) -> Policy:
    """Placements by name: these beside the film shop's own."""
    return world.policy({HERO: world.placement(arm=CHALLENGER)} | {PlacementName(k): v for k, v in placements.items()})


class Counting:
    """The arithmetic models; counts who is asked, and fails for whom it is told."""

    def __init__(self, *failing: ModelName) -> None:
        self.asked: Counter[ModelName] = Counter()
        self._failing = failing

    def __call__(self, model: ModelName, matrix: Matrix) -> Matrix:
        self.asked[model] += 1
        if model in self._failing:
            raise RuntimeError(f"{model} is out")
        return scores_world.score(model, matrix)


def ask(
    bundle: Bundle,
    *placements: PlacementName,
    score: Score = scores_world.score,
    profile: Profile = VIEWER,
    is_late: Callable[[], bool] = bool,
    **question: Any,
) -> Outcome:
    """One decision, always the same draw."""
    asked = world.question(*placements, **question)
    return decide(
        asked, profile, bundle=bundle, score=score, draw=lambda _n, _s: 0.5, now_ms=world.NOW_MS, is_late=is_late
    )


def churn_of(profile: Profile, grants: Grants = world.EVERYTHING_GRANTED) -> float:
    """What the arithmetic says of him."""
    bundle = scores_world.bundle()
    view = bundle.features.view(profile, world.question().context, world.NOW_MS)
    return float(scores_world.score(CHURN, bundle.scores[CHURN].row(view, grants))[0])


# --- as a feature -----------------------------------------------------------------------------------------------------
def test_a_score_is_a_feature_of_the_ranker_and_asked_once() -> None:
    score = Counting()
    outcome = ask(scores_world.bundle(), HERO, LIST, score=score, force={HERO: CHALLENGER})
    assert score.asked == {RANKER: 1, CHURN: 1}  # the table has a column of mood as well; the ranker does not take it
    rows = outcome.shown[HERO]
    place = rows.names.index("churn_risk")
    said = np.frombuffer(rows.data, "<f4").reshape(-1, len(rows.names))[:, place]
    assert set(said.tolist()) == {np.float32(churn_of(VIEWER))}
    assert outcome.decision.scores[CHURN] == (churn_of(VIEWER),)


def test_a_score_that_only_a_cross_looks_at_is_asked() -> None:
    crossed = declared.Cross(name="risk_by_price", of=("churn_risk", "popularity"))
    models = scores_world.entries(ranker=ModelEntry("models/ranker.onnx", ("popularity", "risk_by_price")))
    bundle = scores_world.bundle(features=scores_world.table(crossed), models=models)
    outcome = ask(
        bundle,
        HERO,
        force={HERO: CHALLENGER},
        score=lambda model, rows: rows[:, -1] if model == RANKER else scores_world.score(model, rows),
    )
    rows = np.frombuffer(outcome.shown[HERO].data, "<f4")
    assert rows.tolist() == [100.0, np.float32(100) * np.float32(churn_of(VIEWER))]


def test_a_score_that_looks_at_a_score_gets_what_that_says() -> None:
    rule = Compare("profile.class.mood", "exists", to=True)
    outcome = ask(scores_world.bundle(policy=policy(gated=gated(rule))), GATED)
    churn, mood = churn_of(VIEWER), outcome.decision.scores[MOOD]
    assert mood == pytest.approx([1 - churn / 2 - mood[1], (1 - churn / 2) * 2 / 3, churn / 2], rel=1e-6)


@given(st.builds(Grants, personalisation=st.booleans(), analytics=st.booleans(), marketing=st.booleans()))
def test_the_row_of_a_score_is_that_of_any_candidate(grants: Grants) -> None:
    bundle = scores_world.bundle()
    names = tuple(feature.name for feature in world.feature_table().features if is_constant(feature))
    assert len(names) > 5
    model = ScoreModel(ModelEntry("models/any.onnx", names, kind="score"), bundle.features)
    view = bundle.features.view(VIEWER, world.question().context, world.NOW_MS)
    matrix = bundle.features.matrix(view, bundle.features.rows(list(world.FILMS[:2])), grants)
    columns = [bundle.features.column_of[name] for name in names]
    row = model.row(view, grants)
    assert row.dtype == np.float32
    np.testing.assert_array_equal(np.repeat(row, 2, axis=0), matrix[:, columns])


# --- in rules ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("of", "op", "to", "holds"),
    [
        ("profile.score.churn", "lt", 0.5, True),
        ("profile.score.churn", "ge", 0.5, False),
        ("profile.score.mood.buying", "gt", 0.5, True),
        ("profile.class.mood", "eq", "buying", True),
        ("profile.class.mood", "in", ["leaving", "browsing"], False),
        ("profile.score.churn", "exists", True, True),
    ],
)
def test_rules_read_scores(of: str, op: str, to: Any, *, holds: bool) -> None:
    outcome = ask(scores_world.bundle(policy=policy(gated=gated(Compare(of, op, to)))), GATED)
    assert (outcome.decision.placements[GATED].reason is Reason.RULE) is holds


def test_a_score_that_no_rule_and_no_model_asks_for_costs_nothing() -> None:
    score = Counting()
    rules = (Compare("profile.history_length", "gt", 100.0), Compare("profile.score.churn", "gt", 0.0))
    outcome = ask(scores_world.bundle(policy=policy(gated=gated(*rules))), GATED, score=score)
    assert not score.asked
    assert outcome.decision.scores == {}
    assert b'"scores"' not in canonical_bytes(outcome.decision)


def test_strangers_have_no_scores() -> None:
    score = Counting()
    rule = Compare("profile.score.churn", "exists", to=True)
    bundle = scores_world.bundle(policy=policy(gated=gated(rule)))
    for changes in ({"dial": 0}, {"grants": Grants(personalisation=False, analytics=True, marketing=True)}):
        outcome = ask(bundle, GATED, score=score, **changes)
        assert outcome.decision.placements[GATED].reason is Reason.FALLBACK_NO_CANDIDATE
    assert not score.asked


# --- in formulas ------------------------------------------------------------------------------------------------------
def with_formula(ranking: ByFormula) -> Bundle:
    arms = {CHAMPION: Arm(ByAttribute("popularity")), FORMULA: Arm(ranking), CHALLENGER: Arm(ByModel(RANKER))}
    return scores_world.bundle(policy=policy(listed=world.placement(arms=arms, arm=FORMULA, count=5)))


def test_a_formula_ranks_by_score_and_attribute() -> None:
    listed = PlacementName("listed")
    outcome = ask(with_formula(CHEAP), listed, explain=True)
    placed = outcome.decision.placements[listed]
    expected = sorted(
        (((5.0 + number % 4) * (churn_of(VIEWER) + 100 - number), -number) for number in range(24)), reverse=True
    )[:5]
    assert [item.id for item in placed.items] == [world.FILMS[-place] for _, place in expected]
    assert [item.score for item in placed.items] == [score for score, _ in expected]
    assert placed.reason is Reason.RULE
    assert placed.items[0].why[0].text == "Ordered by a formula of price, the score churn and popularity"


def test_a_formula_over_a_model_is_a_models_choice() -> None:
    listed = PlacementName("listed")
    outcome = ask(with_formula(MIXED), listed, HERO, explain=True, force={HERO: CHALLENGER})
    placed = outcome.decision.placements[listed]
    assert placed.reason is Reason.MODEL
    assert placed.items[0].why[0].text == "Cheap and fitting"
    assert listed in outcome.shown
    by_model = ask(with_formula(MIXED), listed, force={listed: CHALLENGER})
    matrix, names = outcome.matrices[listed], outcome.matrices[listed].names
    rows = np.frombuffer(matrix.data, "<f4").reshape(-1, len(names))
    ranker = dict(zip(matrix.items, scores_world.score(RANKER, rows).tolist(), strict=True))
    for item in placed.items:
        price = 5.0 + int(item.id.removeprefix("film-")) % 4
        assert item.score == pytest.approx(ranker[item.id] + churn_of(VIEWER) * price)
    assert by_model.decision.placements[listed].reason is Reason.MODEL


# --- what fails -------------------------------------------------------------------------------------------------------
def test_a_failing_score_is_missing_and_the_rest_goes_on() -> None:
    rule = Compare("profile.score.churn", "exists", to=False)
    bundle = scores_world.bundle(policy=policy(gated=gated(rule)))
    outcome = ask(bundle, HERO, GATED, score=Counting(CHURN), force={HERO: CHALLENGER})
    assert outcome.degradation is Degradation.SCORES
    assert outcome.decision.placements[HERO].reason is Reason.MODEL
    assert outcome.decision.placements[GATED].reason is Reason.RULE
    assert outcome.decision.scores == {}
    rows = np.frombuffer(outcome.shown[HERO].data, "<f4").reshape(1, -1)
    assert np.isnan(rows[0, outcome.shown[HERO].names.index("churn_risk")])


@pytest.mark.parametrize("wrong", [np.array([np.nan]), np.array([[0.5]]), np.array([0.1, 0.2]), np.zeros(0)])
def test_an_answer_that_is_no_number_is_a_failure(wrong: Any) -> None:
    rule = Compare("profile.score.churn", "exists", to=True)
    bundle = scores_world.bundle(policy=policy(gated=gated(rule)))
    outcome = ask(bundle, GATED, score=lambda _model, _matrix: wrong)
    assert outcome.degradation is Degradation.SCORES
    assert outcome.decision.placements[GATED].reason is Reason.FALLBACK_NO_CANDIDATE


def everything(*, exploring: bool) -> Bundle:
    exploration = SquareCB(gamma=20.0, floor=0.1) if exploring else Greedy()
    rule = Compare("profile.score.churn", "gt", 0.1)
    return scores_world.bundle(
        policy=policy(
            gated=gated(rule),
            ruled=world.placement(arms={CHAMPION: Arm(ByAttribute("popularity")), FORMULA: Arm(CHEAP)}, arm=FORMULA),
            mixed=world.placement(
                arms={CHAMPION: Arm(ByAttribute("popularity")), FORMULA: Arm(MIXED, exploration)}, arm=FORMULA, count=4
            ),
        )
    )


BUNDLES = [everything(exploring=False), everything(exploring=True)]


@given(
    st.sampled_from(BUNDLES),
    st.permutations([HERO, GATED, PlacementName("ruled"), PlacementName("mixed")]),
    st.sets(st.sampled_from([CHURN, MOOD, RANKER])),
    st.integers(0, 14),
    st.sampled_from([Degradation.NONE, Degradation.NONE, Degradation.UNRANKED, Degradation.OVERLOAD]),
)
def test_whatever_fails_the_record_says_what_a_replay_leaves_out(
    bundle: Bundle, placements: list[PlacementName], failing: set[ModelName], looks: int, degradation: Degradation
) -> None:
    seen = 0

    def is_late() -> bool:
        nonlocal seen
        seen += 1
        return seen > looks

    asked: dict[str, Any] = {"force": {HERO: CHALLENGER}, "explain": True}
    first = ask(bundle, *placements, score=Counting(*failing), is_late=is_late, degradation=degradation, **asked)
    again = ask(bundle, *placements, degradation=first.degradation, **asked)
    assert canonical_bytes(again.decision) == canonical_bytes(first.decision)
    assert (again.shown, again.matrices) == (first.shown, first.matrices)
    assert again.degradation is first.degradation


# --- what is refused --------------------------------------------------------------------------------------------------
def entry(takes: tuple[str, ...], **changes: Any) -> ModelEntry:
    return ModelEntry("models/churn.onnx", takes, **({"kind": "score"} | changes))


def asks(of: str) -> Policy:
    return policy(gated=gated(Compare(of, "exists", to=True)))


def formula(term: Any) -> Policy:
    return policy(listed=world.placement(arms={CHAMPION: Arm(ByFormula(term))}, arm=CHAMPION, opted_out_arm=CHAMPION))


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("depends on the candidate", {"models": scores_world.entries(churn=entry(("genre",)))}),
    ("in a circle: ", {"models": scores_world.entries(churn=entry(("mood_buying",)))}),
    ("in a circle: churn -> churn", {"models": scores_world.entries(churn=entry(("churn_risk",)))}),
    (
        "a ranker with classes",
        {"models": scores_world.entries(churn=entry(("genre",), kind="ranker", classes=("a", "b")))},
    ),
    ("one class", {"models": scores_world.entries(churn=entry(("views_7d",), classes=("a",)))}),
    ("listed twice", {"models": scores_world.entries(churn=entry(("views_7d",), classes=("a", "a")))}),
    ("has no name", {"models": scores_world.entries(churn=entry(("views_7d",), classes=("a", "")))}),
    ("no score 'ranker'", {"features": scores_world.table(declared.Score(name="x", model=RANKER))}),
    ("no class 'sad'", {"features": scores_world.table(declared.Score(name="x", model=MOOD, of_class="sad"))}),
    ("none is named", {"features": scores_world.table(declared.Score(name="x", model=MOOD))}),
    ("has no classes", {"features": scores_world.table(declared.Score(name="x", model=CHURN, of_class="a"))}),
    ("no score 'none'", {"policy": asks("profile.score.none")}),
    ("none is named", {"policy": asks("profile.score.mood")}),
    ("no class 'sad'", {"policy": asks("profile.score.mood.sad")}),
    ("none is the likeliest", {"policy": asks("profile.class.churn")}),
    ("no score 'ranker'", {"policy": asks("profile.class.ranker")}),
    ("no class 'buyng'", {"policy": policy(gated=gated(Compare("profile.class.mood", "eq", "buyng")))}),
    ("no class 'sad'", {"policy": policy(gated=gated(Compare("profile.class.mood", "not_in", ["buying", "sad"])))}),
    ("no value 'profile.score.'", {"policy": asks("profile.score.")}),
    ("is a visitor score", {"policy": policy(a=world.placement(arms={CHAMPION: Arm(ByModel(CHURN))}))}),
    ("opted-out visitors are served by rule", {"policy": formula(OfScore(CHURN))}),
    ("opted-out visitors are served by rule", {"policy": formula(OfModel(RANKER))}),
    ("no score 'none'", {"policy": formula(OfScore(ModelName("none")))}),
    ("is a visitor score", {"policy": formula(Sum([OfModel(CHURN)]))}),
    ("names no attribute", {"policy": formula(Product([OfItem("")]))}),
]


@pytest.mark.parametrize(("message", "changes"), REFUSED)
def test_what_cannot_be_computed_is_refused_when_it_is_loaded(message: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleRefused, match=message):
        scores_world.bundle(**changes)


def test_golden_rows_have_a_column_a_class() -> None:
    models = scores_world.entries()
    narrow = msgspec.structs.replace(models[MOOD], classes=CLASSES[:2])
    made = scores_world.files(models=models | {MOOD: narrow})
    manifest = world.manifest(made, models=models)
    with pytest.raises(BundleRefused, match="golden scores of 2 columns; the model has 3"):
        load_bundle(manifest, "", made)
