"""Which arm answers: consent before everything, then force, holdout, experiment, default."""

import math

import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.assign import Assigned, assign, compile_experiment, compile_experiments, in_holdout
from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Site
from edgewise.decision import Assignment
from edgewise.hashing import bucket
from edgewise.ids import ArmName
from edgewise.reasons import Reason

EXPERIMENT = compile_experiments(world.policy())[world.HERO]
PLACEMENT = world.policy().placements[world.HERO]
SITE = Site(world.SITE, "salt", holdout=0.1)
units = st.text(min_size=1, max_size=40)


def arm(unit: str, *, may: bool = True, held_out: bool = False, forced: str | None = None) -> Assigned:
    return assign(
        PLACEMENT,
        EXPERIMENT,
        unit,
        may_personalise=may,
        held_out=held_out,
        forced=None if forced is None else ArmName(forced),
    )


@given(unit=units, held_out=st.booleans(), forced=st.sampled_from([None, "challenger"]))
def test_without_consent_only_the_rule_answers(unit: str, *, held_out: bool, forced: str | None) -> None:
    assigned = arm(unit, may=False, held_out=held_out, forced=forced)
    assert assigned.name == PLACEMENT.opted_out_arm
    assert assigned.reason is Reason.OPTED_OUT
    assert assigned.experiment is None
    assert not assigned.is_personal


@given(unit=units, held_out=st.booleans())
def test_a_forced_arm_never_counts_as_exposure(unit: str, *, held_out: bool) -> None:
    assigned = arm(unit, held_out=held_out, forced="challenger")
    assert assigned.name == "challenger"
    assert assigned.experiment == Assignment(world.EXPERIMENT, world.CHALLENGER, forced=True)
    assert assigned.is_personal


@given(units)
def test_the_holdout_is_in_no_experiment(unit: str) -> None:
    assigned = arm(unit, held_out=True)
    assert assigned.reason is Reason.HOLDOUT
    assert assigned.name == PLACEMENT.opted_out_arm
    assert assigned.experiment is None


@given(units)
def test_an_experiment_decides_by_its_hash(unit: str) -> None:
    value = bucket("hero-2025", unit, 2)
    assert value is not None
    expected = world.CHAMPION if value < 0.5 else world.CHALLENGER
    assert arm(unit).name == expected
    assert arm(unit).experiment == Assignment(world.EXPERIMENT, expected)


@given(units)
def test_outside_the_coverage_the_default_arm_answers_and_nothing_is_logged(unit: str) -> None:
    nobody = compile_experiment(
        world.EXPERIMENT, Experiment([world.CHAMPION, world.CHALLENGER], [0.5, 0.5], "s", coverage=0.0)
    )
    assigned = assign(PLACEMENT, nobody, unit, may_personalise=True, held_out=False)
    assert assigned.name == PLACEMENT.arm
    assert assigned.experiment is None
    assert assign(PLACEMENT, None, unit, may_personalise=True, held_out=False) == assigned


def test_a_forced_arm_without_experiment_has_no_assignment() -> None:
    placement = world.placement()
    assigned = assign(placement, None, "u", may_personalise=True, held_out=False, forced=world.CHALLENGER)
    assert assigned.experiment is None
    assert assigned.name == world.CHALLENGER


def test_the_holdout_has_its_share_and_does_not_follow_the_experiment() -> None:
    """20,000 units: a share of 0.1 is met within 5 standard deviations, and half of the holdout is in each arm."""
    held = [unit for unit in (f"unit-{number}" for number in range(20_000)) if in_holdout(SITE, unit)]
    assert abs(len(held) / 20_000 - 0.1) < 5 * math.sqrt(0.1 * 0.9 / 20_000)
    challengers = sum(arm(unit).name == world.CHALLENGER for unit in held)
    assert abs(challengers / len(held) - 0.5) < 5 * math.sqrt(0.25 / len(held))


@given(units)
def test_no_holdout_holds_nobody(unit: str) -> None:
    assert not in_holdout(Site(world.SITE, "salt"), unit)
    assert in_holdout(Site(world.SITE, "salt", holdout=1.0), unit)
