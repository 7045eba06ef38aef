"""Segment's tracking API: valid calls once and durable, bad ones told where, identity only where it is proven."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from edge_world import (
    KEYS,
    STRANGER,
    VISITOR,
    events,
    node,
    profile_of,
    sha256,
    spooled,
    viewed,
)
from fault_disk import SyncsWhenTold
from starlette.testclient import TestClient
from world import HERO, LIST, NOW_MS

from edge.profiles.cache_file import CacheError
from edgewise.ids import SubjectId
from edgewise.records import GapRecord, PreferenceRecord
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor


def post(client: TestClient, kind: str, status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> Any:
    answer = client.post(f"/v1/{kind}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_every_kind_of_call_is_taken(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        for kind in ("identify", "page", "screen", "group", "alias"):
            assert post(client, kind, anonymousId=VISITOR) == {"success": True}
        assert post(client, "track", anonymousId=VISITOR, event="Something Of Our Own") == {"success": True}
        assert [event.type for event in events(desk)] == ["identify", "page", "screen", "group", "alias", "track"]
        assert desk.spool.is_synced()
        profile = profile_of(desk)
        assert profile is not None
        assert sum(sum(dict(days).values()) for days in profile.counts.values()) == 6


def test_a_click_changes_the_next_decision(tmp_path: Path) -> None:
    with node(tmp_path) as (client, _):
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}], "options": {"force": {HERO: "challenger"}}}
        before = client.post("/v1/decide", json=body).json()["placements"][HERO]["items"][0]["id"]
        post(client, "track", **viewed("film-15"), anonymousId=VISITOR)
        after = client.post("/v1/decide", json=body).json()["placements"][HERO]["items"][0]["id"]
        assert before == "film-0"
        assert after in {"film-14", "film-16"}


def test_a_repeated_message_is_accepted_and_counted_once_for_a_day(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        for _ in range(3):
            assert post(client, "track", **viewed("film-3", "m-1"), anonymousId=VISITOR) == {"success": True}
        assert len(events(desk)) == 1
        assert desk.counts.events["track"] == {"accepted": 1, "duplicate": 2}
        desk.clock.advance(86_400_001)  # type: ignore[attr-defined]
        post(client, "track", **viewed("film-3", "m-1"), anonymousId=VISITOR)
        assert len(events(desk)) == 2
        post(client, "track", **viewed("film-3"), anonymousId=VISITOR)
        post(client, "track", **viewed("film-3"), anonymousId=VISITOR)
        assert len(events(desk)) == 4  # without an id there is nothing to tell them apart by


BAD_CALLS = [
    (b"{", "$", "truncated"),
    (b'{"anonymousId":"a","event":7}', "$.event", "Expected `str"),
    (b'{"event":"Product Viewed"}', "$.anonymousId", "expected an anonymousId or a userId"),
    (b'{"anonymousId":"a"}', "$.event", "expected the name of what was done"),
    (b'{"anonymousId":"a","event":"x","timestamp":"yesterday"}', "$.timestamp", "Invalid RFC3339"),
    (b'{"anonymousId":"a","event":"x","properties":{"rating":NaN}}', "$", "malformed"),
    (
        b'{"anonymousId":"a","event":"Product Reviewed","properties":{"product_id":"p","rating":"NaN"}}',
        "$.properties.rating",
        "expected a number",
    ),
    (b'{"anonymousId":"a","event":"x","properties":{"product_id":{}}}', "$.properties.product_id", "item id"),
    (b'{"anonymousId":"a","event":"x","x":"' + b"y" * 40_000 + b'"}', "$", "at most 32768 bytes"),
]


@pytest.mark.parametrize(("body", "path", "message"), BAD_CALLS)
def test_a_bad_call_is_told_where_and_nothing_is_kept(tmp_path: Path, body: bytes, path: str, message: str) -> None:
    with node(tmp_path) as (client, desk):
        answer = client.post("/v1/track", content=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["path"] == path
        assert message in answer.json()["errors"][0]["message"]
        assert spooled(desk) == []
        assert desk.counts.events == {"track": {"rejected": 1}}


def test_of_a_batch_the_valid_calls_are_kept_and_the_bad_ones_listed(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        told = post(
            client,
            "batch",
            batch=[
                {**viewed("film-1", "b-1"), "anonymousId": VISITOR},
                {"type": "track", "anonymousId": VISITOR},
                {"type": "walk", "anonymousId": VISITOR},
                {**viewed("film-2", "b-1"), "anonymousId": VISITOR},
                {**viewed("film-3"), "anonymousId": VISITOR, "properties": {"product_id": "p", "price": "dear"}},
                {"type": "identify", "anonymousId": VISITOR, "traits": {"age": 10**29}},
                {**viewed("film-4"), "anonymousId": VISITOR},
            ],
        )
        assert told["success"] is True
        assert [(one["index"], one["path"]) for one in told["rejected"]] == [
            (1, "$.batch[1].event"),
            (2, "$.batch[2].type"),
            (4, "$.batch[4].properties.price"),
            (5, "$.batch[5].traits.age"),
        ]
        assert [event.touches[0].item for event in events(desk)] == ["film-1", "film-4"]
        assert post(client, "batch", batch=[]) == {"success": True, "rejected": []}
        assert post(client, "batch", status=400, batch=7)["errors"][0]["path"] == "$.batch"


def test_a_large_batch_is_taken_in_parts_and_whole(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        calls = [{**viewed(f"film-{n % 24}", f"b-{n}"), "anonymousId": f"v-{n % 7}"} for n in range(333)]
        post(client, "batch", batch=calls)
        post(client, "batch", batch=calls)
        assert [event.message_id for event in events(desk)] == [f"b-{n}" for n in range(333)]


def test_what_a_batch_says_of_time_and_consent_holds_for_its_calls(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        around = {"consent": {"categoryPreferences": {"personalisation": True, "analytics": False}}}
        own = {"consent": {"categoryPreferences": {"personalisation": False, "analytics": True}}}
        call = {**viewed("film-1"), "anonymousId": VISITOR, "timestamp": "2025-10-09T08:00:00Z"}
        post(
            client,
            "batch",
            sentAt="2025-10-09T08:00:10Z",
            context=around,
            batch=[call, {**call, "context": own}],
        )
        first, second = events(desk)
        assert first.time_ms == NOW_MS - 10_000
        assert (first.subject != "", first.grants.personalisation, first.grants.analytics) == (True, True, False)
        # What either denies is denied.
        assert (second.subject, second.grants.personalisation, second.grants.analytics) == ("", False, False)


@pytest.mark.parametrize("sent_at", ["xx", 1760000000, "", True, {}])
def test_a_batch_whose_moment_of_sending_cannot_be_read_is_taken_by_its_calls_own_times(
    tmp_path: Path, sent_at: object
) -> None:
    with node(tmp_path) as (client, desk):
        call = {**viewed("film-1", "b-1"), "anonymousId": VISITOR, "timestamp": "2025-10-09T07:00:00Z"}
        told = post(client, "batch", batch=[call], sentAt=sent_at)
        assert told == {"success": True, "rejected": []}
        (taken,) = events(desk)
        assert taken.time_ms == 1_759_993_200_000


@pytest.mark.parametrize("path", ["batch", "b", "import", "import/"])
def test_older_clients_call_a_batch_otherwise(tmp_path: Path, path: str) -> None:
    with node(tmp_path) as (client, desk):
        assert post(client, path, batch=[{**viewed("film-1", "b-1"), "anonymousId": VISITOR}])["rejected"] == []
        assert len(events(desk)) == 1


def test_other_identifiers_count_only_where_they_are_proven(tmp_path: Path) -> None:
    """Whoever could name another's user id or e-mail address without proof would merge himself into him."""
    claim: dict[str, Any] = {"userId": "u-1", "traits": {"email": "U@example.org", "plan": "gold"}}
    token = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
    with node(tmp_path, server_keys_sha256=[sha256("server")]) as (client, desk):
        post(client, "identify", anonymousId=VISITOR, **claim)
        post(client, "identify", anonymousId="another", headers={"cookie": f"ew_id={token}"}, **claim)
        post(client, "identify", anonymousId=VISITOR, headers={"cookie": f"ew_id={token}"}, **claim)
        client.auth = ("server", "")
        post(client, "identify", anonymousId=VISITOR, **claim)
        post(client, "identify", **claim)
        unproven, foreign, proven, vouched, named = events(desk)
        for event in (unproven, foreign):
            assert set(event.identifiers) == {"anonymousId"}
            assert event.traits == {"plan": "gold"}
        for event in (proven, vouched):
            assert event.identifiers["userId"] == subject_of(KEYS.subject_key, "userId", "u-1")
            assert event.identifiers["email"] == subject_of(KEYS.subject_key, "email", "u@example.org")
        assert named.subject == subject_of(KEYS.subject_key, "userId", "u-1")


