"""`hub.train.linear`: the line is the closed form's, its errors are true, and what it cannot learn from is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import InputError, ModelRefused
from hub.site.recipes import LinearRecipe
from hub.train.boosting import Lesson
from hub.train.linear import fit_linear

NAMES = ("price", "age", "persona", "item")
BOTH = LinearRecipe(interactions=[(["persona", "price"], ["item"])], l2=2.0)


def lesson(rows: int, seed: int = 0, **changes: Any) -> Lesson:
    """Two numbers, of which some are missing, and two codes; what is wanted depends on the pair of codes."""
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [rng.normal(10, 3, rows), rng.normal(size=rows), rng.integers(0, 3, rows), rng.integers(0, 4, rows)]
    ).astype(np.float32)
    chance = np.where(matrix[:, 2] == matrix[:, 3], 0.6, 0.1)
    label = (rng.random(rows) < chance).astype(np.float32)
    matrix[rng.random(rows) < 0.1, 0] = np.nan
    known: dict[str, Any] = {
        "names": NAMES,
        "matrix": matrix,
        "label": label,
        "gain": label,
        "size": np.ones(rows, np.int64),
        "categorical": ("persona", "item"),
    }
    return Lesson(**{**known, **changes})


def test_the_weights_are_those_of_the_normal_equations_row_by_row() -> None:
    rng = np.random.default_rng(3)
    counted = rng.uniform(0.1, 1, 400).astype(np.float32)
    taught, weight = lesson(400, weight=counted), counted.astype(np.float64)
    model = fit_linear(taught, BOTH)
    terms = model.terms.of(taught.matrix)
    mean = np.average(taught.gain, weights=weight)
    precision = (terms * weight[:, None]).T @ terms + 2.0 * np.eye(terms.shape[1])
    weights = np.linalg.solve(precision, terms.T @ (weight * (taught.gain - mean)))
    assert np.abs(model.scores(taught.matrix) - (terms @ weights + mean)).max() < 1e-9
    noise = np.average((taught.gain - terms @ weights - mean) ** 2, weights=weight)
    covariance = np.linalg.inv(precision) * noise
    expected = np.sqrt(np.einsum("ij,jk,ik->i", terms, covariance, terms) + noise / weight.sum())
    assert np.abs(model.errors(taught.matrix) / expected - 1).max() < 1e-9


def test_named_pairs_are_learned_and_no_others() -> None:
    taught = lesson(6_000)
    same, other = np.array([[10, 0, 2, 2], [10, 0, 2, 1]], np.float32)[:, None]
    apart = fit_linear(taught, LinearRecipe())
    paired = fit_linear(taught, BOTH)
    assert abs(float(apart.scores(same)[0] - apart.scores(other)[0])) < 0.1, "no column tells this by itself"
    # Of 500 rows of a pair the rate has a deviation of 0.022; four of them.
    assert paired.scores(same)[0] == pytest.approx(0.6, abs=0.09)
    assert paired.scores(other)[0] == pytest.approx(0.1, abs=0.09)


def test_the_error_shrinks_with_what_is_known_and_grows_as_it_fades() -> None:
    row = np.array([[10, 0, 1, 1]], np.float32)
    few, many = (fit_linear(lesson(rows), BOTH).errors(row)[0] for rows in (200, 5_000))
    faded = fit_linear(lesson(5_000, weight=np.full(5_000, 0.04, np.float32)), BOTH).errors(row)[0]
    assert many < few / 3
    assert few / 2 < faded < few * 2, "5,000 rows of which each counts 1/25 say what 200 rows say"


def test_standard_errors_cover_the_truth_as_often_as_they_promise() -> None:
    row = np.array([[10, 0, 1, 1]], np.float32)
    recipe = LinearRecipe(interactions=[(["persona"], ["item"])], l2=0.5)
    inside = 0
    for seed in range(100):
        model = fit_linear(lesson(1_500, seed), recipe)
        inside += abs(float(model.scores(row)[0]) - 0.6) < 1.96 * float(model.errors(row)[0])
    # Rewards vary more where the chance is higher, and the line has one noise for all: some of the promised 95 miss.
    assert 80 <= inside <= 100


def test_a_row_beyond_all_that_was_seen_scores_as_the_farthest_that_was() -> None:
    model = fit_linear(lesson(500), BOTH)
    far, farther = np.array([[1e3, 9, 0, 0], [1e30, 1e30, 0, 0]], np.float32)[:, None]
    assert model.scores(far) == model.scores(farther)
    missing, unseen = np.array([[np.nan, np.nan, np.nan, np.nan], [np.nan, np.nan, 77, -3]], np.float32)[:, None]
    assert model.scores(missing) == model.scores(unseen)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.integers(30, 200))
def test_the_order_of_rows_and_their_repetition_say_nothing(seed: int, rows: int) -> None:
    taught = lesson(rows, seed)
    if not 0 < taught.label.sum() < rows:
        return
    order = np.random.default_rng(seed).permutation(rows)
    shuffled = lesson(rows, seed, matrix=taught.matrix[order], label=taught.label[order], gain=taught.gain[order])
    twice = {name: np.concatenate([getattr(taught, name)] * 2) for name in ("matrix", "label", "gain", "size")}
    halves = lesson(rows, seed, **twice, weight=np.full(2 * rows, 0.5, np.float32))
    expected = fit_linear(taught, BOTH).scores(taught.matrix)
    for same in (shuffled, halves):
        assert np.abs(fit_linear(same, BOTH).scores(taught.matrix) - expected).max() < 1e-6


@pytest.mark.parametrize("value", [0.1, 1e30, -7.7, 1e-38])
def test_a_column_that_never_varies_adds_nothing(value: float) -> None:
    rng = np.random.default_rng(0)
    taught = lesson(500, weight=rng.uniform(0.1, 1, 500).astype(np.float32))
    taught.matrix[:, 1] = value
    model = fit_linear(taught, BOTH)
    assert 1 not in model.terms.source()
    assert np.abs(model.scores(taught.matrix)).max() < 2


def test_an_infinite_cell_is_the_largest_that_was_seen() -> None:
    taught = lesson(300)
    taught.matrix[0, 1] = np.inf
    model = fit_linear(taught, BOTH)
    most = taught.matrix[1:, 1].max()
    beyond, at_most = np.array([[10, np.inf, 0, 0], [10, most, 0, 0]], np.float32)[:, None]
    assert model.scores(beyond) == model.scores(at_most)


def test_credits_of_columns_add_up_to_the_score() -> None:
    taught = lesson(300)
    model = fit_linear(taught, BOTH)
    credited = model.terms.of(taught.matrix) @ model.credits()
    assert credited[:, -1].max() == 0
    assert np.abs(credited.sum(axis=1) + model.intercept - model.scores(taught.matrix)).max() < 1e-12


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (LinearRecipe(interactions=[(["persona"], ["mood"])]), "linear.interactions names 'mood'"),
        (LinearRecipe(interactions=[(["persona"], ["item"])] * 2, most_codes=1), None),
    ],
)
def test_an_interaction_of_no_column_is_refused_and_one_named_twice_counts_once(
    recipe: LinearRecipe, said: str | None
) -> None:
    if said is None:
        assert len(fit_linear(lesson(200), recipe).terms) == 2 + 2 + 1
        return
    with pytest.raises(InputError, match=said):
        fit_linear(lesson(200), recipe)


def test_too_many_terms_are_refused_with_what_to_do() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 60, (3_000, 2)).astype(np.float32)
    wide = lesson(3_000, names=("a", "b"), matrix=matrix, categorical=("a", "b"))
    with pytest.raises(
        InputError, match=r"120 columns and 3600 products of pairs; expected at most 1,000 together: .*most_codes"
    ):
        fit_linear(wide, LinearRecipe(interactions=[(["a"], ["b"])]))


def test_nothing_to_tell_apart_is_refused() -> None:
    with pytest.raises(ModelRefused, match="no column tells"):
        fit_linear(lesson(100, matrix=np.ones((100, 4), np.float32), categorical=()), LinearRecipe())
    broken = lesson(100)
    broken.gain[:2] = np.nan
    with pytest.raises(InputError, match="2 of 100 rewards are NaN or infinite"):
        fit_linear(broken, BOTH)
    with pytest.raises(InputError, match="were wanted"):
        fit_linear(lesson(100, label=np.zeros(100, np.float32)), BOTH)
