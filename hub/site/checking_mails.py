"""Every mail of a journey can be written by the template that its step names, whatever is decided for it.

So no mail is the first to find out that a title is missing: what does not fit would be sent without the template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edgewise.bundle.policy import Placement
from edgewise.errors import Problem
from edgewise.ids import CollectionName, ItemId, PlacementName, TemplateName
from edgewise.templates.mail_values import Around, Listed, mail_values
from hub.site.copies import contents_in
from hub.site.journey_file import StepFile
from hub.site.reading import Files
from hub.site.showing import WHY, Seen, Source, promised_to, unshowable

_EDGE: Final = "https://edge.example/v1"
_AROUND: Final = Around(
    name="Ann",
    sender="Shop",
    address="1 Street, Town",
    why_link=f"{_EDGE}/why/0",
    preferences_link=f"{_EDGE}/mail/preferences",
    unsubscribe_link=f"{_EDGE}/mail/unsubscribe",
)
_PRODUCT: Final = Listed(
    ItemId("product"),
    {
        "title": "Product",
        "text": "What it is",
        "link": "https://shop.example/product",
        "image": {"src": "https://shop.example/product.jpg", "alt": "A product"},
        "price": "9.99",
    },
    WHY[0],
)
"""One of which everything is known."""


def check_mails(
    files: Files, compiled: Mapping[TemplateName, list[Source]], candidates: Mapping[CollectionName, list[ItemId]]
) -> Iterator[Problem]:
    """Everything that does not fit the templates of mails. `candidates`: the items of each collection."""
    for journey, _ in files.journeys.values():
        for step in journey.steps:
            sources = compiled.get(step.template, [])
            is_mail = bool(sources) and files.templates[step.template][0].kind == "mail"
            if is_mail and step.treatments in files.placements:
                yield from _check_mail(files, step, sources, candidates)


def _check_mail(
    files: Files, step: StepFile, sources: list[Source], candidates: Mapping[CollectionName, list[ItemId]]
) -> Iterator[Problem]:
    """A mail with each treatment, without products and with one; then with each product."""

    def items_of(name: PlacementName) -> tuple[Placement, list[ItemId]]:
        placement = files.placements[name][0]
        return placement, [*candidates.get(placement.collection, ()), *placement.fallback]

    placement, items = items_of(step.treatments)

    def with_treatment(_: ItemId, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [mail_values(content, products, _AROUND) for products in ((), (_PRODUCT,))]

    seen = Seen(placement.format, step.template, sources, with_treatment, parts=("subject", "html"))
    wrong = list(unshowable(files, seen, items))
    yield from wrong
    treatment = next((content for item in items for content in _contents_of(files, item, placement.format)), None)
    if wrong or treatment is None or step.products not in files.placements:
        return
    placement, items = items_of(step.products)

    def with_product(item: ItemId, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [mail_values(treatment, [Listed(item, content, WHY[0])], _AROUND)]

    yield from unshowable(files, Seen(placement.format, step.template, sources, with_product), items)


def _contents_of(files: Files, item_id: ItemId, shown_format: str) -> Iterator[Mapping[str, Any]]:
    if item_id in files.items:
        item, _ = files.items[item_id]
        for _, content in contents_in(item, shown_format):
            yield from ({**content, **promised} for promised in promised_to(files, item))
