"""Visitor scores as real graphs on a node: in rules, formulas, copies and features; replayed, explained at the hub."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
import scores_world
import world
from edge_world import KEYS, linear_onnx
from numpy.typing import NDArray
from replay_world import ReplayShop, replay_shop
from scores_world import CHURN, CLASSES, MOOD, entries
from world import CHALLENGER, CHAMPION, LIST, RANKER

from edge.agent.trial import try_bundle
from edge.worker.live_bundle import Served
from edgewise.admission.load import load_bundle
from edgewise.bundle.catalogue import Variant, content_sha256
from edgewise.bundle.exploration import SquareCB
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import GOLDEN
from edgewise.bundle.policy import Arm, ByAttribute, ByFormula, Compare, OfItem, OfModel, OfScore, Policy, Product, Sum
from edgewise.decision import Decision
from edgewise.errors import BundleRefused
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord
from edgewise.visitor import sign_visitor
from hub.commands.explain import _shown as told
from hub.explain import Explanation, explain

_numbers = itertools.count()
CHURN_WEIGHTS = np.array([-0.5, -0.25, 0.1], np.float32)
MOOD_WEIGHTS = np.array([[0.0, -1.0, 2.0], [0.0, 0.7, 0.0], [0.0, 0.0, 0.0]], np.float32)
RANKER_WEIGHTS = np.zeros(14, np.float32)
RANKER_WEIGHTS[[0, 2, 4, 13]] = 2.0, 1.0, 1e-3, 0.5


def policy() -> Policy:
    """A list by a formula over ranker, score and price, for whoever is not about to leave."""
    formula = ByFormula(Sum([OfModel(RANKER), Product([OfScore(CHURN), OfItem("price")])]), sentence="Good value")
    listed = world.placement(
        arm=CHALLENGER,
        count=5,
        eligibility=[Compare("profile.score.churn", "lt", 0.51)],
        arms={CHAMPION: Arm(ByAttribute("popularity")), CHALLENGER: Arm(formula, SquareCB(gamma=50.0, floor=0.02))},
    )
    return world.policy({LIST: listed}, feature_sample_share=0.5)


def files() -> dict[str, bytes]:
    """The release: every film has a copy for whoever is buying."""
    items = []
    for number in range(24):
        content = {"title": f"Film {number}, the last copies"}
        copy = Variant(
            "hurry", Compare("profile.class.mood", "eq", "buying"), content, "Worded for who decides today",
            content_sha256(content), "editor",
        )  # fmt: skip
        items.append(msgspec.structs.replace(world.item(number), variants=[copy]))
    weights = {RANKER: (RANKER_WEIGHTS, None), CHURN: (CHURN_WEIGHTS, "Sigmoid"), MOOD: (MOOD_WEIGHTS, "Softmax")}
    made = scores_world.files(policy=policy(), items=items)
    golden = {}
    for name, (of, link) in weights.items():
        made[entries()[name].resource] = linear_onnx(of, link=link)
        rows = np.linspace(0, 4, 2 * len(of), dtype=np.float32).reshape(2, -1)
        golden[name] = golden_rows(rows, _linked(rows.astype(np.float64) @ of, link))
    return made | {GOLDEN: encode_golden(Golden(golden))}


def _linked(z: NDArray[np.float64], link: str | None) -> NDArray[np.float64]:
    if link == "Sigmoid":
        return np.asarray(1 / (1 + np.exp(-z)), np.float64)
    if link == "Softmax":
        powers = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
    return z


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("scores"), files=files(), models=entries()) as made:
        yield made


def somebody(shop: ReplayShop, *films: str) -> str:
    visitor = f"scored-{next(_numbers)}"
    for film in films:
        shop.track(film, visitor)
    return visitor


def decided(shop: ReplayShop, visitor: str, **options: Any) -> tuple[DecisionRecord, dict[str, Any], Decision]:
    told = shop.ask({"placements": [{"name": LIST}], "options": options}, visitor=visitor)
    record = next(one for one in shop.report() if one.decision_id == told["decisionId"])
    return record, told["placements"][LIST], msgspec.json.decode(record.decision, type=Decision)


def assert_identical(shop: ReplayShop, record: DecisionRecord) -> None:
    replay = shop.hub.replayer.replay(record.decision_id)
    assert (replay.identical, replay.difference, replay.missing) == (True, None, ())


def test_scores_decide_are_recorded_and_replayed_to_the_byte(shop: ReplayShop) -> None:
    newcomer, viewer = somebody(shop, "film-1"), somebody(shop, "film-3", "film-9", "film-11")
    record, placed, decision = decided(shop, newcomer)
    churn = 1 / (1 + np.exp(0.5 + 0.25))
    assert decision.scores[CHURN] == pytest.approx([churn], rel=1e-6)
    assert {item.get("variant") for item in placed["items"]} == {"hurry" if decision.scores[MOOD][1] > 0.5 else None}
    assert_identical(shop, record)
    record, placed, decision = decided(shop, viewer, explain=True)
    assert decision.scores.keys() == {CHURN, MOOD}
    assert decision.scores[MOOD].index(max(decision.scores[MOOD])) == CLASSES.index("buying")
    for item in placed["items"]:
        assert item["variant"] == "hurry"
        assert item["content"]["title"] == f"Film {item['id'].removeprefix('film-')}, the last copies"
        assert item["why"][-1]["text"] == "Worded for who decides today"
        assert item["reason"] == "EXPLORE" or item["why"][0]["text"] == "Good value"
    assert {item.content_digest for item in decision.placements[LIST].items} == {
        content_sha256(item["content"]) for item in placed["items"]
    }
    assert_identical(shop, record)


def test_whom_a_rule_shuts_out_gets_the_fallback(shop: ReplayShop) -> None:
    for device, reasons in (("mobile", {"FALLBACK_NO_CANDIDATE"}), ("desktop", {"MODEL", "EXPLORE"})):
        asked = {"placements": [{"name": LIST}], "context": {"device": {"type": device}}}
        told = shop.ask(asked, visitor=f"scored-{next(_numbers)}")  # churn is sigmoid(0.1), or sigmoid(0)
        assert told["placements"][LIST]["reason"] in reasons
        assert_identical(shop, next(one for one in shop.report() if one.decision_id == told["decisionId"]))


def test_a_score_that_breaks_is_left_out_and_the_replay_leaves_it_out(shop: ReplayShop) -> None:
    served = shop.desk.live.served
    assert served is not None
    sound = dict(served._scorers)

    class Broken:
        """Takes the place of a session whose memory is gone."""

        def score(self, _matrix: NDArray[np.float32]) -> NDArray[np.float32]:
            raise MemoryError

    try:
        served._scorers[MOOD] = Broken()  # type: ignore[assignment]
        record, placed, decision = decided(shop, somebody(shop, "film-3"))
        assert record.degradation is Degradation.SCORES
        assert decision.scores == {}
        assert placed["reason"] == "FALLBACK_NO_CANDIDATE"  # the rule cannot be true of a missing score
        assert_identical(shop, record)
    finally:
        served._scorers.update(sound)


def _facts(explanation: Explanation) -> list[list[str]]:
    """The first table of `edgewise explain`, as text."""
    table = told(explanation)[0]
    columns = [list(column.cells) for column in table.columns]
    return [[str(cell) for cell in row] for row in zip(*columns, strict=True)]


def test_explanations_name_scores_and_copies(shop: ReplayShop) -> None:
    visitor = somebody(shop, "film-3", "film-9", "film-11")
    record, _, decision = decided(shop, visitor)
    explanation = explain(shop.hub.ledger, shop.hub.replayer, record.decision_id)
    assert explanation.causes == "decided again"
    assert explanation.scores[CHURN] == decision.scores[CHURN][0]
    assert explanation.scores[MOOD] == dict(zip(CLASSES, decision.scores[MOOD], strict=True))
    assert {item.variant for item in explanation.placements[LIST].items} == {"hurry"}
    estimated = {cell for row in _facts(explanation) for cell in row}
    assert any(cell.startswith("churn 0.") and "; mood: browsing 0." in cell for cell in estimated)
    cookie = {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, visitor, shop.clock.now_ms())}"}
    why = shop.client.get(f"/v1/why/{record.decision_id}", headers=cookie).json()
    assert why["scores"]["mood"].keys() == set(CLASSES)
    assert why["scores"]["churn"] == decision.scores[CHURN][0]
    for item in why["placements"][LIST]["items"]:
        assert (item["variant"], item["why"][-1]["text"]) == ("hurry", "Worded for who decides today")
    page = shop.client.get(f"/v1/why/{record.decision_id}", headers={**cookie, "accept": "text/html"}).text
    assert "What was estimated of you" in page
    assert "churn: 0." in page
    shop.prefer({"dial": 0}, visitor)
    assert shop.client.get(f"/v1/why/{record.decision_id}", headers=cookie).json()["scores"] == {}


def test_a_new_bundle_of_scores_passes_its_trial(shop: ReplayShop) -> None:
    served = shop.desk.live.served
    assert served is not None
    try_bundle(shop.desk.paths.root, served.bundle.digest)  # raises what is wrong with it


def test_a_node_refuses_scores_that_come_out_otherwise() -> None:
    made = files() | {entries()[MOOD].resource: linear_onnx(np.asarray(MOOD_WEIGHTS * 2, np.float32), link="Softmax")}
    manifest = world.manifest(made, models=entries())
    with pytest.raises(BundleRefused, match="model mood: a golden row is off"):
        Served(load_bundle(manifest, "", made))
