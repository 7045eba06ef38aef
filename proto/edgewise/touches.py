"""What a call's properties say of items, money, time and tickets, as it is written into a record.

Names are those of Segment's e-commerce specification (V2). Beside them, for what it does not specify:

    engagedMs                time that the visitor was busy with it, in milliseconds; also GA4's engagement_time_msec
    duration                 the same in seconds (as Mixpanel's timed events), of pages and what was viewed
    topic                    what time was spent on, or a ticket is about, where no item says so
    ticket_id, topic, mood   of `Ticket Opened` and `Ticket Closed`; mood from -1, angry, to 1, or a word of MOODS

What an item *was* when the event happened (category, brand, topic, price) is taken from the catalogue here, so that
folding a profile never asks one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from edgewise.bundle.catalogue import AttributeValue
from edgewise.errors import InputError, Problem
from edgewise.events import DIMENSIONS, Kind, kind_of
from edgewise.ids import ItemId
from edgewise.money import SITE_CURRENCY, is_code, minor_units
from edgewise.records import Touch

MAX_PRODUCTS: Final = 200
MAX_TEXT: Final = 500
MAX_VALUE: Final = 100_000_000_000
"""Money that one line of an order may be worth."""
MOST_ENGAGED_MS: Final = 3_600_000
"""More is a page that was left open; it counts as this."""
MOODS: Final = {
    "angry": -1.0,
    "negative": -1.0,
    "bad": -1.0,
    "neutral": 0.0,
    "positive": 1.0,
    "good": 1.0,
    "pleased": 1.0,
}

AttributesOf = Callable[[ItemId], Mapping[str, AttributeValue] | None]

_ITEM_KEYS: Final = ("itemId", "product_id", "productId", "promotion_id", "content_id", "sku")
_TICKET_KEYS: Final = ("ticket_id", "ticketId")
_ENGAGED_KEYS: Final = ("engagedMs", "engaged_ms", "engagement_time_msec")
_TICKETS: Final = frozenset({Kind.TICKET_OPENED, Kind.TICKET_CLOSED})
_LOOKING: Final = frozenset({Kind.VIEW, Kind.PAGE})
_MOST_ID: Final = 200


class Said(NamedTuple):
    """What properties say, in a record's own fields."""

    touches: tuple[Touch, ...]
    currency: str
    engaged_ms: int
    topics: tuple[str, ...]
    ticket: str
    mood: float | None


def said_of(
    call_type: str,
    name: str,
    properties: Mapping[str, Any],
    attributes_of: AttributesOf,
    *,
    site_currency: str = SITE_CURRENCY,
    most_products: int = MAX_PRODUCTS,
) -> Said:
    """Read the properties of a call; prices without a currency are in the site's.

    Raises:
        InputError: when an item, a price, a rating, a currency, a time or a ticket is not what it should be.
    """
    kind = kind_of(call_type, name)
    currency = _currency(properties, site_currency)
    touches = _touches(properties, attributes_of, currency, site_currency, most_products)
    engaged_ms = _engaged_ms(properties, kind)
    is_ticket = kind in _TICKETS
    topics: tuple[str, ...] = ()
    if is_ticket or (engaged_ms and not any("topic" in touch.dimensions for touch in touches)):
        topics = _values(properties.get("topic"))
    return Said(
        touches,
        currency,
        engaged_ms,
        topics,
        (_id(properties, _TICKET_KEYS, "$.properties", "a ticket's id") or "") if is_ticket else "",
        _mood(properties) if is_ticket else None,
    )


def _touches(
    properties: Mapping[str, Any], attributes_of: AttributesOf, currency: str, site_currency: str, most: int
) -> tuple[Touch, ...]:
    products = properties.get("products")
    if products is None:
        touch = _touch(properties, "$.properties", attributes_of, currency, site_currency)
        return () if touch is None else (touch,)
    if not isinstance(products, list) or len(products) > most:
        raise _wrong("$.properties.products", f"expected a list of at most {most} products")
    touches = []
    for position, product in enumerate(products):
        path = f"$.properties.products[{position}]"
        if not isinstance(product, dict):
            raise _wrong(path, f"expected an object, got {product!r:.80}")
        touch = _touch(product, path, attributes_of, currency, site_currency)
        if touch is not None:
            touches.append(touch)
    return tuple(touches)


