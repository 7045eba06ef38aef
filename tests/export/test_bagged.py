"""Boosters that are exported together: mean and deviation as LightGBM and NumPy have them, on every threshold."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from boosters import booster, names, rows

from edge.scoring.onnx_gate import check_model
from edge.scoring.scorer import OnnxScorer
from edgewise.errors import ModelRefused
from hub.export.attribution import leaf_credits
from hub.export.bagged import bagged_forest, export_bagged_attribution, export_bags
from hub.export.forest import joined, read_forest
from hub.parity import compare, parity_rows


def bags(objective: str = "binary", *, categories: int = 1, count: int = 4) -> list[lightgbm.Booster]:
    table = rows(np.random.default_rng(3), 1_500, numbers=6, categories=1)
    return [
        booster(
            table[np.random.default_rng(bag).integers(0, 1_500, 1_500)],
            objective,
            seed=bag,
            categories=categories,
            rounds=6 + bag,
        )
        for bag in range(count)
    ]


def test_mean_and_deviation_are_those_of_the_boosters_on_every_threshold() -> None:
    made = bags()
    forest, bag = bagged_forest(made)
    assert forest.trees == 6 + 7 + 8 + 9
    assert np.bincount(bag).sum() == len(forest.leaf_value)
    table = parity_rows(forest, rows(np.random.default_rng(4), 2_000, numbers=6, categories=1), seed=1)
    said = np.stack([one.predict(table, raw_score=True) for one in made], axis=1)
    expected = np.stack([said.mean(axis=1), said.std(axis=1, ddof=1)], axis=1)
    model = export_bags(made, names(made[0])).SerializeToString()
    check_model(model, features=7)
    found = compare(expected, OnnxScorer(model, outputs=2).score(table))
    assert found.rows >= 10_000
    assert found.mismatches == 0
    assert (expected[:, 1] > 0).mean() > 0.9


def test_attributions_add_up_to_the_mean() -> None:
    made = bags()
    table = rows(np.random.default_rng(5), 500, numbers=6, categories=1)
    said = np.mean([one.predict(table, raw_score=True) for one in made], axis=0)
    model = export_bagged_attribution(made, names(made[0])).SerializeToString()
    added = OnnxScorer(model).attribute(table).sum(axis=1)
    np.testing.assert_allclose(added, said, rtol=1e-5, atol=1e-5)


def test_boosters_that_agree_have_no_error() -> None:
    one = bags(count=1)[0]
    table = rows(np.random.default_rng(6), 200, numbers=6, categories=1)
    got = OnnxScorer(export_bags([one, one, one], names(one)).SerializeToString(), outputs=2).score(table)
    assert np.abs(got[:, 1]).max() < 1e-7
    np.testing.assert_allclose(got[:, 0], one.predict(table, raw_score=True), rtol=1e-6, atol=1e-6)


def test_a_forest_joined_to_itself_counts_twice() -> None:
    forest = read_forest(bags(count=1)[0])
    table, bias = leaf_credits(joined([forest, forest]).scaled(0.5))
    once, bias_once = leaf_credits(forest)
    assert bias == pytest.approx(bias_once)
    np.testing.assert_allclose(table, np.concatenate([once, once]) / 2, atol=1e-12)


@pytest.mark.parametrize(
    ("flaw", "code"), [("one alone", "bags"), ("several scores", "objective"), ("other columns", "bags")]
)
def test_what_is_no_set_of_bags_is_refused_by_name(flaw: str, code: str) -> None:
    match flaw:
        case "one alone":
            made = bags(count=1)
        case "several scores":
            table = rows(np.random.default_rng(3), 500)
            made = [booster(table, "multiclass", num_class=3, rounds=2) for _ in range(2)]
        case _:
            made = [booster(rows(np.random.default_rng(3), 500, numbers=width), "binary", rounds=2) for width in (4, 5)]
    with pytest.raises(ModelRefused) as refused:
        export_bags(made, names(made[0]))
    assert refused.value.code == code
