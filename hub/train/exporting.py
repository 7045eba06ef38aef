"""A trained booster as the files of a registry, proven by the scorer that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.golden import golden_rows
from edgewise.errors import ModelRefused
from edgewise.features.table import FeatureTable
from hub.artefacts import RANKER, UNCERTAIN_RANKER, Artefacts
from hub.linear_model import LinearModel
from hub.parity import FEWEST_ROWS, Parity, check_parity, compare, parity_rows, telling_rows, thresholds_of
from hub.scoring_child import ScoringChild
from hub.train.boosting import raw_scores
from hub.train.items import FittedItems
from hub.train.uncertainty import Bags

if TYPE_CHECKING:
    import lightgbm

Matrix = NDArray[np.float32]
GOLDEN_ROWS: Final = 128
PARITY_ROWS: Final = 2_000
ADDITIVE: Final = 1e-4
"""Path attributions of a row add up to its score within this times max(1, |score|): float32 sums of every tree."""


class Exported(NamedTuple):
    """The files, and how the edge's scorer did."""

    artefacts: Artefacts
    parity: Parity


class _Graphs(NamedTuple):
    """A model and its attribution, with rows to keep beside them."""

    model: bytes
    attribution: bytes
    golden: Matrix
    expected: NDArray[np.float64]
    """What was trained says of the rows: (n,), or (n, 2) with standard errors."""


def exported(
    booster: lightgbm.Booster,
    matrix: Matrix,
    features: FeatureTable,
    items: FittedItems,
    *,
    continuation: bytes,
    seed: int,
) -> Exported:
    """`matrix`: rows to compare and to keep some of, float32 (n, F) as in training.

    Raises ModelRefused: a setting that cannot be exported, a score or an attribution that differs.
    """
    from hub.export import export_booster
    from hub.export.attribution import export_attribution
    from hub.export.forest import read_forest

    names = [feature.name for feature in features.features]
    model = export_booster(booster, feature_names=names, output="raw").SerializeToString(deterministic=True)
    attribution = export_attribution(booster, names).SerializeToString(deterministic=True)
    golden = telling_rows(read_forest(booster), matrix, count=GOLDEN_ROWS, seed=seed)
    with ScoringChild() as child:
        parity = check_parity(booster, model, _spread(matrix, PARITY_ROWS), output="raw", child=child, seed=seed)
        artefacts = _artefacts(_Graphs(model, attribution, golden, raw_scores(booster, golden)), features, items, child)
    return Exported(msgspec.structs.replace(artefacts, continuation=continuation), parity)


def exported_bags(bags: Bags, matrix: Matrix, features: FeatureTable, items: FittedItems, *, seed: int) -> Exported:
    """As `exported`, of boosters that say together how sure they are. There is nothing to go on with."""
    from hub.export.bagged import bagged_forest, export_bagged_attribution, export_bags

    names = [feature.name for feature in features.features]
    model = export_bags(bags.boosters, names).SerializeToString(deterministic=True)
    attribution = export_bagged_attribution(bags.boosters, names).SerializeToString(deterministic=True)
    forest, _ = bagged_forest(bags.boosters)
    golden = telling_rows(forest, matrix, count=GOLDEN_ROWS, seed=seed)
    rows = parity_rows(forest, _spread(matrix, PARITY_ROWS), seed=seed)
    with ScoringChild() as child:
        parity = compare(bags.scores(rows), child.score(model, rows), thresholds=thresholds_of(forest))
        artefacts = _artefacts(_Graphs(model, attribution, golden, bags.scores(golden)), features, items, child)
    return Exported(artefacts, parity)


def exported_line(
    line: LinearModel, matrix: Matrix, features: FeatureTable, items: FittedItems, *, is_uncertain: bool, seed: int
) -> Exported:
    """As `exported`, of a line. There is nothing to go on with: it is fitted anew in a second."""
    from hub.export.linear import export_linear, export_linear_attribution

    names = [feature.name for feature in features.features]
    model = export_linear(line, names, with_error=is_uncertain).SerializeToString(deterministic=True)
    attribution = export_linear_attribution(line, names).SerializeToString(deterministic=True)
    real = _spread(matrix, GOLDEN_ROWS // 2)
    golden = np.concatenate([real, _odd_rows(matrix, GOLDEN_ROWS - len(real), seed)])
    rows = np.concatenate([_spread(matrix, PARITY_ROWS), _odd_rows(matrix, FEWEST_ROWS - PARITY_ROWS, seed + 1)])

    def said(of: Matrix) -> NDArray[np.float64]:
        return np.column_stack([line.scores(of), line.errors(of)]) if is_uncertain else line.scores(of)

    with ScoringChild() as child:
        parity = compare(said(rows), child.score(model, rows))
        artefacts = _artefacts(_Graphs(model, attribution, golden, said(golden)), features, items, child)
    return Exported(artefacts, parity)


def _artefacts(graphs: _Graphs, features: FeatureTable, items: FittedItems, child: ScoringChild) -> Artefacts:
    """The files of a model. Raises ModelRefused: attributions of golden rows do not add up to their scores."""
    model, attribution, golden, expected = graphs
    is_uncertain = expected.ndim == 2  # noqa: PLR2004  # score and error
    added = child.score(attribution, golden).sum(axis=1, dtype=np.float64)
    _check_additive(added, expected[:, 0] if is_uncertain else expected)
    return Artefacts(
        features=features,
        model=model,
        golden=golden_rows(golden, expected),
        attribution=attribution,
        neighbours=items.neighbours_bytes,
        sets=items.sets,
        sessions=items.sessions_bytes,
        statistics=items.statistics,
        kind=UNCERTAIN_RANKER if is_uncertain else RANKER,
    )


def _odd_rows(matrix: Matrix, count: int, seed: int) -> Matrix:
    """Rows with cells that are missing, 0, out of range, between two codes, or another row's."""
    rng = np.random.default_rng(seed)
    rows = matrix[rng.integers(0, len(matrix), count)]
    others = matrix[rng.integers(0, len(matrix), rows.shape), np.arange(rows.shape[1])]
    rows = np.where(rng.random(rows.shape) < 0.5, others, rows)  # noqa: PLR2004  # half of it from elsewhere
    odd = np.array([np.nan, 0.0, -0.0, 0.5, -1.0, 1e30, -1e30, 1e-38], np.float32)
    drawn = odd[rng.integers(0, len(odd), rows.shape)]
    return np.where(rng.random(rows.shape) < 0.1, drawn, rows).astype(np.float32)  # noqa: PLR2004  # a tenth of it


def _check_additive(added: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    error = float((np.abs(added - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not error <= ADDITIVE:
        raise ModelRefused(
            "attribution", f"attributions miss a score by {error:.3g} * max(1, |y|); at most 1e-4 may be"
        )


def _spread(matrix: Matrix, most: int) -> Matrix:
    """At most `most` rows, from everywhere."""
    return matrix[np.unique(np.linspace(0, len(matrix) - 1, most).astype(np.int64))]
