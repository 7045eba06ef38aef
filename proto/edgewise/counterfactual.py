"""What another bundle would have shown where a decision was made: not one draw of it, but its probabilities.

Asked with the question, the profile and the moment of the decision, slot by slot behind the items that really stood in
the earlier ones. Against the propensities that were logged, that is what off-policy estimators weigh rewards with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from edgewise.admission.load import Bundle
from edgewise.answer import choice_of
from edgewise.assign import Assigned
from edgewise.decision import NOTHING
from edgewise.entry import Asked, Field, enter, field
from edgewise.ids import ArmName, ItemId, PlacementName
from edgewise.live_facts import LiveFacts
from edgewise.policy import NOTHING as NO_PLACE
from edgewise.policy import Scores, chances_of
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.ranking import rank
from edgewise.reasons import Degradation, Reason
from edgewise.scores import Score, ScoreFailed


class WouldShow(NamedTuple):
    """One placement of a decision, by another bundle."""

    arm: ArmName
    items: tuple[ItemId, ...]
    """Its candidates; NOTHING last, where it may show nothing."""
    chances: Scores
    """Float64 (slots, candidates): P(candidate in this slot | what stood in the earlier slots).

    A row sums to 1, or to 0 where the slate could not have come so far."""


def would_show(
    question: Question,
    profile: Profile,
    placement: PlacementName,
    slots: Sequence[ItemId],
    *,
    bundle: Bundle,
    facts: LiveFacts | None = None,
    score: Score,
    now_ms: int,
    arm: ArmName | None = None,
) -> WouldShow | Reason:
    """The probabilities of a placement that showed `slots` (NOTHING, where it ended on purpose, last).

    It has all the time it needs, whatever was left out then. Without `arm`, the one that the bundle would assign. A
    reason instead: nothing would have been ranked (nobody competes, a model fails), or nobody may be personalised.

    The placement must be one of the question's and of the bundle's, and have the arm.
    """
    if facts is not None:
        bundle = facts.at(now_ms)
    question = msgspec.structs.replace(question, degradation=Degradation.NONE, force={}, explain=False)
    request = next(request for request in question.placements if request.name == placement)
    asked = Asked(question, profile, bundle, now_ms, score=score)
    entry = enter(request, asked)
    if entry.assigned.reason is not None:
        return entry.assigned.reason
    if arm is not None:
        entry = msgspec.structs.replace(entry, assigned=Assigned(arm, entry.placement.arms[arm]))
    try:
        competing: Field | Reason = field(entry, asked)
        (ranked,), _ = rank([entry], [competing], asked, score, degradation=Degradation.NONE)
    except ScoreFailed:
        return Reason.FALLBACK_SCORER
    if isinstance(ranked, Reason):
        return ranked
    choice = choice_of(entry, competing, ranked)
    items = tuple(ranked.features.ids(ranked.rows))
    place_of = {item: place for place, item in enumerate(items)}
    may_end = choice.limits.nothing is not None
    places = [NO_PLACE if item == NOTHING else place_of.get(item) for item in slots]
    chances = chances_of(ranked.scores, choice.exploration, places, errors=ranked.errors, limits=choice.limits)
    return WouldShow(entry.assigned.name, (*items, NOTHING) if may_end else items, chances)
