"""Live facts in a worker: taken over as they come, kept over new bundles, told in the status, written into records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from edge_world import bundle_files, install, node, silent_log, spooled
from world import HERO, NOW_MS, catalogue, item, placement, policy

from edge.node.bundles import BundleStore
from edge.node.facts_file import FactsFile
from edge.node.layout import NodePaths
from edge.node.status import AgentStatus, Nacked, write_status
from edge.testing.fake_hub import eventually
from edge.worker.live_bundle import LiveBundle
from edgewise.bundle.catalogue import content_sha256, encode_catalogue
from edgewise.bundle.facts import FactSheet
from edgewise.bundle.manifest import TEMPLATES
from edgewise.bundle.policy import LiveFact
from edgewise.bundle.templates import NumberVariable, Template, Templates, encode_templates, template_sha256
from edgewise.clock import ManualClock
from edgewise.ids import ItemId, TemplateName
from edgewise.records import DecisionRecord

DIGEST = "a" * 64
BODY = {"placements": [{"name": HERO, "count": 2}], "consent": {"personalisation": "denied"}}


def sheet(version: int, *sold_out: str, halted: bool = False, life_ms: int = 60_000) -> FactSheet:
    columns = {} if halted else {"stock": dict.fromkeys(map(ItemId, sold_out), 0.0)}
    return FactSheet(version, NOW_MS - 2_000, NOW_MS + life_ms, halted, columns)


def following(folder: Path, story: Callable[[LiveBundle, FactsFile, BundleStore], Awaitable[None]]) -> None:
    """A worker's bundle and facts, with both followed while the story is told."""

    async def run() -> None:
        paths = NodePaths(folder)
        paths.create()
        store, file = BundleStore(paths), FactsFile(paths)
        live = LiveBundle(store, file, log=silent_log())
        live.load_now()
        tasks = [asyncio.create_task(live.follow(lambda: None)), asyncio.create_task(live.follow_facts())]
        await story(live, file, store)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def versions(live: LiveBundle) -> tuple[int, int]:
    """Of the bundle and of the facts that are served."""
    served = live.served
    return (0, 0) if served is None else (served.bundle.version, served.facts.version)


