"""Tree ensembles, checked by index before ONNX Runtime builds pointers from them.

Every id must be inside its range and every tree must be a tree: each node has one parent at most, and all are
reached from the roots. ONNX Runtime builds trees by recursion, so depth is limited, too (30,000 levels crash
it on a stack of 8 MB).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.scoring.onnx_gate.graph import Constant, Node, within
from edgewise.errors import ModelRefused

MOST_TREE_NODES = 2_000_000
MOST_TREES = 20_000
MOST_TARGETS = 20_000
MOST_DEPTH = 2_000
MODES = 7
MEMBER_MODE = 6

Integers = NDArray[np.int64]


def check_tree_ensemble(node: Node, width: int) -> int:
    """Check a `TreeEnsemble` of ai.onnx.ml 5 over `width` features; its number of targets.

    Raises:
        ModelRefused: `tree`, or `too-large`.
    """
    feature = node.integers("nodes_featureids")
    within("tree nodes", len(feature), MOST_TREE_NODES)
    _same_length(node, len(feature), ["nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs"])
    if len(node.integers("nodes_missing_value_tracks_true")) not in {0, len(feature)}:
        raise ModelRefused("tree", f"{node.where}: nodes_missing_value_tracks_true does not fit the nodes")
    modes = _vector(node, "nodes_modes", ("uint8",), len(feature)).values()
    dtype = _vector(node, "nodes_splits", ("float32", "float64"), len(feature)).dtype
    target = node.integers("leaf_targetids")
    _vector(node, "leaf_weights", (dtype,), len(target))
    targets = node.integer("n_targets", 1)
    _in_range(node, "n_targets", np.array([targets]), MOST_TARGETS + 1)
    _in_range(node, "nodes_featureids", feature, width)
    _in_range(node, "nodes_modes", modes.astype(np.int64), MODES)
    _in_range(node, "leaf_targetids", target, targets)
    _check_members(node, int((modes == MEMBER_MODE).sum()), dtype)
    children = []
    for side in ("true", "false"):
        child, is_leaf = node.integers(f"nodes_{side}nodeids"), node.integers(f"nodes_{side}leafs")
        _in_range(node, f"nodes_{side}leafs", is_leaf, 2)
        _in_range(node, f"nodes_{side}nodeids", child[is_leaf == 1], len(target))
        _in_range(node, f"nodes_{side}nodeids", child[is_leaf == 0], len(feature))
        children.append(np.where(is_leaf == 1, -1, child))
    _check_forest(node, node.integers("tree_roots"), children[0], children[1])
    return targets


def check_numbered_ensemble(node: Node, width: int, *, votes: str) -> None:
    """Check a `TreeEnsembleRegressor` (`votes` = target) or `TreeEnsembleClassifier` (class) over `width` features.

    These older forms name a node by (tree, node) and a vote by the node it belongs to.

    Raises:
        ModelRefused: `tree`, or `too-large`.
    """
    feature = node.integers("nodes_featureids")
    within("tree nodes", len(feature), MOST_TREE_NODES)
    listed = ["nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids"]
    _same_length(node, len(feature), listed)
    is_leaf = np.array([mode == b"LEAF" for mode in node.strings("nodes_modes")], dtype=np.bool_)
    values = node.count("nodes_values") + _elements(node, "nodes_values_as_tensor")
    if len(is_leaf) != len(feature) or values != len(feature):
        raise ModelRefused("tree", f"{node.where}: nodes_modes or nodes_values does not fit the nodes")
    _in_range(node, "nodes_featureids", feature[~is_leaf], width)
    tree = node.integers("nodes_treeids")
    number = node.integers("nodes_nodeids")
    _in_range(node, "nodes_treeids", tree, MOST_TREE_NODES)
    _in_range(node, "nodes_nodeids", number, MOST_TREE_NODES)
    keys = tree * MOST_TREE_NODES + number
    order = np.argsort(keys, kind="stable")
    if (np.diff(keys[order]) == 0).any():
        raise ModelRefused("tree", f"{node.where}: a node is there twice")
    children = []
    for side in ("true", "false"):
        child = node.integers(f"nodes_{side}nodeids")
        _in_range(node, f"nodes_{side}nodeids", child[~is_leaf], MOST_TREE_NODES)
        found = _find(node, keys, order, np.where(is_leaf, keys, tree * MOST_TREE_NODES + child))
        children.append(np.where(is_leaf, -1, found))
    first = np.unique(tree[order], return_index=True)[1]
    _check_forest(node, order[first], children[0], children[1])
    vote_keys = tuple(node.integers(f"{votes}_{part}") for part in ("treeids", "nodeids", "ids"))
    _same_length(node, len(vote_keys[2]), [f"{votes}_treeids", f"{votes}_nodeids"])
    if node.count(f"{votes}_weights") + _elements(node, f"{votes}_weights_as_tensor") != len(vote_keys[2]):
        raise ModelRefused("tree", f"{node.where}: {votes}_weights does not fit the votes")
    _in_range(node, f"{votes}_treeids", vote_keys[0], MOST_TREE_NODES)
    _in_range(node, f"{votes}_nodeids", vote_keys[1], MOST_TREE_NODES)
    _in_range(node, f"{votes}_ids", vote_keys[2], targets_of(node, votes))
    _find(node, keys, order, vote_keys[0] * MOST_TREE_NODES + vote_keys[1])


def targets_of(node: Node, votes: str) -> int:
    """Number of outputs of an older ensemble: `n_targets`, or its class labels.

    Raises:
        ModelRefused: there is none, or there are too many.
    """
    if votes == "target":
        targets = node.integer("n_targets", 1)
    else:
        # LinearClassifier calls its integers otherwise than the trees do.
        targets = node.count("classlabels_int64s", "classlabels_ints", "classlabels_strings")
    if not 0 < targets <= MOST_TARGETS:
        raise ModelRefused("tree", f"{node.where}: {targets} outputs; expected 1 to {MOST_TARGETS}")
    return targets


def _check_members(node: Node, member_nodes: int, dtype: str) -> None:
    sets = node.tensor("membership_values")
    ends = int(np.isnan(sets.values()).sum()) if sets is not None and sets.dtype == dtype else 0
    if ends != member_nodes:
        raise ModelRefused("tree", f"{node.where}: {ends} sets for {member_nodes} membership nodes")


def _check_forest(node: Node, roots: Integers, true_child: Integers, false_child: Integers) -> None:
    """Each node has one parent at most, roots none, and all are reached within the depth limit; -1 is no child."""
    nodes = len(true_child)
    within("trees", len(roots), MOST_TREES)
    _in_range(node, "tree_roots", roots, nodes)
    if not len(roots):
        raise ModelRefused("tree", f"{node.where}: holds no tree")
    both = np.concatenate([true_child, false_child])
    parents = np.bincount(np.concatenate([roots, both[both >= 0]]), minlength=nodes)
    if (parents != 1).any():
        raise ModelRefused("tree", f"{node.where}: a node has several parents or none")
    level, reached, depth = roots, len(roots), 0
    while len(level):
        depth += 1
        if depth > MOST_DEPTH:
            raise ModelRefused("too-large", f"{node.where}: a tree deeper than {MOST_DEPTH}")
        below = np.concatenate([true_child[level], false_child[level]])
        level = below[below >= 0]
        reached += len(level)
    if reached != nodes:
        raise ModelRefused("tree", f"{node.where}: {nodes - reached} nodes are in a circle")


def _vector(node: Node, name: str, dtypes: tuple[str, ...], length: int) -> Constant:
    held = node.tensor(name)
    if held is None or held.dtype not in dtypes or held.shape != (length,):
        found = "nothing" if held is None else f"{held.dtype} {held.shape}"
        raise ModelRefused("tree", f"{node.where}: {name} is {found}; expected {' or '.join(dtypes)} ({length},)")
    return held


def _elements(node: Node, name: str) -> int:
    held = node.tensor(name)
    return 0 if held is None else held.elements


def _same_length(node: Node, length: int, names: list[str]) -> None:
    for name in names:
        held = len(node.integers(name))
        if held != length:
            raise ModelRefused("tree", f"{node.where}: {name} has {held} entries; expected {length}")


def _in_range(node: Node, name: str, ids: NDArray[np.int64], end: int) -> None:
    if len(ids) and not (int(ids.min()) >= 0 and int(ids.max()) < end):
        raise ModelRefused(
            "tree", f"{node.where}: {name} goes from {ids.min()} to {ids.max()}; expected 0 to {end - 1}"
        )


def _find(node: Node, keys: Integers, order: Integers, wanted: Integers) -> Integers:
    if not len(keys):
        raise ModelRefused("tree", f"{node.where}: holds no tree")
    at = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
    found: Integers = order[at]
    if (keys[found] != wanted).any():
        raise ModelRefused("tree", f"{node.where}: an id names a node that is not there")
    return found
