"""What a worker does between requests about a cache that is damaged, lost, or held open by somebody who hangs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cache_world import overwrite_pages
from edge_world import KEYS, VISITOR, node, open_desk, viewed
from processes import until
from world import HERO, NOW_MS

from edge.profiles.generation import begin_anew
from edge.profiles.readers import ALARM_MS
from edge.worker.upkeep import Upkeep
from edgewise.clock import ManualClock
from edgewise.errors import UnavailableError
from edgewise.visitor import sign_visitor

BODY = {"anonymousId": VISITOR, "placements": [{"name": HERO}]}


def test_a_cache_that_is_damaged_under_a_serving_worker_is_left_behind_and_every_request_answered(
    tmp_path: Path,
) -> None:
    with node(tmp_path) as (client, desk):
        cookie = {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)}"}
        assert client.put("/v1/preferences", json={"dial": 1}, headers=cookie).status_code == 200
        assert client.post("/v1/track", json={**viewed("film-1"), "anonymousId": "somebody"}).status_code == 200
        overwrite_pages(desk.paths.profiles)
        answered = []

        def is_anew() -> bool:
            answered.append(client.post("/v1/decide", json=BODY).status_code)
            answered.append(client.post("/v1/track", json={**viewed("film-1"), "anonymousId": "new"}).status_code)
            told = client.get("/status").json()["profiles"]
            return bool(told["generation"] == 1 and not desk.cache.is_unrecalled())

        until(is_anew)
        assert set(answered) == {200}
        assert client.get("/v1/preferences", headers=cookie).json()["dial"] == 1, "from the spool"
        assert client.post("/v1/track", json={**viewed("film-1"), "anonymousId": "somebody"}).status_code == 200
        assert client.get("/status").json()["profiles"]["count"] >= 1


def test_what_another_process_has_begun_anew_is_followed(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        begin_anew(desk.paths.profiles)
        until(lambda: client.get("/status").json()["profiles"]["generation"] == 1)


def test_a_reader_that_hangs_is_told_of(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    desk = open_desk(tmp_path, clock=clock)
    upkeep = Upkeep(desk)

    async def run() -> None:
        await upkeep._check_readers()
        assert desk.oldest_reader_ms == 0
        with desk.cache.reading():
            await upkeep._check_readers()
            clock.advance(ALARM_MS)
            with pytest.raises(UnavailableError, match="read the profile cache for more than"):
                await upkeep._check_readers()
        assert desk.oldest_reader_ms == ALARM_MS
        await upkeep._check_readers()
        await desk.close()

    asyncio.run(run())
    assert desk.oldest_reader_ms == 0
