"""What became of events is counted, and why they left no trace in a profile: by every reason that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_world import KEYS, VISITOR, node, profile_of, viewed
from starlette.testclient import TestClient
from world import NOW_MS, policy

from edge.worker.outcome import Reason
from edgewise.consent import Consent, ConsentState
from edgewise.visitor import sign_visitor

NOTHING_YET = {"accepted": 0, "analyticsOnly": 0, "withoutConsent": 0, "duplicate": 0, "rejected": 0}


def send(client: TestClient, *, status: int = 200, headers: dict[str, str] | None = None, **fields: Any) -> None:
    body = {**viewed("film-3"), "anonymousId": VISITOR, **fields}
    assert client.post("/v1/track", json=body, headers=headers).status_code == status
    client.cookies.clear()


def consent(**said: bool) -> dict[str, Any]:
    return {"context": {"consent": {"categoryPreferences": said}}}


def cookie(visitor: str) -> dict[str, str]:
    return {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, visitor, NOW_MS)}"}


def told(client: TestClient) -> tuple[dict[str, int], dict[str, int]]:
    events = client.get("/status").json()["events"]
    return events, events.pop("withoutProfile")


def test_each_event_has_one_outcome_and_whoever_asks_is_told_why_no_profile_moves(tmp_path: Path) -> None:
    silent = policy(default_consent=Consent())
    with node(tmp_path, policy=silent, hub="127.0.0.1:1") as (client, desk):
        assert told(client) == (NOTHING_YET, {})
        send(client)
        assert told(client) == ({**NOTHING_YET, "withoutConsent": 1}, {"pending": 1})
        assert profile_of(desk) is None

        send(client, messageId="m-1", **consent(personalisation=True))
        send(client, messageId="m-1", **consent(personalisation=True))
        send(client, status=400, event=None)
        send(client, **consent(analytics=True))
        send(client, **consent(analytics=True, personalisation=False))
        send(client, headers={"sec-gpc": "1"}, **consent(personalisation=True))
        send(client, anonymousId="ew-elsewhere", headers=cookie("ew-elsewhere"), **consent(personalisation=True))
        state = client.put("/v1/preferences", json={"dial": 0}, headers=cookie("o-1"))
        assert state.status_code == 200
        client.cookies.clear()
        send(client, anonymousId="o-1", **consent(personalisation=True))
        events, why = told(client)
        assert events == {"accepted": 1, "analyticsOnly": 2, "withoutConsent": 4, "duplicate": 1, "rejected": 1}
        assert why == {"pending": 2, "denied": 1, "gpc": 1, "unheard": 1, "dial": 1}
        assert sum(why.values()) == events["analyticsOnly"] + events["withoutConsent"]

        exposed = client.get("/metrics").text
        for outcome, count in {"accepted": 7, "duplicate": 1}.items():
            assert f'edgewise_events_total{{outcome="{outcome}",type="track"}} {count}.0' in exposed
        for reason, count in why.items():
            assert f'edgewise_events_without_profile_total{{reason="{reason}"}} {count}.0' in exposed


def test_the_counts_outlive_the_worker_and_a_cache_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    granted = policy(default_consent=Consent(personalisation=ConsentState.GRANTED))
    with node(tmp_path, policy=granted) as (client, desk):
        assert client.put("/v1/preferences", json={"dial": 1}, headers=cookie(VISITOR)).status_code == 200
        send(client)
        with desk.cache.file.env.begin(write=True) as txn:
            for key in list(txn.cursor(db=desk.cache.file.db["preferences"]).iternext(values=False)):
                txn.put(key, b"garbage", db=desk.cache.file.db["preferences"])
        send(client)
        desk.tell()
    with node(tmp_path, policy=granted) as (client, _):
        events, why = told(client)
    assert events == {**NOTHING_YET, "accepted": 1, "withoutConsent": 1}
    assert why == {Reason.CACHE.value: 1}
