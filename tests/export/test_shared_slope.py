"""Several classes with one slope: the graph says what the formula says, and what does not fit is refused."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from scipy.special import softmax

from edgewise.errors import ModelRefused
from hub.export.shared_slope import export_softmax
from hub.scoring_child import ScoringChild

SHIFT = (0.5, -0.75, 0.25)


def booster(classes: int) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(300, 3)).astype(np.float32)
    label = np.digitize(matrix[:, 0], [-0.5, 0.5][: classes - 1])
    settings = {"objective": "multiclass", "num_class": classes} if classes > 2 else {"objective": "binary"}
    made = lightgbm.train(
        {**settings, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5},
        lightgbm.Dataset(matrix, label),
        num_boost_round=5,
    )
    return made, matrix


def test_the_graph_is_the_formula() -> None:
    trained, matrix = booster(3)
    model = export_softmax(trained, feature_names=["a", "b", "c"], slope=1.5, shift=SHIFT)
    with ScoringChild() as child:
        said = child.score(model.SerializeToString(), matrix)
    raw = np.asarray(trained.predict(matrix, raw_score=True))
    assert said.shape == (300, 3)
    assert np.abs(said - softmax(1.5 * raw + np.array(SHIFT), axis=1)).max() < 1e-6


@pytest.mark.parametrize(("classes", "shift"), [(2, (0.0,)), (3, (0.0, 1.0))])
def test_shifts_that_do_not_fit_the_classes_are_refused(classes: int, shift: tuple[float, ...]) -> None:
    trained, _ = booster(classes)
    with pytest.raises(ModelRefused, match="expected one each"):
        export_softmax(trained, feature_names=["a", "b", "c"], slope=1.0, shift=shift)
