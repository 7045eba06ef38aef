"""Deliveries over HTTP: what is taken, what is refused, what is kept aside, and that repetitions change nothing."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import vendor_samples as samples
import webhook_senders as senders
from facts_shop import TEA, FactsShop
from starlette.testclient import TestClient
from webhook_senders import SECRET, SendGrid

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import Producer, SiteName
from edgewise.profile.preferences import decode_preferences
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from hub.admin.app import Admin, admin_app
from hub.facts.board import FactsBoard
from hub.imports.events import Intake
from hub.ledger.ledger import Ledger, open_ledger
from hub.ledger.writing import Stored
from hub.meters import Meters
from hub.release.repository import Repository
from hub.settings import HubSettings
from hub.sources.document import SourceDocument, SourceName, merged
from hub.sources.kept import KeptSources, keep_sources
from hub.sources.shipped import preset
from hub.webhooks.receiving import Hooks, LiveIntake
from hub.webhooks.secrets import WebhookSecrets

KEY = b"k" * 32
GRANTED = Consent(ConsentState.GRANTED, ConsentState.GRANTED, ConsentState.GRANTED)
SENDGRID = SendGrid()
MIA = subject_of(KEY, "email", "mia.berg@post.example")
MARCH_MS = 1_772_700_000_000


class World:
    """A hub's admin application with webhooks, over a ledger in a folder."""

    def __init__(self, folder: Path, ledger: Ledger, board: FactsBoard | None = None) -> None:
        self.folder = folder
        self.ledger = ledger
        self.clock = ManualClock(MARCH_MS)
        self.meters = Meters()
        self.consent = GRANTED
        board = board or FactsBoard(ledger, Repository(folder, self.clock), self.clock)
        self.secrets = {
            f"EDGEWISE_HUB_WEBHOOK_SECRET_{name}": SECRET.decode() for name in ("SHOP", "WOO", "CRM", "CALLS", "NEWS")
        } | {"EDGEWISE_HUB_WEBHOOK_SECRET_MAIL": SENDGRID.public.decode()}
        self.hooks = Hooks(
            KeptSources(folder),
            WebhookSecrets(folder, self.secrets),
            ledger,
            board,
            data_dir=folder,
            intake_of=LiveIntake(lambda: None, lambda _: Intake(KEY, self.consent, lambda _: None)),
            append=self.append,
            clock=self.clock,
            meters=self.meters,
            log=structlog.get_logger(),
        )
        log = structlog.get_logger()
        admin = Admin(
            ledger,
            self.meters,
            "i" * 32,
            SiteName("shop"),
            ledger.releases,
            str,
            self.clock,
            log,
            board,
            self.hooks,
        )
        self.client = TestClient(admin_app(admin, HubSettings()), base_url="http://127.0.0.1:8092")

    async def append(self, name: Producer, records: Sequence[EventRecord | PreferenceRecord]) -> tuple[Stored, int]:
        return await asyncio.to_thread(self.ledger.append, name, records, self.clock.now_ms())

    def apply(self, **presets: dict[str, Any]) -> None:
        """Keep sources, each a preset with something over it."""
        documents = {
            SourceName(name): msgspec.convert(merged(preset(over.pop("of")), over), SourceDocument)
            for name, over in presets.items()
        }
        keep_sources(self.folder, documents)

    def post(self, name: str, body: bytes, headers: dict[str, str], query: str = "") -> Any:
        return self.client.post(f"/api/v1/sources/{name}/webhook{query}", content=body, headers=headers)

    def events(self) -> list[EventRecord]:
        return [event for _, event in self.ledger.events()]

    def counted(self, outcome: str, name: str = "shop") -> float:
        return (
            self.meters.registry.get_sample_value(
                "edgewise_webhook_deliveries_total", {"source": name, "outcome": outcome}
            )
            or 0.0
        )

    def rejects(self, name: str) -> list[dict[str, str]]:
        path = self.folder / "sources" / "rejects" / f"hook-{name}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_ledger(tmp_path) as ledger:
        made = World(tmp_path, ledger)
        made.apply(
            shop={"of": "shopify"},
            woo={"of": "woocommerce"},
            mail={"of": "sendgrid"},
            news={"of": "mailchimp"},
            calls={"of": "segment"},
            file={"of": "receipts"},
        )
        yield made
        made.hooks.close()


