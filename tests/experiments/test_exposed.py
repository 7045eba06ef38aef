"""Who counts in an experiment, from when on, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from experiment_world import (
    DAY_MS,
    HOME,
    HOUR_MS,
    KEY,
    LATER_MS,
    NEW,
    OLD,
    Traffic,
    experiment,
    policy,
    report,
    trial,
    visitor,
)
from hub_records import NOW_MS

from edgewise.bundle.experiments import Metric
from edgewise.bundle.rewards import TrafficRules
from edgewise.consent import Grants
from edgewise.errors import InputError
from edgewise.events import Kind
from edgewise.ids import BundleVersion, ExperimentKey, SubjectId
from edgewise.records import ANONYMOUS, DecisionRecord
from edgewise.request import Context
from hub.experiments.exposed import Exposed, Person, exposed
from hub.experiments.measures import Measures
from hub.experiments.policies import Rules
from hub.ledger.ledger import Ledger, open_ledger
from hub.rewards.traffic import Crowd

ANN, BO, CY, DI = (visitor(number) for number in range(1, 5))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def found(traffic: Traffic, ledger: Ledger) -> Exposed:
    traffic.store(ledger)
    return trial(ledger, traffic.policy).exposed


def arms(of: Exposed) -> dict[SubjectId, str | None]:
    return {each.person: each.arm for each in of.people}


def test_a_person_counts_once_from_his_first_exposure_on(ledger: Ledger) -> None:
    traffic = Traffic(policy())
    traffic.visit(ANN, NOW_MS + HOUR_MS, arm=NEW)
    traffic.visit(ANN, NOW_MS, arm=NEW)
    (only,) = found(traffic, ledger).people
    assert (only.arm, only.exposed_ms) == (NEW, NOW_MS)


def test_all_subjects_of_a_person_are_he_and_two_arms_are_none(ledger: Ledger) -> None:
    """He saw both, so that neither can be said to have moved him."""
    traffic = Traffic(policy())
    traffic.visit(ANN, NOW_MS, arm=OLD)
    traffic.visit(BO, NOW_MS + 1, arm=NEW)
    traffic.does(ANN, Kind.VIEW, NOW_MS + 2, identifiers={"userId": BO}, vouched=True)
    traffic.visit(CY, NOW_MS + 3, arm=NEW)
    seen = found(traffic, ledger)
    assert arms(seen) == {ANN: None, CY: NEW}
    analysis = report(ledger, traffic.policy).analysis
    assert analysis.exposures is not None
    assert (analysis.exposures.in_several, analysis.exposures.alarm) == (1, True)
    assert analysis.srm.observed == {OLD: 0, NEW: 1}
    assert "several variants" in analysis.verdicts[NEW].sentence


def test_what_was_deferred_counts_from_its_activation(ledger: Ledger) -> None:
    traffic = Traffic(policy())
    shown = traffic.visit(ANN, NOW_MS, arm=NEW, deferred=True)
    traffic.visit(BO, NOW_MS, arm=NEW, deferred=True)
    traffic.does(ANN, Kind.IMPRESSION, NOW_MS + 9_000, decision_id=shown.decision_id)
    seen = found(traffic, ledger)
    assert [(each.person, each.exposed_ms) for each in seen.people] == [(ANN, NOW_MS + 9_000)]
    assert seen.left_out == {"not-shown": 1}


def test_everybody_who_does_not_count_is_counted(ledger: Ledger) -> None:
    staff = visitor(77)
    of = policy(experiment(training_share=0.5), traffic=TrafficRules(most_per_minute=3, internal_subjects=[staff]))
    traffic = Traffic(of)
    marked = Context(attributes={"bot": True})
    traffic.visit(ANN, NOW_MS, arm=NEW, context=marked)
    traffic.visit(staff, NOW_MS + 1, arm=NEW)
    traffic.visit(BO, NOW_MS + 2, arm=NEW, force={HOME: NEW})
    traffic.visit(ANONYMOUS, NOW_MS + 3, arm=NEW, unit="a-decision")
    traffic.visit(CY, NOW_MS + 4, arm=NEW, dry_run=True)
    for number in range(4):
        traffic.visit(DI, NOW_MS + 10 + number, arm=NEW)
    for number in range(100, 140):
        traffic.visit(visitor(number), NOW_MS + number)
    seen = found(traffic, ledger)
    training = seen.left_out["training"]
    assert seen.left_out == {"anonymous": 1, "bot": 2, "dry-run": 1, "forced": 1, "internal": 1, "training": training}
    assert len(seen.people) == 40 - training
    assert 8 <= training <= 32, "half of 40; beyond by chance once in 10,000"


def test_a_release_that_assigned_otherwise_is_another_experiment(ledger: Ledger) -> None:
    of = policy()
    before = policy(experiment(seed="home-0"))
    smaller = policy(experiment(weights=[0.9, 0.1], coverage=0.5))
    releases = {BundleVersion(1): before, BundleVersion(2): smaller, BundleVersion(3): of}
    traffic = Traffic(of)
    traffic.visit(ANN, NOW_MS, arm=NEW, bundle_version=BundleVersion(1))
    traffic.visit(BO, NOW_MS + 1, arm=NEW, bundle_version=BundleVersion(2))
    traffic.visit(CY, NOW_MS + 2, arm=NEW)
    traffic.store(ledger)
    seen = trial(ledger, of, policy_of=releases.get).exposed
    assert arms(seen) == {BO: NEW, CY: NEW}
    assert seen.left_out == {"other-version": 1}
    assert {coverage: reached.units for coverage, reached in seen.reached.items()} == {0.5: 1, 1.0: 1}
    said = report(ledger, of, policy_of=releases.get).analysis
    assert said.srm.expected == pytest.approx({OLD: 1.4, NEW: 0.6}), "each by the weights of his own release"


def test_the_holdout_is_a_comparison_of_its_own(ledger: Ledger) -> None:
    of = policy(holdout=0.5)
    traffic = Traffic(of)
    for number in range(60):
        traffic.visit(visitor(number), NOW_MS + number)
    nobody = Grants(personalisation=False, analytics=True, marketing=False)
    traffic.visit(visitor(99), NOW_MS + 99, grants=nobody)
    seen = found(traffic, ledger)
    by_arm = {word: [each.person for each in seen.holdout if each.arm == word] for word in ("held out", "personalised")}
    assert sorted(by_arm["personalised"]) == [each.person for each in seen.people if each.person != visitor(99)]
    assert len(by_arm["held out"]) + len(by_arm["personalised"]) == 60
    judged = report(ledger, of).holdout
    assert judged is not None
    assert judged.srm.expected == {"held out": 30, "personalised": 30}


def test_the_order_of_records_plays_no_part() -> None:
    traffic = Traffic(policy(holdout=0.2))
    rng = np.random.default_rng(5)
    for number in range(200):
        arm = (OLD, NEW, None)[rng.integers(3)]
        traffic.visit(visitor(int(rng.integers(60))), NOW_MS + number * 1_000, arm=arm)
    decisions = [record for record in traffic.records if isinstance(record, DecisionRecord)]
    rules = Rules(KEY, traffic.policy)

    def gathered() -> Exposed:
        return exposed(
            decisions, {}, rules, person_of=lambda of: of, standing_of=Crowd().standing, now_ms=NOW_MS + DAY_MS
        )

    first = gathered()
    decisions = [decisions[at] for at in rng.permutation(len(decisions))]
    assert gathered() == first


def test_an_experiment_that_there_is_not_is_named(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="no experiment 'home-2'; there are: home-1"):
        Rules(ExperimentKey("home-2"), policy())
    with pytest.raises(InputError, match="names no business outcome"):
        trial(ledger, policy(msgspec.structs.replace(experiment(), outcome=None)))


# --- what people did ------------------------------------------------------------------------------------------------
def person(who: SubjectId, exposed_ms: int) -> Person:
    return Person(who, NEW, exposed_ms, BundleVersion(3), "", "", is_known=False)


def measured(metric: Metric, traffic: Traffic, *people: Person, now_ms: int = LATER_MS) -> Measures:
    events = [record for record in traffic.records if not isinstance(record, DecisionRecord)]
    return Measures(people, events, [metric], now_ms=now_ms, person_of=lambda of: of)


def test_a_metric_counts_within_its_window_behind_the_exposure_and_the_one_before_it_apart() -> None:
    """Windows are half open: the moment of the exposure is inside, the end is not."""
    traffic = Traffic(policy())
    for at_h, minor in ((-25, 1), (-24, 10), (-1, 100), (0, 1_000), (23, 10_000), (24, 100_000)):
        traffic.does(ANN, Kind.ORDER, NOW_MS + at_h * HOUR_MS, minor=minor)
    traffic.does(ANN, Kind.ORDER, NOW_MS, minor=7, currency="USD")
    traffic.does(BO, Kind.ORDER, NOW_MS, minor=7)
    revenue = Metric("revenue", "order", "revenue", window_hours=24)
    values = measured(revenue, traffic, person(ANN, NOW_MS)).values(revenue)
    assert values.covariate is not None
    assert (values.value.tolist(), values.covariate.tolist()) == ([11_000.0], [110.0])
    for value, expected, before in (("any", 1.0, 1.0), ("count", 3.0, 2.0)):
        metric = msgspec.structs.replace(revenue, value=value)
        values = measured(metric, traffic, person(ANN, NOW_MS)).values(metric)
        assert values.covariate is not None
        assert (values.value.tolist(), values.covariate.tolist()) == ([expected], [before])


def test_a_ratio_has_two_sides() -> None:
    traffic = Traffic(policy())
    for kind in (Kind.ORDER, Kind.REFUND, Kind.ORDER):
        traffic.does(ANN, kind, NOW_MS + 1)
    metric = Metric("refund share", "refund", "ratio", "Order Completed", window_hours=24)
    values = measured(metric, traffic, person(ANN, NOW_MS)).values(metric)
    assert values.denominator is not None
    assert (values.value.tolist(), values.denominator.tolist()) == ([1.0], [2.0])


def test_an_open_window_says_nothing_and_the_future_does_not_count() -> None:
    traffic = Traffic(policy())
    now_ms = NOW_MS + 24 * HOUR_MS
    traffic.does(ANN, Kind.ORDER, NOW_MS + 1)
    traffic.does(ANN, Kind.ORDER, now_ms + 60_000)
    traffic.does(BO, Kind.ORDER, NOW_MS + HOUR_MS)
    metric = Metric("orders", "order", "count", window_hours=24)
    measures = measured(metric, traffic, person(ANN, NOW_MS), person(BO, NOW_MS + 1), now_ms=now_ms)
    assert measures.future == 1
    assert measures.is_open(metric).tolist() == [False, True]
    value = measures.values(metric).value
    assert value[0] == 1.0
    assert np.isnan(value[1])


def test_days_are_counted_from_each_ones_own_exposure() -> None:
    traffic = Traffic(policy())
    for day in (0, 0, 2):
        traffic.does(ANN, Kind.ORDER, NOW_MS + day * DAY_MS + HOUR_MS)
    metric = Metric("orders", "order", "count")
    late = person(BO, LATER_MS - DAY_MS)
    measures = measured(metric, traffic, person(ANN, NOW_MS), late)
    of_days = [measures.on_day(metric, day).value.tolist() for day in range(3)]
    assert [of_ann for of_ann, _ in of_days] == [2.0, 0.0, 1.0]
    assert of_days[0][1] == 0.0
    assert np.isnan(of_days[1][1])
