"""The published numbers of the Open Bandit sample, through import and evaluation as any log would go."""

import os
from pathlib import Path

import pytest
from real_data import open_bandit_log

from hub.datasets.download import default_cache
from hub.datasets.open_bandit import Campaign
from hub.evaluation.evaluate import evaluate
from hub.evaluation.names import EstimatorName
from hub.evaluation.open_bandit import evaluate_sample, import_sample, thompson_file

MONTE_CARLO = 0.00002  # between generators, at 100,000 draws


@pytest.fixture(scope="module")
def cache() -> Path:
    open_bandit_log("random", "all")  # skips where there is neither cache nor network
    return default_cache(os.environ)


@pytest.mark.parametrize(
    ("campaign", "ips", "ess"), [("all", 0.004553, 1640.8), ("men", 0.004527, 2465), ("women", 0.006790, 1956)]
)
def test_random_to_thompson_sampling(cache: Path, tmp_path: Path, campaign: Campaign, ips: float, ess: float) -> None:
    report = evaluate_sample(cache, tmp_path, campaign)
    assert report.n == 10_000
    assert report.ips == pytest.approx(ips, abs=MONTE_CARLO)
    assert report.ess == pytest.approx(ess, abs=1)
    assert report.ci_low < report.ips < report.ci_high
    assert report.verdict in {"ok", "warn"}


def test_the_quickstart(cache: Path, tmp_path: Path) -> None:
    report = evaluate_sample(cache, tmp_path)
    assert (report.logged_value, report.target_value) == (0.0038, 0.0042)
    assert report.verdict == "warn"
    assert report.snips == pytest.approx(0.004776, abs=MONTE_CARLO)
    assert report.relative_estimation_error == pytest.approx(0.0840, abs=MONTE_CARLO / 0.0042)
    assert report.ips / report.logged_value == pytest.approx(1.198126, abs=MONTE_CARLO / 0.0038)
    assert report.max_weight == pytest.approx(19.66, abs=0.01)
    # published from other resamples: an end of 10,000 varies by about 2 %
    assert report.ci_low == pytest.approx(0.001531, rel=0.1)
    assert report.ci_high == pytest.approx(0.009254, rel=0.1)


def test_with_a_model_within_the_published_spread(cache: Path, tmp_path: Path) -> None:
    name = import_sample(cache, tmp_path, "random", "all").name
    policy = f"probabilities:{thompson_file(cache, tmp_path, 'all')}"
    found = evaluate(tmp_path, name, policy, tuple(EstimatorName), resamples=100).evaluation.estimators
    # mean and standard deviation of the relative error in the published table of the small data
    for estimator, error, spread in [("dm", 0.157, 0.110), ("dr", 0.292, 0.315), ("sndr", 0.302, 0.328)]:
        assert abs(found[estimator].estimate - 0.0042) / 0.0042 == pytest.approx(error, abs=spread)


def test_women_from_thompson_sampling_to_uniform_cannot_be_told(cache: Path, tmp_path: Path) -> None:
    name = import_sample(cache, tmp_path, "bts", "women").name
    evaluation = evaluate(tmp_path, name, "uniform").evaluation
    assert evaluation.verdict == "refused"
    assert "effective sample size 2 of 10,000" in evaluation.warnings[0]
    assert "largest weight 21,739" in evaluation.warnings[0]
    assert evaluation.estimators["ips"].estimate == pytest.approx(0.0074, abs=0.00005)
    assert evaluation.estimators["snips"].estimate == pytest.approx(0.0024, abs=0.00005)


@pytest.mark.parametrize(("campaign", "ess"), [("all", 340), ("men", 656)])
def test_the_other_campaigns_to_uniform_are_warned_of(
    cache: Path, tmp_path: Path, campaign: Campaign, ess: float
) -> None:
    name = import_sample(cache, tmp_path, "bts", campaign).name
    evaluation = evaluate(tmp_path, name, "uniform").evaluation
    assert evaluation.verdict == "warn"
    assert evaluation.estimators["ips"].ess == pytest.approx(ess, abs=1)


def test_a_second_run_imports_nothing_anew(cache: Path, tmp_path: Path) -> None:
    first = evaluate_sample(cache, tmp_path)
    assert import_sample(cache, tmp_path, "random", "all").unchanged
    assert evaluate_sample(cache, tmp_path) == first
