"""Six systems of one invented shop and its twenty customers, as each system would export or deliver it.

Nobody is known to all of them by the same name. Every source is in the order of its own time, as a system writes.

    crm       contacts of HubSpot, CSV, dates in Berlin's time       e-mail, phone, its own id
    web       Segment calls of browsers, JSON lines                  anonymousId, userId, sometimes an e-mail
    shop      Shopify webhooks, offsets of several zones             e-mail (in any case), phone, cart token, order id
    mail      SendGrid events, JSON, epoch seconds                   e-mail
    tickets   Zendesk tickets, JSON lines, UTC                       userId as external id, e-mail
    receipts  lines of a till, CSV, London's time                    loyalty card, sometimes an e-mail

Among them: Tom and Uma share a tablet; Mia is known by her e-mail (till, shop, CRM) or her userId (tickets), and joined
by what she told the browser; Ben cancelled an order; Ida and Max unsubscribed; Leo has two cards and no address.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import zoneinfo
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from hub.sources.document import SourceDocument, merged
from hub.sources.shipped import preset

NAMES: Final = (
    *("mia", "tom", "uma", "ben", "ida", "leo", "ana", "pia", "kai", "jon"),
    *("eva", "max", "lea", "tim", "zoe", "sam", "ina", "per", "liv", "ole"),
)
_START: Final = dt.datetime(2026, 1, 5, 8, 0, tzinfo=dt.UTC)
_BERLIN: Final = zoneinfo.ZoneInfo("Europe/Berlin")
_LONDON: Final = zoneinfo.ZoneInfo("Europe/London")
_THINGS: Final = (("kettle", "Hearth", "kitchen", "49.90"), ("mug", "Hearth", "kitchen", "9.50"),
                  ("assam", "Leaf", "tea", "4.95"), ("sencha", "Leaf", "tea", "6.40"))  # fmt: skip
NOW_MS: Final = 1_790_000_000_000
CARD_OF_MIA: Final = "9007199254740993"

DOCUMENTS: Final[dict[str, SourceDocument]] = {
    name: msgspec.convert(merged(preset(of), over), SourceDocument)
    for name, of, over in (
        ("crm", "hubspot", {"timezone": "Europe/Berlin", "region": "DE"}),
        ("shop", "shopify", {}),
        ("mail", "sendgrid", {}),
        ("tickets", "zendesk", {}),
        ("receipts", "receipts", {"timezone": "Europe/London", "currency": "EUR"}),
    )
}


class Source(NamedTuple):
    """One system's rows, oldest first; a part is a slice of them, written as the system writes."""

    name: str
    ending: str
    rows: Sequence[Any]
    """Each a row, a call, a delivery, or the lines of one receipt."""

    def content(self, start: int, stop: int) -> bytes:
        """The rows from `start` up to, not with, `stop`, as a file."""
        rows = self.rows[start:stop]
        if self.name == "crm":
            return _csv(rows, list(self.rows[0]))
        if self.name == "receipts":
            return _csv([line for receipt in rows for line in receipt], list(self.rows[0][0]))
        if self.name == "mail":
            return json.dumps(list(rows)).encode()
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def six_sources() -> list[Source]:
    """All of them; the same at every call."""
    return [
        Source("crm", "csv", _crm()),
        Source("web", "jsonl", _web()),
        Source("shop", "jsonl", _shop()),
        Source("mail", "json", _mail()),
        Source("tickets", "jsonl", _tickets()),
        Source("receipts", "csv", _receipts()),
    ]


def address(name: str) -> str:
    """Somebody's e-mail address."""
    return f"{name}@post.example"


