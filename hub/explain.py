"""Why a visitor was shown what was shown: everything that a logged decision says, and its causes in plain words.

Causes are part of the record where they were asked for. Where they were not, the decision is made again with the
question for them; they are only told when it comes out as it was logged.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgewise.admission.load import Bundle
from edgewise.consent import Grants
from edgewise.decision import Assignment, ChosenItem, ChosenNothing, Decision, PlacementDecision, Why
from edgewise.errors import MALFORMED, InputError, RefusedError
from edgewise.explain import why_nothing
from edgewise.ids import DecisionId, ItemId, ModelName, PlacementName, Producer, SubjectId
from edgewise.reasons import Degradation, Reason
from edgewise.records import DecisionRecord, Shadow
from edgewise.request import Context, PlacementRequest
from edgewise.scores import Named, named
from hub.ledger.flags import Flag
from hub.ledger.ledger import Ledger
from hub.ledger.rows import RewardRow
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.scoring_child import ScoringChild

_FLOAT_BYTES = 4


class ExplainedItem(msgspec.Struct, frozen=True):
    """One slot."""

    id: ItemId
    title: str
    rank: int
    reason: Reason
    score: float
    propensity: float
    """P(item in this slot | items of earlier slots)."""
    why: tuple[Why, ...]
    features: dict[str, float | None]
    """What the model saw; None is missing. Empty where no model ranked."""
    variant: str = ""
    """The copy that was shown; blank for the item's own content."""
    representation: str = ""
    """The format whose representation was shown; blank for the item's own content."""


class ExplainedPlacement(msgspec.Struct, frozen=True):
    """One placement of the decision."""

    reason: Reason
    policy: str
    experiment: Assignment | None
    propensity: float
    """Of the whole slate: the product of its slots."""
    items: tuple[ExplainedItem, ...]
    nothing: ChosenNothing | None = None
    """The slot that was left empty on purpose, and all after it."""
    shadow: Shadow | None = None
    """What the challenger of an apprentice placement would have shown."""


class Explanation(msgspec.Struct, frozen=True):
    """A decision. Times in milliseconds."""

    decision_id: DecisionId
    time_ms: int
    subject: SubjectId
    """Blank where it may not be tied to a person."""
    producer: Producer
    """The process that decided: node/epoch/worker."""
    bundle_version: int
    bundle_digest: str
    asked: tuple[PlacementRequest, ...]
    context: Context
    grants: Grants
    dial: int
    mute: dict[str, tuple[str, ...]]
    force: dict[PlacementName, str | list[ItemId]]
    degradation: Degradation
    unit: str
    """What experiments hashed."""
    applied: dict[Producer, int]
    """The profile's version: highest sequence per producer."""
    placements: dict[PlacementName, ExplainedPlacement]
    outcomes: list[RewardRow]
    scores: dict[ModelName, Named]
    """Visitor scores that had a say, by name and class; class numbers where the bundle is not here to name them."""
    causes: str
    """Where the `why` of the items comes from: `logged`, `decided again`, or why there is none."""
    flags: list[Flag] = []
    """What staff found wrong with it."""


def explain_decision(data_dir: Path, decision_id: DecisionId) -> Explanation:
    """Explain a decision of a data folder. Raises InputError when the ledger has none of this id."""
    from hub.ledger.ledger import open_ledger

    with open_ledger(data_dir) as ledger, ScoringChild() as child:
        return explain(ledger, Replayer(ledger, Releases(data_dir, ledger), child), decision_id)


def explain(ledger: Ledger, replayer: Replayer, decision_id: DecisionId) -> Explanation:
    """Explain a decision. Raises InputError when the ledger has none of this id, or a damaged one."""
    record = replayer.record(decision_id)
    try:
        logged = msgspec.json.decode(record.decision, type=Decision)
    except MALFORMED as damaged:
        raise InputError(f"decision {decision_id} was logged damaged: {damaged}") from damaged
    bundle, told, causes = _causes(record, logged, replayer)
    return Explanation(
        decision_id=decision_id,
        time_ms=record.time_ms,
        subject=record.subject,
        producer=record.producer,
        bundle_version=record.bundle_version,
        bundle_digest=record.bundle_digest,
        asked=record.placements,
        context=record.context,
        grants=record.grants,
        dial=record.dial,
        mute=record.mute,
        force=record.force,
        degradation=record.degradation,
        unit=record.unit,
        applied=record.applied,
        placements={
            name: _placement(placed, told.placements[name], _features(record, name), bundle, record.shadows.get(name))
            for name, placed in logged.placements.items()
        },
        outcomes=ledger.rewards([decision_id]),
        scores=_scores(logged, bundle),
        causes=causes,
        flags=ledger.flags(decision_id=decision_id),
    )


