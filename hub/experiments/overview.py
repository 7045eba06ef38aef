"""The experiments of the live release at a glance, and their reports for a hub that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Policy
from edgewise.errors import InputError, UnavailableError
from edgewise.ids import ArmName, ExperimentKey, PlacementName
from hub.experiments.measures import DAY_MS
from hub.experiments.policies import PolicyOf, Rules
from hub.experiments.report import ExperimentReport, reported
from hub.experiments.trial import read_trial
from hub.ledger.ramps import RampStepRow
from hub.made_lately import MadeLately
from hub.release.ramped import last_step

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

DAYS: Final = 60
"""That a report reads where nobody says more: longer than most experiments run."""
MOST_DECISIONS: Final = 100_000
"""Of a report that a running hub makes, which serves nodes meanwhile. To read only the latest would be wrong: whoever
was exposed before them would count from a later day."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment of the live release."""

    key: ExperimentKey
    placements: tuple[PlacementName, ...]
    """That run it; none: it does not run."""
    arms: dict[ArmName, float]
    """With their weights."""
    control: ArmName
    coverage: float
    method: str
    outcome: str | None
    guardrails: tuple[str, ...]
    step: int | None
    """Of its ramp, from 1; None where there is no ramp."""
    steps: int
    taken: float | None
    """The coverage of the last step that a person took, released or not."""


class Experiments(msgspec.Struct, frozen=True):
    """`GET /api/v1/experiments` and `edgewise experiment list --json`."""

    experiments: list[Listed]


def listed(policy: Policy | None, steps: list[RampStepRow]) -> Experiments:
    """Every experiment, sorted by key; none before the first release."""
    if policy is None:
        return Experiments([])
    return Experiments([_listed(Rules(key, policy), of, steps) for key, of in sorted(policy.experiments.items())])


def _listed(rules: Rules, experiment: Experiment, steps: list[RampStepRow]) -> Listed:
    coverages = [step.coverage for step in experiment.ramp.steps] if experiment.ramp is not None else []
    taken = last_step(rules.key, experiment, steps)
    return Listed(
        key=rules.key,
        placements=rules.placements,
        arms=dict(zip(experiment.arms, experiment.weights, strict=True)),
        control=experiment.control_arm,
        coverage=experiment.coverage,
        method=experiment.method,
        outcome=None if experiment.outcome is None else experiment.outcome.name,
        guardrails=tuple(of.name for of in experiment.guardrails),
        step=coverages.index(experiment.coverage) + 1 if experiment.coverage in coverages else None,
        steps=len(coverages),
        taken=None if taken is None else taken.coverage,
    )


class ReportsNow:
    """Reports of a running hub: one at a time, and each made at most once in `every_ms`, however often it is asked."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Callable[[], Policy | None],
        policy_of: PolicyOf,
        *,
        days: float = DAYS,
        every_ms: int = 60_000,
        most: int = MOST_DECISIONS,
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._policy_of = policy_of
        self._window_ms = round(days * DAY_MS)
        self._most = most
        self._made: MadeLately[ExperimentKey, ExperimentReport] = MadeLately(every_ms)

    def listed(self) -> Experiments:
        """As of now."""
        return listed(self._policy(), self._ledger.ramp_steps())

    def at(self, key: ExperimentKey, now_ms: int) -> ExperimentReport:
        """Perhaps of a moment ago.

        Raises InputError for an experiment that there is not, or that names no outcome; UnavailableError where there is
        more to read than a running hub reads.
        """
        policy = self._policy()
        if policy is None:
            raise InputError("no release is live, so that no experiment runs")
        rules = Rules(key, policy, self._policy_of)

        def make() -> ExperimentReport:
            since_ms = now_ms - self._window_ms
            many = self._ledger.decisions_since(since_ms)
            if many > self._most:
                cure = f"run `edgewise experiment report {key}`"
                raise UnavailableError(f"{many:,} decisions, a running hub reads {self._most:,}; {cure}")
            return reported(read_trial(self._ledger, rules, since_ms=since_ms, now_ms=now_ms))

        return self._made.get(key, make, of=policy, now_ms=now_ms)
