"""What the challenger of an apprentice placement would have shown, asked while another arm serves.

It sees the same visitor at the same moment, chooses with chances of its own from its own ranking, and shows nothing to
anybody. What is logged says what it would have shown and with which probability, and with which probability it would
have shown what was shown in fact: enough to judge it off policy, and to see how far it has come, before it serves.

The answer is settled before it is asked, so that it can change none of it; where no time is left it is not asked, and
where it fails the record says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from edgewise.answer import Answer, answer, slate_propensities
from edgewise.assign import Assigned
from edgewise.deadline import TimeIsUp
from edgewise.decision import NOTHING
from edgewise.draws import Draw
from edgewise.entry import Asked, field
from edgewise.ids import ArmName, ItemId, PlacementName
from edgewise.ranking import rank
from edgewise.reasons import Degradation, Reason
from edgewise.records import Shadow
from edgewise.scores import Score

_UNASKED: Final = {
    Degradation.SCORER: Reason.FALLBACK_SCORER,
    Degradation.SCORES: Reason.FALLBACK_SCORER,
    Degradation.DEADLINE: Reason.FALLBACK_DEADLINE,
    Degradation.DEADLINE_SCORING: Reason.FALLBACK_DEADLINE,
    Degradation.UNRANKED: Reason.FALLBACK_OVERLOAD,
    Degradation.OVERLOAD: Reason.FALLBACK_OVERLOAD,
}
"""Why a challenger is not asked where the answer itself had to do without something."""


def shadows(
    answers: Sequence[Answer], asked: Asked, score: Score, draw: Draw, degradation: Degradation
) -> dict[PlacementName, Shadow]:
    """The challenger's choice for every apprentice placement that a visitor's own arm answered. Raises nothing."""
    made: dict[PlacementName, Shadow] = {}
    for given in answers:
        entry = given.entry
        name, challenger = entry.request.name, entry.placement.challenger
        is_served = entry.assigned.is_personal and name not in asked.question.force
        if entry.placement.learning != "apprentice" or challenger is None or not is_served:
            continue
        unasked = _UNASKED.get(degradation)
        made[name] = _asked(given, challenger, asked, score, draw) if unasked is None else Shadow(challenger, unasked)
    return made


def _asked(given: Answer, challenger: ArmName, asked: Asked, score: Score, draw: Draw) -> Shadow:
    arm = given.entry.placement.arms[challenger]
    entry = msgspec.structs.replace(given.entry, assigned=Assigned(challenger, arm))
    if asked.scores is not None:
        # The answer is settled, and what is asked from now on is asked for the challenger: within time again.
        asked.scores.is_late = asked.is_late
    try:
        competing = field(entry, asked)
        (ranked,), degradation = rank([entry], [competing], asked, score, degradation=Degradation.NONE)
        if isinstance(ranked, Reason):
            return Shadow(challenger, _UNASKED.get(degradation, ranked))
        would = answer(entry, competing, ranked, asked, attribute=None, draw=_beside(draw))
    except TimeIsUp:
        return Shadow(challenger, Reason.FALLBACK_DEADLINE)
    except Exception:  # noqa: BLE001  # whatever is wrong with a challenger must not cost the visitor his answer
        return Shadow(challenger, Reason.FALLBACK_SCORER)
    chosen, nothing = would.decision, would.decision.nothing
    slots = [(item.id, item.score, item.propensity) for item in chosen.items]
    if not isinstance(nothing, msgspec.UnsetType):
        slots.append((NOTHING, nothing.score, nothing.propensity))
    return Shadow(
        arm=challenger,
        reason=chosen.reason,
        items=tuple(item for item, _, _ in slots),
        scores=tuple(worth for _, worth, _ in slots),
        propensities=tuple(propensity for _, _, propensity in slots),
        agreements=tuple(slate_propensities(would, _served(given))),
    )


def _served(given: Answer) -> list[ItemId]:
    """What was shown, slot by slot."""
    items = [item.id for item in given.decision.items]
    return items if isinstance(given.decision.nothing, msgspec.UnsetType) else [*items, NOTHING]


def _beside(draw: Draw) -> Draw:
    """Draws that the placement's own do not tell anything of: no placement's name holds a NUL."""
    return lambda placement, slot: draw(PlacementName(f"{placement}\0shadow"), slot)