def _scores(logged: Decision, bundle: Bundle | None) -> dict[ModelName, Named]:
    if bundle is not None:
        return named(logged.scores, bundle.manifest.models)
    return {
        name: numbers[0] if len(numbers) == 1 else {str(place): number for place, number in enumerate(numbers)}
        for name, numbers in logged.scores.items()
    }


def without_causes(decision: Decision) -> Decision:
    """The decision as it would have been logged without the question for causes."""
    return msgspec.structs.replace(
        decision,
        placements={
            name: msgspec.structs.replace(
                placed,
                items=tuple(msgspec.structs.replace(item, why=()) for item in placed.items),
                nothing=msgspec.UNSET
                if isinstance(placed.nothing, msgspec.UnsetType)
                else msgspec.structs.replace(placed.nothing, why=()),
            )
            for name, placed in decision.placements.items()
        },
    )


def _causes(record: DecisionRecord, logged: Decision, replayer: Replayer) -> tuple[Bundle | None, Decision, str]:
    """The bundle, if it is here, the decision that has the causes, and where they come from."""
    if not record.bundle_digest:
        return None, logged, "none: no bundle decided"
    try:
        bundle = replayer.bundle(record)
    except RefusedError as gone:
        return None, logged, "logged" if record.explain else f"none: {gone}"
    if record.explain:
        return bundle, logged, "logged"
    try:
        again = replayer.again(record, explain=True)
    except RefusedError as gone:
        return bundle, logged, f"none: {gone}"
    if without_causes(again.decision) != logged:
        why = "; ".join(again.missing) or "`edgewise replay` says where it differs"
        return bundle, logged, f"none: decided again it comes out differently ({why})"
    return bundle, again.decision, "decided again"


def _features(record: DecisionRecord, name: PlacementName) -> dict[ItemId, dict[str, float | None]]:
    """Item -> column -> value, None where it was missing."""
    rows = record.shown.get(name)
    if rows is None:
        return {}
    expected = len(rows.items) * len(rows.names) * _FLOAT_BYTES
    if len(rows.data) != expected:
        raise InputError(
            f"decision {record.decision_id} was logged damaged: {len(rows.data)} bytes of features in {name}, "
            f"expected {expected}"
        )
    matrix = np.frombuffer(rows.data, "<f4").reshape(len(rows.items), len(rows.names))
    return {
        item: {column: None if math.isnan(value) else value for column, value in zip(rows.names, values, strict=True)}
        for item, values in zip(rows.items, matrix.tolist(), strict=True)
    }


def _placement(
    placed: PlacementDecision,
    told: PlacementDecision,
    features: dict[ItemId, dict[str, float | None]],
    bundle: Bundle | None,
    shadow: Shadow | None,
) -> ExplainedPlacement:
    nothing = told.nothing
    return ExplainedPlacement(
        reason=placed.reason,
        policy=placed.policy,
        experiment=placed.experiment,
        propensity=placed.joint_propensity,
        items=tuple(
            _item(item, with_causes, features.get(item.id, {}), bundle)
            for item, with_causes in zip(placed.items, told.items, strict=True)
        ),
        nothing=None
        if isinstance(nothing, msgspec.UnsetType)
        else msgspec.structs.replace(nothing, why=nothing.why or why_nothing(nothing.reason)),
        shadow=shadow,
    )


def _item(
    item: ChosenItem, told: ChosenItem, features: dict[str, float | None], bundle: Bundle | None
) -> ExplainedItem:
    return ExplainedItem(
        id=item.id,
        title=item.id if bundle is None else bundle.items.title(item.id),
        rank=item.rank,
        reason=item.reason,
        score=item.score,
        propensity=item.propensity,
        why=told.why,
        features=features,
        variant=item.variant or "",
        representation=item.representation or "",
    )


def plain(explanation: Explanation) -> dict[str, Any]:
    """As JSON shows it."""
    built: dict[str, Any] = msgspec.to_builtins(explanation)
    return built
