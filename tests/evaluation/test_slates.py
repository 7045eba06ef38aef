"""Estimators for slates: products of weights as by hand, and the truth of a world where slots depend on each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slate_world import slate_world

from hub.evaluation.estimators import importance_weights, point, snips
from hub.evaluation.evaluate import evaluate_log
from hub.evaluation.logged import Integers
from hub.evaluation.names import EstimatorName
from hub.evaluation.policies import Target
from hub.evaluation.slates import by_slot, sequential_weights, slate_weights, torn


@st.composite
def slates(draw: st.DrawFn) -> list[tuple[int, int, float]]:
    """(decision, position, weight) in any order, each place of a decision once."""
    places = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), unique=True, min_size=1, max_size=12))
    decisions = sorted({decision for decision, _ in places})
    return [
        (decisions.index(d), p, draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))) for d, p in draw(st.permutations(places))
    ]


@given(slates())
def test_products_as_by_hand(rows: list[tuple[int, int, float]]) -> None:
    decision, position = np.array([d for d, _, _ in rows]), np.array([p for _, p, _ in rows])
    weights = np.array([w for _, _, w in rows])
    up_to = [np.prod([w for d, p, w in rows if d == decision_ and p <= place]) for decision_, place, _ in rows]
    whole = [np.prod([w for d, _, w in rows if d == decision_]) for decision_, _, _ in rows]
    assert sequential_weights(weights, decision, position).tolist() == up_to
    assert slate_weights(weights, decision, position).tolist() == whole


def numbered(*numbers: int) -> Integers:
    return np.array(numbers, np.int64)


def test_a_slot_is_normalised_by_its_own_rows() -> None:
    weights, rewards = np.array([2.0, 1.0, 4.0]), np.array([1.0, 0.0, 1.0])
    # slot 1 has two rows with 2/3, slot 2 one with 1
    assert point(by_slot(weights, rewards, numbered(1, 1, 2))) == pytest.approx(2 / 3 * 2 / 3 + 1 / 3)
    one_slot = point(by_slot(weights, rewards, numbered(7, 7, 7)))
    assert one_slot == pytest.approx(point(snips(weights, rewards)))
    thinned = point(by_slot(weights, rewards, numbered(1, 1, 2), np.array([1.0, 2.0, 1.0])))
    assert thinned == pytest.approx(3 / 4 * 2 / 4 + 1 / 4)


def test_decisions_that_lack_a_slot_are_counted() -> None:
    assert torn(numbered(0, 0, 0, 1, 1, 2), numbered(1, 2, 4, 1, 2, 3)) == 1
    assert torn(numbered(0), numbered(9)) == 0
    assert torn(numbered(0, 1), numbered(1, 3)) == 0


def test_an_endless_product_is_cut() -> None:
    rows = 60
    products = sequential_weights(np.full(rows, 1e6), np.zeros(rows, np.int64), np.arange(rows))
    assert np.isfinite(products**2).all()


def test_what_depends_on_the_slot_above_is_found_by_those_who_look_there() -> None:
    world = slate_world()
    truth = world.value(world.target)
    log, target = world.log(30_000, np.random.default_rng(5))
    names = (EstimatorName.IIPS, EstimatorName.RIPS, EstimatorName.SIPS)
    found = evaluate_log(log, "target", target, names, rng=np.random.default_rng(6), resamples=20).evaluation.estimators
    for name in ("rips", "sips"):
        assert found[name].estimate == pytest.approx(truth, abs=5 * found[name].stderr)
    assert abs(found["iips"].estimate - truth) > 5 * found["iips"].stderr  # it takes the earlier slots as they were
    assert found["sips"].stderr > found["rips"].stderr > found["iips"].stderr
    assert found["iips"].max_weight < found["rips"].max_weight <= found["sips"].max_weight


def test_slots_that_do_not_depend_on_each_other_need_no_product() -> None:
    world = slate_world(is_independent=True)
    log, target = world.log(10_000, np.random.default_rng(7))
    names = (EstimatorName.IIPS, EstimatorName.RIPS)
    found = evaluate_log(log, "target", target, names, rng=np.random.default_rng(8), resamples=20).evaluation.estimators
    for name in names:
        assert found[name].estimate == pytest.approx(world.value(world.target), abs=5 * found[name].stderr)


def test_slates_that_cannot_tell_are_refused_alone_and_a_warning_beside_others() -> None:
    log, target = slate_world().log(2_000, np.random.default_rng(9))
    sharp = Target("sharp", target.group, np.eye(5)[np.tile([0, 1, 2], 2_000)], target.elsewhere)
    log = replace(log, propensity=np.minimum(log.propensity, 0.05))  # as if each slot had been drawn from twenty
    of_rows = evaluate_log(log, "sharp", sharp, (EstimatorName.IPS,), rng=np.random.default_rng(1), resamples=20)
    alone = evaluate_log(log, "sharp", sharp, (EstimatorName.SIPS,), rng=np.random.default_rng(1), resamples=20)
    beside = evaluate_log(
        log, "sharp", sharp, (EstimatorName.IPS, EstimatorName.SIPS), rng=np.random.default_rng(1), resamples=20
    )
    assert of_rows.evaluation.verdict == "warn"
    assert importance_weights(sharp.of_logged(log), log.propensity).max() == pytest.approx(20)
    assert alone.evaluation.estimators["sips"].max_weight == pytest.approx(8_000)
    assert beside.evaluation.verdict == "warn"
    assert any(reason.startswith("sips: ") for reason in beside.evaluation.warnings)
    few, rows = log.of_rows(np.arange(900)), np.arange(900)
    refused = evaluate_log(
        few, "sharp", sharp.of_rows(rows), (EstimatorName.SIPS,), rng=np.random.default_rng(1), resamples=20
    )
    assert refused.evaluation.verdict == "refused"
    assert "effective sample size" in refused.evaluation.warnings[0]
