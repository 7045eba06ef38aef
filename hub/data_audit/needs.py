"""The data points of a journey, and how much of its effect hangs on each.

A site says them in `journeys/NAME.yaml`:

    needs:
      - {kind: event, name: Product Viewed, worth: 0.3, why: what somebody looks at is what he is shown more of}
      - {kind: identifier, name: email, worth: 0.2, why: no e-mail without an address}

The three journeys that come with Edgewise have needs of their own, which a file of the same name replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgewise.errors import InputError
from hub.site.converting import did_you_mean
from hub.site.journey_file import JourneyFile, Need

BUILT_IN: Final[dict[str, tuple[Need, ...]]] = {
    "homepage-banner": (
        Need("event", "Product Viewed", 0.30, "recent browsing is what interest is predicted from"),
        Need("event", "Product List Viewed", 0.05, "categories say what somebody compares"),
        Need("event", "Order Completed", 0.15, "what somebody has is not advertised to him again"),
        Need("event", "Promotion Clicked", 0.10, "which banners worked, to learn from"),
        Need("item", "category", 0.15, "interest is in categories more than in single items"),
        Need("item", "brand", 0.05, "interest in brands"),
        Need("identifier", "userId", 0.10, "the same person on telephone and desk"),
        Need("contact", "email", 0.10, "a personal promotion code must reach one person only"),
    ),
    "abandoned-cart": (
        Need("event", "Product Added", 0.25, "a cart begins with it"),
        Need("event", "Checkout Started", 0.10, "how far somebody came tells why he left"),
        Need("event", "Order Completed", 0.15, "nobody is reminded of what he bought"),
        Need("contact", "email", 0.20, "no e-mail without an address"),
        Need("event", "Email Opened", 0.05, "whether e-mails are read at all"),
        Need("event", "Ticket Opened", 0.10, "trouble is a reason that a discount does not mend"),
        Need("event", "Product Viewed", 0.10, "comparing prices is a reason, too"),
        Need("item", "price", 0.05, "what the cart is worth"),
    ),
    "content-hub": (
        Need("event", "Content Viewed", 0.35, "what somebody reads orders what he is offered"),
        Need("event", "Content Clicked", 0.10, "which module worked, to learn from"),
        Need("item", "topic", 0.20, "time is spent on topics"),
        Need("trait", "job_title", 0.10, "career stage swaps modules"),
        Need("event", "Email Link Clicked", 0.10, "reading begins in the newsletter"),
        Need("identifier", "userId", 0.10, "the same reader on telephone and desk"),
    ),
}


def audited_journeys(written: Mapping[str, JourneyFile]) -> list[str]:
    """Where none is named: the site's journeys that say what they need, or of a site without any those built in."""
    return sorted(name for name, file in written.items() if file.needs or name in BUILT_IN) or sorted(BUILT_IN)


def needs_of(journey: str, written: Mapping[str, JourneyFile]) -> tuple[Need, ...]:
    """What a journey needs, by the site's file, else as built in. Raises InputError for one that nobody knows."""
    if journey in written and written[journey].needs:
        return tuple(written[journey].needs)
    if journey in BUILT_IN:
        return BUILT_IN[journey]
    if journey in written:
        raise InputError(f"journeys/{journey}.yaml does not say what the journey needs to know; write `needs`")
    known = did_you_mean(journey, {*written, *BUILT_IN})
    raise InputError(f"there is no journey {journey!r} (journeys/{journey}.yaml of the site); {known}")
