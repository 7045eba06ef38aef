"""The page of an evaluation: verdict first, nothing foreign, no estimate beside a refusal."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from logged_world import small_world

from hub.evaluation.evaluate import Evaluated, evaluate_log
from hub.evaluation.logged import Floats
from hub.evaluation.names import EstimatorName
from hub.evaluation.policies import constant
from hub.evaluation.report import html_report, weight_bins, weight_histogram


def evaluated() -> Evaluated:
    log, target = small_world().log(400, np.random.default_rng(1))
    return evaluate_log(log, "target", target, rng=np.random.default_rng(2), resamples=50)


def test_a_page_shows_estimates_and_is_self_contained() -> None:
    found = replace(evaluated(), policy="<script>alert(1)</script>")
    page = html_report(found)
    assert f"{found.evaluation.estimators['ips'].estimate:.6g}" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page


def test_an_unknown_interval_is_a_dash_and_a_dot_without_a_line() -> None:
    log, target = small_world().log(400, np.random.default_rng(1))
    names = (EstimatorName.DM,)
    page = html_report(evaluate_log(log, "target", target, names, rng=np.random.default_rng(2), resamples=50))
    assert "<td>-<td>-<td>-<td>" in page
    assert "nan" not in page
    assert page.count("<circle") == 1
    assert 'class="line"' not in page


def test_a_refused_page_shows_no_estimate() -> None:
    log, _ = small_world().log(400, np.random.default_rng(1))
    found = evaluate_log(log, "constant:zzz", constant(log, "zzz"), rng=np.random.default_rng(2), resamples=50)
    page = html_report(found)
    assert "refused" in page
    assert "Estimated value" not in page


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e9, allow_subnormal=False)))
def test_bins_hold_every_row_and_all_weight(weights: Floats) -> None:
    bins = weight_bins(weights)
    assert sum(rows for _, rows, _ in bins) == pytest.approx(1)
    assert sum(mass for _, _, mass in bins) == pytest.approx(1 if weights.any() else 0)


def test_the_histogram_is_well_formed() -> None:
    for weights in (evaluated().weights, np.zeros(3), np.ones(3)):
        assert ET.fromstring(weight_histogram(weights)).tag == "svg"
