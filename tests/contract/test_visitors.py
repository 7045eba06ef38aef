"""Section 1, who may do what: keys and origins, proof and pseudonym, consent's precedence, preferences, why."""

from __future__ import annotations

from typing import Any

import pytest
from contract_nodes import ORIGIN, Node, proof
from contract_shapes import problem

pytestmark = pytest.mark.process

AFAR = {"x-forwarded-for": "203.0.113.7"}
"""What a proxy adds: the request is not this machine's own."""
BODY = {"anonymousId": "who", "placements": [{"name": "home_hero"}], "options": {"deadlineMs": 5_000}}
PERSONAL = "private, no-store"


# --- the public ------------------------------------------------------------------------------------------------------
CALLERS: dict[str, tuple[dict[str, Any], int]] = {
    "nobody": ({}, 401),
    "a wrong key": ({"auth": "demo"}, 401),
    "the site's key": ({"auth": "WRITE KEY"}, 200),
    "an allowed origin": ({"headers": {"origin": ORIGIN}}, 200),
    "another origin": ({"headers": {"origin": "https://shop.example.evil"}}, 401),
    "an allowed origin with a wrong key": ({"headers": {"origin": ORIGIN}, "auth": "demo"}, 401),
    "a server": ({"auth": "server"}, 200),
    "an operator": ({"headers": {"authorization": "Bearer operator"}}, 200),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_deciding_needs_a_write_key_or_an_allowed_origin(shop: Node, caller: str) -> None:
    options, status = CALLERS[caller]
    if options.get("auth") == "WRITE KEY":
        options = {"auth": shop.write_key}
    answer = shop.ask("POST", "/v1/decide", json=BODY, **options)
    assert answer.status_code == status
    if status != 200:
        assert problem(answer, status).type == "urn:edgewise:problem:unauthorised"


def test_a_node_of_nobody_on_loopback_needs_no_key_and_its_bundle_accepts_demo(starter: Node) -> None:
    assert starter.ask("POST", "/v1/decide", json=BODY).status_code == 200
    assert starter.ask("POST", "/v1/decide", json=BODY, auth="demo").status_code == 200
    assert starter.ask("POST", "/v1/decide", json=BODY, auth="other").status_code == 401


@pytest.mark.parametrize(
    ("path", "method"),
    [("/v1/decide", "POST"), ("/v1/track", "POST"), ("/v1/batch", "POST"), ("/v1/preferences", "PUT")],
)
def test_pages_of_an_allowed_origin_may_ask_with_credentials(shop: Node, path: str, method: str) -> None:
    asks = {"access-control-request-method": method, "access-control-request-headers": "content-type"}
    answer = shop.ask("OPTIONS", path, headers={"origin": ORIGIN, **asks})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "edgewise-id", "edgewise-visitor", "edgewise-consent"} <= set(allowed)
    refused = shop.ask("OPTIONS", path, headers={"origin": "https://evil.example", **asks})
    assert refused.status_code == 403
    assert not [name for name in refused.headers if name.startswith("access-control")]


def test_a_page_reads_answers_and_errors_alike(shop: Node) -> None:
    origin = {"origin": ORIGIN}
    cookie = {**origin, "cookie": f"ew_id={proof('by-page')}"}
    for answer, status in (
        (shop.ask("POST", "/v1/decide", json=BODY, headers=origin), 200),
        (shop.ask("POST", "/v1/decide", json={}, headers=origin), 400),
        (shop.ask("PUT", "/v1/preferences", json={"dial": 2}, headers=cookie), 200),
        (shop.ask("PUT", "/v1/preferences", json={"dial": 2}, headers=origin), 401),
    ):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"].lower() == "origin"


# --- consent ---------------------------------------------------------------------------------------------------------
GRANT, DENY = {"personalisation": "granted"}, {"personalisation": "denied"}
PRECEDENCE: dict[str, tuple[dict[str, Any] | None, dict[str, str] | None, dict[str, str], bool]] = {
    # what the visitor stated, what the request says, its headers -> personal
    "a silent site is pending": (None, None, {}, False),
    "the request grants": (None, GRANT, {}, True),
    "the request is pending": (None, {"personalisation": "pending"}, {}, False),
    "a stored grant": ({"consent": GRANT}, None, {}, True),
    "the request denies what was granted": ({"consent": GRANT}, DENY, {}, False),
    "a stored denial over the request": ({"consent": DENY}, GRANT, {}, False),
    "GPC over request and stored grant": ({"consent": GRANT}, GRANT, {"sec-gpc": "1"}, False),
    "GPC 0 says nothing": (None, GRANT, {"sec-gpc": "0"}, True),
    "dial 0 over request and stored grant": ({"dial": 0, "consent": GRANT}, GRANT, {}, False),
}


@pytest.mark.parametrize("case", PRECEDENCE)
def test_consent_has_its_precedence(shop: Node, case: str) -> None:
    stated, asked, headers, personal = PRECEDENCE[case]
    visitor = f"consent: {case}"
    if stated is not None:
        said = shop.ask("PUT", "/v1/preferences", json=stated, headers={"edgewise-visitor": proof(visitor)})
        assert said.status_code == 200
    answer = shop.decide(visitor=visitor, headers=headers, **({} if asked is None else {"consent": asked}))
    told = answer.json()["placements"]["home_hero"]
    assert (told["reason"] != "OPTED_OUT") is personal
    assert (told["experiment"] is not None) is personal
    assert ("set-cookie" in answer.headers) is personal
    assert told["items"]
    assert answer.headers["cache-control"] == PERSONAL


