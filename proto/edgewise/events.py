"""The words of Segment's specification that Edgewise understands, and what each means for a profile.

Any other event name is valid, kept and counted; it only moves no aggregate but the visit itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What an event says of a visitor and an item."""

    VIEW = "view"
    CLICK = "click"
    ADD = "add"
    REMOVE = "remove"
    ORDER = "order"
    REVIEW = "review"
    IMPRESSION = "impression"
    """Shown by Edgewise; says nothing of taste, counts for caps."""
    PAGE = "page"
    SEARCH = "search"
    CART = "cart"
    """The whole cart was looked at: what it holds is known."""
    CHECKOUT = "checkout"
    REFUND = "refund"
    EMAIL_DELIVERED = "email_delivered"
    EMAIL_OPENED = "email_opened"
    EMAIL_CLICKED = "email_clicked"
    EMAIL_BOUNCED = "email_bounced"
    EMAIL_SPAM = "email_spam"
    EMAIL_UNSUBSCRIBED = "email_unsubscribed"
    TICKET_OPENED = "ticket_opened"
    TICKET_CLOSED = "ticket_closed"
    OTHER = "other"


KIND_OF: Final[dict[str, Kind]] = {
    "Product Viewed": Kind.VIEW,
    "Content Viewed": Kind.VIEW,
    "Product Clicked": Kind.CLICK,
    "Content Clicked": Kind.CLICK,
    "Promotion Clicked": Kind.CLICK,
    "Product Added": Kind.ADD,
    "Product Added to Wishlist": Kind.ADD,
    "Product Removed": Kind.REMOVE,
    "Order Completed": Kind.ORDER,
    "Offline Purchase": Kind.ORDER,
    "Product Reviewed": Kind.REVIEW,
    "Promotion Viewed": Kind.IMPRESSION,
    "Products Searched": Kind.SEARCH,
    "Cart Viewed": Kind.CART,
    "Checkout Started": Kind.CHECKOUT,
    "Order Refunded": Kind.REFUND,
    # Segment's e-mail specification, to the letter
    "Email Delivered": Kind.EMAIL_DELIVERED,
    "Email Opened": Kind.EMAIL_OPENED,
    "Email Link Clicked": Kind.EMAIL_CLICKED,
    "Email Bounced": Kind.EMAIL_BOUNCED,
    "Email Marked as Spam": Kind.EMAIL_SPAM,
    "Unsubscribed": Kind.EMAIL_UNSUBSCRIBED,
    # our own: Segment specifies no events of a help desk
    "Ticket Opened": Kind.TICKET_OPENED,
    "Ticket Closed": Kind.TICKET_CLOSED,
}

TOUCHING: Final = frozenset({Kind.VIEW, Kind.CLICK, Kind.ADD, Kind.ORDER, Kind.REVIEW})
"""Kinds after which an item counts as seen, and its categories as liked."""

VISITING: Final = TOUCHING | {Kind.REMOVE, Kind.PAGE, Kind.SEARCH, Kind.CART, Kind.CHECKOUT}
"""Kinds that a visitor gives rise to by being there; they make up sessions and active days."""

DONE_TO: Final = frozenset(
    {Kind.REFUND, Kind.EMAIL_DELIVERED, Kind.EMAIL_BOUNCED, Kind.TICKET_CLOSED},
)
"""Kinds that happen to a visitor without any doing of his: they say nothing of when he was last seen."""

IN_CART: Final = frozenset({"Product Added", "Product Removed", "Cart Viewed", "Order Completed"})
"""Events that change what a cart holds. A wishlist is no cart, and a purchase in a shop clears none."""

ACTIVATIONS: Final = frozenset({"Promotion Viewed", "Content Viewed", "Email Delivered", "Email Sent"})
"""Events that make a deferred decision count as shown, when they carry its `decisionId`. `Email Sent` is ours: a mail
that was handed over to a platform which reports itself what it delivered."""

CONVERSIONS: Final = frozenset(
    {
        "Order Completed",
        "Order Updated",
        "Order Refunded",
        "Order Cancelled",
        "Offline Purchase",
        "Account Created",
        "Signed Up",
        "Trial Started",
    }
)
"""Events of Segment's specifications (e-commerce, B2B SaaS), and our Offline Purchase, that a site lives on: the last
ones that a node refuses."""

DIMENSIONS: Final = ("category", "brand", "topic")
"""Item attributes that a profile keeps affinities for."""


def kind_of(event_type: str, name: str) -> Kind:
    """The kind of one call: Segment's `type` and, for `track`, its event name."""
    if event_type == "track":
        return KIND_OF.get(name, Kind.OTHER)
    return Kind.PAGE if event_type in {"page", "screen"} else Kind.OTHER


def affinity_weight(kind: Kind, rating: float | None) -> int:
    """How much one touch says of taste, as an integer so that sums do not depend on order.

    A review counts by its stars: 4 and 5 as much as putting it into the cart, 3 as a view, fewer not at all.
    """
    match kind:
        case Kind.VIEW:
            return 1
        case Kind.CLICK:
            return 2
        case Kind.ADD:
            return 4
        case Kind.ORDER:
            return 8
        case Kind.REVIEW:
            stars = 3.0 if rating is None else rating
            return 4 if stars >= 4 else 1 if stars >= 3 else 0  # noqa: PLR2004  # stars, as the docstring says
        case _:
            return 0
