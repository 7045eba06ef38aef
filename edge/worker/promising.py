"""Which codes a visitor may be promised with an answer, and which he is."""

from __future__ import annotations

from edge.worker.desk import Desk
from edge.worker.live_bundle import Served
from edge.worker.visit import Visit
from edgewise.bundle.promotions import PromotionName
from edgewise.decision import Decision
from edgewise.dial import DIAL_PAGE
from edgewise.eligibility import may_personalise
from edgewise.ids import ItemId
from edgewise.promises import NO_PROMISES, Promises
from edgewise.question import Question
from edgewise.records import ANONYMOUS
from edgewise.request import DecideRequest


def unpromised_to(
    desk: Desk, visit: Visit, served: Served | None, now_ms: int, request: DecideRequest, *, is_able: bool
) -> tuple[PromotionName, ...]:
    """The promotions of which nothing can be promised to this visitor now.

    Whoever may not be known gets none. Not `is_able`: nor does who was given an id a moment ago, because programs that
    keep no cookie would use a promotion up; and a dry run promises nothing. Only promotions whose items a placement of
    the request can show are looked up, and counted where there is no number.
    """
    if served is None or not served.bundle.policy.offers:
        return ()
    offers = served.bundle.policy.offers
    is_known = may_personalise(visit.grants, visit.dial) and visit.dial > DIAL_PAGE and visit.subject != ANONYMOUS
    if not (is_able and is_known):
        return desk.codes.unpromised(offers, None, now_ms)
    if not request.options.force:  # what is forced may be any item
        shown = [served.bundle.promotions[asked.name] for asked in request.placements]
        offers = {name: promotion for name, promotion in offers.items() if any(name in each for each in shown)}
    return desk.codes.unpromised(offers, visit.subject, now_ms)


def promises_with(desk: Desk, decision: Decision, question: Question, visit: Visit, served: Served | None) -> Promises:
    """The codes that come with what was decided; nothing may have been awaited since `unpromised_to`."""
    if served is None or not served.bundle.promoted or visit.subject == ANONYMOUS:
        return NO_PROMISES
    shown: dict[ItemId, PromotionName] = {}
    for placed in decision.placements.values():
        for chosen in placed.items:
            item = served.bundle.item(chosen.id) if chosen.content_digest else None
            if item is not None and item.promotion is not None and item.promotion not in question.unpromised:
                shown[chosen.id] = item.promotion
    if not shown:
        return NO_PROMISES
    return desk.codes.promise(shown, served.bundle.policy.offers, visit.subject, desk.clock.now_ms())
