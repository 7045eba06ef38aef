"""`POST /v1/decide`: the answer, what is written down, what came along, and everything that may be wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from edge_world import (
    DEMO,
    LOCAL,
    STRANGER,
    VISITOR,
    bundle_files,
    decisions,
    events,
    install,
    node,
    open_desk,
    profile_of,
    sha256,
    spooled,
    viewed,
)
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from world import (
    CHALLENGER,
    CHAMPION,
    EXPERIMENT,
    HERO,
    LIST,
    NOW_MS,
    attribute,
    bundle,
    placement,
    policy,
    score,
)

from edge.node.layout import NodePaths
from edge.worker.app import make_app
from edge.worker.guard import WAITED_MS
from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Arm, ByAttribute, External
from edgewise.decide import decide
from edgewise.decision import Decision, canonical_bytes
from edgewise.draws import draw_from
from edgewise.ids import BundleVersion, ItemId
from edgewise.keeping import kept_for_learning
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile
from edgewise.question import question_of
from edgewise.records import DecisionRecord, EventRecord, decode_record
from edgewise.subjects import subject_of


def ask(client: TestClient, *placements: str, status: int = 200, **fields: Any) -> dict[str, Any]:
    body = {
        "anonymousId": VISITOR,
        "placements": [{"name": name} for name in placements or (HERO,)],
        **fields,
    }
    answer = client.post("/v1/decide", json={name: value for name, value in body.items() if value is not ...})
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_the_answer_has_the_shape_that_pages_rely_on(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.clock.advance(1_500)  # type: ignore[attr-defined]
        told = ask(client, HERO, LIST, options={"explain": True})
        assert set(told) == {"decisionId", "bundle", "placements", "tookMs"}
        assert told["bundle"] == {
            "version": 7,
            "digest": f"sha256:{desk.live.digest}",
            "ageSeconds": 86_401.5,
            "state": "READY",
        }
        assert set(told["placements"]) == {HERO, LIST}
        hero = told["placements"][HERO]
        assert set(hero) == {"items", "reason", "policy", "experiment"}
        assert hero["experiment"]["key"] == "hero"
        assert hero["policy"] == hero["experiment"]["arm"]
        item = hero["items"][0]
        assert set(item) == {"id", "rank", "reason", "score", "propensity", "content", "why"}
        number = item["id"].removeprefix("film-")
        assert item["content"] == {"title": f"Film {number}", "image": f"/films/{number}.jpg"}
        assert item["why"]
        assert len(told["placements"][LIST]["items"]) == 10
        assert told["tookMs"] == 0


def test_messagepack_both_ways_says_the_same_as_json(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        question = {"anonymousId": VISITOR, "placements": [{"name": HERO}], "context": {"attributes": {"t": 1.5}}}
        answer = client.post(
            "/v1/decide", content=msgpack.packb(question), headers={"content-type": "application/msgpack"}
        )
        assert answer.headers["content-type"] == "application/msgpack"
        packed = msgpack.unpackb(answer.content)
        plain = ask(client)
        for told in (packed, plain):
            del told["decisionId"]
        assert packed == plain


def test_personal_answers_are_for_nobody_elses_cache(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        answer = client.post("/v1/decide", json={"placements": [{"name": HERO}]})
        assert answer.headers["cache-control"] == "private, no-store"


def test_without_a_bundle_any_placement_is_answered_by_the_built_in_fallback(tmp_path: Path) -> None:
    with node(tmp_path, bundle=False) as (client, desk):
        told = ask(client, "any", "thing")
        assert told["bundle"] == {"version": 0, "digest": "", "ageSeconds": 0.0, "state": "ERROR"}
        for name in ("any", "thing"):
            placed = told["placements"][name]
            assert placed == {"items": [], "reason": "FALLBACK_NO_BUNDLE", "policy": "", "experiment": None}
        assert desk.counts.decisions == {"": {"FALLBACK_NO_BUNDLE": 2}}
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200


def test_an_unknown_placement_refuses_the_whole_request_and_takes_no_event(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = ask(client, HERO, "home_heroe", status=404, events=[viewed("film-1")])
        assert told["type"] == "urn:edgewise:problem:unknown-placement"
        assert told["errors"] == [{"path": "$.placements[1].name", "message": "there is no placement 'home_heroe'"}]
        assert "home_hero, home_list" in told["detail"]
        assert spooled(desk) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"placements": [{"name": HERO}, {"name": HERO}]}, "$.placements[1].name"),
        ({"options": {"force": {HERO: "no such arm"}}}, f"$.options.force.{HERO}"),
    ],
)
def test_a_request_that_is_refused_has_not_counted_its_events(
    tmp_path: Path, fields: dict[str, Any], path: str
) -> None:
    with node(tmp_path) as (client, desk):
        told = ask(client, status=400, events=[viewed("film-1", "m-1")], **fields)
        assert told["errors"][0]["path"] == path
        assert spooled(desk) == []
        assert profile_of(desk) is None
        ask(client, events=[viewed("film-1", "m-1")])
        assert desk.counts.events == {"track": {"accepted": 1}}


def asked(rest: str) -> bytes:
    return b'{"placements":[{"name":"home_hero"}],' + rest.encode() + b"}"


DEAR = '{"type":"track","event":"Product Viewed","properties":{"product_id":"film-1","price":"dear"}}'

BAD_INPUTS: dict[str, tuple[bytes, int, str, str]] = {
    "nothing": (b"", 400, "$", "truncated"),
    "not JSON": (b"{placements", 400, "$", "malformed"),
    "not an object": (b"[]", 400, "$", "Expected `object`"),
    "no placements": (b"{}", 400, "$", "missing required field `placements`"),
    "none of them": (b'{"placements":[]}', 400, "$.placements", "length >= 1"),
    "a number for a name": (b'{"placements":[{"name":7}]}', 400, "$.placements[0].name", "Expected `str`, got `int`"),
    "count 0": (b'{"placements":[{"name":"home_hero","count":0}]}', 400, "$.placements[0].count", ">= 1"),
    "NaN": (asked('"context":{"attributes":{"t":NaN}}'), 400, "$", "malformed"),
    "30 digits": (
        asked(f'"context":{{"attributes":{{"t":{"9" * 30}}}}}'),
        400,
        "$.context.attributes[...]",
        "Expected `int`",
    ),
    "1e999": (asked('"context":{"attributes":{"t":1e999}}'), 400, "$.context.attributes[...]", "out of range"),
    "lone surrogate": (b'{"placements":[{"name":"\\ud800"}]}', 400, "$", "truncated"),
    "not UTF-8": (b'{"placements":[{"name":"\xff"}]}', 400, "$", "utf-8"),
    "deep": (asked('"x":' + "[" * 100_000 + "]" * 100_000), 400, "$", "deep"),
    "asked twice": (
        b'{"placements":[{"name":"home_hero"},{"name":"home_hero"}]}',
        400,
        "$.placements[1].name",
        "twice",
    ),
    "2 MB": (asked('"x":"' + "x" * (2 << 20) + '"'), 413, "", ""),
    "event without type": (asked('"events":[{"event":"x"}]'), 400, "$.events[0].type", "expected one of track"),
    "event no object": (asked('"events":[{"type":"page"},3]'), 400, "$.events[1]", "Expected `object`"),
    "a price that is none": (asked(f'"events":[{DEAR}]'), 400, "$.events[0].properties.price", "expected a number"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_told_where_and_changes_nothing(tmp_path: Path, name: str) -> None:
    body, status, path, message = BAD_INPUTS[name]
    with node(tmp_path) as (client, desk):
        answer = client.post("/v1/decide", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert {"type", "title", "status", "detail"} <= set(told)
        assert told["status"] == status
        if path:
            assert told["errors"][0]["path"] == path
            assert message in told["errors"][0]["message"]
        assert spooled(desk) == []
        assert ask(client)["placements"][HERO]["items"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_messagepack_can_spell_nan_and_is_refused_too(tmp_path: Path, value: float) -> None:
    with node(tmp_path) as (client, _):
        for question, path in (
            ({"placements": [{"name": HERO}], "context": {"attributes": {"t": value}}}, "$.context.attributes.t"),
            (
                {"placements": [{"name": HERO, "candidates": [{"id": "x", "attributes": {"p": value}}]}]},
                "$.placements[0].candidates[0].attributes.p",
            ),
        ):
            answer = client.post(
                "/v1/decide", content=msgpack.packb(question), headers={"content-type": "application/msgpack"}
            )
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["path"] == path


def test_messagepack_events_are_taken_as_json_ones_are(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        question = {"anonymousId": VISITOR, "placements": [{"name": HERO}], "events": [viewed("film-9")]}
        answer = client.post(
            "/v1/decide", content=msgpack.packb(question), headers={"content-type": "application/msgpack"}
        )
        assert answer.status_code == 200
        assert [event.touches[0].item for event in events(desk)] == ["film-9"]


@pytest.mark.parametrize(
    "foreign",
    [
        msgpack.ExtType(5, b"x"),
        {None: 1},
        {(1, 2): 3},
        {**viewed("film-9"), "properties": {"x": msgpack.ExtType(5, b"x")}},
        {**viewed("film-9"), "properties": {None: 1}},
        {**viewed("film-9"), "properties": {"x": b"\xff"}, "event": msgpack.Timestamp(1 << 40)},
    ],
)
def test_messagepack_events_that_json_has_no_word_for_are_told_where(tmp_path: Path, foreign: Any) -> None:
    with node(tmp_path) as (client, desk):
        question = {"anonymousId": VISITOR, "placements": [{"name": HERO}], "events": [viewed("film-1"), foreign]}
        answer = client.post(
            "/v1/decide", content=msgpack.packb(question), headers={"content-type": "application/msgpack"}
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["path"].startswith("$.events[1]")
        assert spooled(desk) == []


def test_messagepack_events_with_text_that_is_none_are_told_where(tmp_path: Path) -> None:
    packed = msgpack.packb({"placements": [{"name": HERO}], "events": [{"type": "page", "name": "shop"}]})
    with node(tmp_path) as (client, desk):
        answer = client.post(
            "/v1/decide", content=packed.replace(b"shop", b"sh\xffp"), headers={"content-type": "application/msgpack"}
        )
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["path"] == "$.events[0]"
        assert spooled(desk) == []


def test_events_are_applied_before_deciding_and_durable_before_the_answer(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = ask(client, LIST, events=[viewed("film-9", "m-1"), viewed("film-10", "m-2")])
        shown = [item["id"] for item in told["placements"][LIST]["items"]]
        assert "film-9" not in shown  # the list leaves out what was seen
        assert desk.spool.is_synced()
        seen = profile_of(desk)
        assert seen is not None
        assert set(seen.items) == {"film-9", "film-10"}
        record = decisions(desk)[0]
        assert record.applied == {desk.spool.producer: 1}
        # The same events once more: accepted, and counted once.
        ask(client, LIST, events=[viewed("film-9", "m-1"), viewed("film-11", "m-3")])
        assert [event.message_id for event in events(desk)] == ["m-1", "m-2", "m-3"]
        assert desk.counts.events == {"track": {"accepted": 3, "duplicate": 1}}


def test_a_logged_decision_can_be_made_again_to_the_byte(tmp_path: Path) -> None:
    sampled = policy(feature_sample_share=1.0)
    with node(tmp_path, policy=sampled) as (client, desk):
        for film in ("film-3", "film-12", "film-4"):
            ask(client, HERO, LIST, events=[viewed(film)], context={"device": {"type": "mobile"}})
        served = desk.live.served
        assert served is not None
        profile = Profile()
        for record in spooled(desk):
            if isinstance(record, DecisionRecord):
                outcome = decide(
                    question_of(record),
                    profile,
                    bundle=served.bundle,
                    score=served.score,
                    attribute=served.attribute,
                    draw=draw_from(sampled.site.salt, record.decision_id),
                    now_ms=record.time_ms,
                )
                assert canonical_bytes(outcome.decision) == record.decision
                assert record.applied == profile.applied
                assert outcome.shown == record.shown
                assert outcome.matrices == record.sampled
                assert record.sample_probability == 1.0
            assert isinstance(record, EventRecord | DecisionRecord)
            profile = fold(profile, [record])
        assert len(decisions(desk)) == 3


def test_what_is_not_kept_for_learning_is_logged_without_feature_rows_and_explained_with_them(tmp_path: Path) -> None:
    """It counts for everything else; whoever asks why is told as much as anybody."""
    half = policy(feature_sample_share=1.0, learning_share=0.5)
    with node(tmp_path, policy=half) as (client, desk):
        for number in range(24):
            ask(client, LIST, anonymousId=f"visitor-{number}")
        desk.flush()
        records = decisions(desk)
        assert {record.learning_probability for record in records} == {0.5}
        assert {record.is_kept for record in records} == {True, False}
        for record in records:
            assert record.is_kept == kept_for_learning(half.site, record.decision_id).is_kept
            assert bool(record.shown) == record.is_kept
            assert record.is_kept or not record.sampled
            remembered = desk.decisions.find(record.decision_id)
            assert remembered is not None
            whole = decode_record(remembered.record)
            assert isinstance(whole, DecisionRecord)
            assert whole.shown.keys() == {LIST}


def test_the_real_model_decides_as_the_arithmetic_that_it_was_made_from(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        ask(client, LIST, events=[viewed("film-3")])
        record = decisions(desk)[0]
        profile = profile_of(desk)
        assert profile is not None
        again = decide(
            question_of(record),
            fold(Profile(), events(desk)),
            bundle=bundle(),
            score=score,
            attribute=attribute,
            draw=draw_from(policy().site.salt, record.decision_id),
            now_ms=record.time_ms,
        ).decision
        told = msgspec.json.decode(record.decision, type=Decision)
        assert [item.id for item in again.placements[LIST].items] == [item.id for item in told.placements[LIST].items]


def test_a_dry_run_neither_writes_nor_counts_nor_gives_a_cookie(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        body = {
            "placements": [{"name": LIST}],
            "events": [viewed("film-9")],
            "options": {"dryRun": True},
        }
        answer = client.post("/v1/decide", json=body)
        assert answer.status_code == 200
        assert "film-9" not in [item["id"] for item in answer.json()["placements"][LIST]["items"]]
        assert "set-cookie" not in answer.headers
        assert spooled(desk) == []
        assert desk.cache.figures()[0] == 0
        assert desk.counts.decisions_made == 0
        assert desk.counts.events == {}
        assert client.get(f"/v1/why/{answer.json()['decisionId']}").status_code == 404


def test_force_and_debug_are_for_operators(tmp_path: Path) -> None:
    forced = {"force": {HERO: ["film-17"]}}
    with node(tmp_path, peer=STRANGER, operator_keys_sha256=[sha256("operator")]) as (client, _):
        for options in (forced, {"debug": True}):
            assert ask(client, status=403, options=options)["type"] == "urn:edgewise:problem:operators-only"
        body = {"placements": [{"name": HERO}], "options": {**forced, "debug": True}}
        answer = client.post("/v1/decide", json=body, auth=None, headers={"authorization": "Bearer operator"})  # type: ignore[arg-type]
        told = answer.json()
        assert [item["id"] for item in told["placements"][HERO]["items"]] == ["film-17"]
        assert told["placements"][HERO]["reason"] == "FORCED"
        assert told["debug"]["grants"]["personalisation"] is True
    with node(tmp_path / "local") as (client, _):
        told = ask(client, options={"force": {HERO: "challenger"}, "debug": True})
        assert told["placements"][HERO]["experiment"] == {"key": "hero", "arm": "challenger", "forced": True}
        assert "popularity" in next(iter(told["debug"]["features"][HERO].values()))


def test_a_deadline_that_has_passed_is_answered_by_the_declared_fallback(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        slow = desk.clock

        class Slow:
            """Every look at the monotonic clock costs 3 ms."""

            def __init__(self) -> None:
                self.now = 0.0

            def now_ms(self) -> int:
                return slow.now_ms()

            def monotonic_ms(self) -> float:
                self.now += 3.0
                return self.now

        desk.clock = Slow()
        assert ask(client, options={"deadlineMs": 10})["placements"][HERO]["reason"] in {"MODEL", "RULE"}
        late = ask(client, options={"deadlineMs": 2})
        assert late["placements"][HERO]["reason"] == "FALLBACK_DEADLINE"
        assert late["placements"][HERO]["items"][0]["id"] == "film-20"
        assert decisions(desk)[-1].degradation == "DEADLINE"
        halfway = ask(client, options={"deadlineMs": 5, "force": {HERO: "challenger"}})
        assert halfway["placements"][HERO]["reason"] == "FALLBACK_DEADLINE"
        assert decisions(desk)[-1].degradation == "DEADLINE_SCORING"


def test_where_a_question_names_no_deadline_the_nodes_holds(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    desk = open_desk(tmp_path, deadline_ms=2.0)
    app = make_app(desk)

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[WAITED_MS] = 3.0
        await app(scope, receive, send)

    with TestClient(server, base_url="http://127.0.0.1", client=LOCAL) as client:
        client.auth = DEMO
        assert ask(client)["placements"][HERO]["reason"] == "FALLBACK_DEADLINE"
        in_time = ask(client, options={"deadlineMs": 10})
        assert in_time["placements"][HERO]["reason"] in {"MODEL", "RULE"}


def test_the_time_that_a_request_waited_counts(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    desk = open_desk(tmp_path)
    app = make_app(desk)
    waited_ms = 0.0

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[WAITED_MS] = waited_ms
        await app(scope, receive, send)

    with TestClient(server, base_url="http://127.0.0.1", client=LOCAL) as client:
        client.auth = DEMO
        assert ask(client)["placements"][HERO]["reason"] in {"MODEL", "RULE"}
        waited_ms = 3.0
        late = ask(client, options={"deadlineMs": 2})
        assert late["placements"][HERO]["reason"] == "FALLBACK_DEADLINE"
        assert late["tookMs"] == 3.0


def test_candidates_of_the_caller_compete_instead_of_the_collection(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        big = "9007199254740993123"
        body = [{"name": HERO, "candidates": [{"id": big, "attributes": {"popularity": 3.0}}, {"id": "film-2"}]}]
        told = ask(client, placements=body, options={"force": {HERO: "champion"}})
        assert told["placements"][HERO]["items"][0]["id"] == "film-2"
        told = ask(client, placements=[{"name": HERO, "candidates": [{"id": big}], "exclude": ["film-2"]}])
        item = told["placements"][HERO]["items"][0]
        assert (item["id"], item["content"]) == (big, None)


def test_a_deferred_decision_counts_no_impression_before_its_activation(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        ask(client, LIST, options={"deferActivation": True})
        assert decisions(desk)[0].deferred
        assert decisions(desk)[0].impressions == ()
        assert profile_of(desk) is None
        told = ask(client, LIST)
        profile = profile_of(desk)
        assert profile is not None
        shown = [ItemId(item["id"]) for item in told["placements"][LIST]["items"]]
        assert sorted(impression.item for impression in profile.impressions) == sorted(shown)


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("name", ["Promotion Viewed", "Content Viewed"])
def test_a_decision_counts_as_shown_once_however_often_a_page_says_so(
    tmp_path: Path, name: str, *, deferred: bool
) -> None:
    with node(tmp_path) as (client, desk):
        told = ask(client, HERO, options={"deferActivation": deferred})
        item = told["placements"][HERO]["items"][0]["id"]
        of_it = {"decisionId": told["decisionId"], "placement": HERO, "itemId": item}
        for _ in range(3):
            answer = client.post("/v1/track", json={"anonymousId": VISITOR, "event": name, "properties": of_it})
            assert answer.json() == {"success": True}
        profile = profile_of(desk)
        assert profile is not None
        assert [impression.item for impression in profile.impressions] == [item]


def test_a_release_moves_nobody_who_was_in_an_experiment(tmp_path: Path) -> None:
    def arms(client: TestClient, names: Sequence[str]) -> dict[str, str]:
        told = {name: ask(client, anonymousId=name)["placements"][HERO] for name in names}
        return {name: placed["experiment"]["arm"] for name, placed in told.items()}

    known, newcomers = [f"known-{number}" for number in range(12)], [f"new-{number}" for number in range(12)]
    with node(tmp_path) as (client, _):
        before = arms(client, known)
        assert set(before.values()) == {"champion", "challenger"}
    experiment = Experiment([CHAMPION, CHALLENGER], [0.0, 1.0], "hero-2025")
    changed = msgspec.structs.replace(policy(), experiments={EXPERIMENT: experiment})
    install(NodePaths(tmp_path), bundle_files(changed), version=BundleVersion(8))
    with node(tmp_path, bundle=False) as (client, desk):
        assert arms(client, known) == before
        assert set(arms(client, newcomers).values()) == {"challenger"}
        enrolled = [record.enrolled for record in decisions(desk)]
        assert enrolled[:-12] == [*({"hero__0": arm} for arm in before.values()), *[{}] * 12]


def test_a_page_keeps_its_own_where_the_arm_is_external(tmp_path: Path) -> None:
    arms = {CHAMPION: Arm(External()), CHALLENGER: Arm(ByAttribute("popularity"))}
    shop = policy({HERO: placement(experiment=EXPERIMENT, arms=arms)})
    with node(tmp_path, policy=shop) as (client, desk):
        placed = [ask(client, anonymousId=f"v-{number}")["placements"][HERO] for number in range(12)]
        assert {(one["policy"], bool(one["items"])) for one in placed} == {("champion", False), ("challenger", True)}
        assert {one["reason"] for one in placed} == {"RULE"}
        assert all(one["experiment"] == {"key": "hero", "arm": one["policy"]} for one in placed)
        assert len(decisions(desk)) == 12, "whoever kept it was exposed to it"


def test_a_capped_list_moves_on_because_impressions_are_counted_at_once(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        shown: dict[str, int] = {}
        for _round in range(6):
            for item in ask(client, LIST)["placements"][LIST]["items"]:
                if not item["reason"].startswith("FALLBACK"):
                    shown[item["id"]] = shown.get(item["id"], 0) + 1
        assert max(shown.values()) == 3  # the cap of the list: three times in two days


def test_who_names_nobody_gets_an_id_of_his_own_and_keeps_it(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        first = client.post("/v1/decide", json={"placements": [{"name": HERO}]})
        cookie = first.headers["set-cookie"]
        assert cookie.startswith("ew_id=v1.")
        for attribute_ in ("Path=/", "HttpOnly", "SameSite=Lax"):
            assert attribute_ in cookie
        second = client.post("/v1/decide", json={"placements": [{"name": HERO}]})
        assert "set-cookie" not in second.headers
        one, two = decisions(desk)
        assert one.subject == two.subject != ""
        assert one.unit == two.unit == one.subject


def test_a_claimed_id_is_never_signed(tmp_path: Path) -> None:
    """Otherwise whoever knows a visitor's id could make himself his proof."""
    with node(tmp_path) as (client, desk):
        answer = client.post("/v1/decide", json={"anonymousId": "victim", "placements": [{"name": HERO}]})
        token = answer.cookies["ew_id"]
        caller = desk.doorman.caller(
            {
                "type": "http",
                "client": ("203.0.113.7", 1),
                "edgewise.headers": {b"host": b"x", b"cookie": f"ew_id={token}".encode()},
            },
            None,
            NOW_MS,
        )
        assert caller.visitor is not None
        assert caller.visitor.startswith("ew-")
        assert decisions(desk)[0].subject == subject_of(desk.keys.subject_key, "anonymousId", "victim")


