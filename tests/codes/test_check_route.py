"""`POST /v1/codes/check`: offline, by any node, with the reason that Segment's event carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from codes_shop import lend, shop
from codes_world import KEY, SPRING, promotion
from edge_world import KEYS, VISITOR, events
from starlette.testclient import TestClient
from world import NOW_MS

from edge.codes.stock_file import StockFile
from edge.node.layout import NodePaths
from edge.worker.desk import Desk
from edgewise.codes.code import CodeKey, day_of, write_code
from edgewise.profile.state import DAY_MS
from edgewise.subjects import subject_of

TODAY = day_of(NOW_MS)


def code(number: int = 1, days: int = 3, visitor: str = VISITOR, key: CodeKey = KEY) -> str:
    return write_code(key, number, TODAY + days, subject_of(KEYS.subject_key, "anonymousId", visitor))


def check(client: TestClient, text: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/codes/check", json={"code": text, **fields})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    said: dict[str, Any] = answer.json()
    return said


def said_of(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    """Events that were written down."""
    return [(event.name, msgspec.json.decode(event.body)["properties"]) for event in events(desk)]


def test_a_code_of_another_node_holds_here(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path, promotion(minimum_order=20.0)) as (client, desk):
        said = check(client, code(number=900).lower(), anonymousId=VISITOR, orderValue=20.0, orderId="o-1")
        assert said == {
            "valid": True,
            "reason": None,
            "detail": "this code holds",
            "promotion": SPRING,
            "discount": "15 %",
            "expires": "2025-10-13T00:00:00Z",
            "yours": True,
        }
        applied = {"coupon_id": "spring/900", "coupon_name": "spring", "order_id": "o-1", "discount_text": "15 %"}
        assert said_of(desk) == [("Coupon Applied", applied)]


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        ("ABCD", {}, "malformed"),
        (code(key=CodeKey(SPRING, 1, b"x" * 32)), {}, "unknown"),
        (code(visitor="somebody"), {}, "not-yours"),
        (code(days=-1), {}, "expired"),
        (code(number=13), {}, "revoked"),
        (code(), {"orderValue": 19.99}, "minimum-order"),
    ],
)
def test_what_does_not_hold_says_why_in_segments_words(
    tmp_path: Path, text: str, fields: dict[str, Any], reason: str
) -> None:
    lend(tmp_path)
    StockFile(NodePaths(tmp_path)).change(lambda stock: stock.told(stock.leases, stock.keys, {(SPRING, 13)}))
    with shop(tmp_path, promotion(minimum_order=20.0)) as (client, desk):
        said = check(client, text, anonymousId=VISITOR, **fields)
        assert (said["valid"], said["reason"]) == (False, reason)
        [(name, properties)] = said_of(desk)
        assert (name, properties["reason"]) == ("Coupon Denied", reason)
        assert text not in str(properties)


def test_before_a_promotion_begins_its_codes_do_not_hold(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path, promotion(starts_ms=NOW_MS + DAY_MS)) as (client, _):
        assert check(client, code())["reason"] == "not-started"


def test_who_names_nobody_is_told_of_the_code_alone_and_nothing_is_recorded(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        said = check(client, code(visitor="somebody"))
        assert (said["valid"], said["yours"]) == (True, None)
        assert events(desk) == []


def test_whoever_denies_consent_is_in_no_history(tmp_path: Path) -> None:
    lend(tmp_path)
    with shop(tmp_path) as (client, desk):
        denied = {"personalisation": "denied", "analytics": "denied"}
        assert check(client, code(), anonymousId=VISITOR, consent=denied)["valid"]
        assert [(event.subject, event.body) for event in events(desk)] == [("", b"")]


def test_a_node_that_never_met_its_hub_knows_no_code(tmp_path: Path) -> None:
    with shop(tmp_path) as (client, _):
        assert check(client, code())["reason"] == "unknown"


def test_strangers_may_not_ask(tmp_path: Path) -> None:
    with shop(tmp_path, auth=None, peer=("203.0.113.7", 50_000)) as (client, _):
        assert client.post("/v1/codes/check", json={"code": code()}).status_code == 401


@pytest.mark.parametrize("body", [{}, {"code": ""}, {"code": "x" * 201}, {"code": "x", "odd": 1}, {"code": 5}])
def test_what_is_no_question_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    with shop(tmp_path) as (client, _):
        assert client.post("/v1/codes/check", json=body).status_code == 400
