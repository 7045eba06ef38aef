"""`hub.export.linear`: what a node computes of a line is what was fitted, for every row that it may be given."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import OnnxScorer
from hub.export.linear import export_linear, export_linear_attribution
from hub.linear_model import LinearModel
from hub.site.recipes import LinearRecipe
from hub.train.boosting import Lesson
from hub.train.linear import fit_linear

NAMES = ("price", "age", "persona", "item")
NUMBERS = ("price", "age")
CODES = ("persona", "item")
RECIPES = {
    "numbers and codes": (NAMES, LinearRecipe(interactions=[(["persona", "price"], ["item", "age"])])),
    "without pairs": (NAMES, LinearRecipe()),
    "numbers alone": (NUMBERS, LinearRecipe(interactions=[(["price"], ["age"])])),
    "codes alone": (CODES, LinearRecipe(interactions=[(["persona"], ["item"])])),
}


def rows(names: tuple[str, ...], seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    columns = {
        "price": rng.normal(10, 3, 800),
        "age": rng.normal(size=800),
        "persona": rng.integers(0, 3, 800),
        "item": rng.integers(0, 4, 800),
    }
    return np.column_stack([columns[name] for name in names]).astype(np.float32)


def fitted(names: tuple[str, ...], recipe: LinearRecipe) -> LinearModel:
    matrix = rows(names)
    label = (np.random.default_rng(1).random(800) < 0.1 + 0.1 * matrix[:, -1].clip(0, 3)).astype(np.float32)
    coded = tuple(name for name in names if name in CODES)
    return fit_linear(Lesson(names, matrix, label, label, np.ones(800, np.int64), coded), recipe)


def odd(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows, with cells that are missing, unseen, fractions of codes or far out of range."""
    rng = np.random.default_rng(2)
    strange = np.array([np.nan, -0.0, 0.5, 99.0, -1.0, 3e38, -3e38, 1e-38], np.float32)
    drawn = strange[rng.integers(0, len(strange), matrix.shape)]
    return np.concatenate([matrix, np.where(rng.random(matrix.shape) < 0.4, drawn, matrix)])


@pytest.mark.parametrize("kind", RECIPES)
def test_the_edge_scores_as_it_was_fitted(kind: str) -> None:
    names, recipe = RECIPES[kind]
    model, matrix = fitted(names, recipe), odd(rows(names, 7))
    graph = export_linear(model, names, with_error=False).SerializeToString()
    check_model(graph, features=len(names))
    assert np.abs(OnnxScorer(graph).score(matrix) - model.scores(matrix)).max() < 1e-5
    with_error = export_linear(model, names, with_error=True).SerializeToString()
    check_model(with_error, features=len(names))
    said = OnnxScorer(with_error, outputs=2).score(matrix)
    assert np.abs(said[:, 0] - model.scores(matrix)).max() < 1e-5
    assert np.abs(said[:, 1] - model.errors(matrix)).max() < 1e-5
    assert said[:, 1].min() > 0


@pytest.mark.parametrize("kind", RECIPES)
def test_what_columns_add_is_the_score(kind: str) -> None:
    names, recipe = RECIPES[kind]
    model, matrix = fitted(names, recipe), odd(rows(names, 7))
    graph = export_linear_attribution(model, names).SerializeToString()
    check_model(graph, features=len(names))
    credited = OnnxScorer(graph).attribute(matrix)
    assert credited.shape == (len(matrix), len(names) + 1)
    assert np.abs(credited.sum(axis=1, dtype=np.float64) - model.scores(matrix)).max() < 1e-5
