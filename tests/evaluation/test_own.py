"""What our own nodes decided, evaluated off policy: another release, another model, asked where they decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from edge_world import bundle_files, linear_onnx
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, CHAMPION, HERO, LIST, RANKER, feature_table, placement, policy

from edgewise.bundle.exploration import Softmax
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, Diversity, Nothing
from edgewise.bundle.rewards import RewardDefinition
from edgewise.counterfactual import WouldShow
from edgewise.decision import NOTHING, Decision
from edgewise.errors import InputError, ModelRefused
from edgewise.features.table import FeatureTable
from edgewise.ids import ItemId, PlacementName
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord
from hub.artefacts import Artefacts
from hub.evaluation.bundles import asked_of
from hub.evaluation.evaluate import Evaluation
from hub.evaluation.from_ledger import named_log
from hub.evaluation.names import EstimatorName
from hub.evaluation.own import Window, evaluate_placement
from hub.release.releases import Releases

CHOSEN = {
    CHAMPION: Arm(ByAttribute("popularity")),
    CHALLENGER: Arm(ByModel(RANKER), Softmax(0.02, 0.1), nothing=Nothing(0.05)),
}
POLICY = msgspec.structs.replace(
    policy(
        {
            HERO: placement(
                arm=CHALLENGER,
                arms=CHOSEN,
                count=3,
                may_be_empty=True,
                diversity=Diversity("category", 1),
                exploration_budget=0.7,
                reward=RewardDefinition({"click": 1.0}, wait_hours=1.0),
            ),
            LIST: placement(arms={CHAMPION: Arm(ByAttribute("popularity"))}, count=2),
        }
    ),
    experiments={},
)
VISITORS = 60
_decoded = msgspec.json.Decoder(Decision).decode


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReplayShop, list[DecisionRecord]]]:
    """The ranker says popularity / 1000; everybody who is shown a film clicks it where its popularity is even."""
    weights = np.zeros((len(feature_table().features), 1), np.float32)
    weights[4, 0] = 0.001
    matrix = np.zeros((2, len(weights)), np.float32)
    matrix[:, 4] = (10, 90)
    golden = encode_golden(Golden({RANKER: golden_rows(matrix, np.array([0.01, 0.09]))}))
    files = bundle_files(POLICY, golden=golden)
    files["models/ranker.onnx"] = linear_onnx(weights[:, 0])
    del files["models/ranker.attribution.onnx"]
    entry = ModelEntry("models/ranker.onnx", tuple(feature.name for feature in feature_table().features))
    with replay_shop(tmp_path_factory.mktemp("shop"), files=files, models={RANKER: entry}) as made:
        # What is drawn hangs on the ids of decisions: the same each time, some of them nothing.
        made.desk.entropy = np.random.default_rng(2).bytes
        for number in range(VISITORS):
            visitor = f"somebody-{number}"
            told = made.ask({"placements": [{"name": HERO}]}, visitor=visitor)
            for item in told["placements"][HERO]["items"]:
                if item["id"].endswith(("0", "2", "4", "6", "8")):
                    clicked = {"decisionId": told["decisionId"], "placement": HERO, "itemId": item["id"]}
                    made.track(
                        item["id"], visitor, event="Product Clicked", properties={**clicked, "product_id": item["id"]}
                    )
        records = made.report()
        made.hub.repository.assign(made.hub.ledger.releases()[0].version)
        yield made, records


def evaluated(shop: ReplayShop, what: str, *names: EstimatorName, placed: PlacementName = HERO) -> Evaluation:
    now_ms = shop.clock.now_ms() + 7_200_000
    releases = Releases(shop.hub.data_dir, shop.hub.ledger)
    window = Window(0, now_ms, now_ms)
    found = evaluate_placement(releases, placed, what, names or (EstimatorName.IPS,), window=window, resamples=100)
    return found.evaluation


def test_the_bundle_that_decided_would_have_shown_it_with_the_logged_propensity(
    shop: tuple[ReplayShop, list[DecisionRecord]],
) -> None:
    made, records = shop
    replayer = made.hub.replayer
    slots = ended = 0
    for record in records:
        placed = _decoded(record.decision).placements[HERO]
        shown: list[tuple[ItemId, float]] = [(item.id, item.propensity) for item in placed.items]
        if not isinstance(placed.nothing, msgspec.UnsetType):
            shown.append((NOTHING, placed.nothing.propensity))
            ended += 1
        found = replayer.would_show(record, HERO, [item for item, _ in shown], replayer.bundle(record))
        assert isinstance(found, WouldShow)
        assert found.arm == CHALLENGER
        for slot, (item, propensity) in enumerate(shown):
            assert found.chances[slot, found.items.index(item)] == pytest.approx(propensity, abs=1e-12)
            assert found.chances[slot].sum() == pytest.approx(1.0, abs=1e-9)
            slots += 1
    assert slots > VISITORS
    assert ended > 0


def test_what_an_item_that_is_no_candidate_stood_for_leaves_the_later_slots_as_they_are(
    shop: tuple[ReplayShop, list[DecisionRecord]],
) -> None:
    made, records = shop
    replayer = made.hub.replayer
    bundle = replayer.bundle(records[0])
    found = replayer.would_show(records[0], HERO, [ItemId("of-yesterday"), NOTHING, NOTHING], bundle)
    assert isinstance(found, WouldShow)
    assert found.chances[0] == pytest.approx(found.chances[1])
    assert not found.chances[2].any(), "the slate had ended"


def test_the_release_that_decided_is_worth_what_was_logged(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    same = evaluated(shop[0], "bundle:7", EstimatorName.IPS, EstimatorName.RIPS)
    assert same.logged_value > 0
    for estimate in same.estimators.values():
        assert estimate.estimate == pytest.approx(same.logged_value)
        assert estimate.max_weight == pytest.approx(1.0)
    assert same.estimators["ips"].ess == pytest.approx(same.n)


def test_an_arm_is_another_policy_than_the_one_that_is_assigned(
    shop: tuple[ReplayShop, list[DecisionRecord]],
) -> None:
    greedy = evaluated(shop[0], "bundle:7:champion")
    assert greedy.estimators["ips"].max_weight > 1.0
    assert greedy.estimators["ips"].ess < greedy.n


def test_what_the_log_never_showed_but_could_have_is_supported(
    shop: tuple[ReplayShop, list[DecisionRecord]],
) -> None:
    """Sixty slates leave most of what exploring could show unseen; the bundle that decided says it was possible."""
    same = evaluated(shop[0], "bundle:7")
    assert not any("never shows" in warning for warning in same.warnings)
    greedy = evaluated(shop[0], "bundle:7:champion")
    assert not any("never shows" in warning for warning in greedy.warnings)


def test_one_arm_s_decisions_can_be_evaluated_alone(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    made, _ = shop
    now_ms = made.clock.now_ms() + 7_200_000
    releases = Releases(made.hub.data_dir, made.hub.ledger)
    window = Window(0, now_ms, now_ms, arm=CHALLENGER)
    alone = evaluate_placement(releases, HERO, "logged", window=window, resamples=100).evaluation
    assert alone.n == evaluated(made, "logged").n
    with pytest.raises(InputError, match=f"other-arm {VISITORS}"):
        evaluate_placement(releases, HERO, "logged", window=window._replace(arm=CHAMPION))
    assert named_log("placement:home_hero:challenger") == ("home_hero", "challenger")
    assert named_log("placement:home_hero") == ("home_hero", None)


def test_a_registered_model_is_asked_in_the_live_release(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    made, records = shop
    releases = Releases(made.hub.data_dir, made.hub.ledger)
    weights = np.zeros(len(feature_table().features), np.float32)
    weights[4] = -0.001
    matrix = np.zeros((2, len(weights)), np.float32)
    matrix[:, 4] = (10, 90)
    turned = Artefacts(
        features=feature_table(),
        model=linear_onnx(weights, bias=0.2),
        golden=golden_rows(matrix, np.array([0.19, 0.11])),
    )
    version = releases.registry.register(RANKER, turned, {}, by="Ann")
    asked = asked_of(f"model:{RANKER}@{version}", HERO, releases)
    assert asked.arm == CHALLENGER
    live = releases.bundle(records[0].bundle_version)
    assert asked.bundle.digest != live.digest
    replayer = made.hub.replayer
    shown = [item.id for item in _decoded(records[0].decision).placements[HERO].items]
    before = replayer.would_show(records[0], HERO, shown, replayer.bundle(records[0]))
    after = replayer.would_show(records[0], HERO, shown, asked.bundle, asked.arm)
    assert isinstance(before, WouldShow)
    assert isinstance(after, WouldShow)
    assert before.items[before.chances[0].argmax()] != after.items[after.chances[0].argmax()]
    assert evaluated(made, f"model:{RANKER}").estimators["ips"].max_weight > 1.0
    other = msgspec.structs.replace(turned, features=FeatureTable(feature_table().features[:-1]))
    more = FeatureTable([*other.features.features, msgspec.structs.replace(feature_table().features[0], name="new")])
    version = releases.registry.register(RANKER, msgspec.structs.replace(turned, features=more), {}, by="Ann")
    with pytest.raises(ModelRefused, match="the site lacks"):
        asked_of(f"model:{RANKER}@{version}", HERO, releases)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("bundle:99", "no release 99"),
        ("bundle:new", "'new' is no release"),
        ("bundle:7:winner", "no arm 'winner'"),
        ("model:nobody", "no model 'nobody' is registered"),
        (f"model:{RANKER}@newest", "'newest' is no version"),
        ("constant:", "expected logged"),
    ],
)
def test_what_names_nothing_is_refused(shop: tuple[ReplayShop, list[DecisionRecord]], what: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluated(shop[0], what)


def test_a_placement_without_decisions_cannot_be_evaluated(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    with pytest.raises(InputError, match="no settled decision"):
        evaluated(shop[0], "logged", placed=LIST)


def test_plain_policies_are_evaluated_on_our_own_decisions(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    logged = evaluated(shop[0], "logged")
    assert logged.estimators["ips"].estimate == pytest.approx(logged.logged_value)
    assert evaluated(shop[0], "uniform").estimators["ips"].max_weight > 1.0


def test_what_waits_for_its_reward_is_left_out(shop: tuple[ReplayShop, list[DecisionRecord]]) -> None:
    now_ms = shop[0].clock.now_ms() + 1
    releases = Releases(shop[0].hub.data_dir, shop[0].hub.ledger)
    with pytest.raises(InputError, match=f"waiting {VISITORS}"):
        evaluate_placement(releases, HERO, "logged", window=Window(0, now_ms, now_ms))


def test_who_may_not_be_personalised_is_no_case_for_another_policy(
    shop: tuple[ReplayShop, list[DecisionRecord]],
) -> None:
    made, records = shop
    replayer = made.hub.replayer
    refused: Any = msgspec.structs.replace(records[0], dial=0)
    assert replayer.would_show(refused, HERO, [], replayer.bundle(records[0])) is Reason.OPTED_OUT
