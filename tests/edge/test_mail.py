"""The links of mails on a node: one click ends them, looking ends nothing, and no link raises or leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_world import KEYS, VISITOR, node, spooled
from starlette.testclient import TestClient
from world import NOW_MS

from edge.spool.lanes import Lane, lane_of
from edge.worker.desk import Desk
from edge.worker.mail import CLICKED, OPENED, SCANNED, UNSUBSCRIBED, is_machine
from edgewise.consent import Consent, ConsentState
from edgewise.ids import DecisionId, ItemId, PlacementName, SubjectId
from edgewise.mail_links import LinkKind, MailLink, MailSeal
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor

SEAL = MailSeal(KEYS.visitor_key)
READER = subject_of(KEYS.subject_key, "anonymousId", VISITOR)
ADDRESS = SubjectId("e" * 32)
SHOP = "https://shop.example/tea?a=1"
PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def token(kind: LinkKind, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "subject": READER,
        "mail": "m" * 32,
        "address": ADDRESS,
        "decision_id": DecisionId("01HF7YAT00SHA5Y6GRSHG46XDE"),
        "placement": PlacementName("home_hero"),
        "item": ItemId("tea"),
    }
    return SEAL.token(MailLink(kind, **{**fields, **changes}))


def path(what: str, kind: LinkKind = LinkKind.WILL, **changes: Any) -> str:
    return f"/v1/mail/{what}/{token(kind, **changes)}"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[TestClient, Desk]]:
    with node(tmp_path) as (client, desk):
        client.follow_redirects = False
        client.headers.update(PERSON)
        yield client, desk


def stated(desk: Desk) -> list[PreferenceRecord]:
    return [record for record in spooled(desk) if isinstance(record, PreferenceRecord)]


def events(desk: Desk) -> list[EventRecord]:
    return [record for record in spooled(desk) if isinstance(record, EventRecord)]


def proof(visitor: str = VISITOR) -> dict[str, str]:
    return {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, visitor, NOW_MS)}"}


def test_one_click_ends_it_without_a_cookie_and_again_changes_nothing(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    for _ in range(2):
        answer = client.post(
            path("unsubscribe"),
            content=b"List-Unsubscribe=One-Click",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 200
        assert "You get no more of these mails." in answer.text
        assert "set-cookie" not in answer.headers
    said = stated(desk)
    assert {record.subject for record in said} == {READER, ADDRESS}
    assert all(record.consent == Consent(marketing=ConsentState.DENIED) for record in said)
    assert lane_of(said[0]) is Lane.PREFERENCE
    assert desk.cache.preferences(READER).stored_consent.marketing is ConsentState.DENIED


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--"])
def test_whatever_a_provider_posts_ends_it(shop: tuple[TestClient, Desk], body: bytes) -> None:
    client, desk = shop
    assert client.post(path("unsubscribe"), content=body).status_code == 200
    assert stated(desk)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("what", ["unsubscribe", "preferences"])
def test_looking_changes_nothing(shop: tuple[TestClient, Desk], method: str, what: str) -> None:
    """Scanners follow every link of a mail before its reader does."""
    client, desk = shop
    answer = client.request(method, path(what, locale="de-AT"))
    assert answer.status_code == 200
    if method == "GET":
        assert '<html lang="de">' in answer.text
        assert '<form method="post">' in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert spooled(desk) == []


@pytest.mark.parametrize("what", ["unsubscribe", "preferences", "why", "click"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_this_site_did_not_make_does_nothing(shop: tuple[TestClient, Desk], what: str, method: str) -> None:
    client, desk = shop
    foreign = MailSeal(bytes(32)).token(MailLink(LinkKind.WILL, READER, "m"))
    for wrong in (foreign, token(LinkKind.OPEN), token(LinkKind.WILL)[:-3], "x", "%00", "a" * 6_001):
        answer = client.request(method, f"/v1/mail/{what}/{wrong}")
        if what in {"why", "click"} and method == "POST":
            assert answer.status_code == 405
        else:
            assert answer.status_code == 400
            assert "damaged" in answer.text
    assert spooled(desk) == []


def test_a_link_lowers_and_never_raises(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    link = path("preferences")
    assert client.post(link, data={"dial": "1", "days": "30"}).status_code == 200
    lowered = desk.cache.preferences(READER)
    assert (lowered.dial.value, lowered.mail_days) == (1, 30)
    answer = client.post(link, data={"dial": "3", "days": "7"})
    assert 'value="3" disabled' in answer.text
    assert 'value="7" disabled' in answer.text
    kept = desk.cache.preferences(READER)
    assert (kept.dial.value, kept.mail_days) == (1, 30)
    assert len(stated(desk)) == 1  # what changes nothing is no statement
    # another visitor's proof is none
    client.post(link, data={"dial": "3", "days": "0"}, headers=proof("somebody-else"))
    assert desk.cache.preferences(READER).dial.value == 1
    client.post(link, data={"dial": "3", "days": "0"}, headers=proof())
    raised = desk.cache.preferences(READER)
    assert (raised.dial.value, raised.mail_days) == (3, 0)


def test_the_frequency_is_a_preference_as_any_other(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    client.post(path("preferences"), data={"days": "30"})
    assert client.get("/v1/preferences", headers=proof()).json()["mailDays"] == 30
    told = client.put("/v1/preferences", json={"mailDays": 7}, headers=proof()).json()
    assert told["mailDays"] == 7
    assert desk.cache.preferences(READER).mail_days == 7
    assert "mailDays" not in client.put("/v1/preferences", json={"mailDays": 0}, headers=proof()).json()
    refused = client.put("/v1/preferences", json={"mailDays": 366}, headers=proof())
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "$.mailDays")


@pytest.mark.parametrize("data", [{}, {"dial": "9", "days": "5"}, {"dial": "-1"}, {"dial": "²"}, {"days": "7" * 900}])
def test_a_form_that_says_nothing_changes_nothing(shop: tuple[TestClient, Desk], data: dict[str, str]) -> None:
    client, desk = shop
    assert client.post(path("preferences"), data=data).status_code == 200
    assert stated(desk) == []


def test_why_tells_the_sentences_of_the_mail_and_nothing_else(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    answer = client.get(path("why", LinkKind.WHY, why=("You looked at <tea>.",)))
    assert "<li>You looked at &lt;tea&gt;.</li>" in answer.text
    assert "nothing more about why" in client.get(path("why", LinkKind.WHY)).text
    assert spooled(desk) == []


def test_opens_and_clicks_are_counted_once_for_whom_analytics_is_granted(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    grant(client)
    before = len(events(desk))
    for _ in range(2):
        pixel = client.get(path("open", LinkKind.OPEN))
        assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
        gone = client.get(path("click", LinkKind.CLICK, url=SHOP))
        assert (gone.status_code, gone.headers["location"]) == (302, SHOP)
    counted = events(desk)[before:]
    assert [record.name for record in counted] == [OPENED, CLICKED]
    clicked = counted[1]
    assert (clicked.decision_id, clicked.placement) == ("01HF7YAT00SHA5Y6GRSHG46XDE", "home_hero")
    assert [touch.item for touch in clicked.touches] == ["tea"]
    assert clicked.subject == READER


def test_nobody_is_counted_who_did_not_agree(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    assert client.get(path("click", LinkKind.CLICK, url=SHOP)).headers["location"] == SHOP
    grant(client)
    before = len(events(desk))
    client.get(path("open", LinkKind.OPEN), headers={"sec-gpc": "1"})
    client.head(path("click", LinkKind.CLICK, url=SHOP))
    client.post(path("preferences"), data={"dial": "0"})
    client.get(path("open", LinkKind.OPEN))
    assert len(events(desk)) == before


def test_machines_are_told_apart_and_are_nobodys_reward(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    grant(client)
    before = len(events(desk))
    client.get(path("click", LinkKind.CLICK, url=SHOP), headers={"user-agent": "Barracuda Sentinel (EE)"})
    client.get(path("open", LinkKind.OPEN), headers={"sec-purpose": "prefetch"})
    scanned = events(desk)[before:]
    assert [record.name for record in scanned] == [SCANNED, SCANNED]
    assert [(record.decision_id, record.touches) for record in scanned] == [(None, ()), (None, ())]
    client.get(path("open", LinkKind.OPEN))
    assert events(desk)[-1].name == OPENED


def test_an_unsubscribe_is_an_event_of_the_decision_where_that_may_be_told(shop: tuple[TestClient, Desk]) -> None:
    client, desk = shop
    grant(client)
    client.post(path("unsubscribe"))
    (told,) = [record for record in events(desk) if record.name == UNSUBSCRIBED]
    assert told.decision_id == "01HF7YAT00SHA5Y6GRSHG46XDE"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https://x.example/\r\nSet-Cookie: a=b", ""])
def test_a_click_leads_nowhere_that_is_not_safe(shop: tuple[TestClient, Desk], url: str) -> None:
    """Not even where a hub that was tricked has sealed it."""
    answer = shop[0].get(path("click", LinkKind.CLICK, url=url))
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("query", ["?to=https://evil.example", "?url=//evil.example"])
def test_nothing_in_the_address_but_the_link_says_where_a_click_leads(
    shop: tuple[TestClient, Desk], query: str
) -> None:
    assert shop[0].get(path("click", LinkKind.CLICK, url=SHOP) + query).headers["location"] == SHOP


@pytest.mark.parametrize(
    ("agent", "is_one"),
    [
        (b"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko)", False),
        (b"Mozilla/5.0 (Windows NT 5.1) GoogleImageProxy", False),
        (b"Googlebot/2.1", True),
        (b"python-requests/2.32", True),
        (b"", True),
    ],
)
def test_who_says_that_it_is_a_machine_is_one(agent: bytes, is_one: bool) -> None:  # noqa: FBT001
    assert is_machine({b"user-agent": agent}) is is_one


def grant(client: TestClient) -> None:
    said = client.put("/v1/preferences", json={"consent": {"analytics": "granted"}}, headers=proof())
    assert said.status_code == 200
