"""What a real node answers over HTTP when it ranks by neighbour lists.

Visitors tell their history as `Product Viewed` in batches, as a shop would; nothing is put into a profile by hand. The
model of the arm is a graph of three features: neighbour score + prior * 3 / (3 + length of the history).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from processes import ask, edgewise

from edgewise.bundle.catalogue import Catalogue, Item, content_sha256
from edgewise.bundle.golden import golden_rows
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, ByNeighbours, Placement, Policy, Site
from edgewise.clock import SystemClock
from edgewise.consent import Consent, ConsentState
from edgewise.features.table import FeatureTable, HistoryLength, ItemAttribute, NeighbourScore
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, PlacementName, SiteName
from hub.artefacts import Artefacts
from hub.recommend.blend import PRIOR_HALVES_AT
from hub.recommend.neighbours import Neighbours
from hub.release.bundle import BuiltBundle, build_bundle
from hub.release.candidates import write_bundle
from hub.site.files import ModelUse
from hub.site.loading import SiteContents

WRITE_KEY: Final = "accuracy"
MODEL: Final = ModelName("by-neighbours")
PLACEMENT: Final = PlacementName("home")
RETRIEVED: Final = 1_000
"""As many as an arm may ask for: the prior may lift what the sum alone leaves far behind."""
EVENTS_A_REQUEST: Final = 200
PATIENCE_MS: Final = 5_000
"""Of a request: what is compared here are lists, not times."""


class Learned(NamedTuple):
    """What a node is given."""

    items: Sequence[str]
    """Ids, by their codes."""
    kept: Neighbours
    popularity: Sequence[float]
    prior: Sequence[float]


def lists_over_http(
    folder: Path, learned: Learned, histories: Mapping[str, Sequence[str]], k: int
) -> dict[str, list[str]]:
    """For each visitor the k best items that a node has for him after he told his history, best first.

    Every answer was ranked by the model, or it is an AssertionError.
    """
    write_bundle(folder / "bundle", bundle(learned, k))
    words = ["edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(folder / "node")]
    with edgewise(*words, "--bundle", str(folder / "bundle"), log=folder / "node.log") as node:
        url = node.said["url"]
        headers = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}
        for batch in _batches(histories):
            told = ask(f"{url}/v1/batch", {"batch": batch}, headers=headers)
            assert told["success"], told
        return {visitor: _decided(url, visitor) for visitor in histories}


def bundle(learned: Learned, k: int) -> BuiltBundle:
    """A site of one placement that shows `k` unseen items, retrieved and ranked by neighbour score."""
    items, kept, popularity, prior = learned
    features = FeatureTable(
        [
            NeighbourScore(name="spoken_for"),
            ItemAttribute(name="prior", attribute="prior"),
            HistoryLength(name="history"),
        ]
    )
    content = {"title": "An item"}
    catalogue = Catalogue(
        [
            Item(
                ItemId(one),
                content,
                {"popularity": float(often), "prior": float(worth)},
                content_sha256(content),
                approved_by="accuracy",
            )
            for one, often, worth in zip(items, popularity, prior, strict=True)
        ]
    )
    by_popularity = ArmName("popular")
    placement = Placement(
        collection=CollectionName("all"),
        arms={
            ArmName("model"): Arm(ByModel(MODEL), retrieval=ByNeighbours("popularity", RETRIEVED)),
            by_popularity: Arm(ByAttribute("popularity")),
        },
        arm=ArmName("model"),
        opted_out_arm=by_popularity,
        fallback=[ItemId(items[0])],
        count=k,
        exclude_seen=True,
    )
    policy = Policy(
        site=Site(
            name=SiteName("accuracy"),
            salt="accuracy",
            default_consent=Consent(*[ConsentState.GRANTED] * 3),
            write_key_sha256=[hashlib.sha256(WRITE_KEY.encode()).hexdigest()],
        ),
        placements={PLACEMENT: placement},
        collections={CollectionName("all"): [ItemId(one) for one in items]},
    )
    rows = np.array([[0.0, 1.0, 0.0], [0.25, -0.5, 3.0], [-3.0, 2.0, 27.0]], np.float32)
    artefacts = Artefacts(
        features=features,
        model=_sum_and_prior(),
        golden=golden_rows(rows, np.array([1.0, 0.0, -2.8])),
        neighbours=encode_neighbours([ItemId(one) for one in items], kept.indptr, kept.indices, kept.weights),
    )
    return build_bundle(
        SiteContents(policy, catalogue, features, {MODEL: ModelUse(MODEL, "champion")}),
        {MODEL: artefacts},
        version=BundleVersion(1),
        parent=None,
        created_ms=SystemClock().now_ms(),
    )


def _sum_and_prior() -> bytes:
    columns = ("sum", "prior", "length")
    constants: dict[str, NDArray[np.float32]] = {"halves": np.array(PRIOR_HALVES_AT, np.float32)}
    constants |= {f"{name}_column": np.eye(3, dtype=np.float32)[at] for at, name in enumerate(columns)}
    nodes = [
        *(helper.make_node("MatMul", ["x", f"{name}_column"], [name]) for name in columns),
        helper.make_node("Add", ["length", "halves"], ["below"]),
        helper.make_node("Div", ["halves", "below"], ["left"]),
        helper.make_node("Mul", ["prior", "left"], ["added"]),
        helper.make_node("Add", ["sum", "added"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sum-and-prior",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _batches(histories: Mapping[str, Sequence[str]]) -> Iterator[list[dict[str, Any]]]:
    said = [
        {"type": "track", "event": "Product Viewed", "anonymousId": visitor, "properties": {"product_id": item}}
        for visitor, items in histories.items()
        for item in items
    ]
    for start in range(0, len(said), EVENTS_A_REQUEST):
        yield said[start : start + EVENTS_A_REQUEST]


def _decided(url: str, visitor: str) -> list[str]:
    asked = {"anonymousId": visitor, "placements": [{"name": PLACEMENT}], "options": {"deadlineMs": PATIENCE_MS}}
    answer = ask(f"{url}/v1/decide", asked)["placements"][PLACEMENT]
    assert answer["reason"] == "MODEL", answer["reason"]
    return [shown["id"] for shown in answer["items"]]
