"""Consent and the dial at the node: what is not granted is not read, not written, not logged with identity."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from cache_world import boot_again
from edge_world import KEYS, VISITOR, decisions, events, node, profile_of, sha256, spooled, viewed
from starlette.testclient import TestClient
from world import HERO, LIST, NOW_MS, placement, policy

from edge.worker.desk import Desk
from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState, Purpose
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor

SERVER = [sha256("server")]
AS_SERVER = {"authorization": "Bearer server"}


def decide(
    client: TestClient, consent: dict[str, str] | None = None, visitor: str = VISITOR, **headers: str
) -> dict[str, Any]:
    body: dict[str, Any] = {"anonymousId": visitor, "placements": [{"name": HERO}, {"name": LIST}]}
    if consent is not None:
        body["consent"] = consent
    answer = client.post("/v1/decide", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def reasons(told: dict[str, Any]) -> set[str]:
    return {placed["reason"] for placed in told["placements"].values()}


def state_as(client: TestClient, said: dict[str, Any], visitor: str = VISITOR) -> None:
    """State preferences as the proven visitor."""
    cookie = sign_visitor(KEYS.visitor_key, visitor, NOW_MS)
    answer = client.put("/v1/preferences", json=said, headers={"cookie": f"ew_id={cookie}"})
    assert answer.status_code == 200, answer.text


def click(client: TestClient, film: str, **fields: Any) -> None:
    body = {**viewed(film), "anonymousId": VISITOR, **fields}
    assert client.post("/v1/track", json=body).status_code == 200


SAID = [None, "granted", "denied", "pending"]


def expected_grant(stored: str | None, asked: str | None, default: str | None, dial: int, gpc: bool) -> bool:  # noqa: FBT001
    """The precedence of the interfaces, written down once more."""
    if dial == 0 or gpc or stored == "denied":
        return False
    return (asked or stored or default) == "granted"


@pytest.mark.parametrize("default", SAID)
def test_the_whole_matrix_of_consent_at_the_node(tmp_path: Path, default: str | None) -> None:
    said = None if default is None else ConsentState(default)
    site = policy(default_consent=Consent(personalisation=said))
    with node(tmp_path, policy=site) as (client, desk):
        for number, (stored, asked, dial, gpc) in enumerate(itertools.product(SAID, SAID, [3, 0], [False, True])):
            visitor = f"v-{number}"
            if stored is not None or dial != 3:
                state_as(
                    client, {"dial": dial, "consent": {} if stored is None else {"personalisation": stored}}, visitor
                )
            body: dict[str, Any] = {
                "anonymousId": visitor,
                "placements": [{"name": LIST}],
                "events": [viewed("film-3")],
            }
            if asked is not None:
                body["consent"] = {"personalisation": asked}
            client.cookies.clear()
            answer = client.post("/v1/decide", json=body, headers={"sec-gpc": "1"} if gpc else {})
            granted = expected_grant(stored, asked, default, dial, gpc)
            case = (stored, asked, default, dial, gpc)
            reason = answer.json()["placements"][LIST]["reason"]
            assert (reason == "OPTED_OUT") is not granted, case
            assert ("set-cookie" in answer.headers) is granted, case
            assert (profile_of(desk, visitor) is not None) is granted, case
            record = decisions(desk)[-1]
            assert (record.subject == subject(visitor)) is granted, case
            event = events(desk)[-1]
            assert event.subject == (subject(visitor) if granted else ""), case
            assert bool(event.identifiers) is granted, case
            assert event.grants.allows(Purpose.PERSONALISATION) is granted, case


def test_an_opted_out_visitors_profile_is_not_even_read(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        click(client, "film-3")
        decide(client)
        hits = desk.counts.cache_hits
        assert hits == 1
        told = decide(client, {"personalisation": "denied", "analytics": "denied"})
        assert reasons(told) == {"OPTED_OUT"}
        assert (desk.counts.cache_hits, desk.counts.cache_misses) == (hits, 0)
        record = decisions(desk)[-1]
        assert (record.subject, record.applied) == ("", {})
        assert record.unit == record.decision_id


def test_analytics_alone_ties_an_event_to_a_person_but_moves_no_profile(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        body = {
            **viewed("film-3"),
            "anonymousId": VISITOR,
            "context": {"consent": {"categoryPreferences": {"personalization": False, "analytics": True}}},
        }
        assert client.post("/v1/track", json=body).status_code == 200
        event = events(desk)[0]
        assert event.subject == subject_of(KEYS.subject_key, "anonymousId", VISITOR)
        assert profile_of(desk) is None


def test_a_denial_of_the_request_cannot_be_taken_back_by_an_event_in_it(tmp_path: Path) -> None:
    said = {"consent": {"categoryPreferences": {"personalisation": True, "analytics": True}}}
    with node(tmp_path) as (client, desk):
        body = {
            "anonymousId": VISITOR,
            "placements": [{"name": HERO}],
            "consent": {"personalization": "denied", "analytics": "denied"},
            "events": [viewed("film-3", context=said)],
        }
        answer = client.post("/v1/decide", json=body)
        assert reasons(answer.json()) == {"OPTED_OUT"}
        event = events(desk)[0]
        assert (event.subject, event.grants.personalisation) == ("", False)
        assert profile_of(desk) is None


def test_a_purpose_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        decide(client)
        before = len(spooled(desk))
        body = {"placements": [{"name": HERO}], "consent": {"personalisaton": "denied"}}
        for answer in (
            client.post("/v1/decide", json=body),
            client.put("/v1/preferences", json={"consent": {"personalisaton": "denied"}}),
        ):
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["path"] == "$.consent"
            assert "personalisaton" in answer.json()["errors"][0]["message"]
        assert len(spooled(desk)) == before


@pytest.mark.parametrize(
    ("dial", "seen_is_left_out", "reason"),
    [(0, False, "OPTED_OUT"), (1, False, "MODEL"), (2, True, "MODEL"), (3, True, "MODEL")],
)
def test_the_dial_says_how_much_is_used(tmp_path: Path, dial: int, seen_is_left_out: bool, reason: str) -> None:  # noqa: FBT001
    with node(tmp_path) as (client, desk):
        click(client, "film-3")
        state_as(client, {"dial": dial})
        told = decide(client)
        placed = told["placements"][LIST]
        assert (placed["reason"] == "OPTED_OUT") == (reason == "OPTED_OUT")
        shown = {item["id"] for item in placed["items"]}
        if seen_is_left_out:
            assert "film-3" not in shown
        assert (desk.counts.cache_hits > 0) is (dial >= 2)
        assert decisions(desk)[-1].dial == dial


def test_the_dial_two_uses_this_session_only(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        click(client, "film-3")
        desk.clock.advance(3_600_000)  # type: ignore[attr-defined]
        click(client, "film-9")
        state_as(client, {"dial": 2})
        for _ in range(4):
            shown = {item["id"] for item in decide(client)["placements"][LIST]["items"]}
            assert "film-9" not in shown
        desk.clock.advance(1)  # type: ignore[attr-defined]
        state_as(client, {"dial": 3})
        assert "film-3" not in {item["id"] for item in decide(client)["placements"][LIST]["items"]}


def test_muted_things_are_never_shown_not_even_by_the_fallback(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        state_as(client, {"mute": {"items": ["film-0", "film-20"], "categories": ["drama"]}})
        for consent in ({"personalisation": "granted"}, {"personalisation": "denied"}):
            shown = {
                item["id"] for placed in decide(client, consent)["placements"].values() for item in placed["items"]
            }
            assert shown
            assert not {"film-0", "film-20", "film-6", "film-12", "film-18"} & shown


def test_a_statement_holds_for_the_pseudonym_that_the_same_browser_uses(tmp_path: Path) -> None:
    """A page may name its own id; the will belongs to the person in front of it."""
    with node(tmp_path) as (client, _):
        assert "OPTED_OUT" not in reasons(decide(client))  # also gives the browser a cookie
        answer = client.put("/v1/preferences", json={"dial": 0})
        assert answer.status_code == 200
        assert reasons(decide(client)) == {"OPTED_OUT"}
        client.cookies.clear()
        assert "OPTED_OUT" not in reasons(decide(client))


def test_preferences_are_spooled_durable_and_hold_from_the_next_request_on(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        assert client.get("/v1/preferences").status_code == 401
        assert client.put("/v1/preferences", json={"dial": 0}).status_code == 401
        decide(client)
        asked = client.get("/v1/preferences")
        assert asked.headers["cache-control"] == "private, no-store"
        assert asked.json() == {
            "dial": 3,
            "mute": {"categories": [], "topics": [], "brands": [], "items": []},
            "more": [],
            "less": [],
            "consent": {},
        }
        said = {"dial": 1, "mute": {"brands": ["acme"]}, "less": ["x"], "consent": {"marketing": "denied"}}
        told = client.put("/v1/preferences", json=said).json()
        assert desk.spool.is_synced()
        assert (told["dial"], told["mute"]["brands"], told["less"]) == (1, ["acme"], ["x"])
        assert told["consent"] == {"marketing": "denied"}
        desk.clock.advance(5)  # type: ignore[attr-defined]
        told = client.put("/v1/preferences", json={"more": ["y"]}).json()
        assert (told["dial"], told["more"]) == (1, ["y"])
        stated = [record for record in spooled(desk) if isinstance(record, PreferenceRecord)]
        assert [record.dial for record in stated] == [1, None]


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"dial": 4}, "$.dial"),
        ({"dial": "0"}, "$.dial"),
        ({"mute": {"items": [7]}}, "$.mute.items[0]"),
        ({"more": ["x" * 201]}, "$.more[0]"),
        ({"consent": {"analytics": "perhaps"}}, "$.consent.analytics"),
        ({"dail": 0}, "$"),
        ({"mute": {"category": ["coffee"]}}, "$.mute"),
    ],
)
def test_preferences_that_make_no_sense_are_refused(tmp_path: Path, said: dict[str, Any], path: str) -> None:
    with node(tmp_path) as (client, desk):
        decide(client)
        before = len(spooled(desk))
        answer = client.put("/v1/preferences", json=said)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["path"] == path
        assert len(spooled(desk)) == before


def test_a_server_states_preferences_for_whom_it_names(tmp_path: Path) -> None:
    with node(tmp_path, server_keys_sha256=SERVER) as (client, _):
        put = {"dial": 0, "anonymousId": VISITOR}
        assert client.put("/v1/preferences", json=put).status_code == 401  # a write key proves nobody
        client.auth = None  # type: ignore[assignment]
        assert client.put("/v1/preferences", json=put, headers=AS_SERVER).status_code == 200
        told = client.get("/v1/preferences", headers={**AS_SERVER, "edgewise-id": VISITOR}).json()
        assert told["dial"] == 0


def lose_cache(folder: Path, how: str) -> None:
    if how == "deleted":
        shutil.rmtree(folder / "profiles")
    else:
        boot_again(folder / "profiles", clean=False)


def test_after_the_cache_was_lost_nobody_is_personalised_until_the_hub_has_answered(tmp_path: Path) -> None:
    with node(tmp_path, hub="127.0.0.1:1") as (client, _):
        decide(client)
    lose_cache(tmp_path, "power loss")
    with node(tmp_path, hub="127.0.0.1:1") as (client, desk):
        assert reasons(decide(client)) == {"OPTED_OUT"}
        desk.flush()
        wanted = desk.cache.take_wanted()
        assert wanted == [subject_of(KEYS.subject_key, "anonymousId", VISITOR)]
        desk.cache.unknown(wanted[0])
        assert "OPTED_OUT" not in reasons(decide(client))


@pytest.mark.parametrize("how", ["deleted", "power loss"])
@pytest.mark.parametrize("hub", [None, "127.0.0.1:1"])
def test_who_has_opted_out_stays_so_though_the_cache_is_lost_for_his_word_is_in_the_spool(
    tmp_path: Path, how: str, hub: str | None
) -> None:
    with node(tmp_path, hub=hub) as (client, _):
        state_as(client, {"dial": 0})
        assert "OPTED_OUT" not in reasons(decide(client, visitor="somebody else"))
    lose_cache(tmp_path, how)
    with node(tmp_path, hub=hub) as (client, desk):
        assert reasons(decide(client)) == {"OPTED_OUT"}
        assert desk.cache.preferences(subject_of(KEYS.subject_key, "anonymousId", VISITOR)).dial.value == 0
        # Without a hub nobody else can have stated anything.
        is_closed = hub is not None and how == "power loss"
        assert ("OPTED_OUT" in reasons(decide(client, visitor="somebody else"))) is is_closed


def test_the_last_word_holds_though_clock_and_cache_and_spool_are_not_what_they_were(tmp_path: Path) -> None:
    """What he said first is the hub's by now, and tells of itself after he has said something else."""
    subject = subject_of(KEYS.subject_key, "anonymousId", VISITOR)
    clock = ManualClock(NOW_MS)
    with node(tmp_path, hub="127.0.0.1:1", clock=clock) as (client, desk):
        state_as(client, {"dial": 3})
        told = encode_preferences(desk.cache.preferences(subject))
    shutil.rmtree(tmp_path / "spool")  # stored by the hub
    lose_cache(tmp_path, "power loss")
    clock.jump(-86_400_000)
    with node(tmp_path, hub="127.0.0.1:1", clock=clock) as (client, desk):
        state_as(client, {"dial": 0})
        desk.cache.snapshot(subject, encode_profile(Profile()), told)
        assert reasons(decide(client)) == {"OPTED_OUT"}


