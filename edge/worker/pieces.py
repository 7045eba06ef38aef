"""The answer for a page (`options.render`): each placement also as HTML, and what a page must know of its visitor."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from edge.worker.answers import PlacementAnswer, VisitorAnswer, placement_answers
from edge.worker.desk import Desk
from edge.worker.identity import Caller
from edge.worker.live_bundle import Served
from edge.worker.rendered import html_of
from edge.worker.visit import CLOSED, Visit
from edgewise.decision import Decision
from edgewise.dial import DIAL_SESSION
from edgewise.ids import ItemId, PlacementName
from edgewise.promises import Promises


class Pieces(NamedTuple):
    """An answer for a page."""

    placements: dict[PlacementName, PlacementAnswer]
    left_out: dict[PlacementName, tuple[ItemId, ...]]
    """Placement -> items of it that could not be rendered; only placements that have some."""


def placements_with_html(
    desk: Desk,
    decision: Decision,
    served: Served,
    promises: Promises,
    *,
    locale: str,
    deferred: bool,
    now_ms: int,
    packed: bool,
) -> Pieces:
    """As `placement_answers`, with the HTML of each; without it where none of the items can be rendered.

    The page then keeps what it shows where no node answers, which is more than an empty place.
    """
    read = placement_answers(decision, served, promises, now_ms=now_ms, packed=False)
    sent = read
    if packed:
        sent = placement_answers(decision, served, promises, now_ms=now_ms, packed=True)
    left_out: dict[PlacementName, tuple[ItemId, ...]] = {}
    for name, placed in read.items():
        html, missing = html_of(
            desk, served, name, placed, locale=locale, decision_id=decision.decision_id, deferred=deferred
        )
        if missing:
            left_out[name] = missing
        if len(missing) < len(placed.items) or not placed.items:
            sent[name] = msgspec.structs.replace(sent[name], html=html)
    return Pieces(sent, left_out)


def visitor_answer(visit: Visit, caller: Caller) -> VisitorAnswer:
    """What the page may do about this visitor."""
    is_heard = visit is not CLOSED and not visit.is_unheard
    personal = visit.grants.personalisation and visit.dial >= DIAL_SESSION
    return VisitorAnswer(
        proven=caller.visitor is not None, personal=personal if is_heard else msgspec.UNSET, dial=visit.dial
    )