ORDER = samples.body(samples.SHOPIFY_ORDER)


def test_a_signed_order_is_stored_before_it_is_answered_and_a_repetition_changes_nothing(world: World) -> None:
    answer = world.post("shop", ORDER, senders.shopify(ORDER))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"rows": 1, "stored": 1, "known": 0, "passedOver": 0, "rejected": 0, "facts": 0}
    [event] = world.events()
    assert (event.producer, event.name) == ("hook/shop", "Order Completed")
    assert len(event.touches) == 2
    before = world.ledger.person_profiles([MIA])[MIA]
    for delivery in ("b54557e4", "another"):
        repeated = world.post("shop", ORDER, senders.shopify(ORDER, delivery=delivery))
        assert (repeated.status_code, repeated.json()["known"]) == (200, 1)
    assert world.ledger.person_profiles([MIA])[MIA] == before
    assert len(world.events()) == 1


def test_a_wrong_signature_is_401_and_nothing_is_parsed_or_kept(world: World) -> None:
    for headers in ({}, senders.shopify(ORDER, b"some other secret"), senders.shopify(ORDER + b" ")):
        answer = world.post("shop", ORDER, headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    nonsense = b"\xff{not json"
    assert world.post("shop", nonsense, senders.shopify(b"")).status_code == 401
    assert world.events() == []
    assert not (world.folder / "sources").exists()
    assert world.counted("unproven") == 4


def test_a_hub_without_the_secret_asks_for_another_attempt(world: World) -> None:
    del world.secrets["EDGEWISE_HUB_WEBHOOK_SECRET_SHOP"]
    answer = world.post("shop", ORDER, senders.shopify(ORDER))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    (world.folder / "keys").mkdir()
    (world.folder / "keys" / "webhook-shop.secret").write_bytes(SECRET)
    assert world.post("shop", ORDER, senders.shopify(ORDER)).status_code == 200


def test_a_source_without_a_webhook_is_unknown(world: World) -> None:
    for name in ("file", "nobody", "UPPER", "a" * 65):
        assert world.post(name, ORDER, senders.shopify(ORDER)).status_code in {401, 404}
    assert world.post("file", ORDER, senders.shopify(ORDER)).status_code == 404


def test_everything_else_of_the_admin_api_still_needs_its_key(world: World) -> None:
    assert world.client.put("/api/v1/facts", content=b"{}").status_code == 401
    assert world.client.post("/api/v1/sources/shop/webhook/x", content=b"{}").status_code == 401
    assert world.client.post("/api/v1/sources/shop%2Fwebhook", content=b"{}").status_code == 401
    strange = world.client.post(
        "/api/v1/sources/shop/webhook", content=ORDER, headers={"Host": "evil.example", **senders.shopify(ORDER)}
    )
    assert strange.status_code == 421


def test_too_large_a_body_is_413_before_its_signature_is_looked_at(world: World) -> None:
    world.apply(shop={"of": "shopify", "webhook": {"most_bytes": 1_000}})
    answer = world.post("shop", b"x" * 1_001, {})
    assert answer.status_code == 413
    assert world.post("shop", b"x" * 1_000, {}).status_code == 401


def test_what_cannot_be_translated_is_kept_with_its_reason_and_answered_well(world: World) -> None:
    broken = samples.body({**samples.SHOPIFY_ORDER, "created_at": "the day before yesterday"})
    for _ in range(2):
        answer = world.post("shop", broken, senders.shopify(broken))
        assert (answer.status_code, answer.json()["rejected"]) == (200, 1)
    [kept] = world.rejects("shop")
    assert (kept["column"], kept["reason"]) == ("created_at", "no date")
    assert json.loads(kept["content"])["order_number"] == 1042
    assert world.counted("taken_in_part") == 2
    garbage = b"\xff\xfe no json"
    assert world.post("shop", garbage, senders.shopify(garbage)).json()["rejected"] == 1
    assert world.rejects("shop")[1]["reason"] == "unreadable"
    assert world.counted("unreadable") == 1
    assert world.events() == []


def test_rows_of_one_delivery_stand_for_themselves(world: World) -> None:
    rows = [*samples.SENDGRID, {"event": "open", "sg_event_id": "e9", "timestamp": "soon", "email": "a@b.example"}, 7]
    body = samples.body(rows)
    answer = world.post("mail", body, SENDGRID.sign(body, MARCH_MS))
    assert answer.json() == {"rows": 10, "stored": 6, "known": 0, "passedOver": 2, "rejected": 2, "facts": 0}
    assert {kept["row"] for kept in world.rejects("mail")} == {"9", "10"}


def test_no_row_takes_the_rest_of_its_delivery_with_it(world: World) -> None:
    sound = samples.SENDGRID[1]
    hostile = [
        {**sound, "sg_event_id": "h1", "timestamp": -99999999999},
        {**sound, "sg_event_id": "h2", "timestamp": "\ud800"},
        {**sound, "sg_event_id": "h3", "url": {"\ud800": 1}, "timestamp": "soon \ud800"},
        {**sound, "sg_event_id": "h4", "url": json.loads("[" * 700 + "]" * 700)},
        {**sound, "sg_event_id": "h5", "reason": "x\0" * 200, "sg_message_id": "\ud800"},
    ]
    body = samples.body([*hostile, sound])
    answer = world.post("mail", body, SENDGRID.sign(body, MARCH_MS))
    assert answer.status_code == 200, answer.text
    assert answer.json()["stored"] == 1
    assert answer.json()["rejected"] == len(hostile)
    assert all(kept["reason"] for kept in world.rejects("mail"))


def test_no_call_of_segments_takes_the_rest_of_its_delivery_with_it(world: World) -> None:
    world.apply(calls={"of": "segment", "topic": {"texts": ["text"]}})
    sound = {"type": "track", "event": "Signed Up", "userId": "u1", "messageId": "m-1"}
    hostile: list[Any] = [
        {**sound, "messageId": "m-2", "event": "\ud800"},
        {**sound, "messageId": "m-3", "properties": "none"},
        {**sound, "messageId": "m-4\0"},
        {**sound, "messageId": "m-5", "event": "e" * 1_000},
    ]
    fine = [{**sound, "messageId": "m-6", "properties": None}, sound]
    body = samples.body({"batch": [*hostile, *fine]})
    answer = world.post("calls", body, senders.segment(body))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["stored"], answer.json()["rejected"]) == (2, 4)