def _at(day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return _START + dt.timedelta(days=day, hours=hour, minutes=minute)


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _csv(rows: Sequence[dict[str, Any]], header: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _crm() -> list[dict[str, Any]]:
    rows = []
    for number, name in enumerate(NAMES):
        if name in ("leo", "ole", "liv"):
            continue
        changed = _at(3 + number, 2).astimezone(_BERLIN)
        rows.append(
            {
                "Record ID": str(700 + number),
                "First Name": name.title(),
                "Last Name": "Berg" if number % 2 else "Sund",
                "Email": address(name),
                "Phone Number": f"0151 2345{number:03d}" if number % 3 == 0 else "",
                "Lifecycle Stage": "customer" if number % 2 else "lead",
                "City": ("Bremen", "Kiel", "Ulm")[number % 3],
                "Create Date": "2025-06-01 10:00",
                "Last Modified Date": changed.strftime("%Y-%m-%d %H:%M"),
                "Unsubscribed from all email": "Yes" if name == "kai" else "",
            }
        )
    return rows


def _web() -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def call(who: str, moment: dt.datetime, **said: Any) -> None:
        device = "tablet-of-the-family" if who in ("tom", "uma") else f"browser-{who}"
        calls.append({"messageId": f"web-{len(calls)}", "timestamp": _iso(moment), "anonymousId": device, **said})

    for number, name in enumerate(NAMES[:14]):
        thing, brand, category, price = _THINGS[number % 4]
        viewed = {"product_id": thing, "brand": brand, "category": category, "price": price}
        again = {**viewed, "product_id": "mug"}
        call(name, _at(number, 1), type="page", name="Home", properties={"path": "/"})
        call(name, _at(number, 1, 5), type="track", event="Product Viewed", properties=viewed)
        if number % 2 == 0 or name == "tom":
            traits = {"plan": "gold" if number == 0 else "free"}
            if number % 4 == 2 or number == 0:  # some tell it
                traits["email"] = address(name).upper()
            call(name, _at(number, 1, 9), type="identify", userId=f"u-{name}", traits=traits)
            call(name, _at(number, 1, 10), type="track", event="Product Added", userId=f"u-{name}", properties=viewed)
        call(name, _at(number + 20, 3), type="track", event="Product Viewed", properties=again)
    calls.sort(key=lambda each: each["timestamp"])
    return calls


def _shop() -> list[dict[str, Any]]:
    deliveries: list[tuple[dt.datetime, dict[str, Any]]] = []
    for number, name in enumerate(NAMES):
        if number % 3 == 1 and name != "ben":
            continue
        thing, brand, _, price = _THINGS[number % 4]
        zone = dt.timezone(dt.timedelta(hours=(-5, 0, 1, 9)[number % 4]))
        bought = _at(number + 6, 4)
        line = {
            "product_id": thing,
            "title": thing.title(),
            "vendor": brand,
            "price": price,
            "quantity": 1 + number % 2,
        }
        token = f"cart-{name}"
        order: dict[str, Any] = {
            "id": 5_470_113_529_000 + number,
            "order_number": 1_000 + number,
            "email": address(name).title() if name != "leo" else "",
            "phone": "+4930555" + str(100 + number) if name == "leo" else None,
            "cart_token": token,
            "created_at": bought.astimezone(zone).isoformat(),
            "currency": "EUR",
            "subtotal_price": price,
            "total_price": price,
            "cancelled_at": None,
            "customer": {"id": 9_000 + number},
            "line_items": [line],
        }
        cart = {"token": token, "updated_at": _iso(bought - dt.timedelta(minutes=9)), "line_items": [line]}
        deliveries.append((bought - dt.timedelta(minutes=9), cart))
        deliveries.append((bought, order))
        if name == "ben":
            gone = bought + dt.timedelta(days=1)
            cancelled = {**order, "cancelled_at": gone.astimezone(zone).isoformat(), "cancel_reason": "customer"}
            deliveries.append((gone, cancelled))
        if name == "mia":
            back = bought + dt.timedelta(days=5)
            refund = {
                "id": 88_000 + number,
                "order_id": order["id"],
                "created_at": back.isoformat(),
                "refund_line_items": [{"quantity": 1, "line_item": line}],
                "transactions": [{"kind": "refund", "amount": price, "currency": "EUR"}],
            }
            deliveries.append((back, refund))
    deliveries.sort(key=lambda each: each[0])
    return [payload for _, payload in deliveries]


def _mail() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []

    def event(name: str, moment: dt.datetime, kind: str, **more: Any) -> None:
        stamp = int(moment.timestamp())
        mail = {"email": address(name), "timestamp": stamp, "event": kind, "sg_event_id": f"{name}-{kind}-{stamp}"}
        events.append({**mail, "sg_message_id": f"m-{name}", **more})

    for number, name in enumerate(NAMES):
        if name in ("leo", "pia"):
            continue
        sent = _at(12, 5, number)
        event(name, sent, "delivered")
        if number % 2 == 0:
            event(name, sent + dt.timedelta(hours=2), "open", sg_machine_open=number % 4 == 0 and name != "mia")
        if number % 4 == 0:
            event(name, sent + dt.timedelta(hours=2, minutes=1), "click", url="https://shop.example/tea")
        if name in ("ida", "max"):
            event(name, sent + dt.timedelta(hours=3), "unsubscribe")
        if name == "ole":
            event(name, sent + dt.timedelta(hours=3), "bounce", type="bounce", reason="550 no such user")
    events.sort(key=lambda each: each["timestamp"])
    return events


def _tickets() -> list[dict[str, Any]]:
    tickets = []
    for number, name in enumerate(("mia", "ben", "eva", "zoe", "liv")):
        opened = _at(16 + number, 6)
        solved = name != "zoe"
        requester = {"id": 20_000 + number, "email": address(name)} if name != "mia" else {"external_id": "u-mia"}
        tickets.append(
            {
                "id": 35_400 + number,
                "status": "solved" if solved else "open",
                "subject": "The kettle leaks" if name == "mia" else "Where is my parcel?",
                "description": "It drips on the hob." if name == "mia" else "Nothing came.",
                "created_at": _iso(opened),
                "updated_at": _iso(opened + dt.timedelta(hours=20)),
                "satisfaction_rating": {"score": "bad" if name == "ben" else "good" if solved else "unoffered"},
                "requester": requester,
            }
        )
    return tickets


def _receipts() -> list[list[dict[str, Any]]]:
    cards = {"mia": CARD_OF_MIA, "leo": "4003", "ole": "4004", "per": "4005", "sam": "4006"}
    receipts = []
    for number, (name, card) in enumerate([*cards.items(), ("leo", "4103"), ("mia", CARD_OF_MIA)]):
        moment = _at(2 + 4 * number, 3, 30).astimezone(_LONDON)
        receipts.append(
            [
                {
                    "receipt_id": f"B-{number}",
                    "time": moment.strftime("%Y-%m-%d %H:%M:%S"),
                    "customer_id": card,
                    "email": address(name) if name in ("mia", "per") and number < 5 else "",
                    "sku": thing,
                    "name": thing.title(),
                    "category": category,
                    "quantity": str(1 + number % 2),
                    "unit_price": price,
                    "store": "Leeds",
                }
                for thing, _, category, price in _THINGS[: 1 + number % 3]
            ]
        )
    return receipts