def test_when_the_scorer_fails_the_fallback_is_shown_and_counted(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        served = desk.live.served
        assert served is not None
        served._scorers.clear()
        told = ask(client, LIST)
        assert told["placements"][LIST]["reason"] == "FALLBACK_SCORER"
        assert [item["id"] for item in told["placements"][LIST]["items"]] == ["film-20", "film-21", "film-22"]
        assert decisions(desk)[0].degradation == "SCORER"
        assert desk.counts.failures == {"scorer": 1}


def test_an_error_of_ours_costs_no_visitor_the_page(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        served = desk.live.served
        assert served is not None
        ask(client, events=[viewed("film-3")])
        broken = served.bundle.features.view
        calls = []

        def view(profile: Profile, *rest: Any) -> Any:
            calls.append(profile)
            if profile.items:
                raise RuntimeError("a bug")
            return broken(profile, *rest)

        served.bundle.features.view = view  # type: ignore[assignment]
        told = ask(client, LIST)
        assert told["placements"][LIST]["reason"] == "FALLBACK_SCORER"
        assert desk.counts.failures["decide"] == 1
        assert decisions(desk)[-1].applied == {}
        assert len(calls) > 1


def test_an_error_that_passes_leaves_a_visitor_his_profile(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        served = desk.live.served
        assert served is not None
        ask(client, events=[viewed("film-3")])
        working = served.bundle.features.view
        errors = [RuntimeError("a bug")]

        def view(profile: Profile, *rest: Any) -> Any:
            if errors:
                raise errors.pop()
            return working(profile, *rest)

        served.bundle.features.view = view  # type: ignore[assignment]
        assert ask(client, LIST)["placements"][LIST]["reason"] == "FALLBACK_SCORER"
        assert decisions(desk)[-1].applied != {}


def test_json_bodies_may_say_nothing_of_their_type(tmp_path: Path) -> None:
    """`sendBeacon` and `text/plain` avoid a preflight."""
    with node(tmp_path) as (client, _):
        body = json.dumps({"placements": [{"name": HERO}]})
        assert client.post("/v1/decide", content=body, headers={"content-type": "text/plain"}).status_code == 200
