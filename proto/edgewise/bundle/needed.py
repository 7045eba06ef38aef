"""Which protocol version a bundle needs: what an older node would pass over in silence must not reach it.

Nodes skip fields that they do not know, so that a newer hub can speak to them. That is right where a field only adds
to an answer, and wrong where it takes something away: a node that skips a condition lets everybody take part. Such a
bundle says the version that it needs, and an older node refuses it by name and keeps what it has. What an older node
cannot even decode (another policy of exploration, another kind of ranking) it refuses by itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.bundle.experiments import Experiment
from edgewise.bundle.policy import Arm, Placement, Policy

FIRST: Final = 1
LIMITS_OF_CHOICE: Final = 2
"""Who takes part in an experiment, what a slate may hold, what may be explored, and how a placement learns."""
DYNAMIC_CONTENT: Final = 3
"""Which representation of an item a placement shows; when items and placements are shown; personal codes, without which
an older node would show items."""


def protocol_needed(policy: Policy) -> int:
    """The least version whose nodes take every word of it to heart."""
    # Whatever has a schedule names a zone, items in the catalogue too.
    if policy.site.zones or policy.offers or any(map(_shows_dynamic_content, policy.placements.values())):
        return DYNAMIC_CONTENT
    placements = map(_placement_needs, policy.placements.values())
    experiments = map(_experiment_needs, policy.experiments.values())
    return LIMITS_OF_CHOICE if any(placements) or any(experiments) else FIRST


def _shows_dynamic_content(placement: Placement) -> bool:
    return bool(placement.format)


def _placement_needs(placement: Placement) -> bool:
    return (
        placement.diversity is not None
        or placement.may_be_empty
        or placement.exploration_budget < 1
        or placement.learning != "online"
        or any(map(_arm_needs, placement.arms.values()))
    )


def _arm_needs(arm: Arm) -> bool:
    return arm.nothing is not msgspec.UNSET


def _experiment_needs(experiment: Experiment) -> bool:
    return (
        bool(experiment.condition)
        or experiment.namespace is not None
        or experiment.hash_version == 1
        or experiment.min_bucket_version > 0
    )
