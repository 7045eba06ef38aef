"""A site's policy with the journeys that people have enabled: the placements of all others serve their champion."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from edgewise.bundle.policy import Placement, Policy
from edgewise.ids import ArmName, PlacementName
from hub.site.journey_file import JourneyFile


def held_back(policy: Policy, journeys: Mapping[str, JourneyFile], enabled: Collection[str]) -> Policy:
    """The policy in which page journeys that nobody enabled change nothing: one arm, no experiment, nothing explored.

    What a challenger would have shown is still logged where the placement asks for it: that is what tells a person
    whether to enable the journey.
    """
    changed: dict[PlacementName, Placement] = {}
    for name, journey in journeys.items():
        if journey.kind != "page" or name in enabled:
            continue
        for placement in journey.placements:
            of = policy.placements[placement]
            champion = msgspec.structs.replace(of, arm=champion_arm(policy, of, journey), experiment=None, safe=True)
            if champion != of:
                changed[placement] = champion
    if not changed:
        return policy
    return msgspec.structs.replace(policy, placements=policy.placements | changed)


def champion_arm(policy: Policy, placement: Placement, journey: JourneyFile) -> ArmName:
    """What serves while the journey does not: as it says, else the experiment's control, else the opted-out arm."""
    if journey.champion.arm is not None:
        return journey.champion.arm
    if placement.experiment is not None:
        return policy.experiments[placement.experiment].control_arm
    return placement.opted_out_arm
