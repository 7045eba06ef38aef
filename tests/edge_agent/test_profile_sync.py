"""The profile cache follows the hub: what is wanted is asked for, snapshots are taken over, erasures too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agent_world import Node, patiently, running_agent
from cache_world import statement, view

from edge.profiles.cache_file import CacheError
from edge.profiles.forgetting import Confirmed
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edgewise.ids import NodeId, SubjectId, producer
from edgewise.profile.preferences import Preferences, encode_preferences, state
from edgewise.profile.reduce import fold
from edgewise.profile.state import Profile, encode_profile

ANN = SubjectId("a1" * 16)
BOB = SubjectId("b2" * 16)
ELSEWHERE = producer(NodeId("n-other"), 1, 0)


def canonical(subject: SubjectId, *items: str) -> bytes:
    views = [view(seq, subject=subject, producer=ELSEWHERE, item=item) for seq, item in enumerate(items)]
    return encode_profile(fold(Profile(), views))


def wishes(dial: int) -> bytes:
    preferences = Preferences()
    state(preferences, statement(0, subject=ANN, producer=ELSEWHERE, dial=dial))
    return encode_preferences(preferences)


def items(node: Node, subject: SubjectId) -> set[str] | None:
    profile = node.cache.profile(subject)
    return None if profile is None else set(profile.items)


def test_wanted_profiles_are_fetched_and_kept_current(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            hub.profiles[ANN] = (canonical(ANN, "one"), wishes(1))
            node.cache.want([ANN, BOB])
            await eventually(lambda: items(node, ANN) == {"one"})
            assert node.cache.preferences(ANN).dial.value == 1
            # Bob is known to be unknown: an empty profile, so that he is not asked for again.
            await eventually(lambda: items(node, BOB) == set())
            hub.push(ANN, canonical(ANN, "one", "two"), wishes(3))
            await eventually(lambda: items(node, ANN) == {"one", "two"})
            hub.erase(ANN)
            await eventually(lambda: items(node, ANN) is None)
            assert sorted(hub.asked) == [ANN, BOB]

    patiently(story())


def test_who_was_erased_and_comes_back_begins_anew(tmp_path: Path) -> None:
    """Without a row of his own he would be waited for for ever."""

    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            hub.erased.add(ANN)
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == set())
            hub.erase(ANN)
            await eventually(lambda: items(node, ANN) is None)

    patiently(story())


def test_after_a_reconnect_the_node_names_everybody_it_caches(tmp_path: Path) -> None:
    async def story() -> None:
        hub = FakeHub(SignedSite("shop"))
        await hub.start()
        async with running_agent(tmp_path, hub) as node:
            hub.profiles[ANN] = (canonical(ANN, "one"), wishes(3))
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == {"one"})
            await hub.stop()
            node.cache.want([BOB])  # while nobody listens
            hub.profiles[ANN] = (canonical(ANN, "one", "two"), wishes(3))
            hub.asked.clear()
            await hub.start(hub.port)
            await eventually(lambda: items(node, ANN) == {"one", "two"} and items(node, BOB) == set())
            assert set(hub.asked) == {ANN, BOB}
        await hub.stop()

    patiently(story())


def test_the_hub_is_told_of_whoever_was_evicted_and_its_late_word_of_him_is_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub, profile_map_bytes=1 << 20) as node:
            hub.profiles[ANN] = (canonical(ANN, "one"), encode_preferences(Preferences()))
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == {"one"})
            assert node.cache._evict() >= 1
            assert items(node, ANN) is None
            node.cache.want([BOB])
            await eventually(lambda: hub.dropped == [ANN])
            hub.push(ANN, canonical(ANN, "one", "two"), encode_preferences(Preferences()))
            hub.push(BOB, canonical(BOB, "three"), wishes(3))
            await eventually(lambda: items(node, BOB) == {"three"})
            assert items(node, ANN) is None
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == {"one", "two"})

    patiently(story())


def test_a_snapshot_that_is_none_is_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            hub.profiles[ANN] = (b"\xc1", wishes(3))
            hub.profiles[BOB] = (canonical(BOB, "one"), wishes(3))
            node.cache.want([ANN])
            await eventually(lambda: ANN in hub.asked)
            node.cache.want([BOB])
            await eventually(lambda: items(node, BOB) == {"one"})
            assert items(node, ANN) is None

    patiently(story())


def test_erasures_are_confirmed_when_not_a_byte_is_left(tmp_path: Path) -> None:
    """Also of somebody whom this node does not cache: it may remember his decisions."""

    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            await eventually(lambda: hub.confirmed == [("", 0)])
            hub.profiles[ANN] = (canonical(ANN, "a-film-of-hers"), wishes(1))
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == {"a-film-of-hers"})
            hub.tell_erasures("list-1", ANN, BOB, time_ms=2**42)
            await eventually(lambda: items(node, ANN) is None)
            await eventually(lambda: hub.confirmed[-1] == ("list-1", 2))
            data = next((tmp_path / "profiles").rglob("data.mdb")).read_bytes()
            assert b"a-film-of-hers" not in data

    patiently(story())


def test_a_node_goes_on_where_it_was_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        hub = FakeHub(SignedSite("shop"))
        await hub.start()
        async with running_agent(tmp_path, hub) as node:
            await eventually(lambda: hub.confirmed == [("", 0)])
            hub.tell_erasures("list-1", ANN)
            await eventually(lambda: hub.confirmed[-1] == ("list-1", 1))
            await hub.stop()
            hub.confirmed.clear()
            await hub.start(hub.port)
            await eventually(lambda: hub.confirmed == [("list-1", 1)])
            assert node.cache.erased_through() == Confirmed("list-1", 1)
        await hub.stop()

    patiently(story())


def test_who_has_come_back_since_keeps_what_is_his(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            hub.profiles[ANN] = (canonical(ANN, "one"), encode_preferences(Preferences()))
            node.cache.want([ANN])
            await eventually(lambda: items(node, ANN) == {"one"})
            hub.tell_erasures("list-1", ANN, time_ms=1_000)  # long before
            await eventually(lambda: hub.confirmed[-1] == ("list-1", 1))
            assert items(node, ANN) == {"one"}
            # Without a list the hub says that it holds nothing of her: so nobody has come back, a clock was ahead.
            hub.erase(ANN, time_ms=1_000)
            await eventually(lambda: items(node, ANN) is None)

    patiently(story())


def test_an_erasure_that_failed_is_not_confirmed_by_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub, running_agent(tmp_path, hub) as node:
            await eventually(lambda: hub.confirmed == [("", 0)])
            erase, failures = node.cache.erase, [CacheError("the map is full")]

            def fails_once(subject: SubjectId, **said: Any) -> None:
                if failures:
                    raise failures.pop()
                erase(subject, **said)

            monkeypatch.setattr(node.cache, "erase", fails_once)
            hub.tell_erasures("list-1", ANN, BOB)
            # The next stream begins where nothing was confirmed; what was told on the last one is not taken.
            await eventually(lambda: hub.confirmed == [("", 0), ("", 0)])
            assert node.cache.erased_through() == Confirmed()
            hub.tell_erasures("list-1", ANN, BOB)
            await eventually(lambda: hub.confirmed[-1] == ("list-1", 2))

    patiently(story())
