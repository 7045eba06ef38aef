"""`/v1/privacy/*`: the proven visitor is forgotten at once, and gets what the node holds of him; nobody else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edge_world import KEYS, VISITOR, decisions, node, profile_of, sha256, spooled, viewed
from starlette.testclient import TestClient
from world import HERO, NOW_MS

from edge.profiles.cache import CLEANSED_AFTER_MS
from edge.spool.lanes import Lane, lane_of
from edge.worker.desk import Desk
from edgewise.clock import ManualClock
from edgewise.ids import SubjectId
from edgewise.records import PreferenceRecord
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor

SERVER = [sha256("server")]
AS_SERVER = {"authorization": "Bearer server"}
OTHER = "b-27c0"


def cookie(visitor: str = VISITOR) -> dict[str, str]:
    return {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, visitor, NOW_MS)}"}


def subject(visitor: str = VISITOR, kind: str = "anonymousId") -> SubjectId:
    return subject_of(KEYS.subject_key, kind, visitor)


def visit(client: TestClient, visitor: str = VISITOR) -> str:
    """Looks at a film, is shown something, mutes a genre; returns the decision's id."""
    assert client.post("/v1/track", json={**viewed("film-3"), "anonymousId": visitor}).status_code == 200
    said = client.put("/v1/preferences", json={"less": ["western"]}, headers=cookie(visitor))
    assert said.status_code == 200
    told = client.post("/v1/decide", json={"anonymousId": visitor, "placements": [{"name": HERO}]}).json()
    return str(told["decisionId"])


def requests(desk: Desk) -> list[PreferenceRecord]:
    return [record for record in spooled(desk) if isinstance(record, PreferenceRecord) and record.erasure]


def test_a_visitor_is_forgotten_at_once_and_the_hub_is_told_first(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        shown = {visitor: visit(client, visitor) for visitor in (VISITOR, OTHER)}
        desk.flush()
        answer = client.post("/v1/privacy/erase", headers=cookie())
        assert answer.status_code == 202
        assert answer.headers["cache-control"] == "private, no-store"
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert "It has no hub: what it wrote down of you stays in its log" in answer.json()["note"]
        (record,) = requests(desk)
        assert (record.erasure, record.subject, lane_of(record)) == (answer.json()["id"], subject(), Lane.PREFERENCE)
        assert profile_of(desk) is None
        assert profile_of(desk, OTHER) is not None
        assert client.get("/v1/preferences", headers=cookie()).json()["less"] == []
        assert client.get("/v1/preferences", headers=cookie(OTHER)).json()["less"] == ["western"]
        assert client.get(f"/v1/why/{shown[VISITOR]}", headers=cookie()).status_code == 404
        assert client.get(f"/v1/why/{shown[OTHER]}", headers=cookie(OTHER)).status_code == 200


def test_a_decision_that_was_not_flushed_yet_is_forgotten_too(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        decided = visit(client)
        assert client.post("/v1/privacy/erase", headers=cookie()).status_code == 202
        desk.flush()
        assert client.get(f"/v1/why/{decided}", headers=cookie()).status_code == 404


def test_not_a_byte_of_him_is_left_in_the_cache(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    with node(tmp_path, clock=clock) as (client, desk):
        for number in range(40):
            who = {"anonymousId": VISITOR, "context": {"page": {"url": f"/?token=canary-{number}"}}}
            client.post("/v1/track", json={**viewed(f"film-{number % 20}"), **who})
            client.post("/v1/decide", json={**who, "placements": [{"name": HERO}]})
            client.post("/v1/track", json={**viewed("film-1"), "anonymousId": OTHER})
            desk.flush()
        assert b"canary-7" in _data(tmp_path)
        assert client.post("/v1/privacy/erase", headers=cookie()).status_code == 202
        assert not desk.cache.scrub()  # other processes may not have cleared their memory yet
        desk.cache.cleanse()
        clock.advance(CLEANSED_AFTER_MS)
        assert desk.cache.scrub()
        for _ in range(5):
            client.post("/v1/track", json={**viewed("film-2"), "anonymousId": OTHER})
        assert b"canary-" not in _data(tmp_path)
        assert profile_of(desk, OTHER) is not None


def _data(folder: Path) -> bytes:
    return next((folder / "profiles").rglob("data.mdb")).read_bytes()


def test_the_export_is_all_that_the_node_holds_and_says_what_it_is(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        decided = visit(client)
        visit(client, OTHER)
        told = client.get("/v1/privacy/export", headers=cookie())
        assert told.status_code == 200
        assert told.headers["content-disposition"].startswith("attachment")
        assert told.headers["cache-control"] == "private, no-store"
        body = told.json()
        assert body["subject"] == subject()
        assert set(body["profile"]["items"]) == {"film-3"}
        assert body["preferences"]["less"][1] == ["western"]
        assert [each["decision_id"] for each in body["decisions"]] == [decided]
        assert list(body["decisions"][0]["decision"]["placements"]) == [HERO]
        assert body["complete"] is False
        assert "profile export" in body["note"]
        desk.flush()
        assert client.get("/v1/privacy/export", headers=cookie()).json() == body
        nothing = client.get("/v1/privacy/export", headers=cookie("c-nobody")).json()
        assert (nothing["profile"], nothing["decisions"]) == (None, [])


UNPROVEN: list[dict[str, Any]] = [{}, {"headers": {"edgewise-id": VISITOR}}, {"headers": {"cookie": "ew_id=made-up"}}]


@pytest.mark.parametrize("options", UNPROVEN, ids=["nobody", "pseudonym", "forged"])
def test_nobody_may_ask_for_somebody_else(tmp_path: Path, options: dict[str, Any]) -> None:
    with node(tmp_path) as (client, desk):
        visit(client)
        client.cookies.clear()
        assert client.post("/v1/privacy/erase", **options).status_code == 401
        assert client.get("/v1/privacy/export", **options).status_code == 401
        named = client.post("/v1/privacy/erase", json={"anonymousId": VISITOR}, headers=cookie(OTHER))
        assert (named.status_code, named.json()["type"].rpartition(":")[2]) == (403, "not-yours")
        assert profile_of(desk) is not None
        assert requests(desk) == []
        assert decisions(desk)


def test_a_server_says_whom_it_is_about(tmp_path: Path) -> None:
    with node(tmp_path, auth=None, server_keys_sha256=SERVER) as (client, desk):
        for body, headers, expected in (
            ({"anonymousId": VISITOR}, {}, subject()),
            ({"userId": "u-1"}, {}, subject("u-1", "userId")),
            (None, {"edgewise-id": VISITOR}, subject()),
        ):
            answer = client.post("/v1/privacy/erase", json=body, headers={**AS_SERVER, **headers})
            assert answer.status_code == 202, answer.text
            assert requests(desk)[-1].subject == expected
        assert client.post("/v1/privacy/erase", headers=AS_SERVER).status_code == 401
        wrong = client.post("/v1/privacy/erase", json={"user": "u-1"}, headers=AS_SERVER)
        assert wrong.status_code == 400
