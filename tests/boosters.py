"""Small seeded boosters and rows for the tests of exporters, scorers and gates."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

QUIET = {"verbose": -1, "num_threads": 1, "deterministic": True, "seed": 0}


def rows(
    rng: np.random.Generator,
    count: int,
    *,
    numbers: int = 5,
    categories: int = 0,
    values: int = 40,
    missing: float = 0.1,
) -> NDArray[np.float32]:
    """Numeric columns (the last one half zeros), then categorical codes; some of everything missing."""
    table = rng.normal(size=(count, numbers + categories)).astype(np.float32)
    table[rng.random(count) < 0.5, numbers - 1] = 0.0
    table[:, numbers:] = rng.integers(0, values, size=(count, categories))
    table[rng.random(table.shape) < missing] = np.nan
    return table


def target(rng: np.random.Generator, table: NDArray[np.float32], objective: str) -> NDArray[np.float64]:
    """A label of the kind that the objective wants, with something to learn in each column."""
    filled = np.nan_to_num(table).astype(np.float64)
    signal: NDArray[np.float64] = filled[:, 0] - filled[:, 1] * filled[:, 2] + np.sin(filled.sum(axis=1))
    signal += rng.normal(size=len(table)) / 4
    if objective in {"binary", "cross_entropy"}:
        signal = (signal > 0).astype(np.float64)
    elif objective in {"poisson", "gamma", "tweedie"}:
        signal = np.exp(signal / 3)
    elif objective in {"lambdarank", "rank_xendcg", "multiclass", "multiclassova"}:
        signal = np.digitize(signal, [-1.0, 1.0]).astype(np.float64)
    return signal


def booster(
    table: NDArray[np.float32],
    objective: str,
    *,
    seed: int = 0,
    categories: int = 0,
    rounds: int = 20,
    **settings: Any,
) -> lightgbm.Booster:
    """Train on rows; the last `categories` columns are categorical."""
    labels = target(np.random.default_rng(seed), table, objective)
    width = table.shape[1]
    data = lightgbm.Dataset(
        table,
        labels,
        categorical_feature=list(range(width - categories, width)),
        group=[len(table) // 10] * 10 if objective in {"lambdarank", "rank_xendcg"} else None,
    )
    extra = {"num_class": 3} if objective in {"multiclass", "multiclassova"} else {}
    return lightgbm.train(QUIET | {"objective": objective} | extra | settings, data, rounds)


def names(model: lightgbm.Booster) -> list[str]:
    """A name for each feature."""
    return [f"f{index}" for index in range(model.num_feature())]
