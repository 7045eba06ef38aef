"""The answer of a decision as HTML: what a fragment is, and what `edgewise.js` puts into a page."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from edge.worker.answers import ItemAnswer, PlacementAnswer
from edge.worker.desk import Desk
from edge.worker.live_bundle import Served
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.rendering import Links, ShownItem, render_placement

LINKS = Links()
"""On the page's own host: a proxy, or the node itself, answers `/v1/why/` there."""


class Rendered(NamedTuple):
    """One placement for a page."""

    html: str
    left_out: tuple[ItemId, ...]
    """Items that could not be rendered."""


def html_of(
    desk: Desk,
    served: Served,
    name: PlacementName,
    placed: PlacementAnswer,
    *,
    locale: str,
    decision_id: DecisionId,
    deferred: bool,
) -> Rendered:
    """One placement of an answer in JSON as HTML; an item that cannot be rendered is left out, logged and counted."""
    left_out: list[ItemId] = []

    def tell(item: ItemId, why: str) -> None:
        left_out.append(item)
        desk.counts.failed("render")
        desk.log.error("an item cannot be rendered", placement=name, item=item, reason=why)

    html = render_placement(
        served.bundle,
        name,
        [shown_item(item) for item in placed.items],
        locale=locale,
        decision_id=decision_id,
        deferred=deferred,
        links=LINKS,
        trouble=tell,
    )
    return Rendered(html, tuple(left_out))


def shown_item(item: ItemAnswer) -> ShownItem:
    """An item of an answer in JSON, as templates take it."""
    return ShownItem(
        item.id, item.rank, item.reason, msgspec.json.decode(item.content), tuple(why.text for why in item.why)
    )
