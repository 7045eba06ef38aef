"""A shop whose visitors do what a test plants: decisions as nodes log them, orders and refunds by chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from hub_records import NOW_MS, decision

from edgewise.assign import compile_experiment, in_holdout
from edgewise.bundle.experiments import Experiment, Metric
from edgewise.bundle.policy import Arm, ByPriority, Placement, Policy, Site
from edgewise.events import KIND_OF, Kind
from edgewise.ids import (
    ArmName,
    BundleVersion,
    CollectionName,
    DecisionId,
    ExperimentKey,
    ItemId,
    MessageId,
    PlacementName,
    Producer,
    SiteName,
    SubjectId,
    ulid,
)
from edgewise.records import DecisionRecord, EventRecord, Touch, encode_record
from edgewise.request import Context, Device, Geo, PlacementRequest
from hub.experiments.policies import PolicyOf, Rules
from hub.experiments.report import ExperimentReport, reported
from hub.experiments.trial import Trial, read_trial
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger

KEY = ExperimentKey("home-1")
HOME = PlacementName("home")
OLD, NEW = ArmName("old"), ArmName("new")
NOBODYS = ArmName("")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VERSION = BundleVersion(3)
ORDERS = Metric("orders", "order", window_hours=48)
REFUNDS = Metric("refunds", "refund", better="lower", threshold=0.1, window_hours=48)
LATER_MS = NOW_MS + 20 * DAY_MS
"""When every window has closed."""
_NAMES = {kind: name for name, kind in reversed(KIND_OF.items())}


def experiment(**changes: Any) -> Experiment:
    """Half and half, judged by orders and guarded by refunds."""
    said = Experiment([OLD, NEW], [0.5, 0.5], "home-1", outcome=ORDERS, guardrails=[REFUNDS])
    return msgspec.structs.replace(said, **changes)


def policy(of: Experiment | None = None, **site: Any) -> Policy:
    """One placement that runs it."""
    arm = Arm(ByPriority())
    placement = Placement(CollectionName("all"), {OLD: arm, NEW: arm}, OLD, OLD, [ItemId("a")], experiment=KEY)
    return Policy(
        site=Site(SiteName("shop"), "salt", **site),
        placements={HOME: placement},
        collections={CollectionName("all"): [ItemId("a")]},
        experiments={KEY: of or experiment()},
    )


def visitor(number: int) -> SubjectId:
    return SubjectId(f"{number:032x}")


class Traffic:
    """Records of visitors, to be stored at once."""

    def __init__(
        self,
        of: Policy,
        *,
        key: ExperimentKey = KEY,
        placement: PlacementName = HOME,
        node: str = "n-a",
        began_ms: int = NOW_MS,
        version: BundleVersion = VERSION,
    ) -> None:
        self.policy, self.key, self.placement = of, key, placement
        self.experiment = compile_experiment(key, of.experiments[key])
        self.producer = Producer(f"{node}/1/0")
        self.began_ms, self.version = began_ms, version
        self.records: list[DecisionRecord | EventRecord] = []

    def visit(self, who: SubjectId, at_ms: int, *, arm: ArmName | None = None, **changes: Any) -> DecisionRecord:
        """A decision, by default with the arm that an edge would have chosen."""
        unit = changes.setdefault("unit", who)
        held_out = in_holdout(self.policy.site, unit)
        arm = arm or (None if held_out else self.experiment.arm_of(unit))
        placed: dict[str, Any] = {
            "items": [{"id": "a", "rank": 1, "propensity": 1.0, "reason": "RULE"}],
            "reason": "HOLDOUT" if held_out else "RULE",
            "policy": arm or OLD,
        }
        if arm is not None:
            placed["experiment"] = {"key": self.key, "arm": arm, "forced": False}
        number = len(self.records)
        made = decision(
            number,
            producer=self.producer,
            decision_id=DecisionId(ulid(at_ms, number.to_bytes(10))),
            subject=who,
            time_ms=at_ms,
            placements=(PlacementRequest(self.placement),),
            decision=msgspec.json.encode({"placements": {self.placement: placed}}),
            **{"bundle_version": self.version, "impressions": (), **changes},
        )
        self.records.append(made)
        return made

    def does(self, who: SubjectId, kind: Kind, at_ms: int, *, minor: int = 100, **changes: Any) -> None:
        """An event of a kind, with one item."""
        number = len(self.records)
        fields: dict[str, Any] = {
            "message_id": MessageId(f"{self.producer}:{number}"),
            "type": "track",
            "name": _NAMES[kind],
            "received_ms": at_ms,
            "grants": decision(0).grants,
            "touches": (Touch(ItemId("a"), value_minor=minor),),
        }
        made = EventRecord(producer=self.producer, seq=number, subject=who, time_ms=at_ms, **{**fields, **changes})
        self.records.append(made)

    def crowd(
        self,
        count: int,
        *,
        orders: Mapping[ArmName, float],
        refunds: Mapping[ArmName, float] = {},
        days: int = 10,
        seed: int = 0,
        **changes: Any,
    ) -> None:
        """Visitors spread over `days`; each orders, and refunds, once with the probability of his arm, within a day.

        Who is in no arm, or in one that is not named, does so with .1. Half of those who would order did so before,
        too: a covariate that says something.
        """
        rng = np.random.default_rng(seed)
        for number in range(count):
            who = visitor(seed * 1_000_000 + number)
            at_ms = self.began_ms + int(rng.random() * days * DAY_MS)
            context = Context(device=Device(("mobile", "desktop")[number % 2]), geo=Geo(("DE", "FR", "IT")[number % 3]))
            arm = self.experiment.arm_of(who)
            self.visit(who, at_ms, context=context, **changes)
            wants, complains, before = rng.random(3)
            if before < 0.5 and wants < 0.2:
                self.does(who, Kind.ORDER, at_ms - 5 * HOUR_MS)
            if wants < orders.get(arm or NOBODYS, 0.1):
                self.does(who, Kind.ORDER, at_ms + HOUR_MS)
            if complains < refunds.get(arm or NOBODYS, 0.1):
                self.does(who, Kind.REFUND, at_ms + 3 * HOUR_MS)

    def store(self, ledger: Ledger) -> None:
        """All of it, numbered in the order in which it happened: a clock that ran back would be seen."""
        size = 2_000
        in_order = sorted(self.records, key=lambda record: record.time_ms)
        payloads = [encode_record(msgspec.structs.replace(record, seq=seq)) for seq, record in enumerate(in_order)]
        for start in range(0, len(payloads), size):
            ledger.store([Batch(self.producer, payloads[start : start + size])], NOW_MS)


def trial(
    ledger: Ledger, of: Policy, *, now_ms: int = LATER_MS, policy_of: PolicyOf = lambda _: None, days: int = 60
) -> Trial:
    """As the ledger has it."""
    return read_trial(ledger, Rules(KEY, of, policy_of), since_ms=now_ms - days * DAY_MS, now_ms=now_ms)


def report(ledger: Ledger, of: Policy, **changes: Any) -> ExperimentReport:
    """What it says."""
    return reported(trial(ledger, of, **changes))
