"""`edgewise train score`: it finds what is true, nothing where nothing is, and a node asks as it was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hub_process import edgewise
from numpy.typing import NDArray
from score_shop import START_MS, Shop, simulate, write_site
from score_world import HISTORY, granted_event, numbered

from edgewise.admission.load import load_bundle
from edgewise.bundle.golden import unpack
from edgewise.consent import Grants
from edgewise.errors import InputError, ModelRefused
from edgewise.ids import BundleVersion, ModelName, SubjectId
from edgewise.profile.reduce import apply
from edgewise.profile.state import DAY_MS, Profile
from edgewise.records import PreferenceRecord
from edgewise.request import Context
from edgewise.scores import ScoreModel
from hub.artefacts import digest_of, to_files
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import ModelStatus
from hub.registry import ModelRegistry
from hub.release.bundle import build_bundle, check_bundle
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.site.score_recipe import Purchase, ScoreRecipe, TraitScore
from hub.train.history import History
from hub.train.scores.moments import Moment
from hub.train.scores.rows import by_time, by_visitor, replayed
from hub.train.scores.score import MadeScore, columns_of, make_score, score_recipe_of

QUICK = ["trees.rounds=30"]
NAMES = ("propensity", "churn", "intent", "why_left", "stage")


class World(NamedTuple):
    """The invented shop, and everything that can be learned of it."""

    folder: Path
    shop: Shop
    contents: SiteContents
    history: History
    made: dict[str, MadeScore]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("shop")
    shop, contents = simulate(1), write_site(folder / "site")
    history = History(shop.records)
    made = {
        name: make_score(history, contents, ModelName(name), score_recipe_of(contents, ModelName(name), QUICK))
        for name in NAMES
    }
    return World(folder, shop, contents, history, made)


# --- what it learns -------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("propensity", "log_loss below the prior's"),
        ("churn", "log_loss below the prior's"),
        ("intent", "accuracy above the last"),
        ("stage", "accuracy above the most frequent"),
        ("why_left", "accuracy above the most frequent"),
    ],
)
def test_it_finds_what_is_planted(world: World, name: str, measure: str) -> None:
    made = world.made[name]
    assert made.judged.measures[measure].ci_low > 0
    assert made.card["parity"]["mismatches"] == 0
    assert made.artefacts.kind.kind == "score"


@pytest.mark.slow
def test_it_finds_nothing_where_orders_fall_from_the_sky(world: World) -> None:
    """Any column that knew the outcome, or anything later, would show here."""
    rng = np.random.default_rng(5)
    records = [
        granted_event(f"v{who}", START_MS + round(day * DAY_MS), "track", str(name))
        for who in range(200)
        for day, name in zip(
            rng.uniform(0, 120, 30), rng.choice(["Home", "Order Completed"], 30, p=[0.9, 0.1]), strict=True
        )
    ]
    recipe = score_recipe_of(world.contents, ModelName("propensity"), QUICK)
    try:
        judged = make_score(History(numbered(records)), world.contents, ModelName("propensity"), recipe).judged
    except ModelRefused as refused:
        assert refused.code in {"calibration", "nothing-learned"}  # noqa: PT017  # either says that nothing is there
        return
    assert judged.measures["auc"].ci_low < 0.5 + 0.05
    assert judged.measures["log_loss below the prior's"].ci_low <= 0


@pytest.mark.slow
def test_the_same_past_gives_the_same_bytes(world: World) -> None:
    recipe = score_recipe_of(world.contents, ModelName("stage"), QUICK)
    again = make_score(world.history, world.contents, ModelName("stage"), recipe)
    first = world.made["stage"]
    assert digest_of(to_files(again.artefacts, again.card)) == digest_of(to_files(first.artefacts, first.card))


# --- what is served -------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_node_makes_the_rows_that_it_learned_from_and_hears_what_was_trained(world: World) -> None:
    made = {ModelName(name): one.artefacts for name, one in world.made.items()}
    built = build_bundle(world.contents, made, version=BundleVersion(1), parent=None, created_ms=START_MS)
    assert max(check_bundle(built, now_ms=START_MS + 1).values()) <= 1e-5
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    for name, one in world.made.items():
        model = bundle.models[ModelName(name)]
        assert (model.entry.kind, model.entry.classes) == ("score", one.artefacts.kind.classes)
        asking = ScoreModel(model.entry, bundle.features)
        judged, moments = one.evidence.parts.judge, one.evidence.examples.moments
        picked = np.linspace(0, len(judged) - 1, 12).astype(int)
        rows: list[NDArray[np.float32]] = []
        for row in picked.tolist():
            moment = moments[judged.place[row]]
            profile = Profile()
            for number in list(world.history.by_visitor())[moment.visitor]:
                if number <= moment.deed:
                    record = world.history.deeds[number].record
                    assert not isinstance(record, PreferenceRecord)
                    apply(profile, record)
            view = bundle.features.view(profile, Context(), moment.now_ms)
            rows.append(asking.row(view, Grants(personalisation=True, analytics=True))[0])
            np.testing.assert_array_equal(rows[-1], judged.matrix[row])
        with ScoringChild() as child:
            said = child.score(model.onnx, np.array(rows))
        total = said if said.ndim == 1 else said.sum(axis=1)
        assert total.min() > 0
        assert total.max() <= 1 + 1e-5


@pytest.mark.slow
def test_golden_rows_have_a_column_a_class(world: World) -> None:
    for made in world.made.values():
        assert made.artefacts.golden is not None
        _, scores = unpack(made.artefacts.golden)
        classes = made.artefacts.kind.classes
        assert scores.shape[1:] == ((len(classes),) if classes else ())
        assert scores.min() >= 0
        assert scores.max() <= 1


# --- the command ----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_it_registers_a_candidate_with_card_and_page(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    data, page = world.folder / "hub", world.folder / "why.html"
    with open_ledger(data) as ledger:
        for start in range(0, len(world.shop.records), 2_000):
            ledger.append(HISTORY, world.shop.records[start : start + 2_000], world.shop.records[-1].time_ms + 1)
    where = ("--site", world.folder / "site", "--data-dir", data, "--json", "--quiet", "--html", page)
    ended = edgewise(capsys, "train", "score", "why_left", *where, "--set", QUICK[0], "--by", "Ann")
    assert ended.code == 0, ended.stderr
    told = json.loads(ended.stdout)
    made = world.made["why_left"]
    assert told["classes"] == list(made.artefacts.kind.classes)
    assert told["metrics"]["f1_macro"]["estimate"] == made.judged.measures["f1_macro"].estimate
    assert set(told["calibration"]["tables"]) == set(told["classes"])
    assert told["weak_labels"]["shipping_exit"]["speaks for"] == "shipping_cost"
    html = page.read_text()
    assert html.count("<svg") == 2
    assert "Weak rules" in html
    with open_ledger(data) as ledger:
        registry = ModelRegistry(data, ledger)
        row = registry.row(ModelName("why_left"), told["version"])
        assert row.status is ModelStatus.CANDIDATE, "a person has to approve it"
        assert row.sha256 == told["sha256"] == digest_of(to_files(made.artefacts, made.card))
        assert registry.artefacts(ModelName("why_left"), told["version"]) == made.artefacts
        assert "weak" in row.card["summary"]
        (entry,) = ledger.audit(limit=1)
        assert (entry.who, entry.what) == ("Ann", "model register")


# --- what it says no to ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> SiteContents:
    return write_site(tmp_path_factory.mktemp("bare") / "site")


def views(*days: float, name: str = "Product Viewed") -> History:
    return History(numbered([granted_event("v", START_MS + round(day * DAY_MS), "track", name) for day in days]))


@pytest.mark.parametrize(
    ("name", "history", "says"),
    [
        ("propensity", History([]), "the ledger holds nothing"),
        ("propensity", views(0, 1, 2), "the history is shorter than the days that an answer takes"),
        ("propensity", views(*range(40)), "all 26 answers are 'no'"),
        ("intent", views(*range(40)), "no two touched items with a category follow each other"),
        ("stage", views(*range(40)), "nobody has stated the trait 'stage'"),
        ("why_left", views(*range(40)), "of 0 carts that were left"),
    ],
)
def test_too_little_is_said_in_a_sentence(contents: SiteContents, name: str, history: History, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_score(history, contents, ModelName(name), score_recipe_of(contents, ModelName(name)))


def test_a_score_that_the_site_does_not_know_and_a_wrong_setting(contents: SiteContents) -> None:
    with pytest.raises(InputError, match=r"no `score` part in models/mood.yaml; models with one: churn, intent"):
        score_recipe_of(contents, ModelName("mood"))
    with pytest.raises(InputError, match=r"predicts.days: expected int <= 400"):
        score_recipe_of(contents, ModelName("churn"), ["predicts.days=900"])
    with pytest.raises(InputError, match=r"'rounds' is not KEY=VALUE"):
        score_recipe_of(contents, ModelName("churn"), ["rounds"])


def test_columns_of_a_candidate_and_the_trait_itself_are_left_out(contents: SiteContents) -> None:
    taken = columns_of(contents.features, ScoreRecipe(Purchase(7))).features
    assert len(taken) == len(contents.features.features) - 1
    assert "item_price" not in {feature.name for feature in taken}
    with pytest.raises(InputError, match="'item_price' cannot be used: it changes with the candidate"):
        columns_of(contents.features, ScoreRecipe(Purchase(7), features=["item_price"]))
    with pytest.raises(InputError, match="'nothing' cannot be used: the site does not declare it"):
        columns_of(contents.features, ScoreRecipe(TraitScore("stage"), features=["nothing"]))


# --- rows -----------------------------------------------------------------------------------------------------------
def test_who_denies_it_is_not_described(contents: SiteContents) -> None:
    seen = granted_event("v", START_MS, "track", "Product Viewed")
    off = PreferenceRecord(HISTORY, 1, seen.subject, START_MS + 1, START_MS + 1, dial=0)
    later = msgspec.structs.replace(seen, seq=2, time_ms=START_MS + 2, received_ms=START_MS + 2)
    history = History([seen, off, later])
    moments = [Moment(number, 0, START_MS + number, START_MS + number, "") for number in (0, 2)]
    matrix, is_asked = replayed(history, contents, contents.features, moments)
    assert is_asked.tolist() == [True, False]
    assert np.isnan(matrix[1]).all()


@pytest.mark.slow
def test_no_part_knows_an_answer_of_a_later_one(world: World) -> None:
    for name in ("propensity", "churn", "intent", "why_left"):
        learn, calibrate, judge = world.made[name].evidence.parts
        assert learn.known_ms.max() <= calibrate.now_ms.min()
        assert calibrate.known_ms.max() <= judge.now_ms.min()
    visitors = [set(part.visitor.tolist()) for part in world.made["stage"].evidence.parts]
    assert len(set.union(*visitors)) == sum(map(len, visitors)), "whole visitors each"


@pytest.mark.slow
def test_parts_that_are_too_small_are_refused(world: World) -> None:
    rows = world.made["stage"].evidence.parts.judge
    for divide in (by_time, by_visitor):
        with pytest.raises(InputError, match="expected at least 50"):
            divide(rows, 0.2, 0.2)


@pytest.mark.slow
def test_the_last_category_is_that_of_the_same_moment_where_some_were_not_asked(world: World) -> None:
    off = [
        PreferenceRecord(HISTORY, len(world.shop.records) + number, SubjectId(f"v{who}"), START_MS, START_MS, dial=0)
        for number, who in enumerate(range(0, 300, 3))
    ]
    history, name = History([*off, *world.shop.records]), ModelName("intent")
    made = make_score(history, world.contents, name, score_recipe_of(world.contents, name, QUICK))
    examples, judge = made.evidence.examples, made.evidence.parts.judge
    said = [examples.moments[place] for place in judge.place.tolist()]
    repeats = np.mean([moment.last == moment.answer for moment in said])
    assert made.judged.measures["accuracy of the last"].estimate == pytest.approx(repeats)
