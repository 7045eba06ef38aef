"""Decided items as a piece of HTML, the same on an edge node, in a preview and in the hub's check of a release.

    <div data-edgewise-placement="NAME" data-edgewise-decision="ID" [data-edgewise-deferred]>
      <div data-edgewise-item="ITEM_ID">…</div>
    </div>

is what pages and scripts may rely on: one element around, with the decision that it shows, and one around each item.
`data-edgewise-deferred` says that the decision counts as shown only when somebody has seen it. A fallback that nobody
decided has no decision.

What cannot be rendered is left out, never half written: an item whose content is not as it should be must not take its
neighbours or the page with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.templates.links import flaw_of_link

if TYPE_CHECKING:
    from edgewise.admission.load import Bundle
    from edgewise.reasons import Reason

MOST_TEXT: Final = 2_000
"""Characters of one text of a card; more is cut."""


class Links(NamedTuple):
    """Where a rendered item leads beside its own link."""

    why_base: str = ""
    """Before `/v1/why/DECISION_ID`: blank on a node's own pages, `https://edge.shop.example` in a mail."""

    def why(self, decision_id: str) -> str:
        """The page that says why a decision was made."""
        return f"{self.why_base}/v1/why/{decision_id}"


class ShownItem(NamedTuple):
    """One item of a decision, as it is to be seen."""

    id: ItemId
    rank: int
    reason: Reason
    content: Mapping[str, Any] | None
    """Approved content; None for an item that the caller brought, whose content is the page's own."""
    why: tuple[str, ...] = ()
    """Sentences; they may hold what a visitor has typed."""


Trouble = Callable[[ItemId, str], None]
"""Told which item was left out, and why."""


def render_placement(
    bundle: Bundle,
    name: PlacementName,
    items: Sequence[ShownItem],
    *,
    locale: str,
    decision_id: DecisionId | str,
    deferred: bool,
    links: Links,
    trouble: Trouble | None = None,
) -> str:
    """The HTML of what was decided for a placement; no items make an empty container.

    `locale` is a BCP 47 tag, or blank. Never raises for what items hold: such an item is left out, and `trouble` told.
    """
    inside = _inside(bundle, name, items, locale=locale, why_link=links.why(decision_id), trouble=trouble)
    deferring = " data-edgewise-deferred" if deferred else ""
    return _container(name, f' data-edgewise-decision="{escape(decision_id)}"{deferring}', inside)


def render_fallback(bundle: Bundle | None, name: PlacementName, *, locale: str = "") -> str:
    """The HTML of a placement's fallback, which nobody decided: approved items, the same for everybody.

    Never raises: without a bundle, for an unknown placement and for whatever goes wrong it is an empty container.
    """
    try:
        inside = "" if bundle is None else _fallback(bundle, name, locale)
    except Exception:  # noqa: BLE001  # this is what stands in for whatever failed: it must not fail
        inside = ""
    return _container(name, "", inside)


def content_of(bundle: Bundle, item: ItemId, variant: str = "", format_name: str = "") -> Mapping[str, Any] | None:
    """The approved content of an item, of a variant of it, or of its representation of a format; None without."""
    content: dict[str, Any] | None = msgspec.json.decode(bundle.content_json(item, variant, format_name))
    return content


def _fallback(bundle: Bundle, name: PlacementName, locale: str) -> str:
    from edgewise.reasons import Reason

    placement = bundle.policy.placements.get(name)
    if placement is None:
        return ""
    items = [
        ShownItem(item, rank, Reason.FALLBACK_NO_CANDIDATE, content_of(bundle, item, "", placement.format))
        for rank, item in enumerate(placement.fallback[: placement.count], 1)
    ]
    return _inside(bundle, name, [item for item in items if item.content is not None], locale=locale)


def _inside(
    _bundle: Bundle,
    _name: PlacementName,
    items: Sequence[ShownItem],
    *,
    locale: str,
    why_link: str = "",
    trouble: Trouble | None = None,
) -> str:
    del locale
    written: list[str] = []
    for item in items:
        try:
            inside = "" if item.content is None else _card(item, item.content, why_link)
        except Exception as failed:  # noqa: BLE001  # one item must not take the others with it
            if trouble is not None:
                trouble(item.id, f"{type(failed).__name__}: {failed}")
            continue
        written.append(f'<div data-edgewise-item="{escape(item.id)}">{inside}</div>')
    return "".join(written)


def _container(name: str, attributes: str, inside: str) -> str:
    return f'<div data-edgewise-placement="{escape(name)}"{attributes}>{inside}</div>'


def _card(item: ShownItem, content: Mapping[str, Any], why_link: str) -> str:
    """The built-in template: picture, title, text and link, as far as the content has them."""
    title, text, link, image = (_text(content, key) for key in ("title", "text", "link", "image"))
    alt = _text(content, "alt") or title
    picture = f'<img src="{escape(image)}" alt="{escape(alt)}" loading="lazy">' if not flaw_of_link(image) else ""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    paragraph = f"<p>{escape(text)}</p>" if text else ""
    card = picture + heading + paragraph
    if not flaw_of_link(link):
        card = f'<a href="{escape(link)}">{card}</a>'
    if item.why and why_link and not flaw_of_link(why_link):
        card += f'<p><small><a href="{escape(why_link)}">{escape(item.why[0][:MOST_TEXT])}</a></small></p>'
    return card


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)[:MOST_TEXT]
