"""Sections 1 and 5, for who runs a node: health, status, metrics, OpenAPI, operators' rights, what is not there."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from contract_nodes import Node
from contract_shapes import Status, problem
from processes import until

pytestmark = pytest.mark.process

AFAR = {"x-forwarded-for": "203.0.113.7"}
OPERATOR = {**AFAR, "authorization": "Bearer operator"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_says_the_state_to_anybody(starter: Node, path: str) -> None:
    answer = starter.ask("GET", path, headers=AFAR)
    assert answer.status_code == 200
    assert answer.json() == {"state": "READY"}
    head = starter.ask("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")


def test_the_status_is_merged_over_the_workers(starter: Node) -> None:
    def told() -> Status:
        return msgspec.json.decode(starter.ask("GET", "/status").content, type=Status)

    before = told()
    assert before.bundle.version == 0
    assert before.placements == ["home_hero", "home_list"]
    assert (before.hub.connected, before.hub.last_seen_seconds) == (False, None)
    assert len(before.workers) == 2
    for number in range(20):
        starter.decide(visitor=f"status-{number}")
    # Each decision is a record; the other worker's are known once it has said so.
    after = until(lambda: now if (now := told()).spool.created >= before.spool.created + 20 else None)
    assert after.spool.created == after.spool.stored + after.spool.dropped + after.spool.pending
    assert after.spool.bytes > before.spool.bytes
    assert sum(worker["decisions"] for worker in after.workers) >= 20


OPERATORS_ONLY: dict[str, tuple[str, str, Any]] = {
    "/status": ("GET", "/status", None),
    "/metrics": ("GET", "/metrics", None),
    "options.force": ("POST", "/v1/decide", {"force": {"home_hero": ["sencha"]}}),
    "options.debug": ("POST", "/v1/decide", {"debug": True}),
}


@pytest.mark.parametrize("what", OPERATORS_ONLY)
def test_what_needs_an_operator_key_or_loopback(shop: Node, what: str) -> None:
    method, path, options = OPERATORS_ONLY[what]
    body = {} if options is None else {"json": {"placements": [{"name": "home_hero"}], "options": options}}
    for refused in ({"auth": shop.write_key}, {"auth": "server"}):
        told = problem(shop.ask(method, path, headers=AFAR, **refused, **body), 403)
        assert told.type == "urn:edgewise:problem:operators-only"
    assert shop.ask(method, path, headers=OPERATOR, **body).status_code == 200
    answer = shop.ask(method, path, auth=shop.write_key, **body)
    assert answer.status_code == 200
    if what == "options.force":
        hero = answer.json()["placements"]["home_hero"]
        assert [item["id"] for item in hero["items"]] == ["sencha"]
        assert hero["reason"] == "FORCED"


METRICS = {
    "edgewise_decisions_total": ("counter", {"placement", "reason"}),
    "edgewise_decision_seconds": ("histogram", {"le"}),
    "edgewise_bundle_version": ("gauge", set()),
    "edgewise_bundle_age_seconds": ("gauge", set()),
    "edgewise_spool_bytes": ("gauge", set()),
    "edgewise_events_total": ("counter", {"type", "outcome"}),
    "edgewise_profile_cache_hits_total": ("counter", set()),
    "edgewise_shed_total": ("counter", {"stage"}),
    "edgewise_hub_connected": ("gauge", set()),
}


def test_the_metrics_have_their_names_and_labels(starter: Node) -> None:
    starter.decide(visitor="metrics")
    starter.track("metrics", "Product Viewed", {"product_id": "sencha"})

    def text() -> str | None:
        """What either worker says once it knows of both requests."""
        told: str = starter.ask("GET", "/metrics").text
        return told if "edgewise_events_total{" in told and "edgewise_decisions_total{" in told else None

    said = until(text)
    for name, (kind, labels) in METRICS.items():
        assert f"# TYPE {name} {kind}\n" in said
        for found in re.findall(rf"^{name}(?:_bucket)?{{(.*)}} ", said, re.MULTILINE):
            assert set(re.findall(r'(\w+)="', found)) == labels
    edges = re.findall(r'^edgewise_decision_seconds_bucket{le="(.*)"}', said, re.MULTILINE)
    assert [float(edge) for edge in edges] == [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, float("inf")]
    assert re.search(r'^edgewise_decisions_total{placement="home_hero",reason="(MODEL|EXPLORE)"} ', said, re.MULTILINE)


def test_openapi_describes_what_is_there(starter: Node) -> None:
    answer = starter.ask("GET", "/openapi.json")
    told = answer.json()
    assert told["openapi"].startswith("3.1")
    for path, methods in {
        "/v1/decide": {"post"},
        **{f"/v1/{kind}": {"post"} for kind in ("track", "identify", "page", "screen", "group", "alias", "batch")},
        "/v1/preferences": {"get", "put"},
        "/v1/codes/check": {"post"},
        "/v1/privacy/erase": {"post"},
        "/v1/privacy/export": {"get"},
        **{path: {"get"} for path in ("/health/live", "/health/ready", "/status", "/metrics", "/openapi.json")},
        "/v1/mail/unsubscribe/{token}": {"get", "post"},
        "/v1/mail/preferences/{token}": {"get", "post"},
        **{f"/v1/mail/{what}/{{token}}": {"get"} for what in ("why", "click", "open")},
        **{path: {"get"} for path in ("/edgewise.js", "/edgewise-debug.js")},
    }.items():
        assert set(told["paths"][path]) == methods
    assert any(re.fullmatch(r"/v1/why/{\w+}", path) for path in told["paths"])
    schemas = told["components"]["schemas"]
    assert {"anonymousId", "userId", "placements", "context", "consent", "events", "options"} <= set(
        schemas["DecideRequest"]["properties"]
    )
    assert set(schemas["DecideAnswer"]["properties"]) >= {"decisionId", "bundle", "placements", "tookMs"}
    assert set(schemas["ProblemDetails"]["properties"]) == {"type", "title", "status", "detail", "errors"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/v1/decide/"),
    ],
)
def test_what_is_not_built_yet_is_not_there(starter: Node, method: str, path: str) -> None:
    """No stub: a client finds out that it is missing."""
    assert path in problem(starter.ask(method, path), 404).detail
