"""What a node writes down of a decision, and where to: its spool, the profile, its own memory of who may ask why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from edge.profiles.cache_file import CacheError
from edge.profiles.recent import RememberedDecision
from edge.spool.lanes import Lane
from edge.worker.desk import Desk
from edge.worker.visit import Visit
from edgewise.bundle.promotions import PromotionName
from edgewise.decide import Outcome
from edgewise.ids import ItemId, PlacementName, SubjectId
from edgewise.keeping import ALL, kept_for_learning
from edgewise.profile.reduce import touches_profile
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.recorded import recorded
from edgewise.records import DecisionRecord, encode_record
from edgewise.subjects import subject_of


class Exposure(NamedTuple):
    """A decision that is about to be answered."""

    question: Question
    outcome: Outcome
    visit: Visit
    profile: Profile
    """The one that was read."""
    now_ms: int
    chance: float
    """Uniform in [0, 1): whether the whole feature matrices are kept."""
    is_deferred: bool
    promised: Mapping[PromotionName, int] = {}
    """Numbers of the codes that come with the answer."""
    unrendered: Mapping[PlacementName, tuple[ItemId, ...]] = {}
    """What is left out of the answer, because no template could show it."""


def write_exposure(desk: Desk, exposure: Exposure, *, proves: str | None) -> None:
    """One append to the spool, never synced here; into the profile only where a cap counts it.

    What the spool has dropped does not go into the profile: the hub will never hear of it, and no snapshot contain it.
    `proves` is an id that the browser is given with this answer; it may ask why.
    """
    record = _record(desk, exposure)
    payload = desk.spool.append(record)
    if payload is None:
        desk.counts.failed("exposure_dropped")
        payload = encode_record(record)
    elif touches_profile(record):
        try:
            desk.cache.apply(exposure.visit.subject, [record])
        except CacheError:
            desk.counts.failed("cache")
    owners = exposure.visit.owners
    if proves is not None:
        owners = (*owners, subject_of(desk.keys.subject_key, "anonymousId", proves))
    if not record.is_kept:  # whoever asks why is told all of it, whatever is learned from
        payload = encode_record(msgspec.structs.replace(record, shown=exposure.outcome.shown))
    desk.remember(record.decision_id, RememberedDecision(owners, payload))


def _record(desk: Desk, exposure: Exposure) -> DecisionRecord:
    question, outcome = exposure.question, exposure.outcome
    served = desk.live.served
    site = None if served is None else served.bundle.policy.site
    kept = ALL if site is None else kept_for_learning(site, question.decision_id)
    share = 0.0 if site is None or not kept.is_kept else site.feature_sample_share
    # Whole matrices are the first that a spool which fills up does without; the share is that of the rest.
    if not desk.spool.has_room(Lane.DEBUG):
        share = 0.0
    is_sampled = exposure.chance < share
    return recorded(
        question,
        outcome,
        exposure.profile,
        kept,
        producer=desk.spool.producer,
        seq=desk.spool.next_seq,
        subject=SubjectId(exposure.visit.logged_as),
        now_ms=exposure.now_ms,
        is_deferred=exposure.is_deferred,
        sampled=outcome.matrices if is_sampled else {},
        sample_probability=share if is_sampled else 0.0,
        promised=exposure.promised,
        unrendered=exposure.unrendered,
    )
