"""Which experiment was in force when a decision was made: the releases know."""

from __future__ import annotations

from collections.abc import Callable

from edgewise.bundle.experiments import Experiment
from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import Policy, decode_policy
from edgewise.errors import MALFORMED, BundleRefused, InputError
from edgewise.ids import ArmName, BundleVersion, ExperimentKey, PlacementName
from hub.release.repository import Repository

PolicyOf = Callable[[BundleVersion], Policy | None]
"""None: that release is not kept any more, or was never here."""


class ReleasedPolicies:
    """Policies by release, each read once: what a release holds never changes."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[BundleVersion, Policy | None] = {}

    def __call__(self, version: BundleVersion) -> Policy | None:
        """None where it cannot be read."""
        if version not in self._known:
            try:
                found = decode_policy(self._repository.release(version).resources[POLICY])
            except (BundleRefused, OSError, KeyError, *MALFORMED):
                found = None
            self._known[version] = found
        return self._known[version]


class Rules:
    """An experiment over the releases that ran it. What is not known of an older one is taken from the live one."""

    def __init__(self, key: ExperimentKey, live: Policy, policy_of: PolicyOf = lambda _: None) -> None:
        """Raises InputError for an experiment that the live release does not have."""
        if key not in live.experiments:
            raise InputError(f"no experiment {key!r}; there are: {', '.join(sorted(live.experiments)) or 'none'}")
        self.key = key
        self.live = live
        self.experiment = live.experiments[key]
        self._policy_of = policy_of

    @property
    def placements(self) -> tuple[PlacementName, ...]:
        """Where the live release runs it, sorted."""
        return tuple(sorted(name for name, of in self.live.placements.items() if of.experiment == self.key))

    def at(self, version: BundleVersion) -> Experiment:
        """As the release had it."""
        policy = self._policy_of(version)
        found = None if policy is None else policy.experiments.get(self.key)
        return self.experiment if found is None else found

    def is_same(self, version: BundleVersion) -> bool:
        """Whether the release assigned people as the live one does, but for weights and coverage."""
        return _identity(self.at(version)) == _identity(self.experiment)

    def runs_at(self, version: BundleVersion, placement: PlacementName) -> bool:
        """Whether the release ran this very experiment in the placement."""
        policy = self._policy_of(version) or self.live
        found = policy.placements.get(placement)
        return found is not None and found.experiment == self.key and self.is_same(version)

    def holdout_at(self, version: BundleVersion) -> float:
        """Share of visitors that the release held out."""
        policy = self._policy_of(version)
        return (self.live if policy is None else policy).site.holdout

    def weights_at(self, version: BundleVersion) -> dict[ArmName, float]:
        """Of the arms, adding up to 1."""
        experiment = self.at(version)
        total = sum(experiment.weights)
        return {arm: weight / total for arm, weight in zip(experiment.arms, experiment.weights, strict=True)}


def _identity(experiment: Experiment) -> tuple[object, ...]:
    return experiment.seed, experiment.hash_version, experiment.bucket_version, tuple(experiment.arms)