OWN = "ew-0123456789abcdef01234567"
"""An id that another node of the site has made and signed."""
HUB = "127.0.0.1:1"
"""Of a node whose agent does not run: the tests speak for it."""


def own_cookie(visitor: str = OWN) -> dict[str, str]:
    return {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, visitor, NOW_MS)}"}


def subject(visitor: str) -> SubjectId:
    return subject_of(KEYS.subject_key, "anonymousId", visitor)


def wanted(desk: Desk) -> set[SubjectId]:
    desk.flush()
    return set(desk.cache.take_wanted())


def opted_out_elsewhere(desk: Desk, visitor: str = OWN) -> None:
    """The hub's answer about somebody who has turned his dial to 0 on another node."""
    stated = Preferences()
    record = PreferenceRecord(Producer("n-other/1/0"), 0, subject(visitor), time_ms=5, received_ms=5, dial=0)
    state(stated, record)
    desk.cache.snapshot(subject(visitor), encode_profile(Profile()), encode_preferences(stated))


@pytest.mark.parametrize("page_names", [None, VISITOR])
def test_a_proven_visitor_whom_this_node_has_not_heard_of_is_nobody_until_the_hub_answers(
    tmp_path: Path, page_names: str | None
) -> None:
    """He may have opted out elsewhere, and the hub may be away."""
    body: dict[str, Any] = {"placements": [{"name": LIST}], "events": [viewed("film-3")]}
    if page_names is not None:
        body["anonymousId"] = page_names
    with node(tmp_path, hub=HUB) as (client, desk):
        for _ in range(2):
            told = client.post("/v1/decide", json=body, headers=own_cookie()).json()
            assert reasons(told) == {"OPTED_OUT"}
            assert client.post("/v1/track", json=viewed("film-3"), headers=own_cookie()).status_code == 200
        assert {record.subject for record in decisions(desk)} == {event.subject for event in events(desk)} == {""}
        assert profile_of(desk, page_names or OWN) is None
        assert wanted(desk) == {subject(OWN)}
        desk.cache.unknown(subject(OWN))
        told = client.post("/v1/decide", json=body, headers=own_cookie()).json()
        assert "OPTED_OUT" not in reasons(told)
        opted_out_elsewhere(desk)
        assert reasons(client.post("/v1/decide", json=body, headers=own_cookie()).json()) == {"OPTED_OUT"}
        assert client.get("/v1/preferences", headers=own_cookie()).json()["dial"] == 0


