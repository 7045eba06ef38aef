"""`hub.train.contexts`: the page on which something was wanted, as far as anybody wrote it down."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgewise.consent import Grants
from edgewise.ids import BundleVersion, DecisionId, MessageId, Producer, SubjectId
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord, EventRecord
from edgewise.request import Context, Device, Geo, Network
from hub.train.contexts import Pages, context_of

WINTER_MS = 1_767_950_000_000
SUMMER_MS = 1_783_850_000_000
GRANTED = Grants(personalisation=True, analytics=True, marketing=False)


def event(body: bytes, decision: str | None = None, *, time_ms: int = WINTER_MS) -> EventRecord:
    return EventRecord(
        producer=Producer("n/1/0"),
        seq=0,
        subject=SubjectId("s"),
        message_id=MessageId("m"),
        type="track",
        name="Product Viewed",
        time_ms=time_ms,
        received_ms=time_ms,
        grants=GRANTED,
        decision_id=None if decision is None else DecisionId(decision),
        body=body,
    )


def decision(identifier: str, context: Context) -> DecisionRecord:
    return DecisionRecord(
        producer=Producer("n/1/0"),
        seq=1,
        decision_id=DecisionId(identifier),
        subject=SubjectId("s"),
        time_ms=WINTER_MS,
        bundle_version=BundleVersion(1),
        bundle_digest="",
        facts_version=0,
        placements=(),
        context=context,
        grants=GRANTED,
        dial=3,
        degradation=Degradation.NONE,
        applied={},
        decision=b"{}",
    )


def body(**context: Any) -> bytes:
    return msgspec.json.encode({"properties": {"product_id": "secret"}, "context": context})


def test_an_event_of_a_decision_happened_on_the_page_of_that_decision() -> None:
    pages = Pages()
    shown = Context(device=Device("mobile"), geo=Geo("DE"), network=Network("home"), utc_offset_minutes=345)
    pages.remember(decision("d-1", shown))
    kept = pages.on_its_page(event(body(device={"type": "desktop"}), "d-1"))
    assert context_of(kept) == shown
    assert context_of(pages.on_its_page(event(b"", "d-1"))) == shown
    unknown = pages.on_its_page(event(body(locale="fr"), "d-2"))
    assert context_of(unknown) == Context(locale="fr")


def test_any_other_event_carries_its_own_context_and_nothing_else_is_kept() -> None:
    kept = Pages().on_its_page(event(body(page={"path": "/tea"}, device={"type": "tablet"}, library={"name": "x"})))
    context = context_of(kept)
    assert (context.page.path, context.device.type) == ("/tea", "tablet")
    assert b"secret" not in kept.body
    assert b"library" not in kept.body


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[]", b"{", b'{"context": 3}', b'{"context": {"page": []}}', b'{"context": {"locale": 7}}']
)
def test_what_is_no_context_says_nothing(damaged: bytes) -> None:
    assert context_of(Pages().on_its_page(event(damaged))) == Context()
    assert context_of(event(damaged)) == Context()


@pytest.mark.parametrize(
    ("zone", "moment_ms", "offset_minutes"),
    [
        ("Europe/Berlin", WINTER_MS, 60),
        ("Europe/Berlin", SUMMER_MS, 120),
        ("Asia/Kathmandu", WINTER_MS, 345),
        ("Mars/Olympus", WINTER_MS, None),
        ("../../etc/passwd", WINTER_MS, None),
        ("", WINTER_MS, None),
    ],
)
def test_the_zone_says_how_far_ahead_of_utc_it_was(zone: str, moment_ms: int, offset_minutes: int | None) -> None:
    kept = Pages().on_its_page(event(body(timezone=zone), time_ms=moment_ms))
    assert context_of(kept).utc_offset_minutes == offset_minutes


def test_what_a_node_did_not_know_training_does_not_know_either() -> None:
    """The node had no database of zones: the model was served without an hour."""
    pages = Pages()
    pages.remember(decision("d-1", Context(timezone="Europe/Berlin")))
    assert context_of(pages.on_its_page(event(b"", "d-1"))).utc_offset_minutes is None


def test_pages_are_kept_once() -> None:
    pages = Pages()
    first, second = (pages.on_its_page(event(body(locale="fr", screen={"width": n}))) for n in (1, 2))
    assert first.body is second.body