def test_numbers_of_segments_calls_stay_numbers(world: World) -> None:
    properties = (
        b'{"revenue": 12.5, "deep": {"share": 0.25}, "whole": 3, "id": 12345678901234567890123.5, "tiny": 1e-400}'
    )
    body = b'{"type": "track", "event": "Rated", "userId": "u", "messageId": "m-1", "properties": %s}' % properties
    assert world.post("calls", body, senders.segment(body)).json()["stored"] == 1
    [event] = world.events()
    said = json.loads(event.body)["properties"]
    assert (said["revenue"], said["deep"], said["whole"]) == (12.5, {"share": 0.25}, 3)
    assert isinstance(said["tiny"], float)


@pytest.mark.parametrize("number", ["1e99999999", "-1e99999999", "1e-99999999", "1e5000", "9" * 200])
def test_no_number_makes_the_hub_write_its_digits_for_hours(world: World, number: str) -> None:
    event = {**samples.SENDGRID[1], "sg_message_id": "NUMBER", "asm_group_id": "NUMBER", "reason": "NUMBER"}
    body = samples.body([event]).replace(b'"NUMBER"', number.encode())
    answer = world.post("mail", body, SENDGRID.sign(body, MARCH_MS))
    assert answer.status_code == 200, answer.text
    assert answer.json()["stored"] + answer.json()["rejected"] == 1


