"""The parity gate: a model is signed only if the edge's scorer agrees with what was trained, row for row.

Rows are built where disagreement would show: on every threshold and one float32 step to either side, in the
node that asks; with values missing; with categories that are unseen, negative or fractional. The scores come
from the edge's own scorer in a child process, so the evidence is from the code that serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import InputError, ModelRefused
from hub.export.booster import Output
from hub.export.calibration import Platt
from hub.export.forest import MEMBER, Forest, read_forest
from hub.scoring_child import ScoringChild, scorer

if TYPE_CHECKING:
    import lightgbm

TOLERANCE = 1e-5
"""Of max(1, |y|), where y is what the trained model says."""
FEWEST_ROWS = 10_000
ROUTED_ROWS = 4_000
"""Base rows that are followed through the trees to find one for each node."""


class Parity(msgspec.Struct, frozen=True):
    """How far the edge's scores were from the trained model's."""

    rows: int
    thresholds: int
    """Splits that were tried on the threshold and one step to either side."""
    max_abs_error: float
    max_scaled_error: float
    """Largest |edge - trained| / max(1, |trained|)."""
    mismatches: int


def check_parity(
    booster: lightgbm.Booster,
    model: bytes,
    base: NDArray[np.float32],
    *,
    output: Output,
    calibration: Platt | None = None,
    child: ScoringChild | None = None,
    seed: int = 0,
) -> Parity:
    """Compare `booster` with `model`, its export with this `output` and `calibration`, on rows built from `base`.

    `base` is float32 (n, F), real feature rows, at least one.

    Raises:
        ModelRefused: `parity` if a row differs by more than 1e-5 * max(1, |y|), or whatever refused the model.
        InputError: `base` has no row, or not the model's width.
    """
    forest = read_forest(booster)
    rows = parity_rows(forest, base, seed=seed)
    trained = np.asarray(booster.predict(rows, raw_score=output == "raw" or calibration is not None))
    if calibration is not None:
        trained = calibration.probabilities(trained)
    with scorer(child) as running:
        served = running.score(model, rows)
    return compare(trained, served, thresholds=thresholds_of(forest))


def compare(trained: ArrayLike, served: ArrayLike, *, thresholds: int = 0) -> Parity:
    """Judge scores of the same rows, (n,) or (n, K).

    Raises:
        ModelRefused: `parity`: the shapes differ, or a score is not finite or too far from the trained one.
    """
    found, wrong = _difference(trained, served, thresholds)
    if found.mismatches:
        first = int(np.argmax(wrong))
        raise ModelRefused(
            "parity",
            f"{found.mismatches} of {found.rows} rows differ by more than {TOLERANCE:g} * max(1, |y|); "
            f"the first is row {first}: edge {np.asarray(served)[first]}, trained {np.asarray(trained)[first]}",
        )
    return found


def difference(trained: ArrayLike, served: ArrayLike, *, thresholds: int = 0) -> Parity:
    """As `compare`, but what differs is counted and not refused. Raises ModelRefused only where the shapes differ."""
    return _difference(trained, served, thresholds)[0]


def _difference(trained: ArrayLike, served: ArrayLike, thresholds: int) -> tuple[Parity, NDArray[np.bool_]]:
    """What was found, and which rows are wrong."""
    expected = np.asarray(trained, dtype=np.float64)
    got = np.asarray(served, dtype=np.float64)
    if expected.shape != got.shape:
        raise ModelRefused("parity", f"scores of shape {got.shape}; the trained model gives {expected.shape}")
    error = np.abs(got - expected)
    scaled = error / np.maximum(1.0, np.abs(expected))
    # NaN compares false, so it is wrong; a row is right if all its scores are.
    wrong: NDArray[np.bool_] = np.logical_not((scaled <= TOLERANCE).reshape(len(expected), -1).all(axis=1))
    largest, largest_scaled = (float(part.max(initial=0.0)) for part in (error, scaled))
    return Parity(len(expected), thresholds, largest, largest_scaled, int(wrong.sum())), wrong


def parity_rows(forest: Forest, base: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """At least 10,000 rows that try every split of a forest, float32 (n, F); same seed, same rows.

    Raises:
        InputError: `base` has no row, or not the forest's width.
    """
    if base.ndim != 2 or base.shape[1] != forest.features or not len(base):  # noqa: PLR2004
        raise InputError(f"base rows of shape {base.shape}; expected (1 or more, {forest.features})")
    rng = np.random.default_rng(seed)
    base = base.astype(np.float32, copy=False)
    sample = base[rng.choice(len(base), size=min(len(base), ROUTED_ROWS), replace=False)]
    visitor = one_row_per_node(forest, sample)
    visitor = np.where(visitor >= 0, visitor, rng.integers(0, len(sample), size=len(visitor)))
    parts = [base, _on_thresholds(forest, sample[visitor]), _around_categories(forest, sample[visitor])]
    odd = sample[rng.integers(0, len(sample), size=max(2_000, FEWEST_ROWS - sum(map(len, parts))))]
    where = rng.random(odd.shape)
    odd[where < 0.2] = np.nan  # noqa: PLR2004  # a fifth missing, and a little of what breaks comparisons
    odd[(where >= 0.2) & (where < 0.25)] = 0.0  # noqa: PLR2004
    odd[(where >= 0.25) & (where < 0.27)] = np.float32(-1e-35)  # noqa: PLR2004
    odd[0], odd[1] = np.nan, 0.0
    return np.concatenate([*parts, odd])


def telling_rows(forest: Forest, base: NDArray[np.float32], *, count: int, seed: int) -> NDArray[np.float32]:
    """`count` rows to keep beside a model, float32 (n, F): half of them from everywhere in `base`, the others odd.

    Every node repeats them before it lets a model serve. Real rows alone lie between the thresholds, where a scorer
    that rounds them otherwise, or reads missing values otherwise, would not be noticed.

    Raises as `parity_rows`.
    """
    real = base[np.unique(np.linspace(0, len(base) - 1, max(1, count // 2)).astype(np.int64))] if len(base) else base
    odd = parity_rows(forest, real, seed=seed)[len(real) :]
    drawn = np.random.default_rng(seed).choice(len(odd), size=count - len(real), replace=False)
    return np.concatenate([real, odd[np.sort(drawn)]])


def thresholds_of(forest: Forest) -> int:
    """How many splits `parity_rows` tries on the threshold and to either side of it."""
    return len(_numeric_nodes(forest))


def _numeric_nodes(forest: Forest) -> NDArray[np.int64]:
    split = forest.true_child != forest.false_child
    return np.flatnonzero((forest.mode != MEMBER) & (split | (forest.true_is_leaf != forest.false_is_leaf)))


def _on_thresholds(forest: Forest, visitors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three rows for each numeric node; `visitors` has a row for each node, that reaches it where one was found."""
    nodes = _numeric_nodes(forest)
    split = forest.split[nodes]
    up, down = np.float32(np.inf), np.float32(-np.inf)
    with np.errstate(over="ignore"):
        tried = (split, np.nextafter(split, up), np.nextafter(split, down))
    parts = []
    for values in tried:
        rows = visitors[nodes]
        rows[np.arange(len(nodes)), forest.feature[nodes]] = np.where(np.isfinite(values), values, np.float32(0))
        parts.append(rows)
    return np.concatenate(parts)


