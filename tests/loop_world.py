"""The invented shop with a model to be learned, and a workshop whose trainer and evidence a test decides on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from release_world import Shop, tiny_model, tiny_neighbours

from edgewise.clock import ManualClock, SystemClock
from edgewise.consent import Grants
from edgewise.ids import BundleVersion, ItemId, MessageId, ModelName, NodeId, Producer, SubjectId
from edgewise.reasons import State
from edgewise.records import EventRecord, Touch
from hub.learning.alerts import Alerts
from hub.learning.evidence import DataEvidence, GateEvidence, HeldOut, Interval, OffPolicy, ParityEvidence
from hub.learning.gate import GatePlan, alpha_of_look
from hub.learning.loop import LearnReport, once_around
from hub.learning.people import Person
from hub.learning.plan import LearnPlan
from hub.learning.turns import EvidenceAsked, TrainAsked, Workshop
from hub.ledger.learning import StepName, Turn
from hub.ledger.ledger import Ledger
from hub.ledger.rows import NodeRow

HERO, RANKER = ModelName("hero"), ModelName("ranker")
HOUR_MS = 3_600_000
PLAN = LearnPlan(canary_share=0.5, canary_hours=2, canary_decisions=1, gate=GatePlan(fewest_new=5))
CLICKED = Grants(personalisation=True, analytics=True)


def off_policy_said(**changes: Any) -> OffPolicy:
    """A log that speaks for the challenger."""
    weights = Interval(1.0, 0.9, 1.1)
    said = OffPolicy(
        champion=0.10,
        challenger=0.13,
        lift=Interval(0.03, 0.01, 0.05),
        alpha=alpha_of_look(PLAN.gate.alpha, 1),
        halves=(Interval(0.02, -0.01, 0.05), Interval(0.04, 0.01, 0.07)),
        rows=5_000,
        units=4_000,
        unit_name="user",
        ess=1_500.0,
        max_weight=9.0,
        share_of_largest=0.002,
        largest_reward_share=0.01,
        unsupported=0.0,
        rewarded_ess=300.0,
        mean_weights={"challenger": weights, "champion": weights},
        explores=0.1,
        champion_explores=0.1,
        choices=6.0,
        champion_choices=5.0,
    )
    return msgspec.structs.replace(said, **changes)


def evidence(**changes: Any) -> GateEvidence:
    """Nothing speaks against this challenger."""
    said = GateEvidence(
        challenger="ranker@2",
        champion="ranker@1",
        now_ms=1_000 * HOUR_MS,
        looks=1,
        is_refresh=False,
        parity=ParityEvidence(20_000, 0, 1e-7),
        data=DataEvidence(new=1_000, trained_ms=999 * HOUR_MS, newest_ms=990 * HOUR_MS),
        held_out=HeldOut("hit_rate@10", 400, above_rule=Interval(0.1, 0.05, 0.15)),
        off_policy=off_policy_said(),
    )
    return msgspec.structs.replace(said, **changes)


def better(asked: EvidenceAsked) -> GateEvidence:
    """Every challenger is better, at the level that its look may spend."""
    log = off_policy_said(alpha=alpha_of_look(PLAN.gate.alpha, asked.looks))
    return evidence(looks=asked.looks, off_policy=log)


class LoopShop(Shop):
    """A site whose hero ranks by a model that the loop learns; version 1 of it serves."""

    def __init__(self, folder: Path, *, prepared: Path | None = None) -> None:
        """With `prepared`, as another shop was made in that folder, which is copied."""
        self.trained, self.clicks = 1, 0
        self.failing: Callable[[TrainAsked], None] | None = None
        self.judged_by: Callable[[EvidenceAsked], GateEvidence] = better
        if prepared is not None:
            shutil.copytree(prepared, folder, dirs_exist_ok=True)
            self.clock = ManualClock(SystemClock().now_ms())
            self.data_dir, self.site = folder / "hub", folder / "site"
            self.ledger = Ledger.of(self.data_dir)
            self.releases = self.reopened()
            self.registry = self.releases.registry
            return
        super().__init__(folder)
        self.trained = 0
        self.rank_by_model()
        (self.site / "models/hero.yaml").write_text(
            "model: ranker\ntrain:\n  placement: home_hero\n  outcome: {kind: click}\n"
        )
        self.train(by="Ann")
        self.registry.approve(RANKER, 1, by="Ann")
        self.registry.promote(RANKER, 1, by="Ann")
        self.live()

    def train(self, *, by: str) -> None:
        """Register another version."""
        self.trained += 1
        made = tiny_model(self.contents().features, seed=self.trained)
        made = msgspec.structs.replace(made, neighbours=tiny_neighbours("house-blend", "sencha"))
        card = {"data": {"outcomes_judged": 5}, "parity": {"rows": 10, "mismatches": 0, "max_scaled_error": 0.0}}
        self.registry.register(RANKER, made, card, by=by)

    def click(self, times: int) -> None:
        """Visitors click, one a second."""
        for _ in range(times):
            self.clicks += 1
            self.clock.advance(1_000)
            now_ms = self.clock.now_ms()
            clicked = EventRecord(
                producer=Producer("import/clicks"),
                seq=self.clicks,
                subject=SubjectId(f"visitor-{self.clicks}"),
                message_id=MessageId(f"click-{self.clicks}"),
                type="track",
                name="Content Clicked",
                time_ms=now_ms,
                received_ms=now_ms,
                grants=CLICKED,
                touches=(Touch(ItemId("sencha")),),
            )
            self.ledger.append(clicked.producer, [clicked], now_ms)

    def workshop(self) -> Workshop:
        def train(asked: TrainAsked) -> None:
            if self.failing is not None:
                self.failing(asked)
            self.train(by=asked.by)

        def check_parity(_model: ModelName, _version: int) -> ParityEvidence:
            return ParityEvidence(10, 0, 0.0)

        return Workshop(train, check_parity, self.judged_by)

    def around(self, alerts: Alerts | None = None, *, plan: LearnPlan = PLAN) -> LearnReport:
        """Once around the loop."""
        return once_around(
            self.ledger,
            self.releases,
            self.contents(),
            plan,
            [HERO],
            clock=self.clock,
            alerts=alerts or Alerts({}),
            workshop=self.workshop(),
        )

    def waiting(self) -> Turn:
        """A turn that has come as far as it can without a person."""
        self.click(10)
        (turn,) = self.around().turns
        return turn

    def person(self, who: str = "Bob") -> Person:
        return Person(who, self.ledger, self.releases, PLAN, self.clock)

    def steps(self, turn: Turn) -> list[StepName]:
        return [step.name for step in self.ledger.steps(turn.number)]

    def connect(self, *names: str, **changes: Any) -> None:
        """Nodes that were heard just now."""
        now_ms = self.clock.now_ms()
        live = self.releases.live() or BundleVersion(0)
        row = NodeRow(NodeId(""), State.READY, live, "", 1, True, now_ms, now_ms)
        self.ledger.save_nodes([msgspec.structs.replace(row, node=NodeId(name), **changes) for name in names])
