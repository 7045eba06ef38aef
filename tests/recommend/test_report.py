"""A trial: what counts as seen, wanted and judged."""

import numpy as np
import pytest

from edgewise.errors import InputError
from hub.recommend.interactions import Interactions, encode
from hub.recommend.methods import METHODS, method_named, settings_of
from hub.recommend.report import Report, trial
from hub.recommend.split import Divided


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.intp)


def run(interactions: Interactions, divided: Divided, method: str = "popular", ks: tuple[int, ...] = (1, 2)) -> Report:
    return trial(interactions, divided, method=method, settings=settings_of(method, []), split="by hand", ks=ks, seed=0)


def test_popularity_by_hand() -> None:
    # a: 3 users, b: 2, c: 1. Held back: u wants c, v wants b.
    history = encode(["u", "v", "w", "w", "x", "x", "u", "v"], ["a", "a", "a", "b", "b", "c", "c", "b"])
    found = run(history, Divided(rows(0, 1, 2, 3, 4, 5), rows(), rows(6, 7)))
    assert found.users == {"all": 4, "judged": 2, "without_history": 0}
    assert found.metrics["hit_rate@1"] == 0.5
    assert found.metrics["hit_rate@2"] == 1.0
    assert found.metrics["mrr@2"] == 0.75
    assert found.metrics["coverage@2"] == pytest.approx(2 / 3)
    assert found.as_json()["hit_rate@1"] == 0.5


def test_what_is_learned_or_validated_is_neither_shown_nor_wanted() -> None:
    # u has a (train), b (valid), and a again in test: only c is left to want.
    history = encode(["u", "u", "u", "u", "v", "v"], ["a", "b", "a", "c", "a", "b"])
    found = run(history, Divided(rows(0, 4, 5), rows(1), rows(2, 3)), ks=(1,))
    assert found.metrics["precision@1"] == 1.0
    assert found.metrics["recall@1"] == 1.0


def test_who_has_no_history_gets_the_most_popular_and_it_is_said() -> None:
    history = encode(["u", "u", "v", "v", "w", "w"], ["z", "y", "z", "y", "z", "x"])
    found = run(history, Divided(rows(0, 1, 2, 3), rows(), rows(4, 5)), method="ease", ks=(2,))
    assert found.users["without_history"] == 1
    assert found.metrics["hit_rate@2"] == 1.0
    assert any("most popular" in warning for warning in found.warnings)


@pytest.mark.parametrize("method", METHODS)
def test_one_item_each_is_refused(method: str) -> None:
    history = encode(["u", "v", "w"], ["a", "b", "a"])
    with pytest.raises(InputError, match="one item"):
        run(history, Divided(rows(0, 1), rows(), rows(2)), method=method)


def test_nobody_to_judge_is_refused() -> None:
    history = encode(["u", "u", "u"], ["a", "b", "a"])
    with pytest.raises(InputError, match="nobody can be judged"):
        run(history, Divided(rows(0, 1), rows(), rows(2)))


def test_settings_and_methods_are_named_when_wrong() -> None:
    with pytest.raises(
        InputError,
        match="no method 'svd'; there are: ease, blend, als, bpr, itemknn, content, session-knn, popular, auto",
    ):
        method_named("svd")
    with pytest.raises(InputError, match="ease has no setting 'alpha'; there are: lambda"):
        settings_of("ease", ["alpha=1"])
    with pytest.raises(InputError, match="popular has no setting 'lambda'; there are: half_life"):
        settings_of("popular", ["lambda=1"])
    with pytest.raises(InputError, match="auto has no setting 'lambda'; there are: none"):
        settings_of("auto", ["lambda=1"])
    with pytest.raises(InputError, match="lambda is 'many'"):
        settings_of("ease", ["lambda=many"])
    assert settings_of("ease", ["lambda=20"]) == {"lambda": 20.0}
