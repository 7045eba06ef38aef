"""Experiments and placements as feature flags: which keys there are, and what a decision says of each.

An experiment that some placement runs is a flag whose value is the visitor's arm. A placement is a flag whose value is
what `POST /v1/decide` answers for it. Where both have one name, the name is the experiment's; `experiment:KEY` and
`placement:NAME` are understood for each.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

from edge.worker.answers import DecideAnswer, PlacementAnswer
from edgewise.bundle.policy import Policy
from edgewise.ids import ExperimentKey, PlacementName
from edgewise.reasons import Reason

EXPERIMENT: Final = "experiment:"
PLACEMENT: Final = "placement:"


class Flag(NamedTuple):
    """One flag, and the placement whose decision answers it."""

    key: str
    kind: Literal["experiment", "placement"]
    placement: PlacementName


class Evaluated(msgspec.Struct, frozen=True):
    """A flag's value, as OFREP has it."""

    key: str
    reason: Literal["SPLIT", "TARGETING_MATCH", "STATIC", "DEFAULT"]
    """`SPLIT`: by an experiment; `TARGETING_MATCH`: by who asks, or by the page; `DEFAULT`: neither had a say."""
    variant: str
    value: Any
    """An arm's name, or a placement's answer as in `POST /v1/decide`."""
    metadata: dict[str, str | float | bool]


def flags_of(policy: Policy) -> dict[str, Flag]:
    """All flags by the key under which they are listed, in alphabetical order."""
    flags = {}
    for name in sorted(policy.placements):
        key = policy.placements[name].experiment
        if key is not None and key not in flags:
            flags[str(key)] = Flag(key, "experiment", name)
    for name in sorted(policy.placements):
        key_of_placement = f"{PLACEMENT}{name}" if name in flags else str(name)
        flags[key_of_placement] = Flag(key_of_placement, "placement", name)
    return dict(sorted(flags.items()))


def flag_of(policy: Policy, key: str) -> Flag | None:
    """The flag that a key means, None for none; with a prefix or without."""
    if key.startswith(PLACEMENT):
        name = PlacementName(key.removeprefix(PLACEMENT))
        return Flag(key, "placement", name) if name in policy.placements else None
    if key.startswith(EXPERIMENT):
        return _running(policy, ExperimentKey(key.removeprefix(EXPERIMENT)), key)
    running = _running(policy, ExperimentKey(key), key)
    if running is None and PlacementName(key) in policy.placements:
        return Flag(key, "placement", PlacementName(key))
    return running


def evaluated(flag: Flag, answer: DecideAnswer, *, is_recorded: bool) -> Evaluated:
    """What a decision says of a flag; `is_recorded`: it can be activated later by its id."""
    placed = answer.placements[flag.placement]
    metadata: dict[str, str | float | bool] = {
        "kind": flag.kind,
        "placement": flag.placement,
        "policy": placed.policy,
        "decidedBy": placed.reason.value,
        "bundleVersion": answer.bundle.version,
        "state": answer.bundle.state.value,
    }
    if placed.experiment is not None:
        metadata |= {"experiment": placed.experiment.key, "arm": placed.experiment.arm}
    if is_recorded:
        metadata["decisionId"] = answer.decision_id
    if flag.kind == "experiment":
        is_split = placed.experiment is not None
        return Evaluated(flag.key, "SPLIT" if is_split else "DEFAULT", placed.policy, placed.policy, metadata)
    return Evaluated(flag.key, _reason(placed), placed.policy, placed, metadata)


def _running(policy: Policy, experiment: ExperimentKey, key: str) -> Flag | None:
    for name in sorted(policy.placements):
        if policy.placements[name].experiment == experiment:
            return Flag(key, "experiment", name)
    return None


_TARGETED: Final = frozenset({Reason.MODEL, Reason.EXPLORE, Reason.RULE})


def _reason(placed: PlacementAnswer) -> Literal["SPLIT", "TARGETING_MATCH", "STATIC", "DEFAULT"]:
    if placed.reason is Reason.FORCED:
        return "STATIC"
    if placed.reason not in _TARGETED:
        return "DEFAULT"
    return "TARGETING_MATCH" if placed.experiment is None else "SPLIT"
