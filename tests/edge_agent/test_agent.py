"""The agent and an unsteady hub: first contact, reconnects, heartbeats, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from agent_world import enrolled, log, patiently, running_agent, settings_of
from google.protobuf import json_format

from edge.agent.run import run
from edge.backoff import Backoff
from edge.node.bundles import BundleStore
from edge.node.enrolment import ENROLLED, checked, is_loopback, kept_token, read_enrolment, take_over
from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.node.trust import pinned_root
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle
from edgewise.bundle.manifest import PROTOCOL_VERSION
from edgewise.clock import SystemClock
from edgewise.errors import InputError, RefusedError
from edgewise.v1.distribution_pb2 import EnrolResponse

SITE = "shop"
FIRST = small_bundle(SITE, version=1)


def new_site() -> SignedSite:
    site = SignedSite(SITE)
    site.release(FIRST)
    site.assign(1)
    return site


def test_the_first_contact_pins_the_root_and_brings_the_keys(tmp_path: Path) -> None:
    async def story() -> None:
        site = new_site()
        paths = NodePaths(tmp_path)
        paths.create()
        own = load_site_keys(paths)
        starter = small_bundle("starter", version=0)
        store = BundleStore(paths)
        store.activate(store.stage(starter.manifest_bytes, starter.resources))
        async with FakeHub(site) as hub:
            assert await run(settings_of(tmp_path, hub.address), SystemClock(), log()) == ENROLLED
        keys = load_site_keys(paths)
        assert own.site is None
        assert (keys.site, keys.subject_key, keys.visitor_key) == (SITE, site.subject_key, site.visitor_key)
        assert pinned_root(paths) == site.root_bytes
        assert store.current() is None, "what served before belongs to no site"
        assert oct(paths.site.stat().st_mode)[-3:] == "600"

    patiently(story())


def test_enrolment_is_tried_until_the_hub_is_there(tmp_path: Path) -> None:
    async def story() -> None:
        NodePaths(tmp_path).create()
        hub = FakeHub(new_site())
        await hub.start()
        await hub.stop()
        agent = asyncio.create_task(run(settings_of(tmp_path, hub.address), SystemClock(), log()))
        await eventually(NodePaths(tmp_path).agent_status.exists)
        await hub.start(hub.port)
        assert await agent == ENROLLED
        await hub.stop()

    patiently(story())


def test_a_pinned_root_stays_whoever_offers_another(tmp_path: Path) -> None:
    ours, other = new_site(), SignedSite("other")
    paths = enrolled(tmp_path, ours)
    take_over(paths, checked(ours.enrolment, "again"))
    with pytest.raises(RefusedError, match=r"has pinned the root .* starts with a new --data-dir"):
        take_over(paths, checked(other.enrolment, "the test"))
    assert (pinned_root(paths), load_site_keys(paths).site) == (ours.root_bytes, SITE)


def test_an_enrolment_file_is_what_the_hub_would_answer(tmp_path: Path) -> None:
    file = tmp_path / "trust.json"
    site = new_site()
    file.write_text(json_format.MessageToJson(site.enrolment))
    assert read_enrolment(file) == checked(site.enrolment, "the hub")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "expected JSON with site, root"),
        ("{}", "no valid root metadata"),
        ('{"site": "shop", "root": "e30="}', "no valid root metadata"),
    ],
)
def test_an_enrolment_file_that_is_none_is_refused_by_name(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "trust.json"
    file.write_text(content)
    with pytest.raises(InputError, match=said) as refused:
        read_enrolment(file)
    assert str(file) in str(refused.value)
    with pytest.raises(InputError, match="No such file"):
        read_enrolment(tmp_path / "nowhere.json")


def test_an_enrolment_needs_all_its_parts() -> None:
    whole = new_site().enrolment
    for field in ("site", "subject_key", "visitor_key"):
        part = EnrolResponse()
        part.CopyFrom(whole)
        part.ClearField(field)
        with pytest.raises(InputError, match="one is missing"):
            checked(part, "the test")


def test_a_root_that_does_not_sign_itself_is_none() -> None:
    stranger = SignedSite("other")
    site = new_site()
    site.root.sign(stranger.signers["root"])
    forged = EnrolResponse(site=SITE, root=site.root.to_bytes(), subject_key=b"k" * 32, visitor_key=b"k" * 32)
    with pytest.raises(InputError, match="no valid root metadata"):
        checked(forged, "the test")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:8091", True),
        ("127.8.8.8:1", True),
        ("[::1]:8091", True),
        ("localhost:8091", True),
        ("10.0.0.1:8091", False),
        ("hub.example:8091", False),
        ("localhost.example:1", False),
        ("[2001:db8::1]:80", False),
    ],
)
def test_only_this_machine_is_loopback(address: str, *, here: bool) -> None:
    assert is_loopback(address) is here


def test_the_agent_says_what_it_has_and_how_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await eventually(lambda: len(hub.heartbeats) > 1)
            hello, beat = hub.hellos[0], hub.heartbeats[-1]
            assert (hello.node_id, hello.protocol_version, hello.bundle_version) == (node.id, PROTOCOL_VERSION, 1)
            assert hello.bundle_digest == beat.bundle_digest == FIRST.digest
            assert beat.state == "READY"
            await eventually(lambda: node.status.connected and node.status.metadata_expires_ms is not None)
            status = node.status
            assert (status.site, status.pid, status.last_error) == (SITE, os.getpid(), "")
            assert status.last_seen_ms is not None

    patiently(story())


def test_a_node_comes_back_when_the_hub_does_and_catches_up(tmp_path: Path) -> None:
    async def story() -> None:
        hub = FakeHub(new_site())
        await hub.start()
        async with running_agent(tmp_path, hub, has=FIRST) as node:
            await eventually(lambda: len(hub.answers) == 1)
            await hub.stop()
            await eventually(lambda: not node.status.connected and node.status.last_error != "")
            assert node.store.current() == FIRST.digest
            second = small_bundle(SITE, version=2, title="News")
            hub.site.release(second)
            hub.site.assign(2)
            hub.incarnation = "two"
            await hub.start(hub.port)
            await eventually(lambda: node.store.current() == second.digest)
            await eventually(lambda: node.status.connected)
            assert len(hub.hellos) >= 2
            assert hub.hellos[-1].hub_incarnation == "one"
        await hub.stop()

    patiently(story())


def test_an_agent_starts_without_its_hub_and_stops_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        hub = FakeHub(new_site())
        await hub.start()
        await hub.stop()
        loop = asyncio.get_running_loop()
        async with running_agent(tmp_path, hub, has=FIRST, reconnect_ms=60_000) as node:
            await eventually(lambda: node.paths.agent_status.exists() and node.status.last_error != "")
            stopped_at = loop.time()
        assert loop.time() - stopped_at < 3

    patiently(story())


def test_pauses_grow_are_capped_and_never_vanish() -> None:
    for draw in (0.0, 0.5, 0.999):
        backoff = Backoff(100, 1_000, lambda draw=draw: draw)  # type: ignore[misc]  # a default binds early
        pauses = [backoff.next_ms() for _ in range(60)]
        assert all(first <= second for first, second in pairwise(pauses))
        assert 50 <= pauses[0] < 100
        assert 500 <= pauses[-1] < 1_000
        backoff.reset()
        assert backoff.next_ms() == pauses[0]


def test_every_call_shows_the_token(tmp_path: Path) -> None:
    async def story() -> None:
        hub = FakeHub(new_site())
        hub.token = "let-me-in"
        async with hub, running_agent(tmp_path, hub, enrol_token="let-me-in") as node:
            await eventually(lambda: node.store.current() == FIRST.digest)
            await eventually(lambda: {"Watch", "Fetch", "Report", "Sync"} <= {name for name, _ in hub.calls})
            assert {shown for _, shown in hub.calls} == {"Bearer let-me-in"}

    patiently(story())


def test_an_enrolment_shows_the_token(tmp_path: Path) -> None:
    async def story() -> None:
        NodePaths(tmp_path).create()
        hub = FakeHub(new_site())
        hub.token = "let-me-in"
        async with hub:
            settings = settings_of(tmp_path, hub.address, enrol_token="let-me-in")
            assert await run(settings, SystemClock(), log()) == ENROLLED

    patiently(story())


def test_a_token_that_is_refused_is_said_once_and_tried_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        hub = FakeHub(new_site())
        hub.token = "let-me-in"
        async with hub, running_agent(tmp_path, hub, has=FIRST, log_level="warning", enrol_token="an-old-one") as node:
            await eventually(node.paths.agent_status.exists)
            await eventually(lambda: "UNAUTHENTICATED: no token of ours" in node.status.last_error)
            assert node.store.current() == FIRST.digest
            await eventually(lambda: len(hub.calls) > 12)
            assert not node.status.connected
            hub.token = "an-old-one"
            await eventually(lambda: node.status.connected and node.status.last_error == "")

    patiently(story())
    assert capfd.readouterr().err.count("UNAUTHENTICATED") == 1


def test_a_token_comes_with_the_enrolment_file_and_stays(tmp_path: Path) -> None:
    site, file, paths = new_site(), tmp_path / "trust.json", NodePaths(tmp_path / "node")
    paths.create()
    fields = json.loads(json_format.MessageToJson(site.enrolment))
    for token in ("first", "second"):
        file.write_text(json.dumps({**fields, "enrolToken": token}))
        take_over(paths, read_enrolment(file))
        assert kept_token(paths) == token
        assert oct(paths.token.stat().st_mode)[-3:] == "600"
    file.write_text(json.dumps(fields))
    take_over(paths, read_enrolment(file))
    assert kept_token(paths) == "second", "a file without one takes none away"
    file.write_text(json.dumps({**fields, "enrolToken": "two words"}))
    with pytest.raises(InputError, match="enrolToken"):
        read_enrolment(file)
