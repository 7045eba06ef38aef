"""Which arm answers a visitor in a placement: forced, opted out, held out, by experiment, or the default."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgewise.bundle.policy import Arm, Experiment, Placement, Policy, Site
from edgewise.decision import Assignment
from edgewise.hashing import NOBODY, BucketRange, bucket, bucket_ranges, choose_variation
from edgewise.ids import ArmName, ExperimentKey, PlacementName
from edgewise.reasons import Reason

_HASH_VERSION = 2


class CompiledExperiment(msgspec.Struct, frozen=True):
    """An experiment with its ranges laid out."""

    key: ExperimentKey
    seed: str
    arms: tuple[ArmName, ...]
    ranges: tuple[BucketRange, ...]

    def arm_of(self, unit: str) -> ArmName | None:
        """The arm of a unit; None outside the experiment's coverage."""
        variation = choose_variation(bucket(self.seed, unit, _HASH_VERSION) or 0.0, self.ranges)
        return None if variation == NOBODY else self.arms[variation]


class Assigned(msgspec.Struct, frozen=True):
    """An arm, and why it is not the usual one."""

    name: ArmName
    arm: Arm
    reason: Reason | None = None
    """OPTED_OUT or HOLDOUT: no profile may be used, and nothing is explored."""
    experiment: Assignment | None = None

    @property
    def is_personal(self) -> bool:
        """Whether the profile may be used."""
        return self.reason is None


def compile_experiment(key: ExperimentKey, experiment: Experiment) -> CompiledExperiment:
    """Lay out the ranges."""
    ranges = bucket_ranges(len(experiment.arms), experiment.coverage, experiment.weights)
    return CompiledExperiment(key, experiment.seed, tuple(experiment.arms), tuple(ranges))


def compile_experiments(policy: Policy) -> dict[PlacementName, CompiledExperiment]:
    """The experiment of every placement that runs one."""
    return {
        name: compile_experiment(placement.experiment, policy.experiments[placement.experiment])
        for name, placement in policy.placements.items()
        if placement.experiment is not None
    }


def in_holdout(site: Site, unit: str) -> bool:
    """Whether a visitor is never personalised, the same in all placements and for as long as the salt stays."""
    return site.holdout > 0 and (bucket(f"{site.salt}/holdout", unit, _HASH_VERSION) or 0.0) < site.holdout


def traffic_of(experiment: Experiment, unit: str) -> Literal["training", "evaluation"]:
    """Whether a unit of an experiment is learned from, or measured; the same for as long as the seed stays.

    By a hash of its own, so that both kinds are spread alike over arms, coverage and holdout.
    """
    value = bucket(f"{experiment.seed}/training", unit, _HASH_VERSION) or 0.0
    return "training" if value < experiment.training_share else "evaluation"


def assign(
    placement: Placement,
    experiment: CompiledExperiment | None,
    unit: str,
    *,
    may_personalise: bool,
    held_out: bool,
    forced: ArmName | None = None,
) -> Assigned:
    """The arm for one visitor.

    Consent goes before everything, also before an operator's `forced` arm; that one goes before the holdout and the
    experiment. `forced` must be an arm of the placement.
    """
    if not may_personalise:
        return Assigned(placement.opted_out_arm, placement.arms[placement.opted_out_arm], Reason.OPTED_OUT)
    if forced is not None:
        key = placement.experiment
        assignment = None if key is None else Assignment(key, forced, forced=True)
        return Assigned(forced, placement.arms[forced], experiment=assignment)
    if held_out:
        return Assigned(placement.opted_out_arm, placement.arms[placement.opted_out_arm], Reason.HOLDOUT)
    arm = None if experiment is None else experiment.arm_of(unit)
    if experiment is None or arm is None:
        return Assigned(placement.arm, placement.arms[placement.arm])
    return Assigned(arm, placement.arms[arm], experiment=Assignment(experiment.key, arm))