def _around_categories(forest: Forest, visitors: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each membership node: members, fractions of them, and codes that are in no set."""
    nodes = np.flatnonzero(forest.mode == MEMBER)
    if not len(nodes):
        return np.zeros((0, forest.features), dtype=np.float32)
    first = np.array([members[0] for members in forest.members], dtype=np.float32)
    last = np.array([members[-1] for members in forest.members], dtype=np.float32)
    unseen = np.full_like(last, np.ceil(max(float(members[-1]) for members in forest.members)) + 1.0)
    tried = (first, last, first + np.float32(0.7), last + np.float32(0.5), -first - np.float32(0.5), -last, unseen)
    parts = []
    for values in tried:
        rows = visitors[nodes]
        rows[np.arange(len(nodes)), forest.feature[nodes]] = values
        parts.append(rows)
    return np.concatenate(parts)


def one_row_per_node(forest: Forest, rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each node the number of a row that reaches it, or -1.

    A threshold lies inside the range that its node sees, so putting it into such a row leaves the row at the node
    (but where a split only parts missing values from the rest: its threshold is above all that comes there).
    """
    found = np.full(len(forest.feature), -1, dtype=np.int64)
    keys = _membership_keys(forest)
    at = np.tile(forest.roots, (len(rows), 1))
    alive = np.ones(at.shape, dtype=np.bool_)
    while alive.any():
        row, tree = np.nonzero(alive)
        node = at[row, tree]
        found[node] = row
        goes_true = _decide(forest, node, rows[row, forest.feature[node]], keys)
        at[row, tree] = np.where(goes_true, forest.true_child[node], forest.false_child[node])
        alive[row, tree] = ~np.where(goes_true, forest.true_is_leaf[node], forest.false_is_leaf[node])
    return found


def _membership_keys(forest: Forest) -> NDArray[np.float64]:
    """Every (node, code) as one sorted number, exact in float64: codes are below 2^25, nodes below 2^21."""
    nodes = np.flatnonzero(forest.mode == MEMBER)
    parts = [
        node * float(2**32) + members.astype(np.float64) for node, members in zip(nodes, forest.members, strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _decide(
    forest: Forest, node: NDArray[np.int64], value: NDArray[np.float32], keys: NDArray[np.float64]
) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        goes_true = value <= forest.split[node]
    goes_true = np.where(np.isnan(value), forest.missing_true[node], goes_true)
    member = forest.mode[node] == MEMBER
    if len(keys):
        code = np.trunc(np.nan_to_num(value.astype(np.float64), nan=-1.0, posinf=-1.0, neginf=-1.0))
        wanted = node * float(2**32) + code
        at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        goes_true = np.where(member, (keys[at] == wanted) & (code >= 0), goes_true)
    return goes_true.astype(np.bool_)
