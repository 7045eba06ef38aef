"""Who asks and what he may do: keys, origins, this machine, the visitor's proof."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from edge_world import KEYS, STRANGER, VISITOR, node, sha256
from hypothesis import given
from hypothesis import strategies as st
from world import HERO, NOW_MS, policy

from edge.node.keys import SiteKeys
from edge.worker.guard import HEADERS
from edge.worker.identity import Access, Caller, Doorman, is_this_machine
from edgewise.visitor import MAX_AGE_MS, sign_visitor

ACCESS = Access(frozenset({sha256("write")}), frozenset({"https://shop.example"}))
OWN = SiteKeys(None, KEYS.subject_key, KEYS.visitor_key)


class Node(NamedTuple):
    keys: SiteKeys = KEYS
    host: str = "0.0.0.0"
    access: Access | None = ACCESS
    now_ms: int = NOW_MS


def caller(at: Node | None = None, peer: str = "203.0.113.7", **headers: str) -> Caller:
    keys, host, access, now_ms = at or Node()
    doorman = Doorman(
        keys,
        host=host,
        loopback_is_operator=True,
        operator_keys_sha256=[sha256("operator")],
        server_keys_sha256=[sha256("server")],
    )
    by_name = {b"host": b"edge.example"} | {
        name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()
    }
    return doorman.caller({"type": "http", "client": (peer, 1), HEADERS: by_name}, access, now_ms)


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:".encode()).decode()


def test_a_write_key_is_public_and_nothing_more() -> None:
    asked = caller(authorization=basic("write"))
    assert asked.is_public
    assert asked[:4] == (True, False, False, None)
    for wrong in (basic("Write"), "Basic !!!", "Bearer write", "Digest write", basic("")):
        assert not caller(authorization=wrong).is_public


def test_an_origin_of_the_list_is_public_unless_it_comes_with_a_wrong_key() -> None:
    asked = caller(origin="https://shop.example")
    assert asked.is_public
    assert asked.origin == "https://shop.example"
    for wrong in ("https://shop.example.evil", "http://shop.example", "null", "https://SHOP.example"):
        other = caller(origin=wrong)
        assert not other.is_public
        assert other.origin is None
    assert not caller(origin="https://shop.example", authorization=basic("wrong")).is_public


def test_operators_have_a_bearer_key_and_servers_any_way_to_show_theirs() -> None:
    operator = caller(authorization="Bearer operator")
    assert (operator.is_operator, operator.is_public, operator.is_server) == (True, True, False)
    assert not caller(authorization=basic("operator")).is_operator
    for header in ("Bearer server", basic("server")):
        server = caller(authorization=header)
        assert (server.is_server, server.is_public, server.is_operator) == (True, True, False)


def test_a_visitor_is_proven_by_cookie_header_or_bearer_token() -> None:
    token = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
    for headers in (
        {"cookie": f"a=b; ew_id={token}; c=d"},
        {"edgewise_visitor": token},
        {"authorization": f"Bearer {token}"},
    ):
        asked = caller(None, **headers)
        assert asked.visitor == VISITOR
        assert not asked.is_server
    assert caller(edgewise_id=VISITOR).visitor is None
    assert caller(edgewise_id=VISITOR).pseudonym == VISITOR
    assert caller(edgewise_id="x" * 201).pseudonym is None


def test_a_token_that_was_changed_is_of_another_key_or_is_too_old_proves_nothing() -> None:
    token = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
    head, _, mac = token.rpartition(".")
    for wrong in (f"{head}.{mac[::-1]}", head.replace("v1.", "v1.x") + "." + mac, "", "v1...", "ü.ü.ü"):
        assert caller(cookie=f"ew_id={wrong}").visitor is None
    assert caller(cookie=f"ew_id={sign_visitor(b'another key of the same length!!', VISITOR, NOW_MS)}").visitor is None
    assert caller(cookie=f"ew_id={token}", at=Node(now_ms=NOW_MS + MAX_AGE_MS + 1)).visitor is None


def test_only_a_node_of_nobody_on_loopback_needs_no_key() -> None:
    local = "127.0.0.1"
    assert caller(Node(keys=OWN, host=local), local).is_public
    assert not caller(Node(keys=OWN, host=local), local, authorization=basic("wrong")).is_public
    assert not caller(Node(keys=OWN), local).is_public
    assert not caller(Node(host=local), local).is_public
    assert caller(Node(access=None)).is_public  # no bundle, no list, nothing to give


@pytest.mark.parametrize(
    ("peer", "headers", "trusted"),
    [
        ("127.0.0.1", {"host": "127.0.0.1:8090"}, True),
        ("127.9.9.9", {"host": "localhost:8090"}, True),
        ("::1", {"host": "[::1]:8090"}, True),
        ("127.0.0.1", {"host": "localhost", "origin": "http://127.0.0.1:8080"}, True),
        ("203.0.113.7", {"host": "127.0.0.1:8090"}, False),
        ("127.0.0.1", {"host": "edge.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}, False),
        ("127.0.0.1", {"host": "localhost", "origin": "https://evil.example"}, False),
        ("127.0.0.1", {"host": "localhost", "origin": "null"}, False),
        ("127.0.0.1", {"host": "localhost", "x-forwarded-for": "203.0.113.7"}, False),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=203.0.113.7"}, False),
        ("127.0.0.1", {"host": "localhost", "via": "1.1 proxy"}, False),
        ("testclient", {"host": "localhost"}, False),
    ],
)
def test_this_machine_is_told_from_who_hides_behind_it(peer: str, headers: dict[str, str], trusted: bool) -> None:  # noqa: FBT001
    by_name = {name.encode(): value.encode() for name, value in headers.items()}
    assert is_this_machine({"type": "http", "client": (peer, 1), HEADERS: by_name}) is trusted


@given(header=st.binary(max_size=60))
def test_no_header_makes_anybody_anything(header: bytes) -> None:
    text = header.decode("latin-1")
    for name in ("authorization", "cookie", "edgewise_visitor", "origin"):
        asked = caller(None, **{name: text})
        assert asked[:4] == (False, False, False, None)


def test_cors_names_the_allowed_origin_and_no_other(tmp_path: Path) -> None:
    site = policy(origins=["https://shop.example"])
    allowed = {"origin": "https://shop.example"}
    with node(tmp_path, policy=site, peer=STRANGER, auth=None) as (client, _):
        body: dict[str, Any] = {"placements": [{"name": HERO}]}
        answer = client.post("/v1/decide", json=body, headers=allowed)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"] == "origin"
        preflight = client.options("/v1/decide", headers={**allowed, "access-control-request-method": "POST"})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert "content-type" in preflight.headers["access-control-allow-headers"]
        for answer in (
            client.post("/v1/decide", json=body, headers={"origin": "https://evil.example"}),
            client.options("/v1/decide", headers={"origin": "https://evil.example"}),
        ):
            assert answer.status_code in {401, 403}
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_operators_routes_are_closed_to_others(tmp_path: Path, path: str) -> None:
    with node(tmp_path, peer=STRANGER, operator_keys_sha256=[sha256("operator")]) as (client, _):
        assert client.get(path).status_code == 403
        client.auth = None  # type: ignore[assignment]
        assert client.get(path, headers={"authorization": "Bearer operator"}).status_code == 200
        assert client.get("/health/live").status_code == 200
        assert client.get("/openapi.json").status_code == 200
    with node(tmp_path / "local") as (client, _):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("settings", "trusted"),
    [
        ({}, True),
        ({"loopback_is_operator": False}, False),
        ({"operator_keys_sha256": [sha256("operator")]}, False),
        ({"operator_keys_sha256": [sha256("operator")], "loopback_is_operator": True}, True),
    ],
)
def test_behind_a_proxy_that_says_nothing_only_a_key_makes_an_operator(
    tmp_path: Path,
    settings: dict[str, Any],
    trusted: bool,  # noqa: FBT001
) -> None:
    """As a plain `proxy_pass` sends it: from this machine, to this machine's name, without a word of the client."""
    with node(tmp_path, **settings) as (client, _):
        body = {"placements": [{"name": HERO}], "options": {"force": {HERO: ["film-17"]}}}
        expected = 200 if trusted else 403
        assert client.get("/status").status_code == expected
        assert client.post("/v1/decide", json=body).status_code == expected
