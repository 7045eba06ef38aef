"""The film shop of `world` as a node: its model as a real ONNX graph, installed in a data folder, behind the app."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import structlog
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from spool_world import records_of
from starlette.testclient import TestClient
from world import NOW_MS, SITE, feature_table, manifest, resources

from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.keys import SiteKeys, replace_site_keys
from edge.node.layout import NodePaths
from edge.settings import EdgeSettings
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edgewise.bundle.manifest import encode_manifest
from edgewise.bundle.policy import Policy, encode_policy
from edgewise.clock import Clock, ManualClock
from edgewise.profile.state import Profile
from edgewise.records import DecisionRecord, EventRecord, Record
from edgewise.subjects import subject_of

WEIGHTS = {0: 2.0, 2: 1.0, 4: 1e-3}
"""Column -> weight: the arithmetic of `world.score`."""
KEYS = SiteKeys(SITE, b"subject-key-of-the-film-shop!!!!", b"visitor-key-of-the-film-shop!!!!")
LOCAL = ("127.0.0.1", 50_000)
VISITOR = "a-81f3"
STRANGER = ("203.0.113.7", 50_000)
DEMO = ("demo", "")
"""The write key, as Basic authentication."""


def ranker_onnx(*, attribution: bool = False) -> bytes:
    """`world.score` as a graph; or its contributions, with a column for the bias."""
    width = len(feature_table().features)
    weights = np.zeros(width, np.float32)
    for column, weight in WEIGHTS.items():
        weights[column] = weight
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
    ]
    constants: dict[str, NDArray[np.float32]] = {"zero": np.zeros((), np.float32), "weights": weights}
    shape: list[Any] = ["N"]
    if attribution:
        shape = ["N", width + 1]
        constants["weights"] = np.eye(width, width + 1, dtype=np.float32) * weights[:, None]
    nodes.append(helper.make_node("MatMul", ["known", "weights"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "ranker",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def linear_onnx(weights: NDArray[np.float32], bias: float = 0.0, link: str | None = None) -> bytes:
    """`link` of missing-is-0 features times `weights` plus `bias`; weights (F,) say one number a row, (F, K) say K."""
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
        helper.make_node("MatMul", ["known", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node(link or "Identity", ["sum"], ["y"]),
    ]
    constants = {"zero": np.zeros((), np.float32), "weights": weights, "bias": np.full((1,), bias, np.float32)}
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", len(weights)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *weights.shape[1:]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def bundle_files(policy: Policy | None = None, **stems: bytes) -> dict[str, bytes]:
    """Resources of the film shop with its real model."""
    models = {"models/ranker.onnx": ranker_onnx(), "models/ranker.attribution.onnx": ranker_onnx(attribution=True)}
    if policy is not None:
        stems["policy"] = encode_policy(policy)
    return {**resources(**stems), **models}


def install(paths: NodePaths, files: dict[str, bytes], **changes: Any) -> str:
    """Let a bundle of these files serve; returns its digest."""
    paths.create()
    store = BundleStore(paths)
    store.activate(store.stage(encode_manifest(manifest(files, **changes)), files))
    digest = store.current()
    assert digest is not None
    return digest


def open_desk(folder: Path, *, clock: Clock | None = None, enrolled: bool = True, **settings: Any) -> Desk:
    """A worker's desk on a node; without a bundle unless one was installed."""
    known: dict[str, Any] = {"workers": 1, "profile_map_bytes": 32 << 20}
    chosen = EdgeSettings(data_dir=str(folder), **{**known, **settings})
    chosen.paths.create()
    if enrolled:
        replace_site_keys(chosen.paths, KEYS)
    return Desk.open(chosen, index=0, clock=clock or ManualClock(NOW_MS), log=silent_log())


def silent_log() -> Log:
    """Takes everything and prints nothing."""
    wrapper = structlog.make_filtering_bound_logger(logging.DEBUG)
    log: Log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[], wrapper_class=wrapper)
    return log


@contextlib.contextmanager
def node(
    folder: Path,
    *,
    policy: Policy | None = None,
    bundle: bool = True,
    peer: tuple[str, int] = LOCAL,
    auth: tuple[str, str] | None = DEMO,
    **options: Any,
) -> Iterator[tuple[TestClient, Desk]]:
    """A node with one worker, and a caller with the write key."""
    if bundle:
        install(NodePaths(folder), bundle_files(policy))
    desk = open_desk(folder, **options)
    with TestClient(make_app(desk), base_url="http://127.0.0.1", client=peer, raise_server_exceptions=False) as client:
        if auth is not None:
            client.auth = auth
        yield client, desk


def sha256(text: str) -> str:
    """How keys are stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def viewed(film: str, message_id: str | None = None, **fields: Any) -> dict[str, Any]:
    said = {"type": "track", "event": "Product Viewed", "properties": {"product_id": film}, **fields}
    return said if message_id is None else {**said, "messageId": message_id}


def spooled(desk: Desk) -> list[Record]:
    return records_of(desk.paths.spool)


def decisions(desk: Desk) -> list[DecisionRecord]:
    return [record for record in spooled(desk) if isinstance(record, DecisionRecord)]


def events(desk: Desk) -> list[EventRecord]:
    return [record for record in spooled(desk) if isinstance(record, EventRecord)]


def profile_of(desk: Desk, visitor: str = VISITOR) -> Profile | None:
    return desk.cache.profile(subject_of(desk.keys.subject_key, "anonymousId", visitor))
