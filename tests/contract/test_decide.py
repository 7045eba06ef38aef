"""Section 1, `POST /v1/decide`: every name of the answer, ids to the digit, and everything that may be wrong."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import msgspec
import pytest
from contract_nodes import Node
from contract_shapes import Decided, problem

pytestmark = pytest.mark.process

EXAMPLE: dict[str, Any] = {
    "anonymousId": "a-81f3",
    "userId": None,
    "placements": [{"name": "home_hero", "count": 1, "exclude": []}],
    "context": {
        "page": {"path": "/", "referrer": ""},
        "device": {"type": "mobile"},
        "locale": "en-GB",
        "timezone": "Europe/Berlin",
        "geo": {"country": "DE"},
        "attributes": {"weather": "sunny"},
    },
    "consent": {"personalisation": "granted"},
    "events": [],
    "options": {"explain": False, "deadlineMs": 5_000, "deferActivation": False, "force": {}, "dryRun": False},
}
LARGE_IDS = ["9007199254740993", "18446744073709551615", "-9223372036854775808", "007", "1e3", "ü/ 1"]


def test_the_example_of_the_contract_is_answered_in_its_shape(starter: Node) -> None:
    answer = starter.ask("POST", "/v1/decide", json=EXAMPLE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "private, no-store"
    told = msgspec.json.decode(answer.content, type=Decided)
    assert (told.bundle.version, list(told.placements)) == (0, ["home_hero"])
    hero = told.placements["home_hero"]
    assert hero.reason in {"MODEL", "EXPLORE"}
    assert [item.rank for item in hero.items] == [1]
    assert hero.items[0].content is not None


def test_a_list_is_ranked_and_explained_and_says_which_arm_of_which_experiment_chose(starter: Node) -> None:
    answer = starter.decide("home_hero", "home_list", visitor="ann", options={"explain": True})
    told = msgspec.json.decode(answer.content, type=Decided)
    placed = told.placements["home_list"]
    assert [item.rank for item in placed.items] == [1, 2, 3, 4, 5, 6]
    assert len({item.id for item in placed.items}) == 6
    assert placed.experiment is not None
    assert (placed.experiment.key, placed.experiment.arm) == ("home_list", placed.policy)
    assert all(item.why for each in told.placements.values() for item in each.items)
    assert told.placements["home_hero"].experiment is None


def test_an_item_is_explore_exactly_when_it_is_not_the_greedy_choice(starter: Node) -> None:
    """The banner explores one time in twenty, and says so: the propensity tells both cases apart."""
    seen = set()
    for number in range(400):
        told = msgspec.json.decode(starter.decide(visitor=f"explore-{number}").content, type=Decided)
        hero = told.placements["home_hero"]
        (item,) = hero.items
        assert (item.reason == "EXPLORE") == (item.propensity < 0.5) == (hero.reason == "EXPLORE")
        seen.add(item.reason)
    assert seen == {"MODEL", "EXPLORE"}


def test_messagepack_is_spoken_both_ways(starter: Node) -> None:
    packed = starter.ask(
        "POST", "/v1/decide", content=msgpack.packb(EXAMPLE), headers={"content-type": "application/msgpack"}
    )
    assert (packed.status_code, packed.headers["content-type"]) == (200, "application/msgpack")
    told = msgspec.msgpack.decode(packed.content, type=Decided)
    assert told.placements["home_hero"].items[0].content
    wrong = starter.ask("POST", "/v1/decide", content=b"\xc1", headers={"content-type": "application/msgpack"})
    assert problem(wrong, 400).errors[0].path == "$"


def test_ids_survive_digit_for_digit(starter: Node) -> None:
    candidates = [{"id": each} for each in LARGE_IDS]
    asked = [{"name": "home_list", "count": 6, "candidates": candidates}]
    for pack, unpack, kind in ((json.dumps, json.loads, "json"), (msgpack.packb, msgpack.unpackb, "msgpack")):
        answer = starter.ask(
            "POST",
            "/v1/decide",
            content=pack({"anonymousId": "9007199254740993", "placements": asked}),
            headers={"content-type": f"application/{kind}"},
        )
        items = unpack(answer.content)["placements"]["home_list"]["items"]
        assert sorted(item["id"] for item in items) == sorted(LARGE_IDS)
        assert {item["content"] for item in items} == {None}
    asked[0]["exclude"] = LARGE_IDS[:1]
    left = starter.ask("POST", "/v1/decide", json={"placements": asked}).json()["placements"]["home_list"]["items"]
    assert sorted(item["id"] for item in left) == sorted(LARGE_IDS[1:])


def asked(**fields: Any) -> bytes:
    return json.dumps({"anonymousId": "bad", "placements": [{"name": "home_hero"}], **fields}).encode()


BAD: dict[str, tuple[bytes, int, str | None]] = {
    "no JSON": (b"{placements:", 400, "$"),
    "nothing": (b"", 400, "$"),
    "another type": (b"[]", 400, "$"),
    "no placements": (b"{}", 400, "$"),
    "an attribute that is an object": (
        b'{"placements":[{"name":"home_hero"}],"context":{"attributes":{"ok":1,"weather":{}}}}',
        400,
        "$.context.attributes.weather",
    ),
    "NaN": (b'{"placements":[{"name":"home_hero"}],"context":{"attributes":{"t":NaN}}}', 400, "$"),
    "a number as name": (asked(placements=[{"name": 7}]), 400, "$.placements[0].name"),
    "the second is wrong": (asked(placements=[{"name": "home_hero"}, {"name": ""}]), 400, "$.placements[1].name"),
    "count": (asked(placements=[{"name": "home_hero", "count": "1"}]), 400, "$.placements[0].count"),
    "unknown placement": (asked(placements=[{"name": "home_hero"}, {"name": "hom"}]), 404, "$.placements[1].name"),
    "a consent that is none": (asked(consent={"personalisation": "yes"}), 400, "$.consent.personalisation"),
    "no deadline": (asked(options={"deadlineMs": -1}), 400, "$.options.deadlineMs"),
    "an event of no type": (asked(events=[{"event": "Product Viewed"}]), 400, "$.events[0].type"),
    "2 MB": (asked(x="x" * (2 << 20)), 413, None),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_problem_that_says_where(starter: Node, case: str) -> None:
    body, status, path = BAD[case]
    told = problem(starter.ask("POST", "/v1/decide", content=body), status)
    assert [wrong.path for wrong in told.errors] == ([] if path is None else [path])
    assert starter.decide(visitor="bad").status_code == 200


def test_what_is_not_json_at_all_is_refused_by_kind(starter: Node) -> None:
    assert problem(starter.ask("GET", "/v1/decide"), 405).detail
    brotli = starter.ask("POST", "/v1/decide", content=asked(), headers={"content-encoding": "br"})
    assert problem(brotli, 415).detail


def test_events_are_applied_before_deciding_in_the_same_call(starter: Node) -> None:
    event = {"type": "track", "event": "Product Viewed", "properties": {"product_id": "sencha"}}
    unknown = {"type": "track", "event": "Something Of Our Own", "properties": {"depth": [1, {"a": None}]}}
    answer = starter.decide(visitor="same-call", events=[event, unknown], options={"debug": True})
    assert answer.status_code == 200, answer.text
    assert sum(answer.json()["debug"]["applied"].values()) > 0
