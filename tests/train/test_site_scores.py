"""A ranker learns from what scores say of a visitor at that moment, asked as nodes ask them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edge_world import linear_onnx
from ranker_world import GRANTED, NOW_MS, RANKER, films, review
from ranker_world import shop as film_shop

from edgewise.bundle.golden import golden_rows
from edgewise.bundle.policy import Compare
from edgewise.errors import InputError, ModelRefused
from edgewise.features.table import FeatureTable, HistoryLength, Score
from edgewise.ids import ItemId, ModelName, PlacementName
from edgewise.profile.preferences import Preferences
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile
from hub.artefacts import Artefacts, Kind, check_artefacts, from_files, to_files
from hub.ledger.ledger import open_ledger
from hub.registry import ModelRegistry
from hub.scoring_child import ScoringChild
from hub.site.files import ModelUse
from hub.site.loading import SiteContents
from hub.train.history import History
from hub.train.items import FittedItems, fit_items
from hub.train.ranker import recipe_of
from hub.train.shop import Choice, Shop
from hub.train.site_scores import with_scores, with_scores_named

KEEN = ModelName("keen")
LIST = PlacementName("film_list")
WORLD = films(visitors=30, events=1_000)
SCORE = Kind("score")
WEIGHTS = np.array([0.1], np.float32)


def keen(*, link: str | None = "Sigmoid", columns: int = 1, kind: Kind = SCORE) -> Artefacts:
    """How keen a visitor is, from how many films he keeps."""
    rows = np.array([[1.0], [7.0]], np.float32)
    weights = WEIGHTS if columns == 1 else np.tile(WEIGHTS[:, None], columns)
    z = rows.astype(np.float64) @ weights
    said = 1 / (1 + np.exp(-z)) if link else z
    return Artefacts(
        features=FeatureTable([HistoryLength(name="kept")]),
        model=linear_onnx(weights, link=link),
        golden=golden_rows(rows, said),
        kind=kind,
    )


class Training:
    """A site whose ranker takes the score, a registry, and a visitor of its history."""

    def __init__(self, folder: Path, registry: ModelRegistry) -> None:
        contents, story = film_shop(folder / "site", WORLD)
        features = [*contents.features.features, HistoryLength(name="kept"), Score(name="how_keen", model=KEEN)]
        self.contents: SiteContents = contents._replace(
            features=FeatureTable(features), models=contents.models | {KEEN: ModelUse(KEEN, "champion")}
        )
        self.registry = registry
        self._fitted: FittedItems | None = None
        self.recipe = recipe_of(self.contents, RANKER)
        records = [review(WORLD, number, rated) for number, rated in enumerate(story.past)]
        self.history = History(records)
        own = [record for record in records if record.subject == records[0].subject][:5]
        self.profile = fold(Profile(), own)
        rated = {record.touches[0].item for record in own}
        self.wanted = next(item for item in map(ItemId, sorted(WORLD.items)) if item not in rated)

    def choice(self, contents: SiteContents) -> Choice | None:
        if self._fitted is None:
            self._fitted = fit_items(self.history, self.recipe, len(self.history))
        shop = Shop(contents, RANKER, self.recipe, self._fitted)
        return shop.choice(self.profile, Preferences(), GRANTED, NOW_MS, wanted=[self.wanted])

    def promote(self, artefacts: Artefacts) -> None:
        version = self.registry.register(KEEN, artefacts, {}, by="Ann")
        self.registry.approve(KEEN, version, by="Ann")
        self.registry.promote(KEEN, version, by="Ann")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    folder = tmp_path_factory.mktemp("scored")
    with open_ledger(folder / "hub") as ledger:
        yield Training(folder, ModelRegistry(folder / "hub", ledger))


def test_rows_have_what_the_score_said(training: Training) -> None:
    training.promote(keen())
    column = [feature.name for feature in training.contents.features.features].index("how_keen")
    without = training.choice(training.contents)
    assert without is not None
    assert np.isnan(without.matrix[:, column]).all()
    with with_scores(training.contents, training.registry, RANKER, training.recipe) as scored:
        choice = training.choice(scored)
    assert choice is not None
    expected = 1 / (1 + np.exp(-0.1 * len(training.profile.items)))
    np.testing.assert_allclose(choice.matrix[:, column], expected, rtol=1e-6)
    card = with_scores_named({"known_limits": ["some"]}, scored)
    assert card["scores"] == {"keen": f"keen@{training.registry.aliases(KEEN)['champion']}"}
    assert len(card["known_limits"]) == 2
    assert with_scores_named({"a": 1}, training.contents) == {"a": 1}


@pytest.mark.slow
def test_rules_of_the_placement_ask_scores_as_well(training: Training) -> None:
    rule = Compare("profile.score.keen", "gt", 0.99)
    placements = dict(training.contents.policy.placements)
    placements[LIST] = msgspec.structs.replace(placements[LIST], eligibility=[rule])
    policy = msgspec.structs.replace(training.contents.policy, placements=placements)
    contents = training.contents._replace(policy=policy)
    recipe = msgspec.structs.replace(training.recipe, features=["alike"])
    training.promote(keen())
    with with_scores(contents, training.registry, RANKER, recipe) as scored:
        assert scored.scores.entries.keys() == {KEEN}
        assert training.choice(scored) is None
    with with_scores(training.contents, training.registry, RANKER, recipe) as scored:
        assert scored is training.contents, "neither a feature nor a rule asks for it"


def test_what_is_no_score_is_refused(training: Training) -> None:
    training.promote(keen(kind=Kind()))
    with (
        pytest.raises(ModelRefused, match="asks the score 'keen', but that model ranks candidates"),
        with_scores(training.contents, training.registry, RANKER, training.recipe),
    ):
        pass
    missing = ModelUse(ModelName("other"), "champion")
    for models, said in (
        ({}, "the score 'keen', which is no model of the site"),
        ({KEEN: missing}, "no trained model"),
    ):
        with (
            pytest.raises(InputError, match=said),
            with_scores(training.contents._replace(models=models), training.registry, RANKER, training.recipe),
        ):
            pass


@pytest.mark.slow
def test_a_score_that_does_not_answer_is_told(training: Training) -> None:
    training.promote(keen())

    def train_on_nothing() -> None:
        with with_scores(training.contents, training.registry, RANKER, training.recipe) as scored:
            broken = scored.scores._replace(score=lambda _model, _matrix: np.array([np.nan], np.float32))
            training.choice(scored._replace(scores=broken))

    with pytest.raises(ModelRefused, match="the score keen does not answer in training: its answer is no finite"):
        train_on_nothing()


def test_kind_and_classes_are_kept_and_checked() -> None:
    kept = from_files(to_files(keen(columns=2, kind=Kind("score", ("a", "b"))), {}))
    assert kept.kind == Kind("score", ("a", "b"))
    assert kept.golden is not None
    assert kept.golden.outputs == 2
    for kind, said in (
        (Kind("score", ("a", "b", "c")), "golden scores of 2 columns for a model of 3"),
        (Kind("ranker", ("a", "b")), "expected a score of two or more different ones"),
        (Kind("score", ("a", "a")), "expected a score of two or more different ones"),
    ):
        with pytest.raises(ModelRefused, match=said), ScoringChild() as child:
            check_artefacts(keen(columns=2, kind=kind), child)
    flat = keen()
    assert flat.golden is not None
    wide = msgspec.structs.replace(flat, model=linear_onnx(np.tile(WEIGHTS[:, None], 2), link="Sigmoid"))
    with pytest.raises(ModelRefused, match=r"scores of shape \(2, 2\); the trained"), ScoringChild() as child:
        check_artefacts(wide, child)
    assert "kind.json" not in to_files(keen(kind=Kind()), {})
