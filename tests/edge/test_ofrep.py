"""OFREP at a node: experiments and placements as flags, asked without being shown."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from edge_world import VISITOR, decisions, node, profile_of, viewed
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from world import HERO, LIST, policy

from edge.worker.desk import Desk
from edge.worker.flag_context import flag_context
from edge.worker.flags import flag_of, flags_of
from edge.worker.problems import HttpProblem
from edgewise.ids import PlacementName

FLAGS = "/ofrep/v1/evaluate/flags"
HERO_EXPERIMENT = "hero"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Desk]]:
    with node(tmp_path_factory.mktemp("node")) as opened:
        yield opened


def ask(
    client: TestClient, key: str = "", status: int = 200, headers: dict[str, str] | None = None, **context: Any
) -> Any:
    client.cookies.clear()
    body = {"context": {"targetingKey": VISITOR, **context}}
    answer = client.post(f"{FLAGS}/{key}" if key else FLAGS, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert "set-cookie" not in answer.headers
    return answer if status == 304 or not key else answer.json()


def test_an_experiment_is_the_visitors_arm_and_the_same_that_he_is_shown(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    seen = Counter[str]()
    for number in range(60):
        visitor = f"visitor-{number}"
        told = ask(client, HERO_EXPERIMENT, targetingKey=visitor)
        decided = client.post("/v1/decide", json={"anonymousId": visitor, "placements": [{"name": HERO}]}).json()
        assert told["value"] == told["variant"] == decided["placements"][HERO]["experiment"]["arm"]
        assert (told["reason"], told["metadata"]["placement"]) == ("SPLIT", HERO)
        seen[told["value"]] += 1
    assert set(seen) == {"champion", "challenger"}


def test_a_placement_is_what_a_decision_answers(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    told = ask(client, LIST)
    assert (told["key"], told["reason"], told["variant"]) == (LIST, "TARGETING_MATCH", "challenger")
    assert len(told["value"]["items"]) == 10
    assert told["value"]["items"][0]["content"]["title"].startswith("Film ")
    assert told["metadata"]["decidedBy"] in {"MODEL", "EXPLORE"}
    assert all(isinstance(value, (str, int, float, bool)) for value in told["metadata"].values())


def test_asking_shows_nothing(site: tuple[TestClient, Desk]) -> None:
    """Nothing is recorded, nothing is counted against a cap, and there is no id that could be activated."""
    client, desk = site
    visitor = "only-asks"
    client.post("/v1/track", json={**viewed("film-3"), "anonymousId": visitor})
    recorded, before = len(decisions(desk)), profile_of(desk, visitor)
    for key in (HERO_EXPERIMENT, LIST):
        assert "decisionId" not in ask(client, key, targetingKey=visitor)["metadata"]
    ask(client, targetingKey=visitor)
    assert (len(decisions(desk)), profile_of(desk, visitor)) == (recorded, before)


def test_a_flag_is_shown_when_it_is_said(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    visitor = "is-shown"
    client.post("/v1/track", json={**viewed("film-3"), "anonymousId": visitor})
    later = ask(client, HERO_EXPERIMENT, targetingKey=visitor, exposure="deferred")
    record = decisions(desk)[-1]
    assert (record.decision_id, record.deferred) == (later["metadata"]["decisionId"], True)
    now = ask(client, LIST, targetingKey=visitor, exposure=True)
    record = decisions(desk)[-1]
    assert (record.decision_id, record.deferred) == (now["metadata"]["decisionId"], False)
    shown = profile_of(desk, visitor)
    assert shown is not None
    assert {impression.item for impression in shown.impressions} == {item["id"] for item in now["value"]["items"]}


def test_all_flags_come_at_once_and_not_again_while_nothing_has_changed(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    answer = ask(client, targetingKey="polls")
    flags = {flag["key"]: flag for flag in answer.json()["flags"]}
    assert list(flags) == [HERO_EXPERIMENT, HERO, LIST]
    assert flags[HERO_EXPERIMENT]["value"] == flags[HERO]["value"]["policy"]
    tag = answer.headers["etag"]
    for sent in (tag, f'"other", W/{tag}', "*"):
        assert ask(client, status=304, headers={"if-none-match": sent}, targetingKey="polls").content == b""
    other = ask(client, headers={"if-none-match": tag}, targetingKey="somebody-else")
    assert other.headers["etag"] != tag
    client.post("/v1/track", json={**viewed("film-3"), "anonymousId": "polls"})
    assert ask(client, headers={"if-none-match": tag}, targetingKey="polls").headers["etag"] != tag


def test_all_flags_at_once_are_shown_later_or_not_at_all(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    deferred = ask(client, exposure="deferred").json()["flags"]
    record = decisions(desk)[-1]
    assert {flag["metadata"]["decisionId"] for flag in deferred} == {record.decision_id}
    assert record.deferred
    assert ask(client, status=400, exposure=True).json()["errorCode"] == "INVALID_CONTEXT"


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        ("nowhere", {"context": {"targetingKey": "a"}}, 404, "FLAG_NOT_FOUND"),
        ("placement:nowhere", {"context": {"targetingKey": "a"}}, 404, "FLAG_NOT_FOUND"),
        ("experiment:home_list", {"context": {"targetingKey": "a"}}, 404, "FLAG_NOT_FOUND"),
        (LIST, {"context": {}}, 400, "TARGETING_KEY_MISSING"),
        (LIST, {}, 400, "TARGETING_KEY_MISSING"),
        (LIST, b"", 400, "TARGETING_KEY_MISSING"),
        (LIST, b"{", 400, "PARSE_ERROR"),
        (LIST, {"context": []}, 400, "PARSE_ERROR"),
        (LIST, {"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT"),
        (LIST, {"context": {"targetingKey": "a" * 201}}, 400, "INVALID_CONTEXT"),
        (LIST, {"context": {"targetingKey": "a", "page": 7}}, 400, "INVALID_CONTEXT"),
        (LIST, {"context": {"targetingKey": "a", "page.path": 7}}, 400, "INVALID_CONTEXT"),
        (LIST, {"context": {"targetingKey": "a", "exposure": "soon"}}, 400, "INVALID_CONTEXT"),
        (LIST, {"context": {"targetingKey": "a", "consent": {"personalisation": "yes"}}}, 400, "INVALID_CONTEXT"),
        ("", {"context": {}}, 400, "TARGETING_KEY_MISSING"),
    ],
)
def test_errors_are_told_as_the_protocol_says(
    site: tuple[TestClient, Desk], key: str, body: Any, status: int, code: str
) -> None:
    client, _ = site
    client.cookies.clear()
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = client.post(f"{FLAGS}/{key}" if key else FLAGS, **sent)
    told = answer.json()
    assert (answer.status_code, told["errorCode"], told.get("key", "")) == (status, code, key)
    assert told["errorDetails"]
    assert answer.headers["content-type"] == "application/json"


def test_who_may_not_ask_is_told_in_the_protocols_words(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    answer = client.post(f"{FLAGS}/{LIST}", json={"context": {"targetingKey": "a"}}, auth=("nobody", ""))
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "GENERAL")


@pytest.mark.parametrize(
    ("headers", "context"),
    [
        ({"edgewise-consent": "personalisation=denied"}, {}),
        ({"sec-gpc": "1"}, {}),
        ({}, {"consent": {"personalisation": "denied"}}),
        ({"edgewise-consent": "personalisation=granted"}, {"consent": {"personalisation": "denied"}}),
        ({"edgewise-dial": "0"}, {}),
    ],
)
def test_who_does_not_want_it_gets_the_default(
    site: tuple[TestClient, Desk], headers: dict[str, str], context: dict[str, Any]
) -> None:
    client, _ = site
    for key in (LIST, HERO_EXPERIMENT):
        told = ask(client, key, headers=headers, **context)
        assert (told["reason"], told["variant"], told["metadata"]["decidedBy"]) == ("DEFAULT", "champion", "OPTED_OUT")


def test_a_name_of_both_means_the_experiment_and_each_has_a_name_of_its_own() -> None:
    made = policy()
    (hero,) = (made.placements[HERO],)
    both = policy({PlacementName(HERO_EXPERIMENT): hero, LIST: made.placements[LIST]})
    assert [flag.kind for flag in flags_of(both).values()] == ["experiment", "placement", "placement"]
    assert list(flags_of(both)) == ["hero", LIST, "placement:hero"]
    kinds = {key: flag.kind for key in ("hero", "experiment:hero", "placement:hero") if (flag := flag_of(both, key))}
    assert kinds == {"hero": "experiment", "experiment:hero": "experiment", "placement:hero": "placement"}
    assert all(flag_of(both, key) == flag for key, flag in flags_of(both).items())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OWN = ["targetingKey", "userId", "page", "page.path", "device", "device.type", "locale", "exposure", "consent"]


@given(st.dictionaries(st.sampled_from(OWN) | st.text(max_size=5), JSON, max_size=6))
def test_any_context_is_understood_or_refused(said: dict[str, Any]) -> None:
    with contextlib.suppress(HttpProblem):
        understood = flag_context(said)
        assert understood.targeting_key is None or 0 < len(understood.targeting_key) <= 200
        assert not set(OWN) & set(understood.context.attributes)


def test_fields_of_the_context_are_said_whole_or_one_by_one() -> None:
    whole = flag_context({"page": {"path": "/a", "title": "A"}, "device": {"type": "mobile"}, "plan": "pro"})
    parts = flag_context({"page.path": "/a", "page": {"title": "A"}, "device.type": "mobile", "plan": "pro", "x": [{}]})
    assert whole == parts
    for said in ({"page": 7, "page.path": "/a"}, {"page": [], "page.path": "/a"}):
        with pytest.raises(HttpProblem, match="page"):
            flag_context(said)
