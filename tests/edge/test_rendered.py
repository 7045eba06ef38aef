"""`options.render` and the dial that a request brings: HTML for pages, and a will that needs no cookie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from edge_world import VISITOR, bundle_files, decisions, events, install, node, profile_of, viewed
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from world import HERO, LIST, placement, policy

from edge.node.layout import NodePaths
from edge.worker.desk import Desk
from edgewise.bundle.manifest import TEMPLATES
from edgewise.bundle.policy import Cap
from edgewise.bundle.templates import Template, Templates, TextVariable, encode_templates, template_sha256
from edgewise.dial import DIAL_NOTHING, dial_of_header, stricter
from edgewise.ids import TemplateName

CARD = TemplateName("card")


def ask(client: TestClient, *placements: str, status: int = 200, headers: Any = None, **fields: Any) -> dict[str, Any]:
    body = {
        "anonymousId": VISITOR,
        "placements": [{"name": name} for name in placements or (HERO,)],
        **fields,
        "options": {"deadlineMs": 5_000, **fields.get("options", {})},
    }
    answer = client.post("/v1/decide", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def shown_in(html: str) -> list[str]:
    return re.findall(r'data-edgewise-item="([^"]+)"', html)


def test_each_placement_of_the_answer_has_its_html(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = ask(client, HERO, LIST, options={"render": True, "deferActivation": True})
        for name, placed in told["placements"].items():
            head = f'<div data-edgewise-placement="{name}" data-edgewise-decision="{told["decisionId"]}"'
            assert placed["html"].startswith(f"{head} data-edgewise-deferred>")
            assert shown_in(placed["html"]) == [item["id"] for item in placed["items"]]
        assert decisions(desk)[-1].deferred
        at_once = ask(client, options={"render": True})
        assert "deferred" not in at_once["placements"][HERO]["html"]
        assert "html" not in ask(client)["placements"][HERO]


def test_messagepack_has_the_same_html(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        body = {"placements": [{"name": LIST}], "options": {"render": True, "deadlineMs": 5_000}}
        answer = client.post("/v1/decide", content=msgpack.packb(body), headers={"content-type": "application/msgpack"})
        placed = msgpack.unpackb(answer.content)["placements"][LIST]
        assert shown_in(placed["html"]) == [item["id"] for item in placed["items"]]
        assert "Film" in placed["html"]


def test_an_unknown_placement_costs_a_page_only_itself(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        told = ask(client, "next_release", HERO, options={"render": True})
        assert set(told["placements"]) == {HERO}
        ask(client, "next_release", options={"render": True}, status=404)
        ask(client, "next_release", HERO, status=404)


def test_without_a_bundle_there_is_no_html_so_that_the_page_keeps_its_own(tmp_path: Path) -> None:
    with node(tmp_path, bundle=False) as (client, _):
        placed = ask(client, options={"render": True})["placements"][HERO]
        assert placed["reason"] == "FALLBACK_NO_BUNDLE"
        assert "html" not in placed


def test_an_item_that_the_caller_brought_is_an_empty_element_of_its_own(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        brought = {"name": LIST, "candidates": [{"id": 'x"<b>'}]}
        told = ask(client, placements=[brought], options={"render": True})
        assert 'data-edgewise-item="x&quot;&lt;b&gt;"></div>' in told["placements"][LIST]["html"]


# --- what no template can show
def short_titles(folder: Path, *, most: int) -> None:
    """A release whose template takes shorter titles than some films have."""
    card = Template(sources={"html": {"": "{{ title }}"}}, variables={"title": TextVariable(most_characters=most)})
    card = msgspec.structs.replace(card, approved_sha256=template_sha256(card), approved_by="Ann")
    capped = placement(count=5, template=CARD, cap=Cap(impressions=3, days=7))
    files = bundle_files(policy({LIST: capped, HERO: placement(template=CARD)}))
    files[TEMPLATES] = encode_templates(Templates({CARD: card}))
    install(NodePaths(folder), files)


def test_what_no_template_could_show_is_not_written_down_as_shown(tmp_path: Path) -> None:
    short_titles(tmp_path, most=len("Film 1"))
    with node(tmp_path, bundle=False) as (client, desk):
        asked = {"name": LIST, "exclude": [f"film-{number}" for number in range(8)]}
        placed = ask(client, placements=[asked], options={"render": True})["placements"][LIST]
        decided, seen = [item["id"] for item in placed["items"]], shown_in(placed["html"])
        assert 0 < len(seen) < len(decided)
        record = decisions(desk)[-1]
        hidden = [item for item in decided if item not in seen]
        assert record.unrendered == {LIST: tuple(hidden)}
        assert list(record.impressions) == seen, "only what was there counts against a cap"
        fragment = client.get(f"/v1/fragment/{LIST}?exclude={','.join(asked['exclude'])}")
        assert shown_in(fragment.text)
        assert decisions(desk)[-1].unrendered.keys() == {LIST}


def test_a_fragment_of_which_nothing_can_be_shown_is_the_fallback(tmp_path: Path) -> None:
    short_titles(tmp_path, most=1)
    with node(tmp_path, bundle=False) as (client, desk):
        fragment = client.get(f"/v1/fragment/{HERO}")
        assert (fragment.status_code, fragment.headers["edgewise-fallback"]) == (200, "unrenderable")
        assert "html" not in ask(client, options={"render": True})["placements"][HERO]
        assert all(HERO in record.unrendered for record in decisions(desk))


# --- what a page must know of the visitor
def proven(client: TestClient) -> None:
    """Let the browser have the cookie."""
    ask(client)
    assert client.cookies.get("ew_id")


def test_the_page_learns_whether_it_may_keep_an_id_and_who_is_proven(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        first = ask(client, options={"render": True})
        assert first["visitor"] == {"proven": False, "personal": True, "dial": 3}
        assert ask(client, options={"render": True})["visitor"]["proven"], "the cookie came back"
        assert "visitor" not in ask(client)
        client.cookies.clear()
        denied = ask(client, options={"render": True}, consent={"personalisation": "denied"})
        assert not denied["visitor"]["personal"]
        opted = ask(client, options={"render": True}, headers={"sec-gpc": "1"})
        assert not opted["visitor"]["personal"]


@pytest.mark.parametrize(("dial", "personal"), [(0, False), (1, False), (2, True), (3, True)])
def test_an_id_may_be_kept_from_the_session_on(tmp_path: Path, dial: int, personal: bool) -> None:  # noqa: FBT001
    with node(tmp_path) as (client, _):
        told = ask(client, options={"render": True, "dial": dial})
        assert told["visitor"] == {"proven": False, "personal": personal, "dial": dial}
        assert bool(client.cookies.get("ew_id")) == (dial == 3), "a cookie outlives the session"


# --- the dial of a request
def look(client: TestClient, desk: Desk, **options: Any) -> dict[str, Any]:
    """Decide for a visitor who has looked at one film; what he is then shown, and what is written down of it."""
    headers = options.pop("headers", None)
    told = ask(client, options=options, headers=headers)
    record = decisions(desk)[-1]
    return {"reason": told["placements"][HERO]["reason"], "dial": record.dial, "subject": record.subject}


def test_a_visitor_without_a_cookie_can_say_his_dial_with_each_request(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        ask(client, events=[viewed("film-3")])
        client.cookies.clear()
        everything = look(client, desk)
        assert everything["dial"] == 3
        for said in ({"dial": 0}, {"headers": {"edgewise-dial": "0"}}, {"headers": {"edgewise-dial": "none"}}):
            client.cookies.clear()
            nothing = look(client, desk, **said)
            assert nothing == {"reason": "OPTED_OUT", "dial": 0, "subject": ""}
        client.cookies.clear()
        both = look(client, desk, dial=2, headers={"edgewise-dial": "1"})
        assert both["dial"] == 1


def test_what_was_stated_is_not_raised_by_a_request(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        proven(client)
        assert client.put("/v1/preferences", json={"dial": 1}).status_code == 200
        assert look(client, desk, dial=3)["dial"] == 1
        assert look(client, desk, headers={"edgewise-dial": "3"})["dial"] == 1


def test_events_of_somebody_who_wants_nothing_are_tied_to_nobody(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        ask(client, events=[viewed("film-3")], options={"dial": 0})
        tracked = {"anonymousId": VISITOR, "event": "Product Viewed", "properties": {"product_id": "film-4"}}
        client.post("/v1/track", json=tracked, headers={"edgewise-dial": "0"})
        assert [event.subject for event in events(desk)] == ["", ""]
        assert all(event.body == b"" for event in events(desk))
        assert profile_of(desk) is None


@pytest.mark.parametrize("dial", [-1, 4, 1.5, "0", True])
def test_what_is_no_dial_is_refused_in_a_body(tmp_path: Path, dial: Any) -> None:
    with node(tmp_path) as (client, _):
        assert ask(client, options={"dial": dial}, status=400)["errors"][0]["path"] == "$.options.dial"


@given(st.binary(max_size=4))
def test_what_is_no_dial_in_a_header_is_the_strictest(value: bytes) -> None:
    dial = dial_of_header(value)
    assert dial == (int(value) if value.strip() in {b"0", b"1", b"2", b"3"} else DIAL_NOTHING)


@given(st.integers(0, 3), st.integers(0, 3) | st.none())
def test_the_stricter_dial_never_allows_more_than_either(stated: int, said: int | None) -> None:
    assert stricter(stated, said) == min(stated, 3 if said is None else said)


def test_openapi_shows_what_pages_may_ask(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        schemas = msgspec.json.decode(client.get("/openapi.json").content)["components"]["schemas"]
        assert {"render", "dial"} <= set(schemas["Options"]["properties"])
        assert "html" in schemas["PlacementAnswer"]["properties"]
        assert set(schemas["VisitorAnswer"]["properties"]) == {"proven", "personal", "dial"}
