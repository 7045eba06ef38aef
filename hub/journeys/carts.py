"""What lies in the cart that a mail is about, as far as it can still be had: listed first, and decided by nobody.

It is context of the mail. What is decided beside it is decided without it (`exclude` of the question), so that the
record of the decision says what was chosen, with which probability, and of what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edgewise.admission.load import Bundle
from edgewise.eligibility import Blocks
from edgewise.ids import ItemId, PlacementName
from edgewise.profile.preferences import Mutes
from edgewise.profile.state import Profile
from edgewise.reasons import Reason
from edgewise.records import EventRecord
from edgewise.rendering import ShownItem, content_of
from hub.journeys.planning import run_of
from hub.journeys.runs import runs_of
from hub.site.journey_file import JourneyFile

MOST_LISTED: Final = 10
MOST_LEFT_OUT: Final = 1_000
"""Of a question's exclusions."""


def in_cart(payload: dict[str, Any], events: Sequence[EventRecord], journey: JourneyFile) -> tuple[ItemId, ...]:
    """The items of the cart that a mail is about, in the order in which they were put in; none of other runs."""
    if journey.trigger is None or not journey.trigger.is_of_carts:
        return ()
    run = run_of(payload, runs_of(events, journey.trigger))
    return () if run is None else run.items[:MOST_LEFT_OUT]


def to_be_had(
    bundle: Bundle, placement: PlacementName, items: Iterable[ItemId], *, mute: Mutes, now_ms: int
) -> list[ShownItem]:
    """Those that can be shown now, as the placement shows items; `bundle` is under the live facts of now.

    Approved, in their time, in stock and not muted; what the placement's rules say of whom to recommend has no say.
    """
    catalogued, blocks = bundle.placements[placement], Blocks(bundle.items, mute, Profile(), now_ms)
    shown: list[ShownItem] = []
    for item in items:
        if len(shown) == MOST_LISTED:
            break
        content = content_of(bundle, item, "", catalogued.placement.format) if bundle.item(item) is not None else None
        if content is not None and catalogued.may_show(item, blocks, now_ms):
            shown.append(ShownItem(item, len(shown) + 1, Reason.FALLBACK_NO_CANDIDATE, content))
    return shown


def left_out(products: PlacementName | None, cart: Sequence[ItemId]) -> Mapping[PlacementName, list[ItemId]]:
    """What is not decided for a mail's list, as it is there already."""
    return {} if products is None or not cart else {products: list(cart)}
