"""The answer for a page (`options.render`): each placement also as HTML, and what a page must know of its visitor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from edge.worker.answers import PlacementAnswer, VisitorAnswer
from edge.worker.desk import Desk
from edge.worker.identity import Caller
from edge.worker.live_bundle import Served
from edge.worker.visit import CLOSED, Visit
from edgewise.dial import DIAL_SESSION
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.rendering import Links, ShownItem, render_placement

_LINKS = Links()
"""Relative to the node: who puts the piece into a page of another origin knows where the node is."""


def with_html(
    desk: Desk,
    placements: Mapping[PlacementName, PlacementAnswer],
    served: Served,
    decision_id: DecisionId,
    *,
    locale: str,
    deferred: bool,
    packed: bool,
) -> dict[PlacementName, PlacementAnswer]:
    """The same placements with their HTML; without any where nothing of what was decided can be rendered.

    The page then keeps what it shows where no node answers, which is more than an empty place.
    """
    rendered = {}
    for name, placed in placements.items():
        left_out: list[ItemId] = []

        def trouble(item: ItemId, flaw: str, left_out: list[ItemId] = left_out) -> None:
            left_out.append(item)
            desk.log.warning("an item cannot be rendered", item=item, flaw=flaw)

        shown = [
            ShownItem(
                item.id,
                item.rank,
                item.reason,
                _content(item.content, packed=packed),
                tuple(why.text for why in item.why),
            )
            for item in placed.items
        ]
        html = render_placement(
            served.bundle,
            name,
            shown,
            locale=locale,
            decision_id=decision_id,
            deferred=deferred,
            links=_LINKS,
            trouble=trouble,
        )
        if left_out:
            desk.counts.failed("render")
        is_lost = bool(shown) and len(left_out) == len(shown)
        rendered[name] = placed if is_lost else msgspec.structs.replace(placed, html=html)
    return rendered


def visitor_answer(visit: Visit, caller: Caller) -> VisitorAnswer:
    """What the page may do about this visitor."""
    is_heard = visit is not CLOSED and not visit.is_unheard
    personal = visit.grants.personalisation and visit.dial >= DIAL_SESSION
    return VisitorAnswer(
        proven=caller.visitor is not None, personal=personal if is_heard else msgspec.UNSET, dial=visit.dial
    )


def _content(content: msgspec.Raw, *, packed: bool) -> dict[str, Any] | None:
    read: dict[str, Any] | None = (msgspec.msgpack if packed else msgspec.json).decode(content)
    return read