def test_events_and_a_look_at_the_preferences_ask_the_hub_too(tmp_path: Path) -> None:
    with node(tmp_path, hub=HUB) as (client, desk):
        client.post("/v1/track", json={**viewed("film-3"), "anonymousId": VISITOR}, headers=own_cookie())
        assert wanted(desk) == {subject(OWN)}
        assert client.get("/v1/preferences", headers=own_cookie()).status_code == 200
        assert wanted(desk) == {subject(OWN)}
        # What he states here holds, and makes nobody believe that nothing was stated elsewhere.
        assert client.put("/v1/preferences", json={"more": ["tea"]}, headers=own_cookie()).status_code == 200
        assert wanted(desk) == {subject(OWN)}
        body = {"placements": [{"name": LIST}]}
        assert reasons(client.post("/v1/decide", json=body, headers=own_cookie()).json()) == {"OPTED_OUT"}


@pytest.mark.parametrize("page_names", [None, VISITOR])
def test_a_visitor_who_begins_at_this_node_is_served_from_his_second_request_on_and_followed(
    tmp_path: Path, page_names: str | None
) -> None:
    body = {"placements": [{"name": HERO}]} | ({} if page_names is None else {"anonymousId": page_names})
    with node(tmp_path, hub=HUB, policy=policy({HERO: placement()})) as (client, desk):
        assert "OPTED_OUT" not in reasons(client.post("/v1/decide", json=body).json())
        desk.flush()
        assert list(desk.cache.subjects()) == []  # who never comes back is nobody's news
        desk.cache.take_wanted()
        assert "OPTED_OUT" not in reasons(client.post("/v1/decide", json=body).json())
        caller = decisions(desk)[-1].subject
        asked = wanted(desk)
        assert len(asked) == (1 if page_names is None else 2)
        assert caller in asked
        (own,) = asked - {subject(VISITOR)}
        desk.cache.unknown(own)
        assert own in set(desk.cache.subjects())
        assert own not in wanted(desk)


