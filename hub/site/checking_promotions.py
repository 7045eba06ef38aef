"""Promotions of codes, and the items that carry them: what would promise nothing, or leave a place empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from edgewise.bundle.promotions import PromotionName
from edgewise.errors import Problem
from hub.site.converting import did_you_mean
from hub.site.promotion_file import PromotionFile
from hub.site.reading import Files, Place

GIVEN: Final = ("code", "codeExpires", "discount")
"""Keys of a content that a promotion fills in."""


def check_promotions(files: Files) -> Iterator[Problem]:
    """Every promotion, who names one, and the fallbacks."""
    for promotion, place in files.promotions.values():
        yield from _promotion(files, promotion, place)
    for item, place in files.items.values():
        if item.promotion is None:
            continue
        if item.promotion not in files.promotions:
            cure = did_you_mean(item.promotion, files.promotions)
            if not files.promotions:
                cure = f"write promotions/{item.promotion}.yaml"
            yield place.problem(("promotion",), f"no promotion {item.promotion!r}; {cure}")
        contents: list[tuple[tuple[str | int, ...], dict[str, Any]]] = [(("content",), item.content)]
        contents += [
            (("variants", position, "content"), variant.content) for position, variant in enumerate(item.variants)
        ]
        for path, content in contents:
            for key in GIVEN:
                if key in content:
                    message = f"the promotion fills in {key!r} for each visitor; leave it out of the content"
                    yield place.problem((*path, key), message)
    yield from _fallbacks(files)


def _promotion(files: Files, promotion: PromotionFile, place: Place) -> Iterator[Problem]:
    if not promotion.discount.is_one:
        yield place.problem(("discount",), "expected one of `percent`, `amount` and `free_shipping: true`; keep one")
    if promotion.starts is not None and promotion.ends is not None and promotion.ends <= promotion.starts:
        message = f"ends {promotion.ends} before it starts ({promotion.starts}); exchange them"
        yield place.problem(("ends",), message)
    if promotion.collection is not None and promotion.collection not in files.collections:
        cure = did_you_mean(promotion.collection, files.collections)
        yield place.problem(("collection",), f"no collection {promotion.collection!r}; {cure}")
    if promotion.per_person > promotion.total:
        message = f"one person may redeem {promotion.per_person}, but there are {promotion.total} in all; lower it"
        yield place.problem(("per_person",), message)


def _fallbacks(files: Files) -> Iterator[Problem]:
    """What is shown when nothing else can be must not hang on a code that may run out."""
    hidden: set[PromotionName] = {
        name for name, (promotion, _) in files.promotions.items() if promotion.when_out == "hide"
    }
    for placement, place in files.placements.values():
        for position, name in enumerate(placement.fallback):
            item = files.items[name][0] if name in files.items else None
            if item is not None and item.promotion in hidden:
                message = f"{name!r} is hidden when no code is left (promotion {item.promotion!r})"
                cure = "say `when_out: without` there, or choose an item without a promotion"
                yield place.problem(("fallback", position), f"{message}; {cure}")