def test_facts_are_there_from_the_first_request_on_and_followed(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    FactsFile(NodePaths(tmp_path)).keep(sheet(3, "film-0"), DIGEST)

    async def story(live: LiveBundle, file: FactsFile, _: BundleStore) -> None:
        assert versions(live) == (7, 3)
        assert live.served is not None
        bundle = live.served.bundle
        for version in (4, 9):
            file.keep(sheet(version, "film-1"), DIGEST)
            await eventually(lambda version=version: versions(live) == (7, version))  # type: ignore[misc]
            assert live.served.facts.sold_out == {"film-1"}
            assert live.served.bundle is bundle, "nothing was loaded again"

    following(tmp_path, story)


def test_worse_facts_never_replace_better_ones(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())

    async def story(live: LiveBundle, file: FactsFile, _: BundleStore) -> None:
        file.keep(sheet(5, "film-0"), DIGEST)
        await eventually(lambda: versions(live) == (7, 5))
        file.keep(sheet(4), DIGEST)
        (tmp_path / "trust/facts").write_bytes(b"damaged")
        file.keep(sheet(6, "film-2"), DIGEST)
        seen = set()
        while versions(live) != (7, 6):
            seen.add(versions(live))
            await asyncio.sleep(0)
        assert seen == {(7, 5)}

    following(tmp_path, story)


def test_a_new_bundle_is_served_with_the_facts_that_are_there(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    first, second = (install(paths, bundle_files(), version=version) for version in (7, 8))

    async def story(live: LiveBundle, file: FactsFile, store: BundleStore) -> None:
        file.keep(sheet(5, "film-0"), DIGEST)
        await eventually(lambda: versions(live) == (8, 5))
        store.activate(first)
        await eventually(lambda: versions(live)[0] == 7)
        assert versions(live) == (7, 5)
        assert live.served is not None
        assert live.served.facts.bundle is live.served.bundle
        store.activate(second)
        file.keep(sheet(6), DIGEST)
        await eventually(lambda: versions(live) == (8, 6))

    following(tmp_path, story)


def test_status_and_records_name_what_was_decided_with(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    FactsFile(NodePaths(tmp_path)).keep(sheet(3, "film-0", "film-1"), DIGEST)
    with node(tmp_path) as (client, desk):
        answer = client.post("/v1/decide", json=BODY).json()
        assert [item["id"] for item in answer["placements"][HERO]["items"]] == ["film-2", "film-3"]
        assert client.get("/status").json()["liveFacts"] == {
            "version": 3, "ageSeconds": 2.0, "halted": False, "expired": False, "items": 2, "soldOut": 2, "refused": "",
        }  # fmt: skip
        assert b"edgewise_live_facts_version 3.0" in client.get("/metrics").content
        assert desk.live.served is not None
        assert desk.live.served.facts.version == 3

        desk.live.sheet = sheet(4, halted=True)
        desk.live.served = desk.live.served.under(desk.live.sheet)
        answer = client.post("/v1/decide", json=BODY).json()
        assert [item["id"] for item in answer["placements"][HERO]["items"]] == ["film-0", "film-1"]
        told = client.get("/status").json()["liveFacts"]
        assert (told["version"], told["halted"], told["items"]) == (0, True, 0)
        records = [record for record in spooled(desk) if isinstance(record, DecisionRecord)]
        assert [record.facts_version for record in records] == [3, 0]


def test_the_price_that_was_decided_with_is_on_the_page(tmp_path: Path) -> None:
    """In JSON, in MessagePack and in HTML alike; past the sheet's time it is the released one again."""
    content = {"price": 5, "title": "Film 0"}
    first = msgspec.structs.replace(item(0), content=content, approved_sha256=content_sha256(content))
    card = Template(
        {"html": {"": "<b>{{ price | number(2) }}</b>"}}, variables={"price": NumberVariable()}, formats=["card"]
    )
    card = msgspec.structs.replace(card, approved_sha256=template_sha256(card), approved_by="Ann")
    prices = policy({HERO: placement(format="card")}, live_facts={"price": LiveFact(most_change=0.5, shown=True)})
    films = encode_catalogue(catalogue([first, *map(item, range(1, 24))]))
    files = bundle_files(prices, catalogue=films)
    files[TEMPLATES] = encode_templates(Templates({TemplateName("card"): card}))
    install(NodePaths(tmp_path), files)
    facts = FactSheet(3, NOW_MS - 2_000, NOW_MS + 1_000, columns={"price": {ItemId("film-0"): 4.5}})
    FactsFile(NodePaths(tmp_path)).keep(facts, DIGEST)
    clock, body = ManualClock(NOW_MS), BODY | {"options": {"render": True}}
    with node(tmp_path, bundle=False, clock=clock) as (client, _):

        def shown(way: str) -> tuple[float, bool]:
            coder = msgspec.json if way == "json" else msgspec.msgpack
            headers = {"content-type": f"application/{way}"}
            told = coder.decode(client.post("/v1/decide", content=coder.encode(body), headers=headers).content)
            placed = told["placements"][HERO]
            price = placed["items"][0]["content"]["price"]
            return price, f"<b>{price:.2f}</b>" in placed["html"]

        assert [shown(way) for way in ("json", "msgpack", "json")] == [(4.5, True)] * 3
        clock.advance(1_000)
        assert [shown(way) for way in ("json", "msgpack")] == [(5, True)] * 2


def test_facts_that_nobody_renewed_make_the_node_stale_and_keep_what_is_sold_out(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    FactsFile(NodePaths(tmp_path)).keep(sheet(3, "film-0", life_ms=0), DIGEST)
    with node(tmp_path) as (client, _):
        answer = client.post("/v1/decide", json=BODY).json()
        assert answer["bundle"]["state"] == "STALE"
        assert [item["id"] for item in answer["placements"][HERO]["items"]] == ["film-1", "film-2"]
        assert client.get("/status").json()["liveFacts"]["expired"] is True
        assert client.get("/health/ready").status_code == 200


def test_a_node_that_takes_no_facts_says_so_and_one_that_refused_some_says_why(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    FactsFile(NodePaths(tmp_path)).keep(sheet(3, "film-0"), DIGEST)
    with node(tmp_path, live_facts=False) as (client, desk):
        answer = client.post("/v1/decide", json=BODY).json()
        assert answer["placements"][HERO]["items"][0]["id"] == "film-0"
        refused = Nacked(NOW_MS, "rollback", "none falls")
        told = AgentStatus(pid=desk.own_status().pid, written_ms=NOW_MS, facts_nack=refused)
        write_status(desk.paths.agent_status, told)
        desk.condition.look()
        status = client.get("/status").json()["liveFacts"]
        assert (status["version"], status["halted"], status["refused"]) == (0, True, "rollback: none falls")
