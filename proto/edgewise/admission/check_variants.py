"""Whether the copies of items can be chosen: each has a name of its own, and a rule that an edge can evaluate."""

from __future__ import annotations

from typing import Final

from edgewise.admission.check_policy import check_rule
from edgewise.admission.check_scores import Models
from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.manifest import CATALOGUE
from edgewise.bundle.refusal import require

MOST_VARIANTS: Final = 64
"""Of one item: each may cost a rule for every slot that shows it."""


def check_variants(catalogue: Catalogue, models: Models) -> None:
    """Raises BundleRefused."""
    for place, item in enumerate(catalogue.items):
        if not item.variants:
            continue
        path = f"$.items[{place}].variants"
        message = f"{len(item.variants)} variants of {item.id!r}, at most {MOST_VARIANTS} are taken"
        require(len(item.variants) <= MOST_VARIANTS, "too_large", CATALOGUE, message, path)
        known: set[str] = set()
        for position, variant in enumerate(item.variants):
            at = f"{path}[{position}]"
            require(bool(variant.name), "blank", CATALOGUE, f"a variant of {item.id!r} has no name", f"{at}.name")
            message = f"the variant {variant.name!r} of {item.id!r} is listed twice"
            require(variant.name not in known, "invalid", CATALOGUE, message, f"{at}.name")
            known.add(variant.name)
            check_rule(variant.when, models, CATALOGUE, f"{at}.when")
