"""Exploration over HTTP and through the ledger: what a node drew, left empty and asked beside comes out again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from edge_world import bundle_files, linear_onnx
from hub_process import edgewise
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, CHAMPION, HERO, LIST, RANKER, feature_table, placement, policy

from edgewise.bundle.exploration import Softmax, Thompson
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, Diversity, Nothing
from edgewise.decision import NOTHING
from edgewise.ids import PlacementName
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord, Shadow
from hub.explain import explain
from hub.rewards.definition import CLICKED
from hub.rewards.join import joined
from hub.site.recipes import Outcome
from hub.train.logged import logged_rows

NEW = PlacementName("first_days")
POLICY = msgspec.structs.replace(
    policy(
        {
            HERO: placement(
                arm=CHALLENGER,
                arms={
                    CHAMPION: Arm(ByAttribute("popularity")),
                    CHALLENGER: Arm(ByModel(RANKER), Softmax(0.01, 0.02), nothing=Nothing(0.116)),
                },
                count=3,
                may_be_empty=True,
                diversity=Diversity("category", 1),
                exploration_budget=0.6,
            ),
            LIST: placement(
                arms={
                    CHAMPION: Arm(ByAttribute("popularity")),
                    CHALLENGER: Arm(ByModel(RANKER), Thompson(floor=0.05)),
                },
                count=2,
                learning="apprentice",
                challenger=CHALLENGER,
            ),
            NEW: placement(arms={CHAMPION: Arm(ByAttribute("popularity"))}, count=2, learning="logging-only"),
        }
    ),
    experiments={},
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    """The ranker says popularity / 1000 + .02, and a standard error of a fiftieth."""
    width = len(feature_table().features)
    weights = np.zeros((width, 2), np.float32)
    weights[4, 0] = 0.001
    matrix = np.zeros((2, width), np.float32)
    matrix[:, 4] = (10, 90)
    error = 0.02
    expected = np.array([[0.01 + error, error], [0.09 + error, error]])
    files = bundle_files(POLICY, golden=encode_golden(Golden({RANKER: golden_rows(matrix, expected)})))
    files["models/ranker.onnx"] = linear_onnx(weights, bias=error)
    del files["models/ranker.attribution.onnx"]
    names = tuple(feature.name for feature in feature_table().features)
    entry = ModelEntry("models/ranker.onnx", names, uncertain=True)
    with replay_shop(tmp_path_factory.mktemp("shop"), files=files, models={RANKER: entry}) as made:
        yield made


ALL = {"placements": [{"name": HERO}, {"name": LIST}, {"name": NEW}]}


def asked(shop: ReplayShop, number: int, **options: Any) -> tuple[dict[str, Any], DecisionRecord]:
    told = shop.ask({**ALL, "options": options}, visitor=f"somebody-{number}")
    return told, next(record for record in shop.report() if record.decision_id == told["decisionId"])


def test_every_decision_is_made_again_to_the_byte(shop: ReplayShop) -> None:
    emptied = explored = 0
    for number in range(30):
        told, record = asked(shop, number)
        hero = told["placements"][HERO]
        assert len(hero["items"]) + ("nothing" in hero) <= 3
        if "nothing" in hero:
            emptied += 1
            assert set(hero["nothing"]) == {"rank", "reason", "score", "propensity", "why"}
            assert hero["nothing"]["rank"] == len(hero["items"]) + 1
            assert hero["nothing"]["score"] == 0.116
        explored += hero["reason"] == "EXPLORE"
        assert "nothing" not in told["placements"][LIST]
        assert set(record.shadows) == {LIST}
        assert len(record.shadows[LIST].items) == 2
        assert set(record.shown[NEW].items) == {item["id"] for item in told["placements"][NEW]["items"]}
        replay = shop.hub.replayer.replay(record.decision_id)
        assert (replay.identical, replay.difference) == (True, None)
    assert emptied > 0
    assert explored > 2


def test_an_explanation_tells_of_an_empty_space_and_of_the_challenger(shop: ReplayShop) -> None:
    for number in range(100, 140):
        told, record = asked(shop, number)
        explained = explain(shop.hub.ledger, shop.hub.replayer, record.decision_id)
        hero = explained.placements[HERO]
        assert explained.causes == "decided again"
        assert explained.placements[LIST].shadow == record.shadows[LIST]
        if hero.nothing is not None:
            assert [why.code for why in hero.nothing.why] == ["nothing"]
            assert hero.propensity == pytest.approx(
                math.prod(item["propensity"] for item in told["placements"][HERO]["items"]) * hero.nothing.propensity
            )
            page = shop.client.get(f"/v1/why/{record.decision_id}", headers={"accept": "text/html"})
            assert "Left empty" in page.text
            return
    raise AssertionError("no space was left empty in 40 decisions")


def test_an_operator_sees_what_the_challenger_would_have_shown(shop: ReplayShop) -> None:
    told, record = asked(shop, 200, debug=True)
    shadow = msgspec.convert(told["debug"]["shadows"][LIST], Shadow)
    assert shadow == record.shadows[LIST]


def test_a_changed_shadow_is_found_and_one_that_had_no_time_is_not_compared(shop: ReplayShop) -> None:
    _, record = asked(shop, 300)
    shadow = record.shadows[LIST]
    changed = msgspec.structs.replace(shadow, propensities=(0.5, *shadow.propensities[1:]))
    shop.hub.tamper(record, shadows={LIST: changed})
    difference = shop.hub.replayer.replay(record.decision_id).difference
    assert difference is not None
    assert difference.path == f"$.shadows.{LIST}.propensities[0]"
    shop.hub.tamper(record, shadows={LIST: Shadow(CHALLENGER, Reason.FALLBACK_DEADLINE)})
    assert shop.hub.replayer.replay(record.decision_id).identical
    shop.hub.tamper(record, shadows={})
    difference = shop.hub.replayer.replay(record.decision_id).difference
    assert difference is not None
    assert difference.path == f"$.shadows.{LIST}"


def test_the_page_of_openapi_knows_what_may_be_left_empty(shop: ReplayShop) -> None:
    schemas = shop.client.get("/openapi.json").json()["components"]["schemas"]
    assert "nothing" in schemas["PlacementAnswer"]["properties"]
    assert "nothing" not in schemas["PlacementAnswer"].get("required", [])


def test_a_first_model_can_learn_from_what_rules_showed(shop: ReplayShop) -> None:
    names = [feature.name for feature in feature_table().features]
    clicked = []
    for number in range(400, 404):
        told, _ = asked(shop, number)
        item = told["placements"][NEW]["items"][number % 2]["id"]
        properties = {"decisionId": told["decisionId"], "placement": NEW, "itemId": item, "product_id": item}
        shop.track(item, f"somebody-{number}", event="Product Clicked", properties=properties, messageId=f"m-{number}")
        clicked.append((told["decisionId"], item))
    shop.report()
    rows = logged_rows(shop.hub.ledger, NEW, Outcome("click"), names)
    decided = np.repeat(rows.decision_ids, rows.size).tolist()
    mine = [(decision, item) for decision, item, label in zip(decided, rows.items, rows.label, strict=True) if label]
    assert sorted(mine) == sorted(clicked)
    assert set(rows.propensity[rows.slot > 0].tolist()) == {1.0}
    assert rows.left_out == {}


def test_an_empty_space_is_an_action_of_the_joined_log(shop: ReplayShop) -> None:
    left_empty = {}
    for number in range(500, 525):
        told, _ = asked(shop, number)
        hero = told["placements"][HERO]
        if "nothing" in hero:
            left_empty[told["decisionId"]] = (hero["nothing"]["rank"], hero["nothing"]["propensity"])
    assert left_empty
    now_ms = shop.clock.now_ms() + 1
    rows = joined(shop.hub.ledger, HERO, CLICKED, since_ms=0, until_ms=now_ms, now_ms=now_ms)
    found = {
        decision: (slot, propensity)
        for decision, item, slot, propensity in zip(
            rows.decision_id, rows.item, rows.slot.tolist(), rows.propensity.tolist(), strict=True
        )
        if item == NOTHING and decision in left_empty
    }
    assert found == left_empty
    assert rows.counts.dropped == {}


def test_the_commands_tell_it_in_words(shop: ReplayShop, capsys: pytest.CaptureFixture[str]) -> None:
    made = (asked(shop, number) for number in range(600, 640))
    record = next(record for told, record in made if "nothing" in told["placements"][HERO])
    explained = edgewise(capsys, "explain", record.decision_id, "--data-dir", shop.hub.data_dir)
    assert explained.code == 0, explained.stderr
    words = " ".join(explained.stdout.split())
    assert "nothing" in words
    assert f"the challenger {CHALLENGER}, asked beside" in words
    assert record.shadows[LIST].items[0] in words
    replayed = edgewise(capsys, "replay", record.decision_id, "--data-dir", shop.hub.data_dir)
    assert (replayed.code, "identical" in replayed.stdout) == (0, True)
