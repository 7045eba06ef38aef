"""All that `decide` is asked, after HTTP, keys, consent and preferences have been dealt with.

A `DecisionRecord` holds every field of it, so that `question_of` can ask again.
"""

from __future__ import annotations

import msgspec

from edgewise.bundle.promotions import PromotionName
from edgewise.consent import Grants
from edgewise.dial import DIAL_EVERYTHING
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.profile.preferences import Mutes
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord
from edgewise.request import Context, PlacementRequest

Force = dict[PlacementName, str | list[ItemId]]
"""A placement -> its arm's name, or the items that it must show."""


class Question(msgspec.Struct, frozen=True):
    """One decision to make. `unit` is what experiments hash."""

    decision_id: DecisionId
    unit: str
    placements: tuple[PlacementRequest, ...]
    context: Context
    grants: Grants
    dial: int = DIAL_EVERYTHING
    mute: Mutes = {}
    degradation: Degradation = Degradation.NONE
    force: Force = {}
    explain: bool = False
    unpromised: tuple[PromotionName, ...] = ()
    """Promotions that no code can be promised of to this visitor now: their items are not shown, or shown without."""


def question_of(record: DecisionRecord) -> Question:
    """The question that a logged decision answered."""
    return Question(
        decision_id=record.decision_id,
        unit=record.unit,
        placements=record.placements,
        context=record.context,
        grants=record.grants,
        dial=record.dial,
        mute=record.mute,
        degradation=record.degradation,
        force=record.force,
        explain=record.explain,
        unpromised=record.unpromised,
    )
