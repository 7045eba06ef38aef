"""What is written down of a decision: everything that it takes to decide again, and to learn from it.

Here and not on a node, because the hub decides too (what a mail holds): a field that one of them left out would make
its decisions others when they are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgewise.bundle.promotions import PromotionName
from edgewise.decide import Outcome
from edgewise.decision import canonical_bytes
from edgewise.ids import ItemId, PlacementName, Producer, SubjectId
from edgewise.keeping import Kept
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.records import DecisionRecord, FeatureRows

_NO_MATRICES: Mapping[PlacementName, FeatureRows] = {}
_NO_PROMISES: Mapping[PromotionName, int] = {}
_ALL_RENDERED: Mapping[PlacementName, tuple[ItemId, ...]] = {}


def recorded(
    question: Question,
    outcome: Outcome,
    profile: Profile,
    kept: Kept,
    *,
    producer: Producer,
    seq: int,
    subject: SubjectId,
    now_ms: int,
    is_deferred: bool,
    sampled: Mapping[PlacementName, FeatureRows] = _NO_MATRICES,
    sample_probability: float = 0.0,
    promised: Mapping[PromotionName, int] = _NO_PROMISES,
    unrendered: Mapping[PlacementName, tuple[ItemId, ...]] = _ALL_RENDERED,
) -> DecisionRecord:
    """The record of one decision.

    `profile` is the one that was read, `now_ms` the clock's reading of the decision, `sampled` its whole feature
    matrices where they were drawn, with `sample_probability`; `promised` the numbers of codes that came with it;
    `unrendered` what no template could show.
    A deferred decision counts as shown, also against caps, only when something says that it was.
    """
    return DecisionRecord(
        producer=producer,
        seq=seq,
        decision_id=question.decision_id,
        subject=subject,
        time_ms=now_ms,
        bundle_version=outcome.decision.bundle_version,
        bundle_digest=outcome.decision.bundle_digest,
        facts_version=outcome.facts_version,
        placements=question.placements,
        context=question.context,
        grants=question.grants,
        dial=question.dial,
        degradation=outcome.degradation,
        applied=profile.applied,
        decision=canonical_bytes(outcome.decision),
        shown=outcome.shown if kept.is_kept else {},
        sampled=dict(sampled),
        sample_probability=sample_probability,
        force=question.force,
        explain=question.explain,
        deferred=is_deferred,
        mute=question.mute,
        impressions=counted(outcome.impressions, unrendered, is_deferred=is_deferred),
        unit=question.unit,
        shadows=outcome.shadows,
        learning_probability=kept.probability,
        is_kept=kept.is_kept,
        enrolled=outcome.enrolled,
        unpromised=question.unpromised,
        promised=dict(promised),
        unrendered=dict(unrendered),
    )


def counted(
    impressions: tuple[ItemId, ...], unrendered: Mapping[PlacementName, tuple[ItemId, ...]], *, is_deferred: bool
) -> tuple[ItemId, ...]:
    """What of a decision's impressions counts at once: nothing that waits to be seen, or that nobody can have seen."""
    if is_deferred:
        return ()
    hidden = {item for items in unrendered.values() for item in items}
    return tuple(item for item in impressions if item not in hidden) if hidden else impressions
