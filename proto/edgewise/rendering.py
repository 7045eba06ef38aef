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
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from edgewise.admission.load import Bundle
from edgewise.bundle.templates import Template
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.reasons import Reason
from edgewise.templates.built_in import BUILT_IN, built_in, fitting, whole
from edgewise.templates.flaws import Unrenderable

MOST_SENTENCES: Final = 10
MOST_SENTENCE: Final = 2_000
MOST_LOCALE: Final = 35
"""Of reasons that a template is given, of the characters of one, and of a locale."""


class Links(NamedTuple):
    """Where a rendered item leads beside its own link."""

    why_base: str = ""
    """Before `/v1/why/DECISION_ID`: blank on a node's own pages, `https://edge.shop.example` in a mail."""

    def why(self, decision_id: str) -> str:
        """The page that says why a decision was made."""
        return f"{self.why_base}/v1/why/{quote(decision_id)}"


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
    deferring = " data-edgewise-deferred" if deferred else ""
    attributes = f' data-edgewise-decision="{escape(decision_id)}"{deferring}'
    return _Rendering(bundle, name, locale).html(items, attributes, why_link=links.why(decision_id), trouble=trouble)


def render_undecided(
    bundle: Bundle, name: PlacementName, items: Sequence[ShownItem], *, locale: str, trouble: Trouble | None = None
) -> str:
    """The HTML of items that nobody decided, as a placement shows its own: no decision is named around them."""
    return _Rendering(bundle, name, locale).html(items, "", trouble=trouble)


def render_fallback(bundle: Bundle | None, name: PlacementName, *, locale: str = "") -> str:
    """The HTML of a placement's fallback, which nobody decided: approved items, the same for everybody.

    Never raises: without a bundle, for an unknown placement and for whatever goes wrong it is an empty container.
    """
    if bundle is not None:
        try:
            return _fallback(bundle, name, locale)
        except Exception:  # noqa: BLE001, S110  # this stands in for whatever failed: it must not fail, nor say much
            pass
    return _container(BUILT_IN, name, "", "")


def content_of(bundle: Bundle, item: ItemId, variant: str = "", format_name: str = "") -> Mapping[str, Any] | None:
    """The approved content of an item, of a variant of it, or of its representation of a format; None without."""
    content: dict[str, Any] | None = msgspec.json.decode(bundle.content_json(item, variant, format_name))
    return content


def _fallback(bundle: Bundle, name: PlacementName, locale: str) -> str:
    placement = bundle.policy.placements.get(name)
    if placement is None:
        return _container(BUILT_IN, name, "", "")
    items = [
        ShownItem(item, rank, Reason.FALLBACK_NO_CANDIDATE, content_of(bundle, item, "", placement.format))
        for rank, item in enumerate(placement.fallback[: placement.count], 1)
    ]
    shown = [item for item in items if item.content is not None]
    return render_undecided(bundle, name, shown, locale=locale)


class _Rendering:
    """One placement on its way to HTML, by the template that it names, or the built-in one."""

    def __init__(self, bundle: Bundle, name: PlacementName, locale: str) -> None:
        placement = bundle.policy.placements.get(name)
        ready = None if placement is None else bundle.templates.fragment(placement.template, placement.format)
        self._name = name
        self._locale = locale
        self._template = BUILT_IN if ready is None else ready.template
        self._read = fitting if ready is None else whole
        self._part = (built_in() if ready is None else ready).part("html", locale)

    def html(
        self, items: Sequence[ShownItem], attributes: str, *, why_link: str = "", trouble: Trouble | None = None
    ) -> str:
        """All items in their container."""
        written: list[str] = []
        for item in items:
            try:
                inside = "" if item.content is None else self._item(item, item.content, why_link)
            except Unrenderable as wrong:
                if trouble is not None:
                    trouble(item.id, wrong.message)
                continue
            written.append(self._around(item.id, inside))
        return _container(self._template, self._name, attributes, "".join(written))

    def _item(self, item: ShownItem, content: Mapping[str, Any], why_link: str) -> str:
        given = {
            **content,
            "item_id": item.id,
            "rank": item.rank,
            "locale": self._locale[:MOST_LOCALE],
            "placement": self._name,
            "why": [sentence[:MOST_SENTENCE] for sentence in item.why[:MOST_SENTENCES]],
            "why_link": why_link,
        }
        return self._part.render(self._read(self._template, given))

    def _around(self, item: ItemId, inside: str) -> str:
        shown = self._template
        element = "li" if shown.around in {"ul", "ol"} else shown.item
        return f'<{element} data-edgewise-item="{escape(item)}"{_class(shown.item_class)}>{inside}</{element}>'


def _container(shown: Template, name: str, attributes: str, inside: str) -> str:
    element = shown.around
    said = f'data-edgewise-placement="{escape(name)}"{attributes}{_class(shown.around_class)}'
    return f"<{element} {said}>{inside}</{element}>"


def _class(named: str | None) -> str:
    return "" if named is None else f' class="{escape(named)}"'