def test_a_claimed_user_without_a_pseudonym_is_counted_under_his_id_and_linked_to_nobody(tmp_path: Path) -> None:
    """So that Segment's server libraries, which send a write key and a userId, are not invisible."""
    user = subject_of(KEYS.subject_key, "userId", "u-1")
    with node(tmp_path) as (client, desk):
        post(client, "track", **viewed("film-1"), userId="u-1", context={"traits": {"email": "u@example.org"}})
        event = events(desk)[0]
        assert (event.subject, event.identifiers, event.grants.personalisation) == (user, {"userId": user}, True)
        body = {"userId": "u-1", "placements": [{"name": HERO}], "options": {"force": {HERO: "challenger"}}}
        told = client.post("/v1/decide", json=body).json()
        assert told["placements"][HERO]["items"][0]["id"] == "film-0", "nothing of his is given away for his bare id"


def test_an_address_that_nobody_vouches_for_is_counted_and_tied_to_nobody(tmp_path: Path) -> None:
    with node(tmp_path, server_keys_sha256=[sha256("server")]) as (client, desk):
        addressed: dict[str, Any] = {**viewed("film-1"), "context": {"traits": {"email": "U@example.org"}}}
        post(client, "track", **addressed)
        client.auth = ("server", "")
        post(client, "track", **addressed)
        claimed, vouched = events(desk)
        assert (claimed.subject, claimed.identifiers, claimed.grants.personalisation) == ("", {}, False)
        assert vouched.subject == subject_of(KEYS.subject_key, "email", "u@example.org")


