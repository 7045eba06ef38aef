"""Topics in the calls of a source: found by the model, stated by the source, or neither; and what becomes of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from six_sources import DOCUMENTS, NOW_MS
from topics_world import WORDS, ticket, write_tickets

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.errors import InputError, ModelRefused
from edgewise.records import EventRecord
from hub.imports.events import Intake
from hub.imports.source_import import import_source, preview_source
from hub.ledger.ledger import Ledger, open_ledger
from hub.sources.document import SourceDocument
from hub.sources.topic_part import TopicPart
from hub.topics.model import keep_topic_model, topic_model_path
from hub.topics.tickets import Topics
from hub.train.topics import TopicsPlan, train_topics
from hub.webhooks.translating import translate

pytestmark = pytest.mark.process
TEXTS = ["subject", "description"]
GRANTED = Consent(ConsentState.GRANTED, ConsentState.GRANTED, ConsentState.GRANTED)
INTAKE = Intake(b"k" * 32, GRANTED, lambda _: None)


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    table = write_tickets(tmp_path_factory.mktemp("train") / "train.csv", sorted(WORDS), 30)
    return train_topics(TopicsPlan(table=table, text="body", target="topic", cv=2)).onnx


@pytest.fixture
def folder(tmp_path: Path, onnx: bytes) -> Path:
    keep_topic_model(tmp_path, "support", onnx)
    return tmp_path


@pytest.fixture
def topics(folder: Path) -> Iterator[Topics]:
    with Topics(folder) as opened:
        yield opened


def opened(number: int, about: str, **more: Any) -> dict[str, Any]:
    subject, description = ticket(about, number), ticket(about, number + 1)
    return {"event": "Ticket Opened", "properties": {"subject": subject, "description": description, **more}}


def with_model(**more: Any) -> SourceDocument:
    part = TopicPart(texts=TEXTS, model="support", **more)
    return msgspec.structs.replace(DOCUMENTS["tickets"], topic=part)


def test_a_ticket_gets_the_topic_of_its_text_and_loses_the_text(topics: Topics) -> None:
    calls = [opened(5_000, "payment"), opened(5_002, "returns"), {"event": "Ticket Closed", "properties": {"a": 1}}]
    topics.write(TopicPart(texts=TEXTS, model="support"), calls)
    assert [call["properties"].get("topic") for call in calls] == ["payment", "returns", None]
    assert calls[0]["properties"].keys() == {"topic", "topic_probability", "topic_model"}
    assert 0.25 < calls[0]["properties"]["topic_probability"] <= 1
    assert calls[2] == {"event": "Ticket Closed", "properties": {"a": 1}}


def test_what_the_source_states_stays(topics: Topics) -> None:
    [call] = calls = [opened(5_000, "payment", topic="billing")]
    topics.write(TopicPart(texts=TEXTS, model="support"), calls)
    assert call["properties"] == {"topic": "billing"}


def test_texts_stay_where_the_source_keeps_them_and_a_model_that_is_not_sure_is_silent(topics: Topics) -> None:
    kept = opened(5_000, "payment")
    topics.write(TopicPart(texts=TEXTS, model="support", keep_text=True, least_probability=1.0), [kept])
    assert kept == opened(5_000, "payment")
    without_model = opened(5_000, "payment")
    topics.write(TopicPart(texts=TEXTS), [without_model])
    assert without_model["properties"] == {}


def test_a_model_that_is_not_there_or_none_leaves_the_calls_as_they_were(topics: Topics, folder: Path) -> None:
    call = opened(5_000, "payment")
    with pytest.raises(InputError, match="edgewise train topics --name other"):
        topics.write(TopicPart(texts=TEXTS, model="other"), [call])
    topic_model_path(folder, "other").write_bytes(b"no model")
    with pytest.raises(ModelRefused):
        topics.write(TopicPart(texts=TEXTS, model="other"), [call])
    assert call == opened(5_000, "payment")
    keep_topic_model(folder, "other", topic_model_path(folder, "support").read_bytes())
    topics.write(TopicPart(texts=TEXTS, model="other"), [call])
    assert call["properties"]["topic"] == "payment"


def test_an_import_writes_topics_and_no_text_into_the_ledger(folder: Path) -> None:
    path, text = tickets_file(folder)
    with open_ledger(folder) as ledger:
        done = import_tickets(path, ledger, folder)
        assert (done.stored, done.rejected) == (2, 0)
        assert [body_of(event)["topic"] for _, event in ledger.events()] == ["delivery", "product"]
        assert text.encode() not in b"".join(event.body for _, event in ledger.events())
        again = import_tickets(path, ledger, folder)
        assert (again.known, again.rejected) == (2, 0)


@pytest.mark.slow
def test_a_model_that_was_trained_again_makes_no_known_ticket_differ(folder: Path) -> None:
    path, _ = tickets_file(folder)
    with open_ledger(folder) as ledger:
        import_tickets(path, ledger, folder)
        other = write_tickets(folder / "two.csv", ["payment", "returns"], 20)
        trained = train_topics(TopicsPlan(table=other, text="body", target="topic", cv=2))
        keep_topic_model(folder, "support", trained.onnx)
        again = import_tickets(path, ledger, folder)
        assert (again.known, again.rejected) == (2, 0)


def test_a_dry_run_needs_no_model_and_shows_no_text(tmp_path: Path) -> None:
    path, text = tickets_file(tmp_path)
    previewed, _ = preview_source(path, "tickets", with_model(), clock=ManualClock(NOW_MS))
    assert previewed.events == 2
    assert text not in repr(previewed.preview)


def test_a_webhook_without_its_model_stores_the_ticket_and_tells_the_operator(tmp_path: Path) -> None:
    path, text = tickets_file(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    with open_ledger(tmp_path) as ledger, Topics(tmp_path) as none:
        made = translate("tickets", with_model(), rows, ledger=ledger, intake=INTAKE, topics=none, now_ms=NOW_MS)
    assert len(made.records) == 2
    assert "edgewise train topics --name support" in made.trouble
    assert text not in repr(made.records)


def tickets_file(folder: Path) -> tuple[Path, str]:
    """Two tickets, and a text of theirs."""
    rows: list[dict[str, Any]] = [
        {
            "id": number,
            "status": "open",
            "subject": ticket(topic, 6_000 + number),
            "description": ticket(topic, 7_000 + number),
            "created_at": f"2026-03-0{number}T08:00:00Z",
            "requester": {"email": f"somebody-{number}@post.example"},
        }
        for number, topic in enumerate(["delivery", "product"], 1)
    ]
    path = folder / "tickets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, rows[0]["subject"]


def import_tickets(path: Path, ledger: Ledger, folder: Path) -> Any:
    clock = ManualClock(NOW_MS)
    return import_source(path, "tickets", with_model(), ledger, INTAKE, data_dir=folder, clock=clock)


def body_of(event: EventRecord) -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(event.body)["properties"]
    return properties
