"""Swapping bundles in a worker: loaded, checked by its golden rows, replaced whole; what fails leaves the old one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edge_world import bundle_files, install, silent_log
from world import FILMS, NOW_MS, RANKER, feature_table, golden

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.worker.live_bundle import LiveBundle, Served
from edgewise.admission.load import load_bundle
from edgewise.bundle.golden import Golden, encode_golden, golden_rows, unpack
from edgewise.errors import BundleRefused, EdgewiseError
from edgewise.ids import ItemId


def shifted_golden(by: float) -> bytes:
    matrix, scores = unpack(golden().models[RANKER])
    return encode_golden(Golden({RANKER: golden_rows(matrix, scores + by)}))


def test_scores_that_are_not_the_trained_models_refuse_the_bundle(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    digest = install(paths, bundle_files(golden=shifted_golden(0.01)))
    with pytest.raises(BundleRefused, match="golden row is off by") as refused:
        Served(load_bundle(*BundleStore(paths).read(digest)))
    assert refused.value.code == "golden"
    digest = install(paths, bundle_files(golden=shifted_golden(1e-6)))
    assert Served(load_bundle(*BundleStore(paths).read(digest))).bundle.digest == digest


def test_what_fails_leaves_the_old_bundle_serving_and_says_why(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    live = LiveBundle(BundleStore(paths), log=silent_log())

    def told() -> tuple[str | None, str | None]:
        """What serves, and what is refused."""
        live.load_now()
        return live.digest, live.refused and live.refused.digest

    assert told() == (None, None)
    good = install(paths, bundle_files())
    assert told() == (good, None)
    bad = {**bundle_files(), "models/ranker.onnx": b"no graph at all"}
    for files in (bad, bundle_files(golden=shifted_golden(1.0))):
        digest = install(paths, files, version=8)
        assert told() == (good, digest)
    damaged = install(paths, bundle_files(), version=9)
    file = paths.bundle(damaged) / "policy.json"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert told() == (good, damaged)
    assert str(live.refused and live.refused.detail).startswith("damaged: ")
    again = install(paths, bundle_files(), version=10)
    assert told() == (again, None)
    BundleStore(paths).clear()
    assert told() == (None, None)


def test_a_worker_follows_the_store_and_reports_each_change(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    digests = [install(paths, bundle_files(), version=version) for version in (7, 8, 9)]

    async def run() -> None:
        store = BundleStore(paths)
        live = LiveBundle(store, log=silent_log())
        live.load_now()
        changes: asyncio.Queue[str | None] = asyncio.Queue()
        following = asyncio.create_task(live.follow(lambda: changes.put_nowait(live.digest)))
        for digest in (digests[1], digests[2], digests[1]):
            store.activate(digest)
            async with asyncio.timeout(10):
                while await changes.get() != digest:
                    pass
        following.cancel()

    asyncio.run(run())


def test_messagepack_contents_are_the_json_ones(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    digest = install(paths, bundle_files())
    served = Served(load_bundle(*BundleStore(paths).read(digest)))
    for item in (*FILMS, ItemId("unknown")):
        plain = msgspec.json.decode(bytes(served.content(item, now_ms=NOW_MS, packed=False)))
        assert msgspec.msgpack.decode(bytes(served.content(item, now_ms=NOW_MS, packed=True))) == plain


def test_a_model_of_another_width_degrades_and_does_not_serve_wrong_scores(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path)
    digest = install(paths, bundle_files())
    served = Served(load_bundle(*BundleStore(paths).read(digest)))
    with pytest.raises(EdgewiseError, match="the model takes"):
        served.score(RANKER, np.zeros((3, len(feature_table().features) + 1), np.float32))
