"""Which arm answers a visitor in a placement: forced, opted out, held out, by experiment, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
from typing_extensions import override

from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Arm, Placement, Policy, Site
from edgewise.conditions import holds
from edgewise.decision import Assignment
from edgewise.hashing import NOBODY, BucketRange, Namespace, bucket, bucket_ranges, choose_variation, in_namespace
from edgewise.ids import ArmName, ExperimentKey, PlacementName
from edgewise.profile.state import Enrolment
from edgewise.reasons import Reason
from edgewise.sticky import LOOSE, Buckets, buckets_of

_HASH_VERSION = 2


class Looks(Protocol):
    """What an experiment may look at of a visitor; asked only where it does."""

    def enrolments(self) -> Mapping[str, Enrolment] | None:
        """His first assignments; None where nothing of him may be read or remembered."""
        ...

    def attributes(self) -> Mapping[str, Any]:
        """What conditions may ask (`edgewise.targeting`)."""
        ...


class _Stranger(Looks):
    @override
    def enrolments(self) -> None:
        return None

    @override
    def attributes(self) -> Mapping[str, Any]:
        return {}


STRANGER = _Stranger()
"""Somebody of whom nothing is known."""


class Enrolled(NamedTuple):
    """An arm by experiment."""

    arm: ArmName
    remember_as: str = ""
    """The bucket to remember it under; empty where it is known already, or nothing is remembered."""


class CompiledExperiment(msgspec.Struct, frozen=True):
    """An experiment with its ranges laid out."""

    key: ExperimentKey
    experiment: Experiment
    ranges: tuple[BucketRange, ...]
    buckets: Buckets

    def arm_of(self, unit: str) -> ArmName | None:
        """The arm of a unit by its hash; None outside the experiment's coverage."""
        value = bucket(self.experiment.seed, unit, self.experiment.hash_version) or 0.0
        variation = choose_variation(value, self.ranges)
        return None if variation == NOBODY else self.experiment.arms[variation]

    def enrol(self, unit: str, looks: Looks) -> Enrolled | None:
        """The arm of a visitor: the one that he had, else by namespace, condition and hash; None: he takes no part.

        In GrowthBook's order: what is remembered goes before everything else, so that only he who comes anew is asked
        whether the experiment is for him.
        """
        experiment = self.experiment
        enrolments = looks.enrolments() if experiment.sticky else None
        stuck = LOOSE if enrolments is None else self.buckets.stuck(enrolments, experiment.arms)
        if stuck.is_blocked:
            return None
        if stuck.arm is not None:
            return Enrolled(stuck.arm)
        part = experiment.namespace
        if part is not None and not in_namespace(unit, Namespace(part.name, part.start, part.end)):
            return None
        if experiment.condition and not holds(experiment.condition, looks.attributes()):
            return None
        arm = self.arm_of(unit)
        if arm is None:
            return None
        # Of an arm that is no more, the first assignment stays the first: nothing new is remembered.
        is_known = enrolments is None or self.buckets.current in enrolments
        return Enrolled(arm, "" if is_known else self.buckets.current)


class Assigned(msgspec.Struct, frozen=True):
    """An arm, and why it is not the usual one."""

    name: ArmName
    arm: Arm
    reason: Reason | None = None
    """OPTED_OUT or HOLDOUT: no profile may be used, and nothing is explored."""
    experiment: Assignment | None = None
    remember_as: str = ""
    """The bucket under which the visitor's profile is to remember the arm (`edgewise.sticky`); empty: nothing new."""

    @property
    def is_personal(self) -> bool:
        """Whether the profile may be used."""
        return self.reason is None


def compile_experiment(key: ExperimentKey, experiment: Experiment) -> CompiledExperiment:
    """Lay out the ranges."""
    ranges = bucket_ranges(len(experiment.arms), experiment.coverage, experiment.weights)
    return CompiledExperiment(key, experiment, tuple(ranges), buckets_of(key, experiment))


def compile_experiments(policy: Policy) -> dict[PlacementName, CompiledExperiment]:
    """The experiment of every placement that runs one."""
    return {
        name: compile_experiment(placement.experiment, policy.experiments[placement.experiment])
        for name, placement in policy.placements.items()
        if placement.experiment is not None
    }


def in_holdout(site: Site, unit: str) -> bool:
    """Whether a unit is never personalised: the same in all placements and journeys, for as long as the salt stays.

    A larger share keeps everybody who was held out. The salt is the holdout's own where the site gives it one, so that
    the draws' can be changed without letting anybody in or out.
    """
    seed = site.holdout_salt or f"{site.salt}/holdout"
    return site.holdout > 0 and (bucket(seed, unit, _HASH_VERSION) or 0.0) < site.holdout


def traffic_of(experiment: Experiment, unit: str) -> Literal["training", "evaluation"]:
    """Whether a unit of an experiment is learned from, or measured; the same for as long as the seed stays.

    By a hash of its own, so that both kinds are spread alike over arms, coverage and holdout. Without a
    `training_share` all units are measured, and nothing keeps them from being learned from (`learns_from`).
    """
    value = bucket(f"{experiment.seed}/training", unit, _HASH_VERSION) or 0.0
    return "training" if value < experiment.training_share else "evaluation"


def learns_from(experiment: Experiment, unit: str) -> bool:
    """Whether models may learn from a unit while the experiment runs: all where its traffic is not set apart."""
    return experiment.training_share <= 0 or traffic_of(experiment, unit) == "training"


def assign(
    placement: Placement,
    experiment: CompiledExperiment | None,
    unit: str,
    *,
    may_personalise: bool,
    held_out: bool,
    forced: ArmName | None = None,
    looks: Looks = STRANGER,
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
    enrolled = None if experiment is None else experiment.enrol(unit, looks)
    if experiment is None or enrolled is None:
        return Assigned(placement.arm, placement.arms[placement.arm])
    arm, remember_as = enrolled
    return Assigned(arm, placement.arms[arm], experiment=Assignment(experiment.key, arm), remember_as=remember_as)
