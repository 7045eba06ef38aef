"""Codes of orders: by event and by the shop's call, for every name a person goes by, each once; and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from codes_world import NODE, SPRING, Book, opened_book, promotion
from facts_shop import FactsShop
from hub_process import Finished, edgewise
from hub_records import NODE as PRODUCER
from hub_records import event, payloads
from starlette.testclient import TestClient

from edgewise.clock import ManualClock, SystemClock
from edgewise.codes.code import day_of, write_code
from edgewise.codes.refusals import Denial
from edgewise.ids import SiteName, SubjectId
from edgewise.subjects import subject_of
from hub.admin.app import Admin, admin_app
from hub.codes.book import CodeBook
from hub.codes.redeeming import Followed, Redeemer
from hub.facts.board import FactsBoard
from hub.keys import KeyFolder
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.meters import Meters
from hub.release.repository import Repository
from hub.settings import HubSettings

SUBJECT_KEY = b"s" * 32
DEVICE, USER = (subject_of(SUBJECT_KEY, kind, name) for kind, name in (("anonymousId", "a-1"), ("userId", "u-1")))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened_book(tmp_path) as opened:
        opened.lend(20)
        yield opened


@pytest.fixture
def redeemer(book: Book) -> Redeemer:
    return Redeemer(book.ledger, book.book, lambda: SUBJECT_KEY, structlog.get_logger())


def code(book: Book, number: int, subject: SubjectId = DEVICE) -> str:
    return write_code(book.key(), number, day_of(book.clock.time_ms) + 5, subject)


def ordered(book: Book, seq: int, properties: dict[str, Any], **changes: Any) -> None:
    """An order of the person's device is stored."""
    body = json.dumps({"properties": properties}).encode()
    said = {"name": "Order Completed", "subject": DEVICE, "time_ms": book.clock.time_ms, "body": body, "touches": ()}
    book.ledger.store([Batch(PRODUCER, payloads(event(seq, **{**said, **changes})))], book.clock.time_ms)


def test_an_order_redeems_its_coupon_once_however_often_it_is_read(book: Book, redeemer: Redeemer) -> None:
    ordered(book, 0, {"order_id": "o-1", "coupon": code(book, 1).lower()})
    assert redeemer.follow() == Followed(redeemed=1)
    assert redeemer.follow() == Followed()
    book.ledger.move_code_cursor(0)  # as after a crash between redeeming and remembering how far it was
    assert redeemer.follow() == Followed()
    assert book.budget()[2] == 1


def test_a_second_order_with_it_is_denied_and_counted(book: Book, redeemer: Redeemer) -> None:
    for seq in range(2):
        ordered(book, seq, {"order_id": f"o-{seq}", "coupon": code(book, 1)})
    assert redeemer.follow() == Followed(redeemed=1, denied=1)
    assert book.ledger.code_denials() == {(SPRING, Denial.ALREADY_REDEEMED): 1}


def test_coupons_of_other_systems_are_none_of_ours(book: Book, redeemer: Redeemer) -> None:
    ordered(book, 0, {"order_id": "o-1", "coupon": "SUMMER10"})
    ordered(book, 1, {"order_id": "o-2"})
    ordered(book, 2, {"order_id": "o-3", "coupon": ["odd"], "products": [{"coupon": 5}, "odd"]})
    assert redeemer.follow() == Followed()
    assert book.ledger.code_denials() == {}


def test_a_coupon_of_a_product_counts_too_and_the_minimum_is_asked_before_the_discount(
    book: Book, redeemer: Redeemer
) -> None:
    book.promotions = {SPRING: promotion(minimum_order=20.0)}
    products = [{"product_id": "film-1", "coupon": code(book, 1)}]
    ordered(book, 0, {"order_id": "o-1", "products": products, "subtotal": 18.0, "discount": 1.5})
    ordered(book, 1, {"order_id": "o-1", "products": products, "subtotal": 18.0, "discount": 2.0})
    assert redeemer.follow() == Followed(redeemed=1, denied=1)


def test_an_amount_that_no_float_holds_holds_up_no_later_order(book: Book, redeemer: Redeemer) -> None:
    ordered(book, 0, {"order_id": "o-1", "coupon": code(book, 1), "subtotal": 10**400})
    ordered(book, 1, {"order_id": "o-2", "coupon": code(book, 2), "subtotal": 5, "discount": 10**400}, subject=USER)
    ordered(book, 2, {"order_id": "o-3", "coupon": code(book, 3, USER), "subtotal": 5}, subject=USER)
    assert redeemer.follow() == Followed(redeemed=2, denied=1)  # the second presents what was promised to another


