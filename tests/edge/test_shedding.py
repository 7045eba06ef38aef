"""What a visitor gets from a node under high load: less, never less private, and written down as it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge_world import VISITOR, decisions, events, node, profile_of, viewed
from starlette.testclient import TestClient
from world import HERO, LIST

from edgewise.reasons import Degradation


def ask(client: TestClient, *, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"anonymousId": VISITOR, "placements": [{"name": LIST}], **fields}
    answer = client.post("/v1/decide", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def shed(client: TestClient) -> dict[str, float]:
    text = client.get("/metrics").text
    return {stage: float(count) for stage, count in re.findall(r'edgewise_shed_total\{stage="(\w+)"\} (\S+)', text)}


def test_each_stage_leaves_out_more_and_says_so(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        options = {"explain": True, "debug": True}
        full = ask(client, options=options)
        assert full["placements"][LIST]["reason"] in {"MODEL", "EXPLORE"}
        assert "debug" in full
        assert full["placements"][LIST]["items"][0]["why"]

        desk.admission.level = 1.0
        brief = ask(client, options=options)
        assert brief["placements"][LIST]["reason"] in {"MODEL", "EXPLORE"}
        assert "debug" not in brief
        assert brief["placements"][LIST]["items"][0]["why"] == []

        desk.admission.level = 2.0
        unranked = ask(client, options=options)["placements"][LIST]
        assert (unranked["reason"], len(unranked["items"])) == ("FALLBACK_OVERLOAD", 10)

        desk.admission.level = 3.0
        default = ask(client, options=options)["placements"][LIST]
        assert default["reason"] == "FALLBACK_OVERLOAD"
        assert [item["id"] for item in default["items"]] == ["film-20", "film-21", "film-22"]
        assert all(item["content"] for item in default["items"])
        assert client.get("/status").json()["workers"][0]["shedding"] == "default"

        assert shed(client) == {"debug": 3.0, "rerank": 1.0, "default": 1.0}
        assert [record.degradation for record in decisions(desk)] == [
            Degradation.NONE,
            Degradation.NONE,
            Degradation.UNRANKED,
            Degradation.OVERLOAD,
        ]
        assert [record.explain for record in decisions(desk)] == [True, False, False, False]


def test_no_feature_matrix_is_sampled_while_anything_is_shed(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.admission.level = 1.0
        for _ in range(20):
            ask(client)
        assert {record.sample_probability for record in decisions(desk)} == {0.0}


def test_consent_is_asked_at_every_level(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        for level in (0.0, 1.0, 2.0):
            desk.admission.level = level
            told = ask(client, headers={"sec-gpc": "1"})["placements"][LIST]
            assert told["reason"] == "OPTED_OUT"
        desk.admission.level = 3.0
        ask(client, headers={"sec-gpc": "1"})
        ask(client, consent={"personalisation": "denied", "analytics": "denied"})
        assert {record.subject for record in decisions(desk)} == {""}
        assert not any(record.grants.personalisation for record in decisions(desk))
        assert profile_of(desk) is None


def test_a_visitor_s_will_is_taken_at_the_highest_level(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.admission.level = 3.0
        ask(client)  # gives the cookie that proves him
        assert client.put("/v1/preferences", json={"dial": 0}).json()["dial"] == 0
        desk.admission.level = 2.0
        assert ask(client)["placements"][LIST]["reason"] == "OPTED_OUT"
        desk.admission.level = 3.0
        assert client.put("/v1/preferences", json={"dial": 3, "mute": {"items": ["film-20"]}}).status_code == 200
        assert "film-20" not in {item["id"] for item in ask(client)["placements"][LIST]["items"]}


def test_an_event_that_comes_along_is_kept_however_high_the_load(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.admission.level = 3.0
        ask(client, events=[viewed("film-3", "m-1")])
        assert [record.message_id for record in events(desk)] == ["m-1"]
        assert client.post("/v1/track", json={**viewed("film-4", "m-2"), "anonymousId": VISITOR}).status_code == 200
        assert len(events(desk)) == 2


def test_what_an_operator_forces_is_shown(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.admission.level = 3.0
        told = ask(client, placements=[{"name": HERO}], options={"force": {HERO: ["film-9"]}})
        assert told["placements"][HERO]["reason"] == "FORCED"
