"""A LightGBM model as flat arrays: the one form that every exporter reads.

Source: `Booster.dump_model()`. The decision rules are LightGBM's `Tree::NumericalDecision` and
`Tree::CategoricalDecision`, restated for float32 inputs. What cannot be restated exactly is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.thresholds import numeric_splits

if TYPE_CHECKING:
    import lightgbm

LESS_OR_EQUAL = 0
"""`BRANCH_LEQ` of ai.onnx.ml 5 TreeEnsemble."""
MEMBER = 6
"""`BRANCH_MEMBER`: the true branch is taken by members of the node's set; NaN is a member of none."""

NEVER_A_CATEGORY = 0.5
"""Stands in for an empty set: categories are whole numbers once they are truncated, so nothing matches."""

IDENTITY_OBJECTIVES = frozenset(
    {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg"}
)
RANKING_OBJECTIVES = frozenset({"lambdarank", "rank_xendcg"})
EXPONENTIAL_OBJECTIVES = frozenset({"poisson", "gamma", "tweedie"})

Link = Literal["identity", "square", "exp", "sigmoid", "softmax"]


class Objective(NamedTuple):
    """What `Booster.predict` does to the sum of the leaves."""

    name: str
    link: Link | None
    """None for a custom objective, whose link only its author knows."""
    classes: int
    """1, or the number of classes of a multiclass model (trees go round the classes)."""
    slope: float
    """The `sigmoid` parameter: predict gives 1 / (1 + exp(-slope * raw))."""


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees of a model; child indices point into nodes or leaves, as the `*_is_leaf` flags say.

    `split` is float32 and exact (see `numeric_splits`); `members` holds, for each MEMBER node in node order,
    its sorted category codes. A tree of one leaf is one node with both branches on that leaf.
    """

    features: int
    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    mode: NDArray[np.uint8]
    split: NDArray[np.float32]
    threshold: NDArray[np.float64]
    true_child: NDArray[np.int64]
    true_is_leaf: NDArray[np.bool_]
    false_child: NDArray[np.int64]
    false_is_leaf: NDArray[np.bool_]
    missing_true: NDArray[np.bool_]
    members: tuple[NDArray[np.float32], ...]
    leaf_value: NDArray[np.float64]
    leaf_tree: NDArray[np.int64]
    node_value: NDArray[np.float64]
    """Expected raw score at each node, six digits, as LightGBM dumps it."""
    node_parent: NDArray[np.int64]
    """-1 at a root."""
    objective: Objective

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def scaled(self, factor: float) -> Forest:
        """The same trees with every value times `factor`."""
        return replace(self, leaf_value=self.leaf_value * factor, node_value=self.node_value * factor)

    @property
    def categorical_features(self) -> NDArray[np.int64]:
        """Sorted ids of the features that some node tests by membership."""
        return np.unique(self.feature[self.mode == MEMBER])


def read_forest(booster: lightgbm.Booster) -> Forest:
    """Flatten a booster (its best iterations if it stopped early, as `predict` does).

    Raises:
        ModelRefused: the model uses something that no float32 tree ensemble reproduces, or that is not
            supported yet; the code names it (`linear-tree`, `random-forest`, `zero-as-missing`, `objective`).
    """
    dumped = booster.dump_model()
    if dumped["average_output"]:
        raise ModelRefused("random-forest", "boosting=rf averages its trees, which is not supported: use gbdt")
    return _flatten(dumped["tree_info"], dumped["max_feature_idx"] + 1, _objective(dumped))


def joined(forests: Sequence[Forest]) -> Forest:
    """All trees of several forests of the same columns, one forest behind the other; the objective is the first's."""
    nodes = np.cumsum([0, *(len(forest.feature) for forest in forests)])
    leaves = np.cumsum([0, *(len(forest.leaf_value) for forest in forests)])
    trees = np.cumsum([0, *(forest.trees for forest in forests)])

    def child(numbers: str, flags: str) -> NDArray[np.int64]:
        return np.concatenate(
            [
                getattr(forest, numbers) + np.where(getattr(forest, flags), leaf, node)
                for forest, leaf, node in zip(forests, leaves.tolist(), nodes.tolist(), strict=False)
            ]
        )

    plain = ("feature", "mode", "split", "threshold", "true_is_leaf", "false_is_leaf", "missing_true")
    values = ("leaf_value", "node_value")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(forest, name) for forest in forests]) for name in (*plain, *values)
    }
    for name, starts in (("roots", nodes), ("leaf_tree", trees), ("node_parent", nodes)):
        columns[name] = np.concatenate(
            [
                np.where(getattr(forest, name) < 0, -1, getattr(forest, name) + start)
                for forest, start in zip(forests, starts.tolist(), strict=False)
            ]
        )
    return replace(
        forests[0],
        **columns,
        true_child=child("true_child", "true_is_leaf"),
        false_child=child("false_child", "false_is_leaf"),
        members=tuple(members for forest in forests for members in forest.members),
    )


def _objective(dumped: dict[str, Any]) -> Objective:
    name, *settings = (dumped.get("objective") or "custom").split()
    classes = int(dumped["num_tree_per_iteration"])
    options = dict(setting.partition(":")[::2] for setting in settings)
    slope = float(options.get("sigmoid", 1.0))
    if name == "multiclass":
        return Objective(name, "softmax", classes, 1.0)
    if name == "multiclassova":
        return Objective(name, "sigmoid", classes, slope)
    if classes != 1:
        raise ModelRefused("objective", f"objective {name} with {classes} trees an iteration is not supported")
    if name == "binary":
        return Objective(name, "sigmoid", 1, slope)
    if name in EXPONENTIAL_OBJECTIVES:
        return Objective(name, "exp", 1, 1.0)
    if name in IDENTITY_OBJECTIVES:
        return Objective(name, "square" if "sqrt" in options else "identity", 1, 1.0)
    if name == "custom":
        return Objective(name, None, 1, 1.0)
    raise ModelRefused("objective", f"objective {name} is not supported; expected {_supported()}")


