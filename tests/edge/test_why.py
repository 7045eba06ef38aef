"""`GET /v1/why/{decisionId}`: truthful causes, for the visitor to whom it was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edge_world import (
    KEYS,
    STRANGER,
    VISITOR,
    bundle_files,
    decisions,
    install,
    node,
    profile_of,
    sha256,
    spooled,
    viewed,
)
from starlette.testclient import TestClient
from world import HERO, LIST, NOW_MS

from edge.worker.why import explained
from edgewise.ids import DecisionId, ulid
from edgewise.visitor import sign_visitor


def decide(client: TestClient, **options: Any) -> dict[str, Any]:
    body = {
        "anonymousId": VISITOR,
        "placements": [{"name": HERO}, {"name": LIST}],
        "events": [viewed("film-3"), viewed("film-9")],
        "options": {"force": {HERO: "challenger"}, **options},
    }
    told: dict[str, Any] = client.post("/v1/decide", json=body).json()
    return told


def causes(told: dict[str, Any]) -> dict[str, list[str]]:
    return {
        f"{name}/{item['id']}": [cause["text"] for cause in item["why"]]
        for name, placed in told["placements"].items()
        for item in placed["items"]
    }


def test_a_decision_made_without_explanation_is_explained_as_if_it_had_been_asked_for(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.entropy = bytes
        told = causes(decide(client, explain=True))
        plain = decide(client)
        assert not any(causes(plain).values())
        asked = client.get(f"/v1/why/{plain['decisionId']}")
        assert asked.status_code == 200
        assert asked.headers["cache-control"] == "private, no-store"
        later = causes(asked.json())
        assert set(later) == set(causes(plain))
        shared = set(later) & set(told)
        assert shared
        assert any("Because you" in text for key in shared for text in told[key])
        for key in shared:
            assert later[key] == told[key]
        assert asked.json()["usedProfile"] is True


def test_what_happened_later_is_no_cause(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = decide(client)
        desk.clock.advance(60_000)  # type: ignore[attr-defined]
        for film in ("film-2", "film-4"):
            client.post("/v1/track", json={**viewed(film), "anonymousId": VISITOR})
        texts = [
            text for found in causes(client.get(f"/v1/why/{told['decisionId']}").json()).values() for text in found
        ]
        assert texts
        assert not [text for text in texts if "Film 2" in text.split() or text.endswith(("Film 2", "Film 4"))]


def test_after_another_release_or_a_change_of_mind_less_is_said_and_never_something_else(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        decide(client)
        record = decisions(desk)[0]
        profile = profile_of(desk)
        assert profile is not None
        full = explained(record, desk.live.served, profile)
        told = [explained(record, desk.live.served, None), explained(record, None, profile)]
        install(desk.paths, bundle_files(), version=8)
        desk.live.load_now()
        told.append(explained(record, desk.live.served, profile))
        for less in told:
            for name, placed in less.placements.items():
                for item, known in zip(placed.items, full.placements[name].items, strict=True):
                    assert (item.id, item.reason, item.propensity) == (known.id, known.reason, known.propensity)
                    texts, known_texts = ({why.text for why in each.why} for each in (item, known))
                    assert texts <= known_texts
                    assert not any(text.startswith("Because you") for text in texts)
        assert any(why.text.startswith("Because you") for why in full.placements[HERO].items[0].why)


def test_a_plain_page_says_the_same_and_escapes_all_that_comes_from_elsewhere(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        body = {
            "anonymousId": VISITOR,
            "placements": [{"name": HERO, "candidates": [{"id": "<script>alert(1)</script>"}]}],
        }
        told = client.post("/v1/decide", json=body).json()
        page = client.get(f"/v1/why/{told['decisionId']}", headers={"accept": "text/html,*/*"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "private, no-store"
        assert "<script>" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        assert told["decisionId"] in page.text


def test_only_whom_it_was_shown_to_may_ask(tmp_path: Path) -> None:
    with node(tmp_path, peer=STRANGER, server_keys_sha256=[sha256("server")]) as (client, desk):
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
        answer = client.post("/v1/decide", json=body)
        path = f"/v1/why/{answer.json()['decisionId']}"
        assert client.get(path).status_code == 200  # by the cookie that came with the answer
        client.cookies.clear()
        assert client.get(path).status_code == 401
        named = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
        assert client.get(path, headers={"cookie": f"ew_id={named}"}).status_code == 200
        other = sign_visitor(KEYS.visitor_key, "another", NOW_MS)
        assert client.get(path, headers={"cookie": f"ew_id={other}"}).status_code == 404
        client.auth = ("server", "")
        assert client.get(path).status_code == 200
        assert len(spooled(desk)) == 1


def test_decisions_are_found_before_and_after_they_are_flushed(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = decide(client)
        decision_id = DecisionId(told["decisionId"])
        desk.unflushed.setdefault(decision_id, next(iter(desk.unflushed.values())))
        desk.flush()
        assert desk.unflushed == {}
        assert desk.decisions.find(decision_id) is not None
        assert client.get(f"/v1/why/{decision_id}").status_code == 200


def test_a_decision_that_another_worker_flushes_in_time_is_found(tmp_path: Path) -> None:
    """The other worker is this one, whose decision is put aside until the question has been asked."""
    with node(tmp_path) as (client, desk):
        told = decide(client)
        kept = dict(desk.unflushed)
        desk.unflushed.clear()
        looked: list[DecisionId] = []
        find = desk.decisions.find

        def find_late(decision_id: DecisionId) -> Any:
            looked.append(decision_id)
            if len(looked) == 2:
                desk.unflushed.update(kept)
                desk.flush()
            return find(decision_id)

        desk.decisions.find = find_late  # type: ignore[method-assign]
        assert client.get(f"/v1/why/{told['decisionId']}").status_code == 200
        assert len(looked) == 2


@pytest.mark.parametrize(
    ("decision_id", "status"), [(ulid(NOW_MS - 10_000, bytes(10)), 404), ("nonsense", 400), ("U" * 26, 400)]
)
def test_what_is_not_known_is_said_so(tmp_path: Path, decision_id: str, status: int) -> None:
    with node(tmp_path) as (client, _):
        assert client.get(f"/v1/why/{decision_id}").status_code == status