def test_where_a_server_names_a_user_and_his_device_the_record_is_the_users(tmp_path: Path) -> None:
    device = subject_of(KEYS.subject_key, "anonymousId", VISITOR)
    user = subject_of(KEYS.subject_key, "userId", "u-1")
    token = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
    with node(tmp_path, server_keys_sha256=[sha256("server")]) as (client, desk):
        post(
            client, "track", **viewed("film-1"), anonymousId=VISITOR, userId="u-1", headers={"cookie": f"ew_id={token}"}
        )
        client.auth = ("server", "")
        post(client, "track", **viewed("film-2"), anonymousId=VISITOR, userId="u-1")
        assert [event.subject for event in events(desk)] == [device, user]
        assert events(desk)[1].identifiers == {"anonymousId": device, "userId": user}


def test_a_call_that_names_nobody_is_about_whom_the_cookie_or_the_header_names(tmp_path: Path) -> None:
    token = sign_visitor(KEYS.visitor_key, "by-cookie", NOW_MS)
    with node(tmp_path) as (client, desk):
        post(client, "track", **viewed("film-1"), headers={"cookie": f"ew_id={token}"})
        post(client, "track", **viewed("film-1"), headers={"edgewise-id": "by-header"})
        assert [event.subject for event in events(desk)] == [
            subject_of(KEYS.subject_key, "anonymousId", name) for name in ("by-cookie", "by-header")
        ]