def _supported() -> str:
    names = IDENTITY_OBJECTIVES | EXPONENTIAL_OBJECTIVES | {"binary", "multiclass", "multiclassova"}
    return ", ".join(sorted(names))


class _Builder:
    """Collects nodes and leaves while the trees are walked."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.parent: list[int] = []
        self.children: list[list[tuple[int, bool]]] = []  # [left, right] as (index, is leaf)
        self.leaf_value: list[float] = []
        self.leaf_tree: list[int] = []

    def leaf(self, dumped: dict[str, Any], tree: int) -> int:
        if "leaf_coeff" in dumped or "leaf_const" in dumped:
            raise ModelRefused("linear-tree", "linear_tree=true puts a regression into each leaf: train without")
        value = float(dumped["leaf_value"])
        if not math.isfinite(value):
            raise ModelRefused("leaf-value", f"tree {tree} has a leaf of value {value}; expected a number")
        self.leaf_value.append(value)
        self.leaf_tree.append(tree)
        return len(self.leaf_value) - 1

    def node(self, dumped: dict[str, Any], parent: int) -> int:
        self.nodes.append(dumped)
        self.parent.append(parent)
        self.children.append([])
        return len(self.nodes) - 1

    def tree(self, structure: dict[str, Any], tree: int) -> int:
        """Add one tree in pre-order; leaf-wise trees can be deep, so without recursion."""
        if "split_index" not in structure:
            only = self.leaf(structure, tree)
            root = self.node({"constant": True, "internal_value": self.leaf_value[only]}, -1)
            self.children[root] = [(only, True), (only, True)]
            return root
        root = len(self.nodes)
        waiting: list[tuple[dict[str, Any], int]] = [(structure, -1)]
        while waiting:
            dumped, parent = waiting.pop()
            if "split_index" in dumped:
                index, is_leaf = self.node(dumped, parent), False
                waiting += [(dumped["right_child"], index), (dumped["left_child"], index)]
            else:
                index, is_leaf = self.leaf(dumped, tree), True
            if parent >= 0:
                self.children[parent].append((index, is_leaf))
        return root


def _flatten(tree_info: Sequence[dict[str, Any]], features: int, objective: Objective) -> Forest:
    built = _Builder()
    # A model of no trees predicts 0; one constant tree says so in a form that every runtime accepts.
    structures = [tree["tree_structure"] for tree in tree_info] or [{"leaf_value": 0.0}]
    roots = [built.tree(structure, tree) for tree, structure in enumerate(structures)]
    rules = [_rule(node) for node in built.nodes]
    threshold = np.array([rule.threshold for rule in rules], dtype=np.float64)
    left = np.array([sides[0] for sides in built.children], dtype=np.int64)
    right = np.array([sides[1] for sides in built.children], dtype=np.int64)
    return Forest(
        features=features,
        roots=np.array(roots, dtype=np.int64),
        feature=np.array([node.get("split_feature", 0) for node in built.nodes], dtype=np.int64),
        mode=np.array([rule.mode for rule in rules], dtype=np.uint8),
        split=numeric_splits(threshold),
        threshold=threshold,
        true_child=left[:, 0],
        true_is_leaf=left[:, 1].astype(np.bool_),
        false_child=right[:, 0],
        false_is_leaf=right[:, 1].astype(np.bool_),
        missing_true=np.array([rule.missing_true for rule in rules], dtype=np.bool_),
        members=tuple(rule.members for rule in rules if rule.members is not None),
        leaf_value=np.array(built.leaf_value, dtype=np.float64),
        leaf_tree=np.array(built.leaf_tree, dtype=np.int64),
        node_value=np.array([float(node["internal_value"]) for node in built.nodes], dtype=np.float64),
        node_parent=np.array(built.parent, dtype=np.int64),
        objective=objective,
    )


class _Rule(NamedTuple):
    mode: int
    threshold: float
    missing_true: bool
    members: NDArray[np.float32] | None


def _rule(node: dict[str, Any]) -> _Rule:
    """How one node decides; "true" is LightGBM's left."""
    if "constant" in node:
        return _Rule(LESS_OR_EQUAL, 0.0, missing_true=False, members=None)
    if node["decision_type"] == "==":
        return _Rule(MEMBER, 0.0, missing_true=False, members=_members(node["threshold"]))
    if node["decision_type"] != "<=":
        raise ModelRefused("decision-type", f"split rule {node['decision_type']!r}; expected '<=' or '=='")
    threshold = float(node["threshold"])
    missing = node["missing_type"]
    if missing == "Zero":
        raise ModelRefused("zero-as-missing", "zero_as_missing=true is not supported: train without it")
    if missing == "NaN":
        return _Rule(LESS_OR_EQUAL, threshold, missing_true=bool(node["default_left"]), members=None)
    if missing != "None":
        raise ModelRefused("missing-type", f"missing_type {missing!r}; expected None or NaN")
    # Nothing was missing in training: LightGBM then reads NaN as 0.0.
    return _Rule(LESS_OR_EQUAL, threshold, missing_true=threshold >= 0.0, members=None)


def _members(listed: str | float) -> NDArray[np.float32]:
    codes = np.array([int(code) for code in str(listed).split("||") if code], dtype=np.int64)
    # A code above 2^24 that float32 cannot hold never arrives in a float32 input.
    held = codes[codes.astype(np.float32).astype(np.int64) == codes]
    if not len(held):
        return np.array([NEVER_A_CATEGORY], dtype=np.float32)
    return np.sort(held).astype(np.float32)
