"""Hyper-parameters: what is accepted here LightGBM accepts, and at its limits too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InputError
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.columns import Column
from hub.train.scoring.pipelines import Examples, fit_pipeline
from hub.train.scoring.settings import Setting, check_setting, settings_of

LIGHTGBM = ModelName.LIGHTGBM
LIMITS: dict[str, tuple[list[Setting], list[Setting]]] = {
    "num_leaves": ([2, 131_072], [1, 131_073, 2.5, "many", True]),
    "max_bin": ([2, 65_535], [1]),
    "learning_rate": ([1e-9, 1, 2.0], [0, -0.1, math.nan, math.inf, "fast", False]),
    "subsample": ([0.01, 1], [0, 1.01]),
    "colsample_bytree": ([0.01, 1], [0, 1.01]),
    "min_child_samples": ([0], [-1]),
    "min_child_weight": ([0], [-0.1]),
    "reg_lambda": ([0], [-1]),
    "max_cat_to_onehot": ([1], [0]),
    "min_data_per_group": ([1], [0]),
    "n_estimators": ([1], [0]),
    "max_depth": ([-1, 0, 3], [1.5]),
    "tweedie_variance_power": ([1, 1.5], [0.9, 2]),
    "extra_trees": ([True, False], [1, "yes"]),
    "boosting_type": (["gbdt", "dart"], ["goss", 1]),
}


@pytest.mark.parametrize("key", LIMITS)
def test_limits_are_those_of_lightgbm(capfd: pytest.CaptureFixture[str], key: str) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 2)).astype(object)
    examples = Examples(ScoreKind.REGRESSION, (Column("a", "number"), Column("b", "number")), rows, rng.random(60))
    accepted, refused = LIMITS[key]
    for setting in accepted:
        fit_pipeline(LIGHTGBM, examples, settings={"n_estimators": 1, key: setting}, seed=0)
    for setting in refused:
        with pytest.raises(InputError, match=rf"^{key}={setting}; expected (a|one) "):
            fit_pipeline(LIGHTGBM, examples, settings={key: setting}, seed=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "assignment", "said"),
    [
        (LIGHTGBM, "num_leaves=0", "num_leaves=0; expected a whole number from 2 to 131072"),
        (LIGHTGBM, "subsample=2", "subsample=2; expected a number above 0 to 1"),
        (LIGHTGBM, "extra_trees=3", "extra_trees=3; expected one of true, false"),
        (ModelName.LOGISTIC, "C=0", "C=0; expected a number above 0"),
        (ModelName.LOGISTIC, "class_weight=even", "class_weight=even; expected one of balanced"),
    ],
)
def test_a_value_of_no_use_is_said_with_what_is_expected(model: ModelName, assignment: str, said: str) -> None:
    with pytest.raises(InputError) as wrong:
        settings_of(model, [assignment])
    assert str(wrong.value) == said


@given(st.floats(1e-12, 1e12))
def test_numbers_are_read_as_they_are_written(rate: float) -> None:
    assert settings_of(LIGHTGBM, [f"learning_rate={rate!r}"]) == {"learning_rate": rate}
    check_setting(LIGHTGBM, "learning_rate", rate)