@pytest.mark.parametrize("auth", [None, ("wrong", ""), ("", "demo")])
def test_without_a_write_key_nothing_is_taken(tmp_path: Path, auth: tuple[str, str] | None) -> None:
    with node(tmp_path, auth=auth) as (client, desk):
        told = post(client, "track", status=401, **viewed("film-1"), anonymousId=VISITOR)
        assert told["type"] == "urn:edgewise:problem:unauthorised"
        assert spooled(desk) == []


def test_the_write_key_may_stand_in_the_body_as_segments_libraries_send_it(tmp_path: Path) -> None:
    with node(tmp_path, auth=None, peer=STRANGER) as (client, desk):
        call = {**viewed("film-1"), "anonymousId": VISITOR}
        post(client, "t", **call, writeKey="demo")
        assert post(client, "b", batch=[call], writeKey="demo")["rejected"] == []
        packed = gzip.compress(json.dumps({"batch": [call], "writeKey": "demo"}).encode())
        assert client.post("/v1/batch", content=packed, headers={"content-encoding": "gzip"}).status_code == 200
        assert len(events(desk)) == 3
        for wrong in ("Demo", "", None, 7):
            told = post(client, "batch", status=401, batch=[call], writeKey=wrong)
            assert told["type"] == "urn:edgewise:problem:unauthorised"
        # A decision takes it in the header alone.
        assert client.post("/v1/decide", json={"placements": [{"name": HERO}], "writeKey": "demo"}).status_code == 401
        assert len(events(desk)) == 3


def test_a_node_of_nobody_on_loopback_needs_no_key_but_refuses_a_wrong_one(tmp_path: Path) -> None:
    with node(tmp_path, auth=None, enrolled=False) as (client, _):
        post(client, "track", **viewed("film-1"), anonymousId=VISITOR)
        client.auth = ("wrong", "")
        post(client, "track", status=401, **viewed("film-1"), anonymousId=VISITOR)
    with node(tmp_path / "open", auth=None, enrolled=False, host="0.0.0.0", peer=STRANGER) as (client, _):
        post(client, "track", status=401, **viewed("film-1"), anonymousId=VISITOR)


def test_as_the_spool_fills_up_lane_after_lane_stops_and_decisions_are_answered_to_the_end(tmp_path: Path) -> None:
    with node(tmp_path, spool_most_bytes=1 << 20, segment_bytes=4_096) as (client, desk):

        def answers(**call: Any) -> int:
            answer = client.post("/v1/track", json={**viewed("film-1"), **call, "anonymousId": VISITOR})
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
            return answer.status_code

        desk.spool._most_bytes = 30_000
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
        order = {"event": "Order Completed", "properties": {"products": [{"product_id": "film-1"}]}}
        stopped: list[str] = []
        for _ in range(400):
            decided = desk.spool.dropped
            assert client.post("/v1/decide", json=body).status_code == 200
            for lane, is_refused in (
                ("impression", answers(event="Promotion Viewed") == 503),
                ("exposure", desk.spool.dropped > decided),
                ("event", answers() == 503),
                ("conversion", answers(**order) == 503),
            ):
                if is_refused and lane not in stopped:
                    stopped.append(lane)
        assert stopped == ["impression", "exposure", "event", "conversion"]
        assert desk.counts.failures["exposure_dropped"] == desk.spool.dropped
        assert set(desk.spool.dropped_by_lane) == {"exposure"}, "calls are refused, not dropped"
        # The visitor's will is never refused for want of room.
        token = sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)
        assert client.put("/v1/preferences", json={"dial": 0}, headers={"cookie": f"ew_id={token}"}).status_code == 200
        told = client.get("/status").json()["spool"]
        assert told["created"] == told["stored"] + told["dropped"] + told["pending"]
        assert (told["stored"], told["droppedByLane"]) == (0, {"exposure": desk.spool.dropped})
        assert told["pending"] == sum(not isinstance(record, GapRecord) for record in spooled(desk))
        metrics = client.get("/metrics").text
        assert f'edgewise_spool_dropped_total{{lane="exposure"}} {float(desk.spool.dropped)}' in metrics
        desk.spool._most_bytes = 1 << 20
        assert answers(messageId="m-1") == 200


