"""Releases arrive at a node over real gRPC and exact TUF: good ones serve, bad ones are refused with their reason."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from agent_world import patiently, running_agent
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import MadeBundle, small_bundle
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import CATALOGUE, GOLDEN, ModelEntry
from edgewise.errors import BundleRefused
from edgewise.features.table import FeatureTable, ItemAttribute, encode_features
from edgewise.ids import BundleVersion, ModelName
from edgewise.v1.distribution_pb2 import Ack, Nack

SITE = "shop"
FIRST = small_bundle(SITE, version=1)
SECOND = small_bundle(SITE, version=2, title="Good bye")

Attack = Callable[[FakeHub], None]


def new_site() -> SignedSite:
    site = SignedSite(SITE)
    site.release(FIRST)
    site.assign(1)
    return site


def promote(hub: FakeHub, bundle: MadeBundle, version: int = 2) -> None:
    hub.site.release(bundle)
    hub.site.assign(version)


async def answer_to(hub: FakeHub, nonce: str) -> Ack | Nack:
    await eventually(lambda: any(answer.nonce == nonce for answer in hub.answers))
    return next(answer for answer in hub.answers if answer.nonce == nonce)


async def first_release(hub: FakeHub) -> None:
    await eventually(lambda: bool(hub.answers))
    assert isinstance(hub.answers[0], Ack), hub.answers


def test_a_release_is_verified_installed_and_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub) as node:
            ack = await answer_to(hub, "offer-1")
            assert isinstance(ack, Ack)
            assert (ack.bundle_version, ack.bundle_digest) == (1, FIRST.digest)
            assert node.store.current() == FIRST.digest
            assert node.store.read(FIRST.digest)[2] == FIRST.resources

    patiently(story())


def test_the_next_release_fetches_only_what_changed_and_keeps_the_one_before(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            hub.fetched.clear()
            promote(hub, SECOND)
            assert isinstance(await answer_to(hub, hub.offer()), Ack)
            changed = hashlib.sha256(SECOND.resources[CATALOGUE]).hexdigest()
            assert [path for path in hub.fetched if path.startswith("blobs/")] == [f"blobs/{changed}"]
            assert (node.store.current(), node.store.previous()) == (SECOND.digest, FIRST.digest)

    patiently(story())


def test_a_rollback_is_a_newer_assignment_of_an_older_release(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            promote(hub, SECOND)
            assert isinstance(await answer_to(hub, hub.offer()), Ack)
            hub.site.assign(1)
            ack = await answer_to(hub, hub.offer())
            assert isinstance(ack, Ack)
            assert (ack.bundle_version, node.store.current()) == (1, FIRST.digest)

    patiently(story())


def test_a_node_follows_an_assignment_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            hub.site.release(SECOND)
            hub.site.assign(1, {node.id: BundleVersion(2)})
            ack = await answer_to(hub, hub.offer())
            assert isinstance(ack, Ack)
            assert ack.bundle_version == 2

    patiently(story())


def test_the_pinned_root_may_hand_over_to_a_new_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST):
            await first_release(hub)
            hub.site.rotate_root()
            promote(hub, SECOND)
            assert isinstance(await answer_to(hub, hub.offer()), Ack)

    patiently(story())


# --- attacks and accidents: each changes what the hub hands out after a good first release ---------------------------
def flipped_byte_in_a_resource(hub: FakeHub) -> None:
    promote(hub, SECOND)
    path = f"blobs/{hashlib.sha256(SECOND.resources[CATALOGUE]).hexdigest()}"
    hub.site.files[path] = flipped(hub.site.files[path])


def flipped_byte_in_the_manifest(hub: FakeHub) -> None:
    promote(hub, SECOND)
    path = f"targets/releases/2/{SECOND.digest}.manifest.json"
    hub.site.files[path] = flipped(hub.site.files[path])


def signed_by_a_stranger(hub: FakeHub) -> None:
    stranger = SignedSite(SITE)
    stranger.release(SECOND)
    stranger.assign(2)
    for _ in range(5):
        stranger.sign("targets", "assignment")  # his versions are the higher ones
    hub.site.files |= stranger.files


def older_metadata_is_played_back(hub: FakeHub) -> None:
    before = dict(hub.site.files)
    promote(hub, SECOND)
    hub.site.files["metadata/timestamp.json"] = before["metadata/timestamp.json"]
    newest = hub.site.timestamp.signed.version
    hub.site.timestamp.signed.version = 0
    hub.site.sign()
    assert hub.site.timestamp.signed.version < newest


def older_assignment_is_signed_again(hub: FakeHub) -> None:
    hub.site.release(SECOND)
    hub.site.assign(2, version=1)
    hub.site.sign()


def snapshot_of_another_moment(hub: FakeHub) -> None:
    before = hub.site.snapshot.to_bytes()
    promote(hub, SECOND)
    hub.site.files[f"metadata/{hub.site.snapshot.signed.version}.snapshot.json"] = before


def targets_of_another_moment(hub: FakeHub) -> None:
    before = hub.site.targets.to_bytes()
    promote(hub, SECOND)
    hub.site.files[f"metadata/{hub.site.targets.signed.version}.targets.json"] = before


def endless_timestamp(hub: FakeHub) -> None:
    promote(hub, SECOND)
    hub.endless.add("metadata/timestamp.json")


def endless_manifest(hub: FakeHub) -> None:
    promote(hub, SECOND)
    hub.endless.add(f"targets/releases/2/{SECOND.digest}.manifest.json")


def endless_resource(hub: FakeHub) -> None:
    promote(hub, SECOND)
    hub.endless.add(f"blobs/{hashlib.sha256(SECOND.resources[CATALOGUE]).hexdigest()}")


def frozen_metadata(hub: FakeHub) -> None:
    hub.site.life = dt.timedelta(seconds=-10)
    promote(hub, SECOND)


def missing_resource(hub: FakeHub) -> None:
    promote(hub, SECOND)
    del hub.site.files[f"blobs/{hashlib.sha256(SECOND.resources[CATALOGUE]).hexdigest()}"]


def release_that_is_not_signed(hub: FakeHub) -> None:
    hub.site.assign(3)


def manifest_of_another_version(hub: FakeHub) -> None:
    promote(hub, SECOND)
    path = "releases/2/manifest.json"
    hub.site.targets.signed.targets["releases/5/manifest.json"] = hub.site.targets.signed.targets.pop(path)
    hub.site.files[f"targets/releases/5/{SECOND.digest}.manifest.json"] = SECOND.manifest_bytes
    hub.site.sign("targets")
    hub.site.assign(5)


def manifest_that_is_no_text(hub: FakeHub) -> None:
    hub.site.list_manifest(BundleVersion(2), SECOND.manifest_bytes.replace(b'"site":"', b'"site":"\xff'))
    hub.site.assign(2)


def manifest_nested_without_end(hub: FakeHub) -> None:
    endless = b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    hub.site.list_manifest(BundleVersion(2), SECOND.manifest_bytes[:-1] + endless)
    hub.site.assign(2)


def bundle_of_another_site(hub: FakeHub) -> None:
    promote(hub, small_bundle("other", version=2))


def bundle_of_the_future(hub: FakeHub) -> None:
    promote(hub, small_bundle(SITE, version=2, protocol_version=99))


def path_out_of_the_folder(hub: FakeHub) -> None:
    promote(hub, small_bundle(SITE, version=2, resources={"../../../tmp/x": b"x"}))


def resource_beyond_all_bounds(hub: FakeHub) -> None:
    made = small_bundle(SITE, version=2)
    manifest = msgspec.json.decode(made.manifest_bytes)
    manifest["resources"][CATALOGUE]["bytes"] = 1 << 40
    promote(hub, MadeBundle(msgspec.json.encode(manifest), made.resources))


def catalogue_that_is_none(hub: FakeHub) -> None:
    promote(hub, small_bundle(SITE, version=2, resources={CATALOGUE: b'{"items": 7}'}))


def flipped(data: bytes) -> bytes:
    return data[:20] + bytes([data[20] ^ 1]) + data[21:]


def model(width: int = 2) -> Any:
    """Score = sum of the row."""
    weights = numpy_helper.from_array(np.ones((width, 1), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def scored(onnx: bytes, scores: list[float], **fields: Any) -> MadeBundle:
    rows = np.array([[1, 2], [3, 4]], np.float32)
    entry = ModelEntry("models/sum.onnx", features=("a", "b"))
    golden = Golden({ModelName("sum"): golden_rows(rows, np.array(scores))})
    table = FeatureTable([ItemAttribute(name=name, attribute=name) for name in "ab"])
    resources = {
        "models/sum.onnx": onnx,
        GOLDEN: encode_golden(golden),
        "features.json": encode_features(table),
    }
    return small_bundle(SITE, version=2, models={"sum": entry}, resources=resources, **fields)


def model_with_external_data(hub: FakeHub) -> None:
    made = model()
    external_data_helper.set_external_data(made.graph.initializer[0], location="../../etc/passwd")
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    promote(hub, scored(made.SerializeToString(), [3, 7]))


def model_whose_scores_are_not_the_trained_ones(hub: FakeHub) -> None:
    promote(hub, scored(model().SerializeToString(), [3, 7.001]))


def model_of_another_width(hub: FakeHub) -> None:
    promote(hub, scored(model(width=3).SerializeToString(), [3, 7]))


REFUSED: list[tuple[Attack, str]] = [
    (flipped_byte_in_a_resource, "digest_mismatch"),
    (flipped_byte_in_the_manifest, "digest_mismatch"),
    (signed_by_a_stranger, "untrusted"),
    (older_metadata_is_played_back, "rollback"),
    (older_assignment_is_signed_again, "rollback"),
    (snapshot_of_another_moment, "digest_mismatch"),
    (targets_of_another_moment, "digest_mismatch"),
    (endless_timestamp, "too_large"),
    (endless_manifest, "too_large"),
    (endless_resource, "too_large"),
    (frozen_metadata, "expired"),
    (missing_resource, "missing"),
    (release_that_is_not_signed, "missing"),
    (manifest_of_another_version, "digest_mismatch"),
    (manifest_that_is_no_text, "malformed"),
    (manifest_nested_without_end, "malformed"),
    (bundle_of_another_site, "wrong_site"),
    (bundle_of_the_future, "protocol"),
    (path_out_of_the_folder, "path"),
    (resource_beyond_all_bounds, "too_large"),
    (catalogue_that_is_none, "malformed"),
    (model_with_external_data, "external-data"),
    (model_whose_scores_are_not_the_trained_ones, "golden_mismatch"),
    (model_of_another_width, "arity"),
]


@pytest.mark.parametrize(("attack", "code"), REFUSED, ids=[attack.__name__ for attack, _ in REFUSED])
def test_a_bad_release_is_refused_and_the_old_one_serves_on(tmp_path: Path, attack: Attack, code: str) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            attack(hub)
            nack = await answer_to(hub, hub.offer())
            assert isinstance(nack, Nack)
            assert (nack.code, nack.still_version) == (code, 1), nack.detail
            assert nack.detail
            assert node.store.current() == FIRST.digest
            assert node.store.read(FIRST.digest)[2] == FIRST.resources
            assert bool(hub.endless_bytes) is bool(hub.endless)
            # How much of it is under way by then is gRPC's to say.
            await eventually(lambda: hub.endless_readers == 0)
            await eventually(lambda: node.status.last_nack is not None)

    patiently(story())


def test_a_model_that_is_what_it_says_serves(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            good = scored(model().SerializeToString(), [3, 7])
            promote(hub, good)
            answer = await answer_to(hub, hub.offer())
            assert isinstance(answer, Ack), answer
            assert node.store.current() == good.digest

    patiently(story())


# --- what a node does about refusals ---------------------------------------------------------------------------------
def test_what_was_refused_for_good_is_not_fetched_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            catalogue_that_is_none(hub)
            first = await answer_to(hub, hub.offer())
            hub.fetched.clear()
            again = await answer_to(hub, hub.offer())
            assert isinstance(first, Nack)
            assert isinstance(again, Nack)
            assert (again.code, again.detail) == (first.code, first.detail)
            assert not [path for path in hub.fetched if path.startswith("blobs/")]
            assert node.store.quarantined(hub_digest(hub, 2)) is not None

    patiently(story())


def test_what_was_refused_for_now_is_tried_again_unasked(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, refused_retry_ms=200) as node,
        ):
            await first_release(hub)
            promote(hub, SECOND)
            path = f"blobs/{hashlib.sha256(SECOND.resources[CATALOGUE]).hexdigest()}"
            kept = hub.site.files.pop(path)
            assert isinstance(await answer_to(hub, hub.offer()), Nack)
            hub.site.files[path] = kept
            await eventually(lambda: node.store.current() == SECOND.digest)
            await eventually(lambda: isinstance(hub.answers[-1], Ack))

    patiently(story())


def test_a_bundle_that_a_worker_cannot_load_is_taken_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, serve=lambda digest: digest != SECOND.digest) as node,
        ):
            await first_release(hub)
            promote(hub, SECOND)
            nack = await answer_to(hub, hub.offer())
            assert isinstance(nack, Nack)
            assert (nack.code, "it does not fit" in nack.detail) == ("worker_refused", True)
            assert (node.store.current(), nack.still_version) == (FIRST.digest, 1)

    patiently(story())


def test_a_bundle_that_is_damaged_here_is_fetched_again_when_a_worker_cannot_load_it(tmp_path: Path) -> None:
    store = BundleStore(NodePaths(tmp_path))

    def is_whole(digest: str) -> bool:
        with contextlib.suppress(BundleRefused):
            return bool(store.read(digest))
        return False

    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, serve=is_whole, heartbeat_ms=50) as node,
        ):
            await first_release(hub)
            damaged = node.paths.bundle(FIRST.digest) / CATALOGUE
            damaged.chmod(0o600)
            damaged.write_bytes(b"no catalogue")
            node.store.activate(FIRST.digest)  # the worker loads it, as one does that takes a dead one's place
            await eventually(lambda: node.refuses(FIRST.digest))
            await eventually(lambda: not node.refuses(FIRST.digest))
            assert store.read(FIRST.digest)[2] == FIRST.resources

    patiently(story())


def test_a_worker_that_could_not_load_what_is_whole_again_is_told_to_look_once_more(tmp_path: Path) -> None:
    answers = iter([True, False])

    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, serve=lambda _: next(answers, True), heartbeat_ms=50) as node,
        ):
            await first_release(hub)
            hub.fetched.clear()
            node.store.activate(FIRST.digest)
            await eventually(lambda: node.refuses(FIRST.digest))
            await eventually(lambda: not node.refuses(FIRST.digest))
            assert not [path for path in hub.fetched if path.startswith("blobs/")]

    patiently(story())


def test_a_bundle_that_not_all_workers_serve_in_time_is_taken_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, worker_swap_timeout_ms=150) as node,
        ):
            await first_release(hub)
            node.stuck.set()
            promote(hub, SECOND)
            nack = await answer_to(hub, hub.offer())
            assert isinstance(nack, Nack)
            assert (nack.code, node.store.current()) == ("worker_timeout", FIRST.digest)

    patiently(story())


def test_a_bundle_that_crashes_workers_later_is_refused_after_all(tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeHub(new_site()) as hub, running_agent(tmp_path, hub, has=FIRST) as node:
            await first_release(hub)
            promote(hub, SECOND)
            nonce = hub.offer()
            assert isinstance(await answer_to(hub, nonce), Ack)
            # What the supervisor does then.
            node.store.quarantine(SECOND.digest, code="crash", message="2 workers crashed", now_ms=0)
            node.store.revert()
            await eventually(lambda: isinstance(hub.answers[-1], Nack))
            nack = hub.answers[-1]
            assert isinstance(nack, Nack)
            assert (nack.nonce, nack.code, nack.still_version) == (nonce, "crash", 1)

    patiently(story())


def test_a_trial_without_memory_refuses_instead_of_dying_with_the_agent(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            FakeHub(new_site()) as hub,
            running_agent(tmp_path, hub, has=FIRST, trial_memory_bytes=96 << 20) as node,
        ):
            await first_release(hub)
            promote(hub, scored(model().SerializeToString(), [3, 7]))
            nack = await answer_to(hub, hub.offer())
            assert isinstance(nack, Nack)
            assert nack.code in {"memory", "crash", "scorer"}
            assert node.store.current() == FIRST.digest

    patiently(story())


def hub_digest(hub: FakeHub, version: int) -> str:
    return str(hub.site.targets.signed.targets[f"releases/{version}/manifest.json"].hashes["sha256"])
