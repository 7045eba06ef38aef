"""A score that was learned from the ledger says on an edge what it says in training, and chooses what is shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from score_shop import SCORES, simulate, write_site
from score_world import GRANTED

from edge.worker.live_bundle import Served
from edgewise.admission.load import load_bundle
from edgewise.bundle.catalogue import Catalogue, Variant, content_sha256
from edgewise.bundle.policy import Arm, ByAttribute, ByFormula, Compare, OfItem, OfScore, Placement, Product, Sum
from edgewise.decide import decide
from edgewise.ids import ArmName, BundleVersion, CollectionName, DecisionId, ItemId, ModelName, PlacementName, ulid
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.reasons import Reason
from edgewise.request import Context, PlacementRequest
from hub.release.bundle import build_bundle, check_bundle
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.site.score_recipe import Abandonment
from hub.train.history import History
from hub.train.scores.carts import left_carts
from hub.train.scores.moments import MINUTE_MS, Moment
from hub.train.scores.rows import replayed
from hub.train.scores.score import make_score, score_recipe_of

WHY, BUYS = ModelName("why_left"), ModelName("propensity")
OFFER = PlacementName("offer")
PLAIN, VALUE = ArmName("plain"), ArmName("value")
MOST_CARTS = 40


def with_offer(contents: SiteContents, classes: tuple[str, ...]) -> SiteContents:
    """One placement: by price and propensity, each item worded for the reason why a cart was left."""
    items = []
    for item in contents.catalogue.items:
        copies = [_copy(item.id, reason) for reason in classes]
        digest = content_sha256(item.content)
        items.append(msgspec.structs.replace(item, variants=copies, approved_sha256=digest, approved_by="Ann"))
    formula = ByFormula(Product([OfItem("price"), Sum([OfScore(BUYS)])]))
    placement = Placement(
        collection=CollectionName("all"),
        arms={PLAIN: Arm(ByAttribute("price")), VALUE: Arm(formula)},
        arm=VALUE,
        opted_out_arm=PLAIN,
        fallback=[items[0].id],
        eligibility=[Compare("profile.score.propensity", "exists", to=True)],
    )
    policy = msgspec.structs.replace(
        contents.policy,
        placements={OFFER: placement},
        collections={CollectionName("all"): [item.id for item in items]},
    )
    return contents._replace(policy=policy, catalogue=Catalogue(items))


def _copy(item: ItemId, reason: str) -> Variant:
    content = {"title": f"{item}, for {reason}"}
    return Variant(
        reason,
        Compare("profile.class.why_left", "eq", reason),
        content,
        approved_sha256=content_sha256(content),
        approved_by="Ann",
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_node_asks_a_learned_score_what_training_would(tmp_path: Path) -> None:
    contents = write_site(tmp_path / "site", {name: SCORES[name] for name in (WHY, BUYS)})
    history = History(simulate(1, visitors=250).records)
    made = {name: make_score(history, contents, name, score_recipe_of(contents, name)) for name in (WHY, BUYS)}
    classes = made[WHY].artefacts.kind.classes
    contents = with_offer(contents, classes)
    models = {name: one.artefacts for name, one in made.items()}
    built = build_bundle(contents, models, version=BundleVersion(1), parent=None, created_ms=1)
    assert max(check_bundle(built, now_ms=1).values()) <= 1e-5
    served = Served(load_bundle(built.manifest, built.digest, built.resources))

    records = simulate(2, visitors=40).records
    unseen = History(records)
    told = made[WHY].evidence.recipe.predicts
    assert isinstance(told, Abandonment)
    idle_ms = told.idle_minutes * MINUTE_MS
    carts = left_carts(unseen, told)[:MOST_CARTS]
    moments = [Moment(cart.deed, cart.visitor, cart.last_ms + idle_ms, cart.last_ms + idle_ms, "") for cart in carts]
    said = {}
    with ScoringChild() as child:
        for name, one in made.items():
            matrix, is_asked = replayed(unseen, contents, one.artefacts.features, moments)
            assert is_asked.all()
            assert one.artefacts.model is not None
            said[name] = child.score(one.artefacts.model, matrix).astype(np.float64)
    shown = set()
    for place, cart in enumerate(carts):
        who = unseen.deeds[cart.deed].record.subject
        known = [record for record in records if record.subject == who and record.time_ms <= cart.last_ms]
        question = Question(
            DecisionId(ulid(1, bytes(10))), "unit", (PlacementRequest(OFFER),), Context(), GRANTED, explain=True
        )
        outcome = decide(
            question,
            fold(Profile(), known),
            bundle=served.bundle,
            score=served.score,
            draw=lambda _name, _slot: 0.5,
            now_ms=moments[place].now_ms,
        )
        assert outcome.decision.scores[WHY] == tuple(said[WHY][place].tolist())
        assert outcome.decision.scores[BUYS] == (float(said[BUYS].reshape(len(carts))[place]),)
        placed = outcome.decision.placements[OFFER]
        assert placed.reason is Reason.RULE
        assert placed.items[0].variant == classes[int(said[WHY][place].argmax())]
        shown.add(placed.items[0].variant)
    assert len(carts) == MOST_CARTS
    assert len(shown) > 2, "several reasons are told, so that wording is a choice"
