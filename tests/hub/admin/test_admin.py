"""The admin API: who may ask, what is answered, and that the document says the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from experiment_world import KEY as EXPERIMENT
from experiment_world import policy
from facts_shop import TEA, FactsShop
from hub_process import edgewise
from hub_records import NODE, NOW_MS, decision, decision_id, event, payloads
from mail_reports import delivery
from mail_world import MailWorld
from starlette.testclient import TestClient

from edgewise.clock import ManualClock
from edgewise.ids import BundleVersion, ModelName, NodeId, SiteName
from edgewise.reasons import State
from hub.admin.app import Admin, admin_app
from hub.facts.board import FactsBoard
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.rows import AWAY_AFTER_MS, AuditEntry, ModelRow, NodeRow, ReleaseRow, ReleaseStatus
from hub.mail.ways import Unknown
from hub.meters import Meters
from hub.release.repository import Repository
from hub.settings import HubSettings
from hub.site.journey_file import JourneyFile

ANN = AuditEntry("ann", "test", "test")
KEY = "correct-horse-battery-staple"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def client(
    ledger: Ledger,
    *,
    host: str = "127.0.0.1:8092",
    not_ready: str = "",
    now_ms: int = NOW_MS,
    board: FactsBoard | None = None,
    **settings: Any,
) -> TestClient:
    log, clock = structlog.get_logger(), ManualClock(now_ms)
    board = board or FactsBoard(ledger, Repository(ledger.storage.shelf.folder.parent, clock), clock)
    site = SiteName("film-shop")
    admin = Admin(
        ledger,
        Meters(),
        "i" * 32,
        site,
        ledger.releases,
        lambda: not_ready,
        clock,
        log,
        board,
        policy=policy,
        journeys=lambda: {"homepage-banner": JourneyFile()},
    )
    return TestClient(admin_app(admin, HubSettings(**settings)), base_url=f"http://{host}")


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def fill(ledger: Ledger) -> None:
    shown = decision(0, number=1, decision=b'{"decision_id":"x","placements":{}}')
    clicked = event(1, decision_id=decision_id(1))
    ledger.store([Batch(NODE, payloads(shown, clicked))], NOW_MS)
    ledger.add_release(ReleaseRow(BundleVersion(3), "d" * 64, NOW_MS, status=ReleaseStatus.LIVE), ANN)
    ledger.add_model(ModelRow(ModelName("ranker"), 1, "a" * 64, NOW_MS, card={"auc": 0.7}), ANN)
    node = NodeRow(NodeId("n-a"), State.READY, BundleVersion(3), "d" * 64, 1, True, NOW_MS, NOW_MS, decisions=5)
    away = NodeRow(
        NodeId("n-b"),
        State.STALE,
        BundleVersion(2),
        "c" * 64,
        1,
        False,
        NOW_MS,
        NOW_MS,
        nack_code="digest",
        nack_detail="one byte",
        nacked_ms=NOW_MS,
    )
    ledger.save_nodes([node, away])


def test_nodes_releases_models_and_decisions_are_told(ledger: Ledger) -> None:
    fill(ledger)
    api = client(ledger)
    first, second = api.get("/api/v1/nodes").json()["nodes"]
    assert (first["node"], first["bundleVersion"], first["connected"], first["lastNack"]) == ("n-a", 3, True, None)
    assert second["lastNack"] == {"code": "digest", "detail": "one byte", "atMs": NOW_MS}
    [release] = api.get("/api/v1/releases").json()["releases"]
    assert (release["version"], release["status"], release["createdMs"]) == (3, "live", NOW_MS)
    [model] = api.get("/api/v1/models").json()["models"]
    assert (model["name"], model["card"]) == ("ranker", {"auc": 0.7})
    logged = api.get(f"/api/v1/decisions/{decision_id(1)}").json()
    assert (logged["node"], logged["bundleVersion"], logged["decision"]["placements"]) == ("n-a", 3, {})
    assert [(outcome["itemId"], outcome["kind"], outcome["value"]) for outcome in logged["outcomes"]] == [
        ("film-1", "click", 1)
    ]


def test_the_summary_counts_and_says_who_may_read(ledger: Ledger) -> None:
    fill(ledger)
    summary = client(ledger).get("/api/v1/summary").json()
    assert summary["site"] == "film-shop"
    assert summary["nodesConnected"] == 1
    assert summary["nodesByVersion"] == {"3": 1}
    assert summary["liveReleases"] == [3]
    assert (summary["totals"]["events"], summary["totals"]["decisions"], summary["totals"]["deadLetters"]) == (1, 1, 0)
    assert summary["reading"].startswith("open to whoever reaches this machine's loopback")
    assert summary["storage"].startswith(("SQLite ", "PostgreSQL "))


def test_metrics_name_fleet_releases_and_totals(ledger: Ledger) -> None:
    fill(ledger)
    text = client(ledger).get("/metrics").text
    assert 'edgewise_nodes{state="READY",version="3"} 1.0' in text
    assert 'edgewise_nodes{state="AWAY",version="2"} 1.0' in text
    assert 'edgewise_release_state{state="live",version="3"} 1.0' in text
    assert 'edgewise_ledger_rows_total{table="events"} 1.0' in text
    assert "edgewise_ingest_holes_total 0.0" in text


@pytest.mark.parametrize(("silent_ms", "here"), [(AWAY_AFTER_MS, True), (AWAY_AFTER_MS + 1, False)])
def test_a_node_that_fell_silent_is_away_whatever_was_written_last(
    ledger: Ledger, silent_ms: int, *, here: bool
) -> None:
    fill(ledger)
    api = client(ledger, now_ms=NOW_MS + silent_ms)
    assert api.get("/api/v1/nodes").json()["nodes"][0]["connected"] is here
    assert api.get("/api/v1/summary").json()["nodesConnected"] == here
    assert f'edgewise_nodes{{state="{"READY" if here else "AWAY"}",version="3"}} 1.0' in api.get("/metrics").text


def test_the_command_shows_a_silent_node_as_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path) as ledger:
        fill(ledger)
    words = ("nodes", "--data-dir", tmp_path)
    assert "READY" not in edgewise(capsys, *words).stdout, "it was heard a long time ago"
    assert [node["connected"] for node in edgewise(capsys, *words, "--json").told["nodes"]] == [False, False]


def test_health_tells_a_process_that_runs_from_one_that_serves(ledger: Ledger) -> None:
    healthy = client(ledger)
    assert healthy.get("/health/live").json()["state"] == "LIVE"
    assert (healthy.get("/health/ready").status_code, healthy.get("/health/ready").json()["state"]) == (200, "READY")
    failing = client(ledger, not_ready="a part of the hub has failed")
    assert failing.get("/health/live").status_code == 200
    answer = failing.get("/health/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "a part of the hub has failed")


PATHS = ("/api/v1/summary", "/api/v1/nodes", "/api/v1/releases", "/api/v1/models", "/metrics", "/openapi.json")


def test_the_document_names_every_path_and_each_answers_as_it_says(ledger: Ledger) -> None:
    fill(ledger)
    api = client(ledger)
    document = api.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    components = document["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', api.get("/openapi.json").text)) <= set(components)
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        [content] = operations["get"]["responses"]["200"]["content"].items()
        answer = api.get(
            path.replace("{id}", decision_id(1)).replace("{key}", EXPERIMENT).replace("{name}", "homepage-banner")
        )
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(content[0])
        if content[0] == "application/json":
            schema = components[content[1]["schema"]["$ref"].rpartition("/")[2]]
            assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"])


@pytest.mark.parametrize("path", PATHS)
def test_with_keys_only_their_holders_read(ledger: Ledger, path: str) -> None:
    keys = [f"viewer:ann:{digest(KEY)}", f"node:n-a:{digest('node key')}"]
    api = client(ledger, admin_keys=keys)
    assert api.get(path, headers=bearer(KEY)).status_code == 200
    assert api.get(path).status_code == 401
    assert api.get(path).headers["www-authenticate"].startswith("Bearer")
    assert api.get(path, headers=bearer("wrong")).status_code == 401
    assert api.get(path, headers={"Authorization": f"Basic {KEY}"}).status_code == 401
    assert api.get(path, headers=bearer(digest(KEY))).status_code == 401
    assert api.get(path, headers=bearer("node key")).status_code == 403
    assert api.get("/health/ready").status_code == 200


def test_without_keys_nobody_reads_a_hub_that_others_can_reach(ledger: Ledger) -> None:
    api = client(ledger, host="10.0.0.7:8092", admin="10.0.0.7:8092")
    answer = api.get("/api/v1/summary")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "admin_keys is empty" in answer.json()["detail"]
    assert api.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8092", 200),
        ("localhost:1234", 200),
        ("LOCALHOST", 200),
        ("[::1]:8092", 200),
        ("hub.example:443", 200),
        ("hub.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_a_request_must_name_this_hub(ledger: Ledger, host: str, status: int) -> None:
    api = client(ledger, admin_hosts=["hub.example"])
    assert api.get("/api/v1/nodes", headers={"Host": host}).status_code == status


def test_two_names_are_none(ledger: Ledger) -> None:
    twice = [("Host", "127.0.0.1"), ("Host", "127.0.0.1")]
    assert client(ledger).get("/health/live", headers=twice).status_code == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8092", 200), ("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:9999", 403)],
)
def test_a_page_from_elsewhere_may_not_ask(ledger: Ledger, origin: str, status: int) -> None:
    assert client(ledger).get("/api/v1/nodes", headers={"Origin": origin}).status_code == status


def test_errors_are_problems_and_answers_are_not_kept(ledger: Ledger) -> None:
    api = client(ledger, admin_keys=[f"admin:ann:{digest(KEY)}"])
    api.headers.update(bearer(KEY))
    for answer, status in (
        (api.get("/nothing"), 404),
        (api.get("/api/v1/decisions/unknown"), 404),
        (api.post("/api/v1/nodes"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    headers = api.get("/api/v1/nodes").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_ledger_that_fails_is_said_and_not_shown(ledger: Ledger) -> None:
    with ledger.storage.writing() as connection:
        connection.exec_driver_sql("DROP TABLE nodes")
    answer = client(ledger).get("/api/v1/nodes")
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")


# --- live facts ------------------------------------------------------------------------------------------------------
KEYS = [f"publisher:feed:{digest('feed')}", f"viewer:eve:{digest('eve')}", f"admin:ann:{digest('ann')}"]


@pytest.fixture
def shop(tmp_path: Path) -> FactsShop:
    return FactsShop(tmp_path / "shop")


def test_a_feed_sets_facts_with_its_key(shop: FactsShop) -> None:
    api = client(shop.shop.ledger, board=shop.board, admin_keys=KEYS)
    nothing = api.get("/api/v1/facts", headers=bearer("eve")).json()
    assert nothing == {"version": 0, "halted": False, "numbers": 0, "issuedMs": None, "expiresMs": None, "notes": []}
    said = {"items": {TEA: {"stock": 0, "price": 8}, "of-another-shop": {"stock": 1}}}
    answer = api.put("/api/v1/facts", json=said, headers=bearer("feed")).json()
    assert (answer["version"], answer["numbers"], answer["halted"]) == (1, 3, False)
    assert len(answer["notes"]) == 2
    row = shop.shop.ledger.newest_facts()
    assert row is not None
    assert row.who == "feed"
    assert shop.version() == 1
    assert (
        api.put("/api/v1/facts", json={"items": {TEA: {"price": None}}}, headers=bearer("ann")).json()["numbers"] == 2
    )
    assert api.post("/api/v1/facts/halt", headers=bearer("ann")).json()["halted"] is True
    assert api.post("/api/v1/facts/resume", headers=bearer("ann")).json()["version"] == 4


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "truncated"),
        (b'{"items": {"tea": {"stock": "few"}}}', 400, "`float | null`, got `str` - at `$.items[...][...]`"),
        (b'{"items": {"tea": {"In Stock": 1}}}', 400, "$.items.tea.In Stock: name 'In Stock'"),
        (b'{"item": {}}', 400, "`item`"),
        (b'{"items": {"tea": {"stock": 1e300}}}', 400, "expected a number from"),
        (b"[" * 100_000, 400, ""),
        (b" " * ((8 << 20) + 1), 413, "send the items in several requests"),
    ],
)
def test_facts_that_cannot_be_set_are_refused_and_nothing_is(
    shop: FactsShop, body: bytes, status: int, said: str
) -> None:
    api = client(shop.shop.ledger, board=shop.board, admin_keys=KEYS)
    answer = api.put("/api/v1/facts", content=body, headers=bearer("feed"))
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert shop.shop.ledger.newest_facts() is None


def test_nobody_changes_anything_without_a_key_that_may(shop: FactsShop) -> None:
    """Loopback reads without a key where none is set; it never writes: any program on this machine is on loopback."""
    for headers, status in ((bearer("eve"), 403), (bearer("nobody"), 401), ({}, 401)):
        for method, path in (("PUT", ""), ("POST", "/halt"), ("POST", "/resume")):
            api = client(shop.shop.ledger, board=shop.board, admin_keys=KEYS)
            answer = api.request(method, f"/api/v1/facts{path}", json={"items": {}}, headers=headers)
            assert answer.status_code == status
    keyless = client(shop.shop.ledger)
    assert keyless.get("/api/v1/facts").status_code == 200
    refused = keyless.post("/api/v1/facts/halt")
    assert (refused.status_code, "admin_keys" in refused.json()["detail"]) == (401, True)
    foreign = client(shop.shop.ledger, board=shop.board, admin_keys=KEYS)
    page = {**bearer("ann"), "Origin": "http://evil.invalid"}
    assert foreign.post("/api/v1/facts/halt", headers=page).status_code == 403
    assert shop.shop.ledger.newest_facts() is None


def test_the_document_tells_how_facts_are_set(ledger: Ledger) -> None:
    paths = client(ledger).get("/openapi.json").json()["paths"]
    assert set(paths["/api/v1/facts"]) == {"get", "put"}
    assert paths["/api/v1/facts"]["put"]["requestBody"]["required"] is True
    assert paths["/api/v1/facts"]["put"]["operationId"] == "put_facts"
    assert set(paths["/api/v1/facts"]["put"]["responses"]) == {"200", "400", "401", "403", "413", "422"}
    assert set(paths["/api/v1/facts"]["get"]["responses"]) == {"200", "401"}


def test_mail_is_told_of_without_anybodys_address(ledger: Ledger) -> None:
    world = MailWorld(ledger)
    world.grant()
    world.put("cart-1")
    world.way.answer = lambda _: Unknown("reset")
    world.turn()
    world.put("cart-2", in_ms=5)
    with client(ledger, admin_keys=[f"publisher:ann:{digest(KEY)}"]) as hub:
        key = {"Authorization": f"Bearer {KEY}"}
        told = hub.get("/api/v1/mail", headers=key).json()
        assert {(each["state"], each["mails"]) for each in told["counts"]} == {("uncertain", 1), ("due", 1)}
        assert [each["key"] for each in told["uncertain"]] == ["cart-1"]
        assert told["nextDueMs"] == world.clock.now_ms() + 5
        report = delivery("5.1.1")
        assert hub.post("/api/v1/mail/reports", content=report).status_code == 401
        said = hub.post("/api/v1/mail/reports", content=report, headers=key).json()
        assert said == {"event": "Email Bounced", "suppressed": True}
        nothing = hub.post("/api/v1/mail/reports", content=b"Subject: Hello\r\n\r\nHi", headers=key).json()
        assert nothing == {"event": "", "suppressed": False}
        metrics = hub.get("/metrics", headers=key).text
    assert 'edgewise_mails{journey="abandoned-cart",reason="unanswered",state="uncertain"} 1.0' in metrics
    assert 'edgewise_mail_suppressed{reason="bounced"} 1.0' in metrics