def test_who_begins_in_an_experiment_is_followed_at_once_for_his_arm_must_be_known_when_he_comes_back(
    tmp_path: Path,
) -> None:
    with node(tmp_path, hub=HUB) as (client, desk):
        told = client.post("/v1/decide", json={"placements": [{"name": HERO}]}).json()
        (record,) = decisions(desk)
        assert record.enrolled == {"hero__0": told["placements"][HERO]["policy"]}
        assert wanted(desk) == set(desk.cache.subjects()) == {record.subject}
        client.post("/v1/decide", json={"placements": [{"name": HERO}]})
        again = decisions(desk)[-1]
        assert (again.subject, again.enrolled) == (record.subject, {})


def test_a_server_vouches_for_whom_it_names_and_a_pseudonym_is_served_as_ever(tmp_path: Path) -> None:
    body = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
    with node(tmp_path, hub=HUB, server_keys_sha256=SERVER) as (client, desk):
        assert reasons(client.post("/v1/decide", json=body, auth=None, headers=AS_SERVER).json()) == {"OPTED_OUT"}  # type: ignore[arg-type]
        assert wanted(desk) == {subject(VISITOR)}
        assert "OPTED_OUT" not in reasons(client.post("/v1/decide", json=body).json())
        nobody = {"placements": [{"name": HERO}]}
        told = client.post("/v1/decide", json=nobody, auth=None, headers=AS_SERVER)  # type: ignore[arg-type]
        client.cookies.clear()
        assert "OPTED_OUT" not in reasons(told.json())


