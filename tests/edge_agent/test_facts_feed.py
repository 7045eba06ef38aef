"""Live facts arrive at a node over real gRPC and exact TUF: good ones are kept, whatever else comes changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_world import enrolled, patiently, running_agent
from securesystemslib.signer import CryptoSigner

from edge.node.facts_file import FactsFile
from edge.node.layout import NodePaths
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle
from edgewise.bundle.facts import FACTS_TARGET, FactSheet, encode_facts
from edgewise.ids import ItemId
from edgewise.v1.distribution_pb2 import FactsAnswer

SITE = "shop"
FIRST = small_bundle(SITE, version=1)


def new_site() -> SignedSite:
    site = SignedSite(SITE)
    site.release(FIRST)
    site.assign(1)
    return site


def sheet(version: int, stock: float = 0.0) -> FactSheet:
    return FactSheet(version, 1_000, 2_000, columns={"stock": {ItemId("tea"): stock}})


async def taken(hub: FakeHub, version: int) -> FactsAnswer:
    """What the node says once it has facts of a version that the site has just published."""
    hub.tell_facts()
    await eventually(lambda: any(answer.version == version for answer in hub.facts_answers))
    return hub.facts_answers[-1]


async def refusal_of(hub: FakeHub) -> FactsAnswer:
    """What the node says of what it does not take."""
    hub.tell_facts()
    await eventually(lambda: any(answer.code for answer in hub.facts_answers))
    return next(answer for answer in hub.facts_answers if answer.code)


def kept(folder: Path) -> int:
    found = FactsFile(NodePaths(folder)).sheet()
    return 0 if found is None else found.version


def test_facts_are_kept_as_they_change_and_the_hub_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST):
            await eventually(lambda: bool(hub.answers))
            assert (await taken(hub, 0)).code == "", "there are none yet"
            for version in (1, 2, 5):
                hub.site.publish_facts(encode_facts(sheet(version)))
                answer = await taken(hub, version)
                assert (answer.version, answer.code) == (version, "")
                assert kept(tmp_path) == version
            hub.fetched.clear()
            hub.facts_answers.clear()
            await taken(hub, 5)
            assert not [path for path in hub.fetched if path.startswith("targets/facts")], "what is here is not fetched"

    patiently(story())


def test_an_old_hub_is_never_told_what_it_does_not_know(tmp_path: Path) -> None:
    """It ends the stream of whoever says something strange."""

    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST):
            await eventually(lambda: bool(hub.answers))
            hub.site.publish_facts(encode_facts(sheet(1)))
            hub.offer()
            await eventually(lambda: kept(tmp_path) == 1)
            assert hub.facts_answers == []

    patiently(story())


def test_a_price_does_not_wait_for_a_release_that_is_being_fetched(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await eventually(lambda: bool(hub.answers))
            node.stuck.set()
            second = small_bundle(SITE, version=2, title="Good bye")
            hub.site.release(second)
            hub.site.assign(2)
            hub.offer()
            await eventually(lambda: node.store.current() == second.digest)
            answers = len(hub.answers)
            hub.site.publish_facts(encode_facts(sheet(1)))
            await taken(hub, 1)
            assert len(hub.answers) == answers, "the release is still waiting for the worker"
            node.stuck.clear()
            await eventually(lambda: len(hub.answers) > answers)

    patiently(story())


def older_sheet(site: SignedSite) -> None:
    site.publish_facts(encode_facts(sheet(2)))


def other_sheet_of_that_version(site: SignedSite) -> None:
    site.publish_facts(encode_facts(sheet(3, stock=9.0)))


def role_key_of_a_stranger(site: SignedSite) -> None:
    site.signers["facts"] = CryptoSigner.generate_ed25519()
    site.publish_facts(encode_facts(sheet(4)))


def key_of_another_role(site: SignedSite) -> None:
    site.signers["facts"] = site.signers["assignment"]
    site.publish_facts(encode_facts(sheet(4)))


def older_metadata(site: SignedSite) -> None:
    """Snapshot and timestamp are new, the role's version is one that the node has gone past."""
    site.facts.signed.version -= 2
    site.publish_facts(encode_facts(sheet(4)))


def expired_role(site: SignedSite) -> None:
    life, site.life = site.life, dt.timedelta(seconds=-5)
    data = encode_facts(sheet(4))
    site.publish_facts(data)
    site.life = life
    site.sign()


def other_bytes(site: SignedSite) -> None:
    """Of the length that was signed, so that only their digest tells."""
    signed = encode_facts(sheet(4))
    site.publish_facts(signed)
    path = next(path for path, data in site.files.items() if data == signed)
    site.files[path] = encode_facts(sheet(5))


def lost_target(site: SignedSite) -> None:
    site.publish_facts(encode_facts(sheet(4)))
    for path in [path for path in site.files if path.startswith("targets/facts/")]:
        del site.files[path]


def no_numbers(site: SignedSite) -> None:
    site.publish_facts(b'{"version": 4, "issued_ms": 0, "expires_ms": 1, "columns": {"stock": {"tea": "<script>"}}}')


def endless(site: SignedSite) -> None:
    site.publish_facts(encode_facts(sheet(4)))
    site.facts.signed.targets[FACTS_TARGET].length = 1 << 40
    site.sign("facts")


ATTACKS: dict[Callable[[SignedSite], None], str] = {
    older_sheet: "rollback",
    other_sheet_of_that_version: "rollback",
    role_key_of_a_stranger: "untrusted",
    key_of_another_role: "untrusted",
    older_metadata: "rollback",
    expired_role: "expired",
    other_bytes: "digest_mismatch",
    lost_target: "missing",
    no_numbers: "malformed",
    endless: "too_large",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_bad_facts_are_refused_with_a_reason_and_the_last_good_ones_stay(
    tmp_path: Path, attack: Callable[[SignedSite], None]
) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST, log_level="critical") as node:
            await eventually(lambda: bool(hub.answers))
            hub.site.publish_facts(encode_facts(sheet(3)))
            await taken(hub, 3)
            attack(hub.site)
            answer = await refusal_of(hub)
            assert (answer.version, answer.code) == (3, ATTACKS[attack]), answer.detail
            assert answer.detail
            assert kept(tmp_path) == 3
            told = node.status.facts_nack
            assert told is not None
            assert told.code == ATTACKS[attack]

    patiently(story())


def test_a_damaged_file_is_nothing_and_is_fetched_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await eventually(lambda: bool(hub.answers))
            hub.site.publish_facts(encode_facts(sheet(3)))
            await taken(hub, 3)
            whole = node.paths.facts.read_bytes()
            for damaged in (b"", whole[:-1], whole[:70] + b"x" + whole[71:], b"f" * 64 + whole[64:]):
                node.paths.facts.write_bytes(damaged)
                assert kept(tmp_path) == 0
            hub.tell_facts()
            await eventually(lambda: node.paths.facts.read_bytes() == whole)

    patiently(story())


def test_a_node_that_moves_to_another_site_forgets_the_facts_of_the_old_one(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    paths.create()
    FactsFile(paths).keep(sheet(3), "0" * 64)
    enrolled(tmp_path, new_site())
    assert kept(tmp_path) == 0