def test_a_decision_that_was_dropped_does_not_count_for_its_visitor(tmp_path: Path) -> None:
    """The hub never hears of it, so that no snapshot would ever contain it."""
    with node(tmp_path) as (client, desk):
        body = {"anonymousId": VISITOR, "placements": [{"name": LIST}]}
        client.post("/v1/decide", json=body)
        known = profile_of(desk)
        assert known is not None
        assert known.impressions
        desk.spool._most_bytes = 0
        client.post("/v1/decide", json=body)
        assert desk.spool.dropped == 1
        assert profile_of(desk) == known


def test_what_could_not_be_made_durable_is_not_acknowledged_and_counts_when_it_is_sent_again(tmp_path: Path) -> None:
    disk = SyncsWhenTold()
    disk.is_failing = True
    with node(tmp_path) as (client, desk):
        desk.spool._files = disk
        body = {**viewed("film-1", "m-1"), "anonymousId": VISITOR}
        answer = client.post("/v1/track", json=body)
        assert answer.status_code == 503
        assert "durable" in answer.json()["detail"]
        disk.is_failing = False
        assert client.post("/v1/track", json=body).status_code == 200
        assert desk.spool.is_synced()
        assert {event.message_id for event in events(desk)} == {"m-1"}


def test_packed_bodies_are_unpacked_within_bounds(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        call = json.dumps({**viewed("film-1"), "anonymousId": VISITOR}).encode()
        bomb = gzip.compress(b" " * (50 << 20))
        assert len(bomb) < 1 << 20
        for body, encoding, status in (
            (gzip.compress(call), "gzip", 200),
            (call, "identity", 200),
            (bomb, "gzip", 413),
            (call, "gzip", 400),
            (gzip.compress(call)[:-9], "gzip", 400),
            (call, "br", 415),
        ):
            answer = client.post("/v1/track", content=body, headers={"content-encoding": encoding})
            assert answer.status_code == status, answer.text
        assert len(events(desk)) == 2


def test_where_preferences_cannot_be_read_everything_goes_on_for_nobody(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        key = bytes.fromhex(subject_of(KEYS.subject_key, "anonymousId", VISITOR))
        with desk.cache.file.env.begin(write=True) as txn:
            txn.put(key, b"garbage", db=desk.cache.file.db["preferences"])
        post(client, "track", **viewed("film-1"), anonymousId=VISITOR)
        assert (events(desk)[0].subject, events(desk)[0].grants.personalisation) == ("", False)
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
        answer = client.post("/v1/decide", json=body)
        assert answer.json()["placements"][HERO]["reason"] == "OPTED_OUT"
        assert "set-cookie" not in answer.headers
        assert desk.counts.failures == {"cache": 2}


def test_events_are_kept_when_the_cache_can_take_nothing_more(tmp_path: Path) -> None:
    with node(tmp_path, profile_map_bytes=1 << 20) as (client, desk):
        muted = {"items": tuple(f"an item with a long name {number}" for number in range(100))}
        with pytest.raises(CacheError, match="must not be dropped"):  # noqa: PT012
            for number in range(1_000):
                record = PreferenceRecord(
                    producer=desk.spool.producer,
                    seq=number,
                    subject=SubjectId(f"{number:032x}"),
                    time_ms=1,
                    received_ms=1,
                    mute=muted,
                )
                desk.cache.state(record.subject, record)
        post(client, "track", **viewed("film-1", "m-1"), anonymousId=VISITOR)
        assert len(events(desk)) == 1
        assert desk.counts.failures == {"cache": 1}
        body = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}
        assert client.post("/v1/decide", json=body).json()["placements"][HERO]["items"]
