"""What lies in the cart, as a function of the set of events: the latest operations behind the last clearing.

Both bounds are maxima of a total order, so that no order of arrival matters: an operation that an order has cleared, or
that MAX_CART_OPERATIONS later ones have displaced, is no part of the result whenever it arrives. A cart that is looked
at (`Cart Viewed` names all of it) clears what was believed before, and puts in what it shows.
"""

from __future__ import annotations

import bisect
from typing import Final, NamedTuple

import msgspec

from edgewise.ids import ItemId, Producer
from edgewise.records import EventRecord

MAX_CART_OPERATIONS: Final = 128

Stamp = tuple[int, Producer, int]
"""(time_ms, producer, seq): which of two events is later."""

_SIGNS: Final = {"Product Added": 1, "Product Removed": -1, "Cart Viewed": 1}
_CLEARING: Final = frozenset({"Cart Viewed", "Order Completed"})


class CartOperation(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One line of one event; the order of the fields is the order in which operations count."""

    time_ms: int
    producer: Producer
    seq: int
    line: int
    """Its place in the event."""
    item: ItemId
    quantity: int
    """Pieces put in, below 0 taken out."""
    value_minor: int
    """Price of one piece in the site's currency; 0: not known in that."""

    @property
    def stamp(self) -> Stamp:
        """Of the event that it comes from."""
        return (self.time_ms, self.producer, self.seq)


class Cart(msgspec.Struct, omit_defaults=True):
    """Mutable, as the profile that holds it."""

    cleared: Stamp | None = None
    """The last event that cleared it."""
    operations: list[CartOperation] = []
    """Sorted, oldest first; none older than `cleared`."""


class CartLine(NamedTuple):
    """How much of one item a cart holds."""

    quantity: int
    value_minor: int
    """Price of one piece; 0: not known."""


def put(cart: Cart, event: EventRecord) -> None:
    """Count an event of `edgewise.events.IN_CART`; in place."""
    if event.name in _CLEARING:
        _clear(cart, (event.time_ms, event.producer, event.seq))
    sign = _SIGNS.get(event.name, 0)
    if sign:
        _add(
            cart,
            [
                CartOperation(
                    event.time_ms,
                    event.producer,
                    event.seq,
                    line,
                    touch.item,
                    sign * touch.quantity,
                    touch.listed_minor if event.currency else touch.value_minor or touch.listed_minor,
                )
                for line, touch in enumerate(event.touches)
            ],
        )


def merge_carts(into: Cart, cart: Cart) -> None:
    """Add what another part of the same person has in its cart; in place."""
    if cart.cleared is not None:
        _clear(into, cart.cleared)
    _add(into, cart.operations)


def lines_of(cart: Cart | None) -> dict[ItemId, CartLine]:
    """Item -> what the cart holds of it, in the order in which items came in. Taking out never goes below nothing."""
    lines: dict[ItemId, CartLine] = {}
    for operation in cart.operations if cart else ():
        before = lines.get(operation.item, CartLine(0, 0))
        quantity = before.quantity + operation.quantity
        if quantity > 0:
            lines[operation.item] = CartLine(quantity, operation.value_minor or before.value_minor)
        else:
            lines.pop(operation.item, None)
    return lines


def value_minor_of(cart: Cart | None) -> int:
    """What the cart is worth, as far as prices are known, in the site's currency."""
    return sum(line.quantity * line.value_minor for line in lines_of(cart).values())


def _clear(cart: Cart, stamp: Stamp) -> None:
    if cart.cleared is None or stamp > cart.cleared:
        cart.cleared = stamp
        cart.operations = [operation for operation in cart.operations if operation.stamp >= stamp]


def _add(cart: Cart, operations: list[CartOperation]) -> None:
    for operation in operations:
        if cart.cleared is None or operation.stamp >= cart.cleared:
            place = bisect.bisect_left(cart.operations, operation)
            if place == len(cart.operations) or cart.operations[place] != operation:
                cart.operations.insert(place, operation)
    del cart.operations[: max(0, len(cart.operations) - MAX_CART_OPERATIONS)]
