"""How things stand with a person at a moment, read from the profile: money, cart, tickets, visits, habits."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from edgewise.events import Kind
from edgewise.ids import ItemId
from edgewise.money import digits_of
from edgewise.profile.cart import lines_of, value_minor_of
from edgewise.profile.habits import ITEMS, active_days, distinct, price_octave, visits
from edgewise.profile.rates import EMAIL_RESPONSE, rate_of
from edgewise.profile.read import shares_of
from edgewise.profile.state import SLOT_HORIZON_DAYS, Profile
from edgewise.profile.tickets import open_tickets

_HALF_LIFE_DAYS: Final = 30.0


class Now(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is empty was never told."""

    spent_elsewhere: dict[str, int] = {}
    """Currency -> money in its own minor unit, where it is not the site's."""
    orders: int = 0
    last_order_ms: int = 0
    cart: dict[ItemId, int] = {}
    """Item -> pieces."""
    cart_value_minor: int = 0
    open_tickets: dict[str, str] = {}
    """Ticket -> topic."""
    mood: float | None = None
    """Of the last ticket that told one, from -1 to 1."""
    visits: int = 0
    """Of the last 90 days."""
    active_days: int = 0
    topics: dict[str, float] = {}
    """Topic -> share of the time, largest first."""
    usual_price_minor: int = 0
    email_response: float | None = None
    """Share of e-mails that are opened, with a prior; None: none was delivered."""
    different_items: int = 0
    """Ever touched; beyond what a profile lists it is an estimate."""


def now_of(profile: Profile, now_ms: int) -> Now:
    """Read it all."""
    octave, desk = price_octave(profile.price_bands), profile.desk
    topics = shares_of(profile.topic_ms, now_ms, _HALF_LIFE_DAYS)
    return Now(
        spent_elsewhere={
            currency: sum(amount for _, amount in days) for currency, days in sorted(profile.spent_elsewhere.items())
        },
        orders=profile.orders.count,
        last_order_ms=profile.orders.last_ms,
        cart={item: line.quantity for item, line in lines_of(profile.cart).items()},
        cart_value_minor=value_minor_of(profile.cart),
        open_tickets={name: ticket.topic for name, ticket in open_tickets(desk).items()},
        mood=None if desk is None or desk.mood is None else desk.mood.value,
        visits=visits(profile, now_ms, SLOT_HORIZON_DAYS),
        active_days=active_days(profile, now_ms, SLOT_HORIZON_DAYS),
        topics=dict(sorted(topics.items(), key=lambda pair: (-pair[1], pair[0]))),
        usual_price_minor=0 if math.isnan(octave) else round(2.0**octave),
        email_response=(
            rate_of(profile.counts, EMAIL_RESPONSE, now_ms) if profile.counts.get(Kind.EMAIL_DELIVERED) else None
        ),
        different_items=round(distinct(profile, ITEMS)),
    )


def in_rows(now: Now) -> list[tuple[str, str]]:
    """For people: what, and what is known of it; what was never told is left out."""
    cart = ", ".join(f"{pieces} x {item}" for item, pieces in now.cart.items())
    tickets = ", ".join(f"{name} ({topic})" if topic else name for name, topic in now.open_tickets.items())
    rows = [
        *((f"spent in {code}", _amount(minor, digits_of(code))) for code, minor in now.spent_elsewhere.items()),
        ("orders", f"{now.orders:,}" if now.orders else ""),
        ("cart", f"{cart}, worth {_amount(now.cart_value_minor, 2)}" if cart and now.cart_value_minor else cart),
        ("open tickets", tickets),
        ("mood", "" if now.mood is None else f"{now.mood:+g}"),
        ("visits", f"{now.visits:,} on {now.active_days} of 90 days" if now.visits else ""),
        ("time spent", ", ".join(f"{topic} {share:.0%}" for topic, share in list(now.topics.items())[:5])),
        ("usual price", f"about {_amount(now.usual_price_minor, 2)}" if now.usual_price_minor else ""),
        ("opens e-mails", "" if now.email_response is None else f"{now.email_response:.0%}"),
        ("different items", f"{now.different_items:,}" if now.different_items else ""),
    ]
    return [(what, known) for what, known in rows if known]


def _amount(minor: int, digits: int) -> str:
    return f"{minor / 10**digits:,.{digits}f}"