def test_segments_consent_counts_as_the_requests_own(shop: Node) -> None:
    """What is not granted is not written: no profile comes of it."""

    def profiles() -> int:
        count: int = shop.ask("GET", "/status").json()["profiles"]["count"]
        return count

    before = profiles()
    for granted, made in ((False, 0), (True, 1)):
        consent = {"consent": {"categoryPreferences": {"personalisation": granted, "analytics": granted}}}
        shop.track("segment-consent", "Product Viewed", {"product_id": "sencha"}, context=consent)
        assert profiles() == before + made


# --- the proven visitor ----------------------------------------------------------------------------------------------
PREFERENCES = {"dial", "mute", "more", "less", "consent"}


def test_preferences_are_the_proven_visitors_alone(shop: Node) -> None:
    token = proof("proven")
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 401),
        ({"headers": {"edgewise-id": "proven"}}, 401),
        ({"auth": shop.write_key, "headers": {"edgewise-id": "proven"}}, 401),
        ({"headers": {"cookie": f"ew_id={token[:-2]}AA"}}, 401),
        ({"headers": {"cookie": f"ew_id={token}"}}, 200),
        ({"headers": {"edgewise-visitor": token}}, 200),
        ({"headers": {"authorization": f"Bearer {token}"}}, 200),
        ({"auth": "server", "headers": {"edgewise-id": "proven"}}, 200),
    ]
    for options, status in cases:
        answer = shop.ask("GET", "/v1/preferences", **options)
        assert answer.status_code == status, options
        if status == 200:
            assert set(answer.json()) == PREFERENCES
            assert answer.headers["cache-control"] == PERSONAL
        else:
            assert answer.headers["www-authenticate"].endswith(' realm="edgewise"')
            assert problem(answer, 401).detail
        assert shop.ask("PUT", "/v1/preferences", json={"more": ["tea"]}, **options).status_code == status


def test_preferences_hold_from_the_next_request_on(starter: Node) -> None:
    """With nothing but what the node itself gives a browser: its cookie."""
    cookie = {"cookie": starter.decide().headers["set-cookie"].partition(";")[0]}
    plain = starter.ask("GET", "/v1/preferences", headers=cookie).json()
    assert plain["dial"] == 3
    assert plain["mute"] == {"categories": [], "topics": [], "brands": [], "items": []}
    assert (plain["more"], plain["less"]) == ([], [])
    said = {
        "dial": 1,
        "mute": {"categories": ["tea"], "topics": [], "brands": [], "items": ["9007199254740993", "house-blend"]},
        "more": ["coffee"],
        "less": ["tools"],
    }
    told = starter.ask("PUT", "/v1/preferences", json=said, headers=cookie).json()
    assert {name: told[name] for name in said} == said
    assert starter.ask("GET", "/v1/preferences", headers=cookie).json() == told
    brought = [{"id": "9007199254740993"}, {"id": "9007199254740992"}]
    asked = [{"name": "home_list", "candidates": brought}, {"name": "home_hero"}]
    for _ in range(10):  # whichever worker answers
        shown = starter.ask("POST", "/v1/decide", json={**BODY, "placements": asked}, headers=cookie).json()
        assert [item["id"] for item in shown["placements"]["home_list"]["items"]] == ["9007199254740992"]
    assert starter.ask("PUT", "/v1/preferences", json={"dial": 0}, headers=cookie).json()["mute"] == said["mute"]
    for _ in range(10):
        shown = starter.ask("POST", "/v1/decide", json=BODY, headers=cookie).json()
        assert shown["placements"]["home_hero"]["reason"] == "OPTED_OUT"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"dial": 4}, "$.dial"),
        ({"dial": "0"}, "$.dial"),
        ({"mute": {"items": [7]}}, "$.mute.items[0]"),
        ({"consent": {"analytics": "maybe"}}, "$.consent.analytics"),
        ([], "$"),
    ],
)
def test_preferences_that_are_none_are_refused(shop: Node, body: Any, path: str) -> None:
    answer = shop.ask("PUT", "/v1/preferences", json=body, headers={"edgewise-visitor": proof("flawed")})
    assert [wrong.path for wrong in problem(answer, 400).errors] == [path]


def test_why_is_told_to_whom_it_was_shown(shop: Node) -> None:
    own, other = ({**AFAR, "edgewise-visitor": proof(visitor)} for visitor in ("shown", "somebody"))
    decided = shop.decide(visitor="shown", consent=GRANT).json()
    path = f"/v1/why/{decided['decisionId']}"
    answer = shop.ask("GET", path, headers=own)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, PERSONAL)
    told = answer.json()
    assert told["decisionId"] == decided["decisionId"]
    shown, asked = told["placements"]["home_hero"], decided["placements"]["home_hero"]
    assert [item["id"] for item in shown["items"]] == [item["id"] for item in asked["items"]]
    assert {"code", "text", "weight"} == set(shown["items"][0]["why"][0])
    page = shop.ask("GET", path, headers={**own, "accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Why you saw this</h1>" in page.text
    problem(shop.ask("GET", path, headers=other), 404)
    problem(shop.ask("GET", path, headers={**AFAR, "edgewise-id": "shown"}), 401)
    problem(shop.ask("GET", path, headers=AFAR, auth=shop.write_key), 401)
    assert shop.ask("GET", path, headers=AFAR, auth="server").status_code == 200
    problem(shop.ask("GET", "/v1/why/01BX5ZZKBKACTAV9WEVGEMMVRZ", headers=own), 404)
    assert problem(shop.ask("GET", "/v1/why/nonsense", headers=own), 400).errors[0].path == "$.decisionId"