def test_without_a_hub_there_is_nobody_to_wait_for(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        body = {"placements": [{"name": HERO}]}
        assert "OPTED_OUT" not in reasons(client.post("/v1/decide", json=body, headers=own_cookie()).json())


def test_some_mutes_leave_the_others_as_they_were(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        decide(client)
        statements: list[dict[str, list[str]]] = [
            {"categories": ["tea"], "brands": ["acme"]},
            {"items": ["film-1"]},
            {"brands": []},
        ]
        for said in statements:
            desk.clock.advance(1)  # type: ignore[attr-defined]
            assert client.put("/v1/preferences", json={"mute": said}).status_code == 200
        muted = client.get("/v1/preferences").json()["mute"]
        assert muted == {"categories": ["tea"], "topics": [], "brands": [], "items": ["film-1"]}


def test_some_mutes_wait_until_it_is_known_what_else_was_muted(tmp_path: Path) -> None:
    whole = {"categories": [], "topics": [], "brands": [], "items": ["film-1"]}
    with node(tmp_path, hub=HUB) as (client, desk):
        answer = client.put("/v1/preferences", json={"mute": {"items": ["film-1"]}}, headers=own_cookie())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert wanted(desk) == {subject(OWN)}
        assert client.put("/v1/preferences", json={"mute": whole}, headers=own_cookie()).json()["mute"] == whole
        desk.cache.unknown(subject(OWN))
        some = client.put("/v1/preferences", json={"mute": {"brands": ["acme"]}}, headers=own_cookie())
        assert some.json()["mute"] == {**whole, "brands": ["acme"]}


def test_why_shows_nothing_of_a_profile_once_the_same_browser_has_opted_out(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        decide(client)  # gives the browser a cookie
        click(client, "film-3")
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}], "options": {"force": {HERO: "challenger"}}}
        path = f"/v1/why/{client.post('/v1/decide', json=body).json()['decisionId']}"
        assert "Because you" in client.get(path).text
        client.put("/v1/preferences", json={"dial": 0})
        assert "Because you" not in client.get(path).text


