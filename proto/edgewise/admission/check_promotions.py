"""Whether promotions can be promised: each says one discount, and items and promotions name what is there."""

from __future__ import annotations

from typing import Final

from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.manifest import CATALOGUE, POLICY
from edgewise.bundle.policy import Policy
from edgewise.bundle.promotions import Promotion
from edgewise.bundle.refusal import refuse, require

MOST_PROMOTIONS: Final = 1_024
"""Each is asked at every decision that can show its items, and leased by every node."""


def check_promotions(policy: Policy, catalogue: Catalogue) -> None:
    """Raises BundleRefused."""
    offers = policy.offers
    message = f"{len(offers)} promotions, at most {MOST_PROMOTIONS} are taken"
    require(len(offers) <= MOST_PROMOTIONS, "too_large", POLICY, message, "$.promotions")
    for name, promotion in offers.items():
        require(bool(name), "blank", POLICY, "a promotion has no name", "$.promotions")
        _check(policy, promotion, f"$.promotions.{name}")
    for place, item in enumerate(catalogue.items):
        if item.promotion is not None and item.promotion not in offers:
            message = f"item {item.id!r} comes with a code of {item.promotion!r}, which is no promotion of the policy"
            refuse("dangling", CATALOGUE, message, f"$.items[{place}].promotion")


def _check(policy: Policy, promotion: Promotion, path: str) -> None:
    message = "a discount says exactly one of percent, amount and free_shipping"
    require(promotion.discount.is_one, "invalid", POLICY, message, f"{path}.discount")
    starts, ends = promotion.starts_ms, promotion.ends_ms
    message = f"ends at {ends} ms, but starts at {starts} ms"
    require(starts is None or ends is None or starts < ends, "invalid", POLICY, message, f"{path}.ends_ms")
    is_there = promotion.collection is None or promotion.collection in policy.collections
    require(is_there, "dangling", POLICY, f"no collection {promotion.collection!r}", f"{path}.collection")
