"""The agent asks a proxy to forget what is not true any more: once it has settled, and again where it failed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from agent_world import patiently, running_agent
from edge_world import silent_log
from hypothesis import given
from hypothesis import strategies as st
from proxy_world import serving
from typing_extensions import override

from edge.agent.purging import (
    MOST_HELD_LOOKS,
    MOST_KEYS,
    RETRY_MS,
    SETTLING_LOOKS,
    PurgeRefused,
    Purging,
    asker,
    changed_items,
)
from edge.node.facts_file import FactsFile
from edge.node.status import WorkerStatus, write_status
from edge.node.surrogates import item_key, key_headers, placement_key
from edge.settings import EdgeSettings
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle
from edgewise.bundle.facts import FactSheet, encode_facts
from edgewise.ids import ItemId, PlacementName


class Asked:
    """A proxy that is asked, or fails."""

    def __init__(self) -> None:
        self.keys: list[list[str]] = []
        self.is_down = False

    def __call__(self, keys: Iterable[str]) -> None:
        if self.is_down:
            raise PurgeRefused("is down")
        self.keys.append(list(keys))


class Node:
    """A node's folder, and the purging of its agent."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = EdgeSettings(data_dir=str(folder), workers=2, **settings)
        self.settings.paths.create()
        self.asked = Asked()
        self.version = 0
        self.purging = Purging(self.settings, ask=self.asked, draw=lambda: 1.0, log=silent_log())

    def serves(self, *digests: str | None) -> None:
        for index, digest in enumerate(digests):
            status = WorkerStatus(
                index=index, pid=os.getpid(), epoch=1, written_ms=0, listening=True, bundle_digest=digest
            )
            write_status(self.settings.paths.worker_status(index), status)

    def facts(self, **columns: dict[str, float]) -> None:
        self.version += 1
        typed = {name: {ItemId(item): number for item, number in column.items()} for name, column in columns.items()}
        FactsFile(self.settings.paths).keep(FactSheet(self.version, 1, 2, columns=typed), "0" * 64)

    def look(self, times: int = SETTLING_LOOKS + 1) -> None:
        async def looks() -> None:
            for _ in range(times):
                await self.purging.look()

        asyncio.run(looks())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """One whose proxy was told after its start."""
    made = Node(tmp_path)
    made.serves("a" * 64, "a" * 64)
    made.look()
    assert made.asked.keys.pop() == ["edgewise"]
    return made


def test_everything_is_forgotten_when_all_workers_serve_another_release(node: Node) -> None:
    node.serves("b" * 64)
    node.look(10)
    assert node.asked.keys == []
    node.serves("b" * 64, "b" * 64)
    node.look(SETTLING_LOOKS)
    assert node.asked.keys == []
    node.look(10)
    assert node.asked.keys == [["edgewise"]]


def test_an_item_is_forgotten_when_a_fact_of_it_changes(node: Node) -> None:
    node.facts(stock={"a": 3.0, "b": 1.0}, price={"c": 9.0})
    node.look(10)
    node.facts(stock={"a": 0.0, "b": 1.0}, price={"c": 9.0})
    node.look(10)
    node.facts(stock={"a": 0.0, "b": 1.0})
    node.look(10)
    assert node.asked.keys == [["ew-i-a", "ew-i-b", "ew-i-c"], ["ew-i-a"], ["ew-i-c"]]


def test_a_change_during_the_last_look_is_waited_for(node: Node) -> None:
    """The proxy would fetch the old fragment again, and keep it."""
    node.facts(stock={"a": 3.0})
    node.look(SETTLING_LOOKS)
    node.facts(stock={"a": 2.0})
    node.look(SETTLING_LOOKS)
    assert node.asked.keys == []
    node.look(1)
    assert node.asked.keys == [["ew-i-a"]]


def test_what_changes_all_the_time_is_asked_all_the_same_and_once_more_at_the_end(node: Node) -> None:
    for stock in range(MOST_HELD_LOOKS + 2):
        node.facts(stock={"a": float(stock)})
        node.look(1)
    assert node.asked.keys == [["ew-i-a"]]
    node.look(10)
    assert node.asked.keys == [["ew-i-a"], ["ew-i-a"]]


