"""What is said to a node, and what comes back: another answer than 200, or none, is unavailability in words."""

from __future__ import annotations

import pytest
from bench_server import Asked, answer_right, http, serving

from edgewise.errors import UnavailableError
from hub.prove.caller import Caller


def test_what_is_shown_is_read_from_the_answer() -> None:
    async def answering(asked: Asked) -> bytes:
        assert asked.headers["authorization"] == "Basic a2V5Og=="
        return http(b'{"placements":{"home_hero":{"items":[{"id":"a"},{"id":"b"}]}}}')

    with serving(answering) as url, Caller(url, "key") as caller:
        assert caller.shown("visitor", "home_hero", dryRun=True) == ["a", "b"]


def test_another_status_and_what_is_no_json_are_told() -> None:
    async def mixed(asked: Asked) -> bytes:
        return http(b'{"detail":"enough"}', 429) if asked.number % 2 == 0 else http(b"hello")

    with serving(mixed) as url, Caller(url, "key") as caller:
        said = set()
        for _ in range(2):
            with pytest.raises(UnavailableError) as refused:
                caller.post("/v1/track", {})
            said.add("429" in str(refused.value))
    assert said == {True, False}


def test_who_is_not_there_is_told() -> None:
    with serving(answer_right) as url:
        pass
    with Caller(url, "key") as caller, pytest.raises(UnavailableError, match="refused"):
        caller.post("/v1/track", {})
