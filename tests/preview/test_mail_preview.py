"""The mail that somebody would get, before there is a release: with his cart, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgewise.errors import InputError
from hub.commands.imports import app as imports
from hub.commands.mail import app
from hub.commands.site import app as sites
from hub.ledger.ledger import open_ledger
from hub.mail.outbox import Outbox

RUN = CliRunner()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a site, and the data of a hub that knows one person."""
    folder = tmp_path_factory.mktemp("shop")
    there = ["--data-dir", str(folder / "data")]
    assert RUN.invoke(sites, ["init", str(folder / "site"), *there, "--by", "Ann", "--quiet"]).exit_code == 0
    mails = folder / "site/collections/cart_mails.yaml"
    mails.write_text("items: [cart-shipping, cart-forgotten]\n")
    calls = [
        {
            "type": "track",
            "event": "Product Added",
            "anonymousId": "a-1",
            "messageId": f"m-{item}",
            "timestamp": f"2026-01-01T00:0{minute}:00Z",
            "properties": {"product_id": item},
        }
        for minute, item in enumerate(("sencha", "house-blend"))
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    of = ["events", str(folder / "history.jsonl"), *there, "--consent", "granted", "--site", str(folder / "site")]
    assert RUN.invoke(imports, of).exit_code == 0
    (folder / "hub.toml").write_text('mail_site = "https://shop.example/"\n')
    return folder


def asked(shop: Path, *more: str) -> dict[str, Any]:
    at = ["preview", str(shop / "site"), "--data-dir", str(shop / "data"), "--journey", "abandoned-cart"]
    shown = RUN.invoke(
        app, [*at, "--config", str(shop / "hub.toml"), "--json", "--arm", "champion", *more], catch_exceptions=False
    )
    assert shown.exit_code == 0, shown.output
    told: dict[str, Any] = json.loads(shown.output)
    return told


def test_of_a_cart(shop: Path) -> None:
    told = asked(shop, "--cart", "sencha", "--cart", "house-blend", "--out", str(shop / "mail.html"), "--locale", "de")
    assert (told["subject"], told["arm"], told["warnings"]) == ("We pay for the parcel", "champion", [])
    assert told["cart"] == ["sencha", "house-blend"]
    assert told["text"].index("Sencha") < told["text"].index("House Blend")
    assert "house-blend" not in [item["id"] for item in told["items"]], "it is there already"
    assert "https://shop.example/tea/sencha" in told["text"], "a link of a page leads to the page"
    assert "0000" in told["text"], "an example of a code"
    assert "Abmelden\nhttps://edge.example.org/v1/mail/unsubscribe/" in told["text"]
    page = (shop / "mail.html").read_text()
    assert page.count("<iframe sandbox") == 2
    assert "<h2>We pay for the parcel</h2>" in page
    assert "put 2 into his cart" in page


def test_of_somebody_who_is_known(shop: Path) -> None:
    told = asked(shop, "--visitor", "a-1", "--at", "2026-01-01T02:00Z")
    assert told["cart"] == ["sencha", "house-blend"]
    assert told["warnings"] == [
        "not sent to him as things are: consent: marketing was never granted; no address of him is known"
    ]
    assert asked(shop, "--visitor", "a-1", "--cart", "earl-grey")["cart"] == ["earl-grey"]
    with open_ledger(shop / "data") as ledger, ledger.storage.reading() as connection:
        assert Outbox.rows(connection) == []
        assert list(ledger.decisions()) == []


def test_what_cannot_be_shown_is_said(shop: Path) -> None:
    for more, said in (
        (("--journey", "abandoned"), "did you mean 'abandoned-cart'"),
        (("--journey", "homepage-banner"), "writes no mails"),
        (("--step", "2"), "expected 1 to 1"),
        (("--cart", "unheard-of"), "no item 'unheard-of'"),
    ):
        with pytest.raises(InputError, match=said):
            asked(shop, *more)