def _touch(
    product: Mapping[str, Any], path: str, attributes_of: AttributesOf, currency: str, site_currency: str
) -> Touch | None:
    stated = _id(product, _ITEM_KEYS, path, "an item id")
    if stated is None:
        return None
    item = ItemId(stated)
    quantity = _number(product, "quantity", path)
    price = _number(product, "price", path)
    if abs((price or 0) * (1 if quantity is None else quantity)) > MAX_VALUE:
        raise _wrong(f"{path}.price", f"expected price times quantity to be at most {MAX_VALUE:,}")
    attributes = attributes_of(item)
    known = attributes or product
    dimensions = {name: values for name in DIMENSIONS if (values := _values(known.get(name)))}
    is_told = price is not None and not currency
    return Touch(
        item=item,
        quantity=1 if quantity is None else int(quantity),
        value_minor=0 if price is None else minor_units(price, currency or site_currency),
        listed_minor=0 if is_told or attributes is None else _listed_minor(attributes.get("price"), site_currency),
        rating=_number(product, "rating", path),
        dimensions=dimensions,
    )


def _listed_minor(price: AttributeValue | None, site_currency: str) -> int:
    if isinstance(price, int | float) and not isinstance(price, bool) and 0 < price <= MAX_VALUE:
        return minor_units(price, site_currency)
    return 0


def _currency(properties: Mapping[str, Any], site_currency: str) -> str:
    """The code of another currency than the site's, else an empty text."""
    stated = properties.get("currency")
    if stated is None or stated == "":
        return ""
    code = stated.strip().upper() if isinstance(stated, str) else ""
    if not is_code(code):
        raise _wrong("$.properties.currency", f"expected a code of ISO 4217 such as EUR, got {stated!r:.80}")
    return "" if code == site_currency else code


def _engaged_ms(properties: Mapping[str, Any], kind: Kind) -> int:
    key = next((key for key in _ENGAGED_KEYS if properties.get(key) not in (None, "")), None)
    if key is not None:
        measured_ms = _number(properties, key, "$.properties") or 0.0
    elif kind in _LOOKING and isinstance(duration_s := properties.get("duration"), int | float):
        # a word that many use for other things, in other forms: what is no number says nothing here
        measured_ms = float(duration_s) * 1_000 if 0 < duration_s < MOST_ENGAGED_MS else 0.0
    else:
        return 0
    return max(0, min(MOST_ENGAGED_MS, int(measured_ms)))


def _mood(properties: Mapping[str, Any]) -> float | None:
    stated = properties.get("mood")
    if stated is None or stated == "":
        return None
    if isinstance(stated, str) and stated.strip().lower() in MOODS:
        return MOODS[stated.strip().lower()]
    if isinstance(stated, int | float) and not isinstance(stated, bool) and -1 <= stated <= 1:
        return float(stated)
    expected = f"expected a number from -1 to 1, or one of {', '.join(MOODS)}"
    raise _wrong("$.properties.mood", f"{expected}; got {stated!r:.80}")


def _id(properties: Mapping[str, Any], keys: tuple[str, ...], path: str, what: str) -> str | None:
    key = next((key for key in keys if properties.get(key) not in (None, "")), None)
    if key is None:
        return None
    stated = properties[key]
    if isinstance(stated, bool) or not isinstance(stated, str | int) or len(str(stated)) > _MOST_ID:
        raise _wrong(f"{path}.{key}", f"expected {what} of at most {_MOST_ID} characters, got {stated!r:.80}")
    return str(stated)


def _values(stated: Any) -> tuple[str, ...]:
    values = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    return tuple(value for value in values if isinstance(value, str) and 0 < len(value) <= MAX_TEXT)[:20]


def _number(product: Mapping[str, Any], name: str, path: str) -> float | None:
    """A number, also one that a shop system wrote as text; None where there is none."""
    stated = product.get(name)
    if stated is None or stated == "":
        return None
    try:
        number = float(stated)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(f"{path}.{name}", f"expected a number, got {stated!r:.80}") from None
    if isinstance(stated, bool) or not abs(number) < 1e12:  # noqa: PLR2004  # beyond any price; also NaN
        raise _wrong(f"{path}.{name}", f"expected a number below 1e12, got {stated!r:.80}")
    return number


def _wrong(path: str, message: str) -> InputError:
    return InputError(f"{path}: {message}", (Problem(path, message),))
