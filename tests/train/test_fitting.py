"""A ranker that says how sure it is, from a past to an answer: trained, registered, bundled, served, drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from ranker_world import NOW_MS, RANKER, films, remember, review
from ranker_world import shop as film_shop

from edge.worker.live_bundle import Served
from edgewise.admission.load import load_bundle
from edgewise.bundle.exploration import Thompson
from edgewise.bundle.golden import unpack
from edgewise.consent import Grants
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.errors import BundleRefused, InputError
from edgewise.ids import ArmName, BundleVersion, DecisionId, PlacementName
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.reasons import Reason
from edgewise.request import Context, PlacementRequest
from hub.artefacts import UNCERTAIN_RANKER, from_files, to_files
from hub.ledger.ledger import open_ledger
from hub.registry import ModelRegistry
from hub.release.bundle import BuiltBundle, build_bundle, check_bundle
from hub.site.loading import SiteContents
from hub.site.recipes import UncertaintyRecipe
from hub.train.history import History
from hub.train.ranker import How, MadeRanker, make_ranker, recipe_of, train_ranker

pytestmark = pytest.mark.slow
"""Two rankers are trained, one of them twice; what each part does by itself is in the tests of the parts."""
HERO = PlacementName("film_hero")


class World(NamedTuple):
    contents: SiteContents
    plain: MadeRanker
    made: MadeRanker
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The demo's films, whose hero explores by Thompson's probabilities."""
    folder = tmp_path_factory.mktemp("world")
    known = films(visitors=80, events=4_000)
    contents, story = film_shop(folder / "site", known)
    history = History([review(known, number, rated) for number, rated in enumerate(story.past)])
    with open_ledger(folder / "hub") as ledger:
        remember(ledger, known, story.past)
    recipe = recipe_of(contents, RANKER, ["trees.rounds=12"])
    unsure = msgspec.structs.replace(recipe, uncertainty=UncertaintyRecipe(bags=5, rounds=6))
    placement = contents.policy.placements[HERO]
    arms = {
        name: msgspec.structs.replace(arm, exploration=Thompson(floor=0.02)) if name == by_model(contents) else arm
        for name, arm in placement.arms.items()
    }
    placements = {**contents.policy.placements, HERO: msgspec.structs.replace(placement, arms=arms)}
    policy = msgspec.structs.replace(contents.policy, placements=placements)
    contents = contents._replace(policy=policy, recipes={RANKER: unsure})
    plain, made = (make_ranker(history, contents, RANKER, each) for each in (recipe, unsure))
    return World(contents, plain, made, folder)


def by_model(contents: SiteContents) -> ArmName:
    return next(
        name
        for name, arm in contents.policy.placements[HERO].arms.items()
        if getattr(arm.ranking, "model", None) is not None
    )


def bundled(world: World, made: MadeRanker) -> BuiltBundle:
    return build_bundle(
        world.contents,
        {RANKER: made.artefacts},
        version=BundleVersion(1),
        parent=None,
        created_ms=NOW_MS,
    )


def test_it_says_a_score_and_its_error_and_keeps_that_in_the_registry(world: World) -> None:
    artefacts = world.made.artefacts
    assert artefacts.kind == UNCERTAIN_RANKER
    assert artefacts.golden is not None
    _, golden = unpack(artefacts.golden)
    assert golden.shape == (128, 2)
    assert (golden[:, 1] >= 0).all()
    assert world.made.card["parity"]["mismatches"] == 0
    assert set(world.made.card["sureness"]) == {
        "standard error of a score, median",
        "standard error of a score, 95 % are below",
        "standard deviation of the scores",
    }
    assert from_files(to_files(artefacts, world.made.card)) == artefacts
    assert artefacts.continuation is None
    assert "sureness" not in world.plain.card


def test_it_ranks_about_as_well_as_without(world: World) -> None:
    measures = [made.judged["all"].measures["hit_rate@10"] for made in (world.plain, world.made)]
    assert measures[1].estimate >= measures[0].ci_low


def test_a_node_draws_from_the_probabilities_of_being_the_best(world: World) -> None:
    built = bundled(world, world.made)
    assert built.manifest.models[RANKER].uncertain
    check_bundle(built, now_ms=NOW_MS)
    served = Served(load_bundle(built.manifest, built.digest, built.resources))
    arm = by_model(world.contents)
    seen, propensities = set(), []
    for number in range(30):
        outcome = decide(
            Question(
                decision_id=DecisionId(f"{number:026}"),
                unit="unit",
                placements=(PlacementRequest(HERO, count=2),),
                context=Context(),
                grants=Grants(personalisation=True, analytics=True),
                force={HERO: arm},
            ),
            Profile(),
            bundle=served.bundle,
            score=served.score,
            draw=draw_from("salt", DecisionId(f"{number:026}")),
            now_ms=NOW_MS,
        )
        placed = outcome.decision.placements[HERO]
        assert placed.reason in {Reason.MODEL, Reason.EXPLORE}
        seen.add(placed.items[0].id)
        propensities += [item.propensity for item in placed.items]
    assert len(seen) > 1
    assert all(0 < each < 1 for each in propensities)


def test_without_errors_there_is_nothing_to_draw_from_and_the_release_is_refused(world: World) -> None:
    with pytest.raises(BundleRefused, match="without a standard error"):
        check_bundle(bundled(world, world.plain), now_ms=NOW_MS)


def test_it_is_registered_and_never_continued_day_by_day(world: World) -> None:
    with open_ledger(world.folder / "hub") as ledger:
        registry = ModelRegistry(world.folder / "hub", ledger)
        trained = train_ranker(world.contents, ledger, registry, RANKER, by="Ann")
        assert registry.artefacts(trained.model, trained.version).kind.uncertain
        with pytest.raises(InputError, match="train it in full"):
            train_ranker(world.contents, ledger, registry, RANKER, by="Ann", how=How(incremental=True))


def test_scores_are_the_means_over_visitors_drawn_anew(world: World) -> None:
    golden = world.made.artefacts.golden
    plain = world.plain.artefacts.golden
    assert golden is not None
    assert plain is not None
    matrix, scores = unpack(golden)
    assert scores.dtype == np.float64
    assert len(np.unique(scores[:, 1])) > 10
    assert matrix.shape[1] == unpack(plain)[0].shape[1]
