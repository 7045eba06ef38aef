"""The model that is measured: trees that were grown from rows as the serving code computes them for simulated visitors.

So a row's way through the trees is as hard to guess for a processor as in production: branch misses are most of what a
tree costs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.golden import golden_rows
from edgewise.bundle.items import ItemTable
from edgewise.bundle.neighbours import decode_neighbours
from edgewise.clock import SystemClock
from edgewise.features.compile import CompiledFeatures
from figures.stock import CONTEXT, FEATURES, GRANTED, catalogue, feature_table, film, neighbours, visitor
from hub.artefacts import Artefacts

if TYPE_CHECKING:
    import lightgbm

LEAVES: Final = 31
TRAINING_ITEMS: Final = 1_682
TRAINING_VISITORS: Final = 150
ROWS_A_VISITOR: Final = 160


class Training(NamedTuple):
    """What the trees were grown from."""

    matrix: NDArray[np.float32]
    """(rows, 40), NaN where a feature is absent."""
    clicked: NDArray[np.float64]
    """(rows,), 0 or 1."""


@cache
def training() -> Training:
    """Rows that the serving code computes for simulated visitors."""
    draw = np.random.default_rng(23)
    now_ms = SystemClock().now_ms()
    features = CompiledFeatures(
        feature_table(), ItemTable(catalogue(TRAINING_ITEMS)), decode_neighbours(neighbours(TRAINING_ITEMS))
    )
    parts = []
    for number in range(TRAINING_VISITORS):
        profile = visitor(number % 60, 1 + number % 30, TRAINING_ITEMS, now_ms, seed=number)
        shown = [film(each) for each in draw.choice(TRAINING_ITEMS, ROWS_A_VISITOR, replace=False).tolist()]
        parts.append(features.compute(profile, CONTEXT, GRANTED, now_ms, shown))
    matrix = np.concatenate(parts)
    known = np.nan_to_num(matrix)
    wish = known @ draw.normal(size=FEATURES) * 0.5 + known[:, 0] * known[:, 25] + draw.normal(size=len(matrix))
    return Training(matrix, (wish > np.median(wish)).astype(np.float64))


@cache
def booster(trees: int) -> lightgbm.Booster:
    """A binary model of `trees` trees with 31 leaves each."""
    import lightgbm

    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "deterministic": True, "verbosity": -1}
    data = training()
    return lightgbm.train(settings, lightgbm.Dataset(data.matrix, data.clicked), num_boost_round=trees)


@cache
def model(trees: int) -> Artefacts:
    """The booster as `edgewise train ranker` exports one, with its attribution model; without neighbours."""
    from hub.export import export_booster
    from hub.export.attribution import export_attribution

    trained, table = booster(trees), feature_table()
    names = [feature.name for feature in table.features]
    rows = training().matrix[:64]
    return Artefacts(
        features=table,
        model=export_booster(trained, feature_names=names, output="raw").SerializeToString(deterministic=True),
        attribution=export_attribution(trained, names).SerializeToString(deterministic=True),
        golden=golden_rows(rows, np.asarray(trained.predict(rows, raw_score=True), np.float64)),
    )
