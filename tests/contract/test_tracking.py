"""Section 1, Segment's tracking API: its bodies word by word, what real libraries send, and what is refused."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
from contract_nodes import Node
from contract_shapes import problem

pytestmark = pytest.mark.process

WHEN = {"timestamp": "2026-11-26T08:00:00.123Z", "sentAt": "2026-11-26T08:00:01Z"}
CALLS: dict[str, dict[str, Any]] = {
    "track": {"event": "Order Completed", "properties": {"products": [{"product_id": "sencha", "price": 8.5}]}},
    "identify": {"traits": {"plan": "gold"}},
    "page": {"name": "Home", "category": "Shop", "properties": {"url": "https://shop.example/"}},
    "screen": {"name": "Home", "properties": {}},
    "group": {"groupId": "g-1", "traits": {"seats": 3}},
    "alias": {"previousId": "old", "userId": "new"},
}


def counted(node: Node) -> dict[tuple[str, str], float]:
    """(type, outcome) -> how many events, by the node's metrics."""
    found = re.findall(
        r'^edgewise_events_total{outcome="(\w+)",type="(\w+)"} (\S+)$', node.ask("GET", "/metrics").text, re.MULTILINE
    )
    return {(kind, outcome): float(value) for outcome, kind, value in found}


@pytest.mark.parametrize("kind", CALLS)
def test_every_call_of_the_api_is_a_success(shop: Node, kind: str) -> None:
    body = {"anonymousId": "v-1", "context": {"locale": "de"}, "integrations": {"All": True}, **WHEN, **CALLS[kind]}
    before = counted(shop).get((kind, "accepted"), 0)
    answer = shop.ask("POST", f"/v1/{kind}", json=body, auth=shop.write_key)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert counted(shop)[kind, "accepted"] == before + 1


def test_an_unknown_event_and_one_without_an_id_are_kept_and_a_repeated_one_counts_once(shop: Node) -> None:
    before = counted(shop)
    for fields in ({}, {}, {"messageId": "m-1"}, {"messageId": "m-1"}):
        answer = shop.track("v-2", "Something Nobody Has Heard Of", {"deep": [{"a": None}]}, **fields)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    after = counted(shop)
    assert after["track", "accepted"] == before.get(("track", "accepted"), 0) + 3
    assert after["track", "duplicate"] == before.get(("track", "duplicate"), 0) + 1


BAD: dict[str, tuple[str, bytes, int, str | None]] = {
    "no JSON": ("track", b"{", 400, "$"),
    "nobody": ("track", b'{"event":"x"}', 400, "$.anonymousId"),
    "no event": ("track", b'{"anonymousId":"a"}', 400, "$.event"),
    "NaN": ("track", b'{"anonymousId":"a","event":"x","properties":{"price":NaN}}', 400, "$"),
    "no time": ("page", b'{"anonymousId":"a","timestamp":"yesterday"}', 400, "$.timestamp"),
    "a price of words": (
        "track",
        b'{"anonymousId":"a","event":"Order Completed","properties":{"products":[{"product_id":"x","price":"dear"}]}}',
        400,
        "$.properties.products[0].price",
    ),
    "a consent that is none": (
        "track",
        b'{"anonymousId":"a","event":"x","context":{"consent":{"categoryPreferences":"all"}}}',
        400,
        "$.context.consent.categoryPreferences",
    ),
    "a batch's consent": (
        "batch",
        b'{"batch":[],"context":{"consent":{"categoryPreferences":["all"]}}}',
        400,
        "$.context.consent.categoryPreferences",
    ),
    "no batch": ("batch", b'{"batch":7}', 400, "$.batch"),
    "2 MB": ("batch", b'{"batch":[],"x":"' + b"x" * (2 << 20) + b'"}', 413, None),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_call_is_a_problem_that_says_where(starter: Node, case: str) -> None:
    kind, body, status, path = BAD[case]
    told = problem(starter.ask("POST", f"/v1/{kind}", content=body), status)
    assert [wrong.path for wrong in told.errors] == ([] if path is None else [path])


def test_of_a_batch_the_valid_are_kept_and_the_bad_listed(starter: Node) -> None:
    calls = [
        {"type": "track", "anonymousId": "v-3", "event": "Product Viewed", "properties": {"product_id": "sencha"}},
        {"type": "track", "anonymousId": "v-3"},
        {"type": "sing", "anonymousId": "v-3"},
        {"type": "page", "anonymousId": "v-3"},
        7,
    ]
    answer = starter.ask("POST", "/v1/batch", json={"batch": calls, "sentAt": WHEN["sentAt"]})
    told = answer.json()
    assert (answer.status_code, set(told), told["success"]) == (200, {"success", "rejected"}, True)
    assert [set(each) for each in told["rejected"]] == [{"index", "path", "message"}] * 3
    assert [(each["index"], each["path"]) for each in told["rejected"]] == [
        (1, "$.batch[1].event"),
        (2, "$.batch[2].type"),
        (4, "$.batch[4]"),
    ]


PYTHON_LIBRARY = {
    "integrations": {},
    "anonymousId": None,
    "userId": "u-1",
    "timestamp": "2026-11-26T08:00:00.220+00:00",
    "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("basic", [False, True])
def test_segments_python_library_is_understood_with_and_without_its_header(
    shop: Node, *, packed: bool, basic: bool
) -> None:
    """2.4 sends the key as Basic authentication and in the body, 2.3 in the body alone; both may send gzip."""
    calls = [
        {**PYTHON_LIBRARY, "type": kind, "messageId": f"py-{packed}-{basic}-{kind}", **fields}
        for kind, fields in CALLS.items()
    ]
    calls += [{**calls[0], "userId": None, "anonymousId": 9007199254740993, "messageId": f"py-{packed}-{basic}"}]
    body = json.dumps(
        {"batch": calls, "sentAt": "2026-11-26T08:00:01.220081+00:00", "writeKey": shop.write_key}
    ).encode()
    headers = {"content-type": "application/json"} | ({"content-encoding": "gzip"} if packed else {})
    answer = shop.ask(
        "POST",
        "/v1/batch",
        content=gzip.compress(body) if packed else body,
        headers=headers,
        auth=shop.write_key if basic else None,
    )
    assert (answer.status_code, answer.json()) == (200, {"success": True, "rejected": []})


@pytest.mark.parametrize("kind", CALLS)
def test_segments_browser_library_is_understood_at_its_short_paths(shop: Node, kind: str) -> None:
    body = {"type": kind, "anonymousId": "v-4", "userId": None, **CALLS[kind], **WHEN, "writeKey": shop.write_key}
    text = json.dumps({**body, "_metadata": {"bundled": ["Segment.io"]}})
    answer = shop.ask("POST", f"/v1/{kind[0]}", content=text, headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})


def test_a_key_that_is_not_the_sites_is_refused_wherever_it_stands(shop: Node) -> None:
    body = {"batch": [], "writeKey": "demo"}
    told = problem(shop.ask("POST", "/v1/batch", json=body), 401)
    assert told.type == "urn:edgewise:problem:unauthorised"
    refused = shop.ask("POST", "/v1/batch", json={"batch": []}, auth="demo")
    assert refused.headers["www-authenticate"].startswith("Basic")
    problem(refused, 401)
