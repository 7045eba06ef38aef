"""A node as people run it: it starts without a hub, replaces what dies, refuses a second one, and ends in order."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from processes import Started, ask, edgewise, listening_pids, run_edgewise, until

from edge.node.bundles import BundleStore
from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import MadeBundle, small_bundle
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import CATALOGUE, FEATURES, GOLDEN, MANIFEST, ModelEntry
from edgewise.features.table import FeatureTable, ItemAttribute, encode_features
from edgewise.ids import ModelName
from edgewise.v1.distribution_pb2 import Ack
from hub.prove.victims import is_gone

pytestmark = pytest.mark.process


def serve(folder: Path, *words: str) -> tuple[str, ...]:
    return ("edge", "serve", "--port", "0", "--data-dir", str(folder), *words)


def decide(url: str, placement: str = "home_hero") -> Any:
    return ask(f"{url}/v1/decide", {"anonymousId": "ann", "placements": [{"name": placement}]})


def test_a_node_without_a_hub_serves_the_starter_survives_its_workers_and_ends_in_order(tmp_path: Path) -> None:
    folder, log = tmp_path / "node", tmp_path / "log"
    with edgewise(*serve(folder, "--workers", "2"), log=log) as node:
        url, port = node.said["url"], node.said["url"].rpartition(":")[2]
        assert node.said["pid"] == node.process.pid
        decision = decide(url)
        assert decision["bundle"]["version"] == 0
        assert decision["placements"]["home_hero"]["items"]

        # A second supervisor on the folder, and a second node on the port, are told so in one sentence.
        second = run_edgewise(*serve(folder))
        assert (second.returncode, second.stdout) == (1, "")
        assert f"is in use by the edge node with process id {node.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        other = run_edgewise("edge", "serve", "--port", port, "--data-dir", str(tmp_path / "other"))
        assert other.returncode == 1
        assert f"port {port}: address already in use" in other.stderr
        assert "Traceback" not in other.stderr

        before = listening_pids(node)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: before[0] not in (now := listening_pids(node)) and len(now) == 2)
        assert decide(url)["bundle"]["version"] == 0

        children = node.children()
        assert len(children) == 2
        assert node.stop() == 0
        assert all(map(is_gone, children))
    assert "a worker ended and is started again" in log.read_text()


def test_children_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with edgewise(*serve(tmp_path / "node", "--workers", "2"), log=tmp_path / "log") as node:
        children = node.children()
        assert not any(map(is_gone, children))
        node.stop(number=signal.SIGKILL)
        until(lambda: all(map(is_gone, children)))
    # The kernel has given the folder back.
    with edgewise(*serve(tmp_path / "node", "--workers", "1"), log=tmp_path / "log") as node:
        assert decide(node.said["url"])["bundle"]["version"] == 0
        assert node.stop(number=signal.SIGINT) == 0


def test_a_bundle_that_crashes_workers_is_reverted(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with edgewise(*serve(folder, "--workers", "2"), log=tmp_path / "log") as node:
        url = node.said["url"]
        bad = small_bundle("shop", version=7)
        store = BundleStore(NodePaths(folder))
        store.activate(store.stage(bad.manifest_bytes, bad.resources))
        until(lambda: decide(url)["bundle"]["version"] == 7)
        for crash in range(2):
            victims = until(lambda: len(found := listening_pids(node)) == 2 and found)
            os.kill(victims[crash], signal.SIGSEGV)
            until(partial(is_gone, victims[crash]))
        until(lambda: decide(url)["bundle"]["version"] == 0)
        held = store.quarantined(bad.digest)
        assert held is not None
        assert held.code == "crash"
        assert node.stop() == 0
    assert "the bundle is reverted" in (tmp_path / "log").read_text()


def test_an_opt_out_outlives_the_profile_cache(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    body = {"placements": [{"name": "home_hero"}]}

    def send(node: Started, method: str, path: str, said: Any, **headers: str) -> tuple[str, Any]:
        content = {"Content-Type": "application/json", **headers}
        asked = Request(f"{node.said['url']}{path}", json.dumps(said).encode(), content, method=method)
        with urlopen(asked, timeout=10) as answer:
            return answer.headers.get("set-cookie", "").partition(";")[0], json.load(answer)

    with edgewise(*serve(folder, "--workers", "1"), log=tmp_path / "log") as node:
        cookie, _ = send(node, "POST", "/v1/decide", body)
        assert send(node, "PUT", "/v1/preferences", {"dial": 0}, Cookie=cookie)[1]["dial"] == 0
        assert node.stop() == 0  # in order: the children of one that is killed write on for a moment
    shutil.rmtree(folder / "profiles")
    with edgewise(*serve(folder, "--workers", "1"), log=tmp_path / "log") as node:
        _, told = send(node, "POST", "/v1/decide", body, Cookie=cookie)
        assert told["placements"]["home_hero"]["reason"] == "OPTED_OUT"
        assert node.stop() == 0


def catalogue_that_is_none() -> MadeBundle:
    return small_bundle("shop", version=2, resources={CATALOGUE: b'{"items": 7}'})


def model_that_is_none() -> MadeBundle:
    rows = np.array([[1, 2], [3, 4]], np.float32)
    resources = {
        "models/sum.onnx": b"no model",
        GOLDEN: encode_golden(Golden({ModelName("sum"): golden_rows(rows, np.array([3.0, 7.0]))})),
        FEATURES: encode_features(FeatureTable([ItemAttribute(name=name, attribute=name) for name in "ab"])),
    }
    entry = ModelEntry("models/sum.onnx", features=("a", "b"))
    return small_bundle("shop", version=2, models={"sum": entry}, resources=resources)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(catalogue_that_is_none, CATALOGUE, id="catalogue"),
        pytest.param(model_that_is_none, "model: field 13 is not allowed", id="model", marks=pytest.mark.slow),
    ],
)
def test_a_folder_whose_bundle_does_not_load_is_refused_before_it_replaces_a_good_one(
    tmp_path: Path, make: Callable[[], MadeBundle], said: str
) -> None:
    """Its digests are right; whether it loads, only its trial says."""
    good, folder = small_bundle("shop", version=1), tmp_path / "node"
    for name, bundle in (("good", good), ("bad", make())):
        for path, data in {**bundle.resources, MANIFEST: bundle.manifest_bytes}.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(data)
    words = serve(folder, "--workers", "1", "--bundle")
    with edgewise(*words, str(tmp_path / "good"), log=tmp_path / "log") as node:
        assert decide(node.said["url"])["bundle"]["version"] == 1
        assert node.stop() == 0
    refused = run_edgewise(*words, str(tmp_path / "bad"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"--bundle {tmp_path / 'bad'}" in refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert BundleStore(NodePaths(folder)).current() == good.digest


def test_a_node_that_meets_its_hub_late_takes_over_the_sites_keys(tmp_path: Path) -> None:
    """Until then it works under keys of its own; what it cached under them is forgotten."""
    site = SignedSite("shop")
    site.release(small_bundle("shop", version=1))
    site.assign(1)
    paths = NodePaths(tmp_path / "node")

    async def story() -> None:
        hub = FakeHub(site)
        await hub.start()
        await hub.stop()
        (tmp_path / "edge.toml").write_text('enrol_token = "a-secret"')
        words = serve(paths.root, "--workers", "1", "--hub", hub.address, "--config", str(tmp_path / "edge.toml"))
        async with AsyncExitStack() as stack:
            node = stack.enter_context(edgewise(*words, log=tmp_path / "log"))
            url = node.said["url"]
            assert load_site_keys(paths).site is None
            before = await asyncio.to_thread(listening_pids, node)
            decision = await asyncio.to_thread(decide, url)
            assert decision["placements"]["home_hero"]["reason"] == "FALLBACK_NO_BUNDLE"
            shown = node.arguments_of_children()
            assert len(shown) == 2
            assert "a-secret" not in "".join(shown)
            (paths.profiles / "old").write_text("beside the old profiles")
            await hub.start(hub.port)
            stack.push_async_callback(hub.stop)
            await eventually(lambda: any(isinstance(answer, Ack) for answer in hub.answers), most_s=40)
            assert ("Enrol", "Bearer a-secret") in hub.calls
            assert load_site_keys(paths).subject_key == site.subject_key
            assert (await asyncio.to_thread(ask, f"{url}/status"))["bundle"]["version"] == 1
            assert (await asyncio.to_thread(listening_pids, node)) != before
            assert [path.name for path in paths.profiles.glob("*") if path.name in {"old", "data.mdb"}] == ["data.mdb"]
            assert await asyncio.to_thread(node.stop) == 0

    asyncio.run(story())
