"""What a person did, as runs of a journey: carts from their first piece to their end, or one run an event.

A function of the set of events: in whichever order and however late they came, the same events make the same runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from edgewise.events import DONE_TO, Kind, kind_of
from edgewise.ids import ItemId, MessageId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord
from hub.site.journey_file import ADDED, CART_ENDS, Trigger

FORGOTTEN_MS: Final = 30 * DAY_MS
"""A cart that nobody has touched for so long is another one once something is put in."""
ORDERED: Final = "ordered"
EMPTIED: Final = "emptied"
DONE: Final = "done"
"""Something was done that makes the mail needless (`unless`)."""
UNLISTED: Final = ""
"""Stands for a product that an event does not name."""
_MAILS: Final = frozenset(
    {Kind.EMAIL_OPENED, Kind.EMAIL_CLICKED, Kind.EMAIL_SPAM, Kind.EMAIL_UNSUBSCRIBED, Kind.EMAIL_BOUNCED}
)
_REMOVED: Final = "Product Removed"


class Run(NamedTuple):
    """One reason to write to somebody."""

    anchor: MessageId
    """The event that began it."""
    anchors: frozenset[MessageId]
    """Every event that could have: which of them comes first may change with what comes late."""
    began_ms: int
    last_ms: int
    """When its visitor last did something in it."""
    ended: str = ""
    """`ordered`, `emptied`, `done`; empty: it goes on."""
    items: tuple[ItemId, ...] = ()
    """What lies in a cart, in the order in which it was put in."""


def runs_of(events: Iterable[EventRecord], trigger: Trigger) -> list[Run]:
    """The runs of one person, oldest first."""
    in_order = sorted(events, key=lambda event: (event.time_ms, event.producer, event.seq))
    return list(_carts(in_order, trigger) if trigger.is_of_carts else _single(in_order, trigger))


def did_since(events: Iterable[EventRecord], names: Collection[str], since_ms: int) -> bool:
    """Whether one of these events happened at a moment or later."""
    return any(event.time_ms >= since_ms and _named(event, names) for event in events)


class _Cart:
    """One cart, while its events are read."""

    def __init__(self, first: EventRecord) -> None:
        self.first = first
        self.last_ms = first.time_ms
        self.is_meant = False
        """Whether the journey's trigger was in it."""
        self._anchors: set[MessageId] = set()
        self._pieces: Counter[str] = Counter()

    def put(self, event: EventRecord) -> None:
        """Pieces in, or another event that begins a cart."""
        self._anchors.add(event.message_id)
        if event.name == ADDED:
            self._count(event, 1)

    def take(self, event: EventRecord) -> bool:
        """Pieces out; whether nothing is left."""
        self._count(event, -1)
        return not self._pieces

    def ended(self, why: str = "") -> Run:
        """As it is handed on."""
        items = tuple(ItemId(item) for item in self._pieces if item != UNLISTED)
        return Run(self.first.message_id, frozenset(self._anchors), self.first.time_ms, self.last_ms, why, items)

    def _count(self, event: EventRecord, sign: int) -> None:
        pieces = [(str(touch.item), touch.quantity) for touch in event.touches] or [(UNLISTED, 1)]
        for item, quantity in pieces:
            self._pieces[item] += sign * max(1, quantity)
            if self._pieces[item] <= 0:  # more taken out than was put in: an event is missing, or was never sent
                del self._pieces[item]


class _Reader:
    """Makes carts of events in order of time."""

    def __init__(self, trigger: Trigger) -> None:
        self.found: list[Run] = []
        self._trigger = trigger
        self._cart: _Cart | None = None

    def read(self, event: EventRecord) -> None:
        """The next event."""
        if _named(event, {self._trigger.event, ADDED}):
            self._put(event)
        if self._cart is None:
            return
        if _is_his_own(event):
            self._cart.last_ms = max(self._cart.last_ms, event.time_ms)
        why = self._ends(self._cart, event)
        if why:
            self.close(why)

    def close(self, why: str = "") -> None:
        """The cart is over; or, without a reason, no more is known of it."""
        if self._cart is not None and self._cart.is_meant:
            self.found.append(self._cart.ended(why))
        self._cart = None

    def _put(self, event: EventRecord) -> None:
        if self._cart is not None and event.time_ms - self._cart.last_ms > FORGOTTEN_MS:
            self.close()
        self._cart = self._cart or _Cart(event)
        self._cart.put(event)
        self._cart.is_meant |= event.name == self._trigger.event

    def _ends(self, cart: _Cart, event: EventRecord) -> str:
        if _named(event, {CART_ENDS}):
            return ORDERED
        if _named(event, self._trigger.unless):
            return DONE
        return EMPTIED if _named(event, {_REMOVED}) and cart.take(event) else ""


def _carts(in_order: Iterable[EventRecord], trigger: Trigger) -> Iterator[Run]:
    reader = _Reader(trigger)
    for event in in_order:
        reader.read(event)
    reader.close()
    yield from reader.found


def _single(in_order: list[EventRecord], trigger: Trigger) -> Iterator[Run]:
    for event in in_order:
        if _named(event, {trigger.event}):
            is_done = any(
                _named(other, trigger.unless) and other.time_ms >= event.time_ms and other is not event
                for other in in_order
            )
            anchors = frozenset({event.message_id})
            yield Run(event.message_id, anchors, event.time_ms, event.time_ms, DONE if is_done else "")


def _named(event: EventRecord, names: Collection[str]) -> bool:
    return event.type == "track" and event.name in names


def _is_his_own(event: EventRecord) -> bool:
    """Whether he did it himself, on the site; what he does with a mail is no visit."""
    kind = kind_of(event.type, event.name)
    return event.type in {"track", "page", "screen"} and kind not in DONE_TO and kind not in _MAILS
