"""The whole loop on real parts: a node explores, visitors click, the loop trains, judges, builds a candidate, waits.

Only unpopular films are clicked. The model that serves knows it the other way round; what is learned from its decisions
must find that out, and prove it on decisions that it has not learned from.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from edge_world import bundle_files
from replay_world import ReplayShop, replay_shop
from world import ALL, CHALLENGER, FILMS, HERO, RANKER, catalogue, feature_table, placement, policy

from edge.node.bundles import BundleStore
from edgewise.bundle.exploration import EpsilonGreedy
from edgewise.bundle.policy import Arm, ByModel
from edgewise.ids import BundleVersion, ItemId
from edgewise.records import DecisionRecord
from hub.learning.alerts import Alerts
from hub.learning.gate import GatePlan
from hub.learning.loop import LearnReport, once_around
from hub.learning.page import learning_page
from hub.learning.people import Person
from hub.learning.plan import LearnPlan
from hub.learning.story import story
from hub.ledger.learning import StepName, TurnState
from hub.ledger.rows import ModelStatus, ReleaseStatus
from hub.release.bundle import BuiltBundle
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild
from hub.site.files import ModelUse
from hub.site.loading import SiteContents
from hub.site.recipes import DecisionRecipe, Outcome, RankerRecipe, TreeRecipe

pytestmark = pytest.mark.slow  # a thousand decisions, a training, and each decision asked again

VISITORS = 1_600
HOUR_MS = 3_600_000
PLAN = LearnPlan(most_judged=600, judge_share=0.4, gate=GatePlan(fewest_new=200, least_ess=50, least_choices=0.1))
MODEL_ARM = placement(
    arms={CHALLENGER: Arm(ByModel(RANKER), EpsilonGreedy(0.7)), "champion": placement().arms[placement().arm]},
    arm=CHALLENGER,
    fallback=[FILMS[0]],
)
SHOWN = FILMS[:8]
POLICY = msgspec.structs.replace(policy({HERO: MODEL_ARM}), collections={ALL: list(SHOWN)})
RECIPE = RankerRecipe(
    outcome=Outcome("click"),
    placement=HERO,
    features=["popularity"],
    fit_share=0.1,
    trees=TreeRecipe(rounds=20, min_data_in_leaf=10),
    decisions=DecisionRecipe(),
)
CONTENTS = SiteContents(
    POLICY, catalogue(), feature_table(), {RANKER: ModelUse(RANKER, "champion")}, recipes={RANKER: RECIPE}
)


def wanted(film: ItemId) -> float:
    """The probability of a click: the less popular, the more."""
    return 0.9 if SHOWN.index(film) >= len(SHOWN) // 2 else 0.05


def live(shop: ReplayShop, names: range, rng: np.random.Generator) -> None:
    """Days of visitors on a node, reported to its hub, and a night in which outcomes settle."""
    for number in names:
        shop.clock.advance(4 * 60_000)
        visitor = f"visitor-{number}"
        told = shop.ask({"placements": [{"name": HERO}]}, visitor=visitor)
        (item,) = told["placements"][HERO]["items"]
        if rng.random() < wanted(ItemId(item["id"])):
            said = {"itemId": item["id"], "decisionId": told["decisionId"]}
            shop.track(item["id"], visitor, event="Content Clicked", properties=said)
    shop.report()
    shop.clock.advance(30 * HOUR_MS)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop"), files=bundle_files(POLICY)) as shop:
        shop.hub.repository.assign(BundleVersion(7))
        live(shop, range(VISITORS), np.random.default_rng(5))
        yield shop


@pytest.fixture(scope="module")
def child() -> Iterator[ScoringChild]:
    with ScoringChild() as made:
        yield made


@pytest.fixture(scope="module")
def learned(lived: ReplayShop) -> LearnReport:
    hub = lived.hub
    releases = Releases(hub.data_dir, hub.ledger, lived.clock)
    return once_around(hub.ledger, releases, CONTENTS, PLAN, [RANKER], clock=lived.clock, alerts=Alerts({}))


def test_what_was_learned_is_proven_by_the_log_and_waits_for_a_person(lived: ReplayShop, learned: LearnReport) -> None:
    ledger = lived.hub.ledger
    (turn,) = learned.turns
    judged = next(step for step in ledger.steps(turn.number) if step.name is StepName.EVALUATE)
    assert turn.state is TurnState.WAITING, (turn.reason, msgspec.json.encode(judged.result))
    log = judged.result["off_policy"]
    assert log["lift"]["low"] > 0
    assert log["challenger"] > 1.2 * log["champion"]
    assert log["rows"] == PLAN.most_judged or log["rows"] > 0.9 * 0.4 * VISITORS
    assert judged.result["data"]["learned"] == 0
    assert judged.result["parity"]["mismatches"] == 0
    releases = Releases(lived.hub.data_dir, ledger, lived.clock)
    assert turn.release is not None
    assert releases.row(turn.release).status is ReleaseStatus.CANDIDATE
    assert releases.live() == 7
    assert releases.registry.row(RANKER, 1).status is ModelStatus.CANDIDATE


def test_it_learned_from_nothing_that_judged_it(lived: ReplayShop, learned: LearnReport) -> None:
    ledger = lived.hub.ledger
    (turn,) = learned.turns
    trained = [step for step in ledger.steps(turn.number) if step.name is StepName.TRAIN][-1]
    until_ms = trained.inputs["learned_until_ms"]
    times = [record.time_ms for _, record in ledger.decisions()]
    later = sum(time_ms >= until_ms for time_ms in times)
    assert later == pytest.approx(0.4 * VISITORS, abs=2)
    assert trained.result["data"]["decisions_learned_from"] <= VISITORS - later


def test_the_page_tells_of_it(lived: ReplayShop, learned: LearnReport) -> None:
    releases = Releases(lived.hub.data_dir, lived.hub.ledger, lived.clock)
    html = learning_page(story(releases, lived.clock.now_ms()))
    (turn,) = learned.turns
    for said in (f"turn {turn.number}, ranker", "release 7", "What challengers would have earned", "waiting"):
        assert said in html
    assert "<script" not in html


def test_the_log_is_what_the_node_wrote(lived: ReplayShop) -> None:
    records: list[DecisionRecord] = [record for _, record in lived.hub.ledger.decisions()]
    assert len(records) == VISITORS


def test_a_refresh_is_as_good_and_better_than_no_model_at_all(
    lived: ReplayShop, learned: LearnReport, child: ScoringChild
) -> None:
    """The last test of the module: it goes on living where the others look. The same tastes, newer data."""
    hub, clock = lived.hub, lived.clock
    releases = Releases(hub.data_dir, hub.ledger, clock)
    person = Person("Bo", hub.ledger, releases, PLAN, clock)
    first = person.promote(person.approve(learned.turns[0].number, {}, child).number)
    assert first.release is not None
    serve(lived, releases.bundle(first.release))
    live(lived, range(VISITORS, 2 * VISITORS), np.random.default_rng(6))
    # six hundred decisions cannot tell a loss of 2 % from chance
    plan = msgspec.structs.replace(PLAN, gate=msgspec.structs.replace(PLAN.gate, margin=0.15))
    report = once_around(hub.ledger, releases, CONTENTS, plan, [RANKER], clock=clock, alerts=Alerts({}))
    (turn,) = (turn for turn in report.turns if turn.number != first.number)
    judged = next(step for step in hub.ledger.steps(turn.number) if step.name is StepName.EVALUATE)
    told = msgspec.json.encode(judged.result)
    assert judged.result["is_refresh"], told
    assert judged.result["held_out"]["above_rule"]["low"] > 0.2, told
    assert turn.state is TurnState.WAITING, (turn.reason, told)


def serve(shop: ReplayShop, built: BuiltBundle) -> None:
    """The node installs a release and its worker takes it over."""
    store = BundleStore(shop.desk.paths)
    store.activate(store.stage(built.manifest_bytes, built.resources))
    shop.desk.live.load_now()
    served = shop.desk.live.served
    assert served is not None
    assert served.bundle.digest == built.digest
