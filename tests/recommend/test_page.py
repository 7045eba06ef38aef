"""The page of a trial: everything that a plot shows stands in words too."""

import numpy as np
import pytest

from hub.recommend.auto import Attempt
from hub.recommend.interactions import encode
from hub.recommend.page import report_page
from hub.recommend.report import Report, trial
from hub.recommend.split import Divided


@pytest.fixture(scope="module")
def found() -> Report:
    # n is new: v alone wants it, and its content is that of a, which v has.
    history = encode(["u", "v", "w", "w", "x", "x", "u", "v"], ["a", "a", "a", "b", "b", "c", "c", "n"])
    about = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    divided = Divided(np.arange(6), np.arange(0), np.array([6, 7]))
    return trial(
        history,
        divided,
        method="content",
        settings={"half_life": 0.0},
        split="by <hand>",
        ks=(1, 2),
        seed=0,
        content=about,
    )


def test_what_became_of_new_items_and_short_histories(found: Report) -> None:
    assert found.items["new"] == 1
    assert found.new_items_found == 1.0
    assert [(group.least, group.most, group.users) for group in found.by_history] == [(1, 4, 2)]


def test_the_baseline_is_judged_for_the_same_users(found: Report) -> None:
    for name, value in found.metrics.items():
        if name in found.baseline:
            more, low, high = found.above_baseline[name]
            assert more == pytest.approx(value - found.baseline[name])
            assert low - 1e-12 <= more <= high + 1e-12


def test_the_page_says_and_draws_it(found: Report) -> None:
    page = report_page(found, title="content on log.csv")
    assert page.startswith("<!doctype html>")
    assert "by &lt;hand&gt;" in page
    assert "<script" not in page
    assert page.count("<svg") == 3
    for key in ("ndcg_cut@2", "recall@2"):
        assert f"{found.metrics[key]:.4f}" in page
        assert f"{found.baseline[key]:.4f}" in page
    assert "Items in test alone: 1." in page
    assert "only 2 users are judged" in page


def test_what_auto_tried_is_listed_with_what_could_not_learn() -> None:
    history = encode(["u", "u", "v", "v", "w", "w"], ["a", "b", "a", "b", "a", "b"])
    plain = trial(
        history,
        Divided(np.arange(5), np.arange(0), np.array([5])),
        method="popular",
        settings={"half_life": 0.0},
        split="random:0.2",
        ks=(1,),
        seed=0,
    )
    tried = [Attempt("ease", {"lambda": 300.0}, 0.1234), Attempt("als", {}, None, "factors is 0")]
    page = report_page(
        Report(**{name: getattr(plain, name) for name in plain.__struct_fields__ if name != "tried"}, tried=tried),
        title="auto",
    )
    assert "0.1234" in page
    assert "als: factors is 0" in page