def test_many_items_are_everything(node: Node) -> None:
    node.facts(stock={f"item-{number}": 1.0 for number in range(MOST_KEYS + 1)})
    node.look(10)
    assert node.asked.keys == [["edgewise"]]


def test_what_cannot_be_asked_is_asked_again_and_nothing_is_lost(node: Node) -> None:
    node.asked.is_down = True
    node.facts(stock={"a": 1.0})
    node.look()
    node.facts(stock={"a": 1.0, "b": 1.0})
    node.look()
    node.asked.is_down = False
    node.look(2 * RETRY_MS // 500 + 4)
    assert node.asked.keys == [["ew-i-a", "ew-i-b"]]
    node.look(10)
    assert len(node.asked.keys) == 1


SHEETS = st.none() | st.builds(
    lambda columns: FactSheet(1, 1, 2, columns=columns),
    st.dictionaries(
        st.sampled_from(["stock", "price"]),
        st.dictionaries(st.sampled_from([ItemId(name) for name in "abcd"]), st.sampled_from([0.0, 1.0])),
    ),
)


@given(SHEETS, SHEETS)
def test_exactly_the_items_whose_facts_differ_have_changed(before: FactSheet | None, after: FactSheet | None) -> None:
    def told(sheet: FactSheet | None, item: str) -> dict[str, float]:
        columns = {} if sheet is None else sheet.columns
        return {name: column[ItemId(item)] for name, column in columns.items() if item in column}

    assert changed_items(before, after) == {item for item in "abcd" if told(before, item) != told(after, item)}


@given(st.text(max_size=90), st.text(max_size=90))
def test_keys_can_stand_in_headers_and_two_names_never_share_one(one: str, other: str) -> None:
    keys = [item_key(ItemId(one)), placement_key(PlacementName(other))]
    ((_, spaced), _, (_, commas)) = key_headers(keys)
    assert spaced.decode().split(" ") == commas.decode().split(",") == keys
    assert all(key.replace("-", "").replace("_", "").isalnum() for key in keys)
    assert (item_key(ItemId(one)) == item_key(ItemId(other))) == (one == other)


class _Proxy(BaseHTTPRequestHandler):
    heard: ClassVar[list[tuple[str, str | None, str | None]]] = []
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        self.heard.append((self.path, self.headers["Surrogate-Key"], self.headers["Fastly-Key"]))
        self.send_response(self.status)
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_proxy_is_asked_by_one_request_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Proxy, "heard", [])
    with serving(_Proxy) as port:
        ask = asker(f"http://127.0.0.1:{port}/service/ab/purge?soft=1", "Fastly-Key: secret")
        ask(["ew-i-a", "ew-p-b"])
        assert _Proxy.heard == [("/service/ab/purge?soft=1", "ew-i-a ew-p-b", "secret")]
        monkeypatch.setattr(_Proxy, "status", 403)
        with pytest.raises(PurgeRefused, match="403"):
            ask(["edgewise"])
    with pytest.raises(OSError, match="refused"):
        ask(["edgewise"])


def test_an_agent_asks_when_its_workers_serve_another_release_and_when_a_fact_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Proxy, "heard", [])
    first, second = (small_bundle("shop", version=number, title=f"release {number}") for number in (1, 2))

    async def story(port: int) -> None:
        site = SignedSite("shop")
        site.release(first)
        site.assign(1)
        url = f"http://127.0.0.1:{port}/.edgewise/purge"
        async with FakeHub(site) as hub, running_agent(tmp_path, hub, has=first, purge_url=url):
            await eventually(lambda: len(_Proxy.heard) == 1)
            site.release(second)
            site.assign(2)
            hub.offer()
            await eventually(lambda: len(_Proxy.heard) == 2)
            sheet = FactSheet(1, 1, 2**60, columns={"stock": {ItemId("kettle"): 0.0}})
            site.publish_facts(encode_facts(sheet))
            hub.tell_facts()
            await eventually(lambda: len(_Proxy.heard) == 3)

    with serving(_Proxy) as port:
        patiently(story(port))
    assert [keys for _, keys, _ in _Proxy.heard] == ["edgewise", "edgewise", "ew-i-kettle"]