def test_a_person_may_order_by_another_name_than_he_was_promised_it(book: Book, redeemer: Redeemer) -> None:
    """On another device, logged in: the hub knows that both are one."""
    known = {"anonymousId": DEVICE, "userId": USER}
    book.ledger.store([Batch(PRODUCER, payloads(event(0, subject=DEVICE, identifiers=known)))], book.clock.time_ms)
    assert redeemer.redeem(code(book, 1), book.purchase("o-1"), {"userId": "u-1"}).is_new
    second = redeemer.redeem(code(book, 2), book.purchase("o-2"), {"anonymousId": "a-1"})
    assert second.denial is Denial.PER_PERSON
    stranger = redeemer.redeem(code(book, 3), book.purchase("o-3"), {"userId": "somebody"})
    assert stranger.denial is Denial.NOT_YOURS


def api(book: Book, redeemer: Redeemer, folder: Path) -> TestClient:
    clock = ManualClock(book.clock.time_ms)
    board = FactsBoard(book.ledger, Repository(folder, clock), clock)
    admin = Admin(
        book.ledger,
        Meters(),
        "i" * 32,
        SiteName("shop"),
        book.ledger.releases,
        str,
        clock,
        structlog.get_logger(),
        board,
        redeemer=redeemer,
    )
    key = "publisher:shop:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"
    client = TestClient(admin_app(admin, HubSettings(admin_keys=[key])), base_url="http://127.0.0.1:8092")
    client.headers["Authorization"] = "Bearer key"
    return client


def test_the_shop_redeems_by_http(book: Book, redeemer: Redeemer, tmp_path: Path) -> None:
    client = api(book, redeemer, tmp_path)
    asked = {"code": code(book, 1), "orderId": "o-1", "anonymousId": "a-1"}
    answer = client.post("/api/v1/codes/redeem", json=asked)
    assert answer.json() == {
        "redeemed": True, "isNew": True, "reason": None, "detail": "redeemed", "promotion": "spring",
    }  # fmt: skip
    assert client.post("/api/v1/codes/redeem", json=asked).json()["isNew"] is False
    denied = client.post("/api/v1/codes/redeem", json={**asked, "orderId": "o-2"}).json()
    assert (denied["redeemed"], denied["reason"]) == (False, "already-redeemed")
    [budget] = client.get("/api/v1/codes").json()["promotions"]
    assert budget == {
        "promotion": "spring", "total": 100, "redeemed": 1, "open": 19, "free": 80, "denied": {"already-redeemed": 1},
    }  # fmt: skip
    metrics = client.get("/metrics").text
    assert 'edgewise_codes{promotion="spring",state="redeemed"} 1.0' in metrics
    assert 'edgewise_codes_denied_total{promotion="spring",reason="already-redeemed"} 1.0' in metrics


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"code": "x", "orderId": "o-1"}, 422), ({"code": "x", "orderId": "", "userId": "u"}, 400)],
)
def test_what_is_no_redemption_is_refused(
    book: Book, redeemer: Redeemer, tmp_path: Path, body: dict[str, str], status: int
) -> None:
    client = api(book, redeemer, tmp_path)
    assert client.post("/api/v1/codes/redeem", json=body).status_code == status
    del client.headers["Authorization"]
    assert client.post("/api/v1/codes/redeem", json=body).status_code == 401


def test_the_commands_list_check_redeem_and_revoke(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data_dir = FactsShop(tmp_path).shop.data_dir

    def codes(*words: str) -> Finished:
        ended = edgewise(capsys, "codes", *words, "--data-dir", data_dir)
        assert "Traceback" not in ended.stderr
        return ended

    assert "no codes were lent yet" in codes("list").stdout
    clock = SystemClock()
    with open_ledger(data_dir) as ledger:
        lent = CodeBook(ledger, lambda: {SPRING: promotion(40)}, clock, lambda size: b"k" * size).lend(
            NODE, "i1", [], {SPRING: 10}
        )
    subject = subject_of(KeyFolder(data_dir).secrets().subject_key, "userId", "u-1")
    first, second = (write_code(lent.keys[0], number, day_of(clock.now_ms()) + 1, subject) for number in (1, 2))
    assert codes("check", first, "--user", "u-1", "--json").told["accepted"] is True
    denied = codes("check", first, "--user", "u-2")
    assert (denied.code, "promised to somebody else" in denied.stdout) == (1, True)
    assert codes("redeem", first, "--order", "o-1", "--user", "u-1", "--json").told["is_new"] is True
    assert "redeemed before, for this order" in codes("redeem", first, "--order", "o-1", "--user", "u-1").stdout
    assert codes("redeem", first, "--order", "o-2", "--user", "u-1").code == 1
    assert codes("redeem", first, "--order", "o-2").code == 2
    assert codes("revoke", second, "--reason", "leaked", "--by", "ann", "--json").told["accepted"] is True
    assert "revoked" in codes("check", second).stdout
    [listed] = codes("list", "--json").told["promotions"]
    assert (listed["total"], listed["redeemed"], listed["open"]) == (40, 1, 9)
    shown = codes("show", "spring")
    assert "1 redeemed, 9 open, 30 free" in shown.stdout
    assert "n-1" in shown.stdout
    assert "no promotion 'autumn'" in codes("show", "autumn").stderr