def test_nothing_of_a_visitor_without_grants_can_be_found_in_the_nodes_files(tmp_path: Path) -> None:
    visitor, mail = "a-very-private-id", "private@example.org"
    message_id = "a-very-traceable-message"
    with node(tmp_path) as (client, desk):
        consent = {"consent": {"categoryPreferences": {"personalisation": False, "analytics": False}}}
        page = {"url": f"https://shop.example/?email={mail}", "referrer": f"https://mail.example/#{mail}"}
        body = {"anonymousId": visitor, "traits": {"email": mail}, "context": consent}
        assert client.post("/v1/identify", json=body).status_code == 200
        click = {
            **viewed("film-3", message_id),
            "properties": {"product_id": "film-3", "email": mail, "userId": visitor},
            "context": {**consent, "page": page},
        }
        assert client.post("/v1/track", json={**click, "anonymousId": visitor}).status_code == 200
        assert client.post("/v1/track", json={**click, "anonymousId": visitor}).status_code == 200
        assert len(events(desk)) == 2  # a repetition is told from its first even so
        denied = {"personalisation": "denied", "analytics": "denied"}
        question = {"anonymousId": visitor, "placements": [{"name": HERO}], "context": {"page": page}}
        client.post("/v1/decide", json={**question, "consent": denied})
        client.post("/v1/decide", json={**question, "events": [click]}, headers={"sec-gpc": "1"})
        assert [record.context.page.url for record in decisions(desk)] == ["https://shop.example/"] * 2
        private = subject(visitor)
        desk.flush()
        assert all(isinstance(record, EventRecord) or record.grants.analytics is False for record in spooled(desk))  # type: ignore[union-attr]
        for needle in (visitor.encode(), mail.encode(), message_id.encode(), private.encode(), bytes.fromhex(private)):
            for file in tmp_path.rglob("*"):
                if file.is_file() and file.stat().st_size:
                    assert needle not in file.read_bytes(), (needle, file)


@pytest.mark.parametrize("jump_ms", [-86_400_000, 0, 86_400_000])
def test_the_last_word_holds_wherever_the_clock_jumps(tmp_path: Path, jump_ms: int) -> None:
    clock = ManualClock(NOW_MS)
    with node(tmp_path, clock=clock) as (client, _):
        state_as(client, {"dial": 3})
        clock.jump(jump_ms)
        state_as(client, {"dial": 0})
        assert reasons(decide(client)) == {"OPTED_OUT"}
        state_as(client, {"dial": 3})
        assert "OPTED_OUT" not in reasons(decide(client))
