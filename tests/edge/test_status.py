"""What a node says of itself: condition, counters over processes, metrics, OpenAPI."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest
from edge_world import VISITOR, node, open_desk, viewed
from hub_records import event
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from world import HERO, LIST, NOW_MS

from edge.node.layout import NodePaths, segment_name
from edge.node.status import AgentStatus, WorkerStatus, read_status, write_status
from edge.worker.condition import Condition
from edge.worker.metrics import EDGES_SECONDS, Counts, Gauges, add_up, exposition
from edge.worker.tally import Tally, encode_tally, inherited_tally, read_tally
from edgewise.frames import frame
from edgewise.ids import PlacementName
from edgewise.reasons import Reason, State
from edgewise.records import encode_record

BODY = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
AGENT: dict[str, Any] = {"pid": os.getpid(), "written_ms": NOW_MS}


def condition(tmp_path: Path, *, has_hub: bool = True, **agent: Any) -> Condition:
    paths = NodePaths(tmp_path)
    paths.create()
    write_status(paths.agent_status, AgentStatus(**{**AGENT, **agent}))
    made = Condition(paths, has_hub=has_hub, stale_after_ms=60_000)
    made.look()
    return made


@pytest.mark.parametrize(
    ("agent", "has_hub", "state"),
    [
        ({"last_seen_ms": NOW_MS - 60_000}, True, State.READY),
        ({"last_seen_ms": NOW_MS - 60_001}, True, State.STALE),
        ({"last_seen_ms": None}, True, State.STALE),
        ({"last_seen_ms": None}, False, State.READY),
        ({"last_seen_ms": NOW_MS, "metadata_expires_ms": NOW_MS + 1}, True, State.READY),
        ({"last_seen_ms": NOW_MS, "metadata_expires_ms": NOW_MS}, True, State.STALE),
        ({"metadata_expires_ms": NOW_MS - 1}, False, State.STALE),
    ],
)
def test_a_node_is_stale_when_the_hub_is_not_heard_or_metadata_has_expired(
    tmp_path: Path,
    agent: dict[str, Any],
    has_hub: bool,  # noqa: FBT001
    state: State,
) -> None:
    made = condition(tmp_path, has_hub=has_hub, **agent)
    assert made.state(NOW_MS, serves=True) is state
    assert made.state(NOW_MS, serves=False) is State.ERROR


def test_a_new_agent_has_not_lost_what_the_one_before_heard(tmp_path: Path) -> None:
    made = condition(tmp_path, last_seen_ms=NOW_MS)
    paths = NodePaths(tmp_path)
    write_status(paths.agent_status, AgentStatus(**AGENT))
    made.look()
    assert made.last_seen_ms == NOW_MS
    paths.agent_status.unlink()
    made.look()
    assert (made.last_seen_ms, made.is_connected) == (NOW_MS, False)


def test_the_status_of_a_node_without_a_bundle_has_the_same_shape(tmp_path: Path) -> None:
    with node(tmp_path, bundle=False) as (client, _):
        told = client.get("/status").json()
        assert told["bundle"] == {"version": 0, "digest": "", "ageSeconds": 0.0}
        assert (told["state"], told["placements"]) == ("ERROR", [])


def test_status_has_the_shape_that_operators_rely_on(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        client.post("/v1/decide", json={**BODY, "events": [viewed("film-3")]})
        told = client.get("/status").json()
        assert set(told) == {
            "node", "state", "bundle", "liveFacts", "placements", "hub", "spool", "events", "profiles",
            "workers",
        }  # fmt: skip
        assert set(told["bundle"]) == {"version", "digest", "ageSeconds"}
        assert told["liveFacts"] == {
            "version": 0, "ageSeconds": None, "halted": False, "expired": False, "items": 0, "soldOut": 0,
            "refused": "",
        }  # fmt: skip
        assert told["placements"] == [HERO, LIST]
        assert {"connected", "lastSeenSeconds"} <= set(told["hub"])
        assert told["spool"] == {
            "bytes": desk.spool.spooled_bytes,
            "created": 2,
            "stored": 0,
            "dropped": 0,
            "pending": 2,
            "droppedByLane": {},
        }
        assert told["profiles"]["count"] == 1
        assert told["workers"][0]["pid"] == os.getpid()
        assert (told["node"], told["state"]) == (desk.node, "READY")
        folder = desk.paths.producer(desk.epoch, 0).name
        seen = AgentStatus(**AGENT, last_seen_ms=NOW_MS - 1_500, connected=True, stored_seqs={folder: 0})
        write_status(desk.paths.agent_status, seen)
        desk.condition.look()
        told = client.get("/status").json()
        assert (told["hub"]["connected"], told["hub"]["lastSeenSeconds"]) == (True, 1.5)
        assert (told["spool"]["stored"], told["spool"]["pending"]) == (1, 1)


def test_all_workers_are_merged_by_whichever_is_asked(tmp_path: Path) -> None:
    with node(tmp_path, workers=2) as (client, desk):
        client.post("/v1/decide", json=BODY)
        other = WorkerStatus(index=1, pid=os.getpid(), epoch=9, written_ms=NOW_MS, listening=True, decisions=5)
        write_status(desk.paths.worker_status(1), other)
        counts = Counts()
        for _ in range(5):
            counts.decided(HERO, Reason.MODEL)
            counts.took(0.0007)
        before = Tally(epoch=9, epoch_created=7, created=7, dropped=2, counts=counts)
        desk.paths.tally(1).write_bytes(encode_tally(before))
        told = client.get("/status").json()
        assert [worker["decisions"] for worker in told["workers"]] == [1, 5]
        assert (told["spool"]["created"], told["spool"]["dropped"]) == (8, 2)
        assert (told["spool"]["stored"], told["spool"]["pending"]) == (5, 1)  # the other's spool was shipped
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
        assert sum(sample.value for sample in families["edgewise_decisions"].samples) == 6
        assert families["edgewise_workers"].samples[0].value == 2


def test_a_dead_worker_counts_as_far_as_its_spool_shows_before_its_successor_speaks(tmp_path: Path) -> None:
    with node(tmp_path, workers=2) as (client, desk):
        folder = desk.paths.producer(9, 1)
        folder.mkdir(parents=True)
        written = b"".join(frame(encode_record(event(seq))) for seq in range(3))
        (folder / segment_name(0)).write_bytes(written)
        desk.paths.tally(1).write_bytes(encode_tally(Tally(epoch=9, epoch_created=1, created=5)))
        told = client.get("/status").json()["spool"]
        assert (told["created"], told["pending"], told["stored"]) == (7, 3, 4)


def test_metrics_have_the_names_that_dashboards_rely_on(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        client.post("/v1/decide", json={**BODY, "events": [viewed("film-3")]})
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        text = answer.text
        for name in (
            "edgewise_decisions_total",
            "edgewise_decision_seconds_bucket",
            "edgewise_bundle_version",
            "edgewise_bundle_age_seconds",
            "edgewise_spool_bytes",
            "edgewise_events_total",
            "edgewise_profile_cache_hits_total",
            "edgewise_shed_total",
            "edgewise_hub_connected",
        ):
            assert name in text
        assert re.search(r'edgewise_decisions_total{placement="home_hero",reason="(MODEL|RULE)"} 1.0', text)
        assert 'edgewise_events_total{outcome="accepted",type="track"} 1.0' in text
        edges = re.findall(r'edgewise_decision_seconds_bucket{le="([^"]+)"}', text)
        assert edges == ["0.0005", "0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "+Inf"]
        assert "edgewise_bundle_version 7.0" in text


@given(times=st.lists(st.floats(0, 1), max_size=40), cut=st.integers(0, 40))
def test_counters_of_processes_add_up_to_those_of_one(times: list[float], cut: int) -> None:
    whole, first, second = Counts(), Counts(), Counts()
    for position, seconds in enumerate(times):
        name = PlacementName(f"p{position % 3}")
        for counts in (whole, first if position < cut else second):
            counts.took(seconds)
            counts.decided(name, Reason.MODEL if position % 2 else Reason.RULE)
            counts.event("track", "accepted")
            counts.failed("cache")
    gauges = Gauges(1, 1.0, 1, hub_connected=False, workers=1)
    summed = add_up([first, second])
    assert summed.decision_seconds == pytest.approx(whole.decision_seconds)
    summed.decision_seconds = whole.decision_seconds
    samples = [sorted(exposition(counts, gauges).decode().splitlines()) for counts in (summed, whole)]
    assert samples[0] == samples[1]
    naive = [sum(seconds <= edge for seconds in times) for edge in EDGES_SECONDS]
    assert [sum(whole.decision_buckets[: place + 1]) for place in range(len(EDGES_SECONDS))] == naive


def test_counters_go_on_when_a_worker_is_started_again_however_it_ended(tmp_path: Path) -> None:
    def run(*, killed: bool) -> tuple[int, int]:
        with node(tmp_path) as (client, desk):
            desk.tell()
            for _ in range(3):
                client.post("/v1/decide", json=BODY)
            if not killed:
                desk.tell()
            told = client.get("/status").json()
            last = read_tally(desk.paths.tally(0))
        if killed:
            NodePaths(tmp_path).tally(0).write_bytes(encode_tally(last))
        return told["spool"]["created"], told["workers"][0]["decisions"]

    assert run(killed=False) == (3, 3)
    assert run(killed=True) == (6, 3)
    # The last word of the killed one was said before its decisions; its spool knows of them.
    assert inherited_tally(NodePaths(tmp_path), 0).created == 6
    assert run(killed=False) == (9, 3)
    with node(tmp_path) as (client, _):
        told = client.get("/status").json()["spool"]
        assert (told["created"], told["pending"], told["stored"]) == (9, 9, 0)


def test_a_status_file_says_whether_requests_are_answered(tmp_path: Path) -> None:
    desk = open_desk(tmp_path, enrolled=False)
    desk.tell()
    told = read_status(desk.paths.worker_status(0), WorkerStatus)
    assert told is not None
    assert not told.listening
    asyncio.run(desk.close())
    with node(tmp_path, bundle=False, enrolled=False) as (_, desk):
        told = read_status(desk.paths.worker_status(0), WorkerStatus)
        assert told is not None
        assert told.listening


def test_openapi_describes_every_route_with_schemas_that_exist(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        told = client.get("/openapi.json").json()
        assert told["openapi"] == "3.1.0"
        assert {
            "/v1/decide", "/v1/track", "/v1/identify", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias", "/v1/batch",
            "/v1/t", "/v1/i", "/v1/p", "/v1/s", "/v1/g", "/v1/a", "/v1/b", "/v1/import", "/v1/import/",
            "/v1/fragment/{placement}", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/{key}",
            "/v1/why/{decision_id}", "/v1/preferences", "/v1/privacy/erase", "/v1/privacy/export",
            "/health/live", "/health/ready", "/status", "/metrics",
            "/openapi.json", "/edgewise.js", "/edgewise-debug.js",
            "/v1/mail/preferences/{token}", "/v1/mail/unsubscribe/{token}", "/v1/mail/why/{token}",
            "/v1/mail/click/{token}", "/v1/mail/open/{token}", "/v1/codes/check",
        } == set(told["paths"])  # fmt: skip
        decide = told["paths"]["/v1/decide"]["post"]
        assert set(decide["requestBody"]["content"]) == {"application/json", "application/msgpack"}
        assert {"200", "400", "401", "403", "404", "408", "413", "415", "503"} == set(decide["responses"])
        schemas = told["components"]["schemas"]
        references = re.findall(r'"#/components/schemas/([^"]+)"', client.get("/openapi.json").text)
        assert set(references) <= set(schemas)
        asked = schemas["DecideRequest"]
        assert asked["required"] == ["placements"]
        assert {"anonymousId", "context", "consent", "events", "options"} <= set(asked["properties"])
        assert schemas["PlacementAnswer"]["properties"]["reason"] == {"$ref": "#/components/schemas/Reason"}
        ids = [one["operationId"] for path in told["paths"].values() for one in path.values()]
        assert len(ids) == len(set(ids))
        why, ready = (told["paths"][path]["get"] for path in ("/v1/why/{decision_id}", "/health/ready"))
        assert set(why["responses"]["200"]["content"]) == {"application/json", "text/html"}
        assert ready["responses"]["503"]["content"] == ready["responses"]["200"]["content"]
        flags = told["paths"]["/ofrep/v1/evaluate/flags"]["post"]
        assert "304" in flags["responses"]
        fragment = told["paths"]["/v1/fragment/{placement}"]["get"]
        for one in (flags, fragment):
            assert "Edgewise-Consent" in [named["name"] for named in one["parameters"] if named["in"] == "header"]