def test_an_unsubscribe_is_the_persons_word(world: World) -> None:
    body = samples.body(samples.SENDGRID)
    assert world.post("mail", body, SENDGRID.sign(body, MARCH_MS)).status_code == 200
    said = decode_preferences(world.ledger.person_profiles([MIA])[MIA].preferences)
    assert said.stored_consent.marketing is ConsentState.DENIED
    assert said.stored_consent.personalisation is None
    assert world.post("mail", body, SENDGRID.sign(body, MARCH_MS)).json()["known"] == 6
    assert decode_preferences(world.ledger.person_profiles([MIA])[MIA].preferences) == said


def test_where_nothing_is_granted_only_the_denial_is_kept(world: World) -> None:
    world.consent = Consent()
    body = samples.body(samples.SENDGRID)
    answer = world.post("mail", body, SENDGRID.sign(body, MARCH_MS))
    assert answer.json()["stored"] == 2
    assert {event.subject for event in world.events()} == {""}
    said = decode_preferences(world.ledger.profiles([MIA])[MIA].preferences)
    assert said.stored_consent.marketing is ConsentState.DENIED


def test_a_signature_of_yesterday_is_refused(world: World) -> None:
    body = samples.body(samples.SENDGRID)
    assert world.post("mail", body, SENDGRID.sign(body, MARCH_MS - 86_400_000)).status_code == 401


def test_woocommerces_ping_is_answered_and_is_nothing(world: World) -> None:
    assert world.post("woo", b"webhook_id=7", {}).status_code == 200
    assert world.counted("ping", "woo") == 1
    assert world.events() == []


def test_mailchimp_looks_first_and_posts_forms_with_its_secret_in_the_address(world: World) -> None:
    assert world.client.get("/api/v1/sources/news/webhook").json() == {"source": "news"}
    assert world.client.head("/api/v1/sources/news/webhook").status_code == 200
    body = samples.form(samples.MAILCHIMP_UNSUBSCRIBE)
    assert world.post("news", body, {}).status_code == 401
    assert world.post("news", body, {}, f"?secret={SECRET.decode()}").json()["stored"] == 1


def test_segments_calls_need_no_translation(world: World) -> None:
    call = {"type": "track", "event": "Signed Up", "userId": "4503599627370497", "messageId": "m-1"}
    body = samples.body(call)
    assert world.post("calls", body, senders.segment(body)).json()["stored"] == 1
    [event] = world.events()
    assert (event.message_id, event.subject) == ("m-1", subject_of(KEY, "userId", "4503599627370497"))
    bad = samples.body({"batch": [call, {"type": "track", "userId": "u"}]})
    answer = world.post("calls", bad, senders.segment(bad)).json()
    assert (answer["known"], answer["rejected"]) == (1, 1)
    assert world.rejects("calls")[0]["column"] == "$.event"


def test_what_a_file_brought_a_webhook_does_not_count_again(world: World) -> None:
    from hub.imports.source_import import import_source

    path = world.folder / "orders.jsonl"
    path.write_bytes(ORDER)
    document = world.hooks.source("shop")
    assert document is not None
    intake = Intake(KEY, GRANTED, lambda _: None)
    imported = import_source(path, "shop", document, world.ledger, intake, data_dir=world.folder, clock=world.clock)
    assert imported.stored == 1
    assert world.post("shop", ORDER, senders.shopify(ORDER)).json()["known"] == 1


def test_a_refund_finds_the_person_by_its_order(world: World) -> None:
    for payload in (samples.SHOPIFY_REFUND, samples.SHOPIFY_CART, samples.SHOPIFY_ORDER):
        body = samples.body(payload)
        assert world.post("shop", body, senders.shopify(body)).json()["stored"] == 1
    subjects = {event.subject for event in world.events()}
    assert len(subjects) > 1
    assert subjects <= set(world.ledger.members_of(MIA))


