"""A shop as people run it: a cart that was left becomes one mail over SMTP, and the link in it ends them."""

from __future__ import annotations

import datetime as dt
import os
import re
import urllib.request
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mail_post import Postman, serving
from processes import Started, until
from shop_process import Shop, version

from edgewise.clock import SystemClock
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor
from hub.journeys.timing import MINUTE_MS
from hub.keys import KeyFolder
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import ContactRow
from hub.mail.outbox import MailRow, Outbox
from hub.mail.states import MailState

pytestmark = [pytest.mark.process, pytest.mark.slow]
ANN = "3f0f2c5e-ann"
# As `site init` writes it, but for what would make this test wait: no quiet hours, and no day for the champion.
JOURNEY = """kind: mail
trigger: {event: Product Added, unless: [Order Completed], quiet_minutes: 45, within_minutes: 60}
steps:
  - {treatments: cart_treatment, products: cart_products}
champion: {arm: champion, after_hours: 0}
"""


def test_a_left_cart_is_one_mail_and_its_link_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, postman = Shop(tmp_path), Postman()
    (shop.site / "journeys/abandoned-cart.yaml").write_text(JOURNEY)
    treatments = shop.site / "placements/cart_treatment.yaml"
    treatments.write_text(treatments.read_text().replace("    nothing: {score: 0}\n", ""))
    shop.run("release", "promote", str(shop.release()))
    shop.run("journey", "enable", "abandoned-cart", "--override", "a test", "--by", "tester")
    now_ms, secrets = SystemClock().now_ms(), KeyFolder(shop.hub_dir).secrets()
    ann = subject_of(secrets.subject_key, "anonymousId", ANN)
    with open_ledger(shop.hub_dir) as ledger:
        ledger.keep_contacts([ContactRow("crm", ann, ann, {"email": "ann@example.org"}, now_ms)])
    with serving(postman) as port:
        for name, value in {
            "MAIL_URL": f"smtp://127.0.0.1:{port}",
            "MAIL_FROM": "Kettle & Bean <shop@shop.example>",
            "MAIL_LINKS": "https://edge.shop.example",
            "MAIL_SITE": "https://shop.example/",
            "MAIL_EVERY_MS": "100",
            "JOURNEYS_EVERY_MS": "100",
        }.items():
            monkeypatch.setitem(os.environ, f"EDGEWISE_HUB_{name}", value)
        with shop.hub() as hub, shop.node("edge", hub.said["hub"]) as node:
            cookie = f"ew_id={sign_visitor(secrets.visitor_key, ANN, now_ms)}"
            granted = dict.fromkeys(("marketing", "personalisation", "analytics"), "granted")
            until(lambda: version(node) == 1)
            shop.send(node, "PUT", "/v1/preferences", {"consent": granted}, cookie)
            shop.becomes_opted_out(node, None, cookie, expected=False)
            does(shop, node, cookie, "Product Added", ago_minutes=90)
            until(lambda: states(shop) == [MailState.SENT], most_s=10)
            (envelope,) = postman.taken
            assert envelope.rcpt_tos == ["ann@example.org"]
            mail = message_from_bytes(envelope.content, EmailMessage, policy=policy.default)
            assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            part = mail.get_body(("html",))
            assert part is not None
            html = part.get_content()
            assert 'data-edgewise-placement="cart_products"' in html
            assert len(re.findall("data-edgewise-item=", html)) == 1 + 1 + 3, "treatment, cart, products"
            unsubscribe(node, str(mail["List-Unsubscribe"]).strip("<>"))
            # what was bought is over, and with it its cart; what comes after is another
            does(shop, node, cookie, "Order Completed", ago_minutes=85)
            does(shop, node, cookie, "Product Added", ago_minutes=80)
            until(lambda: len(states(shop)) == 2 and MailState.DROPPED in states(shop))
            assert sorted(row.reason for row in rows(shop)) == ["", "unsubscribed"]
            assert len(postman.contents) == 1


def does(shop: Shop, node: Started, cookie: str, name: str, *, ago_minutes: int) -> None:
    at = dt.datetime.fromtimestamp((SystemClock().now_ms() - ago_minutes * MINUTE_MS) / 1_000, dt.UTC)
    call = {
        "anonymousId": ANN,
        "event": name,
        "timestamp": at.isoformat(),
        "properties": {"product_id": "earl-grey", "order_id": "o-1"},
    }
    shop.send(node, "POST", "/v1/track", call, cookie)


def unsubscribe(node: Started, link: str) -> None:
    """As a mail provider does it for its reader: by POST, without cookies and without the shop's key."""
    url = node.said["url"] + urlsplit(link).path
    request = urllib.request.Request(
        url, b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def rows(shop: Shop) -> list[MailRow]:
    with open_ledger(shop.hub_dir) as ledger, ledger.storage.reading() as connection:
        return Outbox.rows(connection, tuple(MailState))


def states(shop: Shop) -> list[MailState]:
    return [row.state for row in rows(shop)]
