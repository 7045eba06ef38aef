"""A site's policy with the coverage that its ramps have come to: people take steps in the ledger, not in the file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Policy
from edgewise.ids import ExperimentKey
from hub.ledger.ramps import RampStepRow


def ramped(policy: Policy, steps: Sequence[RampStepRow]) -> Policy:
    """The policy with every ramp's last step; where nobody has taken one, what the site's file says.

    A step counts as long as the ramp has it, and people are assigned as they were when it was taken.
    """
    changed: dict[ExperimentKey, Experiment] = {}
    for key, experiment in policy.experiments.items():
        step = last_step(key, experiment, steps)
        if step is not None and step.coverage != experiment.coverage:
            changed[key] = msgspec.structs.replace(experiment, coverage=step.coverage)
    if not changed:
        return policy
    return msgspec.structs.replace(policy, experiments=policy.experiments | changed)


def last_step(key: ExperimentKey, experiment: Experiment, steps: Sequence[RampStepRow]) -> RampStepRow | None:
    """The step that holds for the experiment; None: there is no ramp, or nobody has taken one of it."""
    if experiment.ramp is None:
        return None
    ours = [
        step
        for step in steps
        if (step.experiment, step.seed, step.bucket_version) == (key, experiment.seed, experiment.bucket_version)
    ]
    if not ours or ours[-1].coverage not in {step.coverage for step in experiment.ramp.steps}:
        return None
    return ours[-1]