def test_an_erased_person_stays_erased(world: World) -> None:
    world.post("shop", ORDER, senders.shopify(ORDER))
    [event] = world.events()
    world.ledger.erase(event.subject, MARCH_MS)
    assert world.post("shop", ORDER, senders.shopify(ORDER)).json() == {
        "rows": 1, "stored": 0, "known": 0, "passedOver": 1, "rejected": 0, "facts": 0,
    }  # fmt: skip
    assert world.events() == []


def test_sources_change_under_a_running_hub(world: World) -> None:
    assert world.hooks.source("shop") is not None
    world.apply(other={"of": "shopify"})
    assert world.hooks.source("shop") is None
    assert world.hooks.source("other") is not None


def test_what_a_product_webhook_says_of_now_is_a_live_fact(tmp_path: Path) -> None:
    shop = FactsShop(tmp_path)
    made = World(tmp_path, shop.shop.ledger, shop.board)
    made.apply(shop={"of": "shopify"})
    body = samples.body({**samples.SHOPIFY_PRODUCT, "id": TEA})
    assert made.post("shop", body, senders.shopify(body)).json()["facts"] == 1
    sheet = shop.signed()
    assert sheet is not None
    assert sheet.columns["stock"] == {TEA: 12}
    unknown = samples.body(samples.SHOPIFY_PRODUCT)
    assert made.post("shop", unknown, senders.shopify(unknown)).json()["facts"] == 0
    assert shop.version() == sheet.version
    made.hooks.close()


def test_of_an_items_numbers_the_newest_hold_in_whatever_order_they_come(tmp_path: Path) -> None:
    shop = FactsShop(tmp_path)
    made = World(tmp_path, shop.shop.ledger, shop.board)
    made.apply(shop={"of": "shopify"})

    def post(stock: int, at: str) -> int:
        variants = [{"id": 1, "price": "4.50", "inventory_quantity": stock}]
        body = samples.body({**samples.SHOPIFY_PRODUCT, "id": TEA, "updated_at": at, "variants": variants})
        answer = made.post("shop", body, senders.shopify(body)).json()
        assert answer["rejected"] == (not at)
        return int(answer["facts"])

    def stock() -> float:
        sheet = shop.signed()
        assert sheet is not None
        return sheet.columns["stock"][TEA]

    assert [post(7, "2026-03-01T10:00:00Z"), post(3, "2026-03-01T12:00:00Z")] == [1, 1]
    assert [post(9, "2026-03-01T11:00:00Z"), post(8, "2026-03-01T12:00:00Z"), post(5, "")] == [0, 0, 0]
    assert stock() == 3
    made.hooks.close()
    again = World(tmp_path, shop.shop.ledger, shop.board)
    made = again
    assert post(7, "2026-03-01T10:00:00Z") == 0, "also by a hub that was started anew"
    assert post(6, "2199-01-01T00:00:00Z") == 1
    made.clock.advance(1_000)
    assert post(2, "2199-01-01T00:00:00Z") == 1, "a clock that runs ahead silences nothing"
    assert stock() == 2
    made.hooks.close()


def test_the_document_of_the_api_tells_of_webhooks(world: World) -> None:
    said = world.client.get("/openapi.json").json()["paths"]["/api/v1/sources/{name}/webhook"]["post"]
    assert said["security"] == [{}]
    assert {"200", "401", "404", "413", "503"} <= set(said["responses"])


def test_what_is_said_again_after_another_word_is_heard(world: World) -> None:
    records = [{"type": "identify", "key": ["id"], "traits": {"tier": "tier"}}]
    webhook = {"carries": "rows"}
    world.apply(
        crm={"of": "segment", "kind": "crm", "webhook": webhook, "identifiers": {"userId": "id"}, "records": records}
    )
    news = []
    for tier in (0.2, 0.9, 0.9, 0.2, 0.2):
        body = samples.body({"id": "u1", "tier": tier})
        news.append(world.post("crm", body, senders.segment(body)).json()["stored"])
    assert news == [1, 1, 0, 1, 0]
