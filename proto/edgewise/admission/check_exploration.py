"""Whether a placement's arms can explore, leave a space empty and learn as the policy says."""

from __future__ import annotations

import math

import msgspec

from edgewise.admission.check_scores import Models
from edgewise.bundle import exploration
from edgewise.bundle import policy as decided
from edgewise.bundle.manifest import POLICY
from edgewise.bundle.refusal import require
from edgewise.formula import ranker_in


def check_exploration(placement: decided.Placement, models: Models, path: str) -> None:
    """Raises BundleRefused. The arms' models are known to be there."""
    for name, arm in placement.arms.items():
        _check_arm(placement, arm, models, f"{path}.arms.{name}")
    if placement.diversity is not None:
        names_one = bool(placement.diversity.attribute)
        require(names_one, "blank", POLICY, "diversity names no attribute", f"{path}.diversity.attribute")
    _check_learning(placement, path)


def _check_arm(placement: decided.Placement, arm: decided.Arm, models: Models, path: str) -> None:
    if isinstance(arm.exploration, exploration.Thompson):
        by = arm.ranking
        is_uncertain = isinstance(by, decided.ByModel) and models[by.model].uncertain
        message = "Thompson's policy over scores without a standard error; it needs a model that says one"
        require(is_uncertain, "invalid", POLICY, message, f"{path}.exploration")
    if not isinstance(arm.nothing, msgspec.UnsetType):
        is_allowed = placement.may_be_empty and math.isfinite(arm.nothing.score)
        message = "an arm may show nothing, but its placement may not be empty"
        require(is_allowed, "invalid", POLICY, message, f"{path}.nothing")


def _check_learning(placement: decided.Placement, path: str) -> None:
    challenger = placement.challenger
    if placement.learning == "apprentice":
        is_there = challenger in placement.arms and challenger != placement.arm
        message = f"an apprentice's challenger is another arm than {placement.arm!r}, not {challenger!r}"
        require(is_there, "dangling", POLICY, message, f"{path}.challenger")
        message = "an apprentice placement runs no experiment: one arm serves"
        require(placement.experiment is None, "invalid", POLICY, message, f"{path}.experiment")
    else:
        message = f"a challenger in a placement that learns {placement.learning}"
        require(challenger is None, "invalid", POLICY, message, f"{path}.challenger")
    if placement.learning == "logging-only":
        for name, arm in placement.arms.items():
            by_rule = _serves_by_rule(arm)
            message = f"the arm {name!r} asks a model or explores; where one only logs, rules serve"
            require(by_rule, "invalid", POLICY, message, f"{path}.arms.{name}")


def _serves_by_rule(arm: decided.Arm) -> bool:
    by = arm.ranking
    asks = isinstance(by, decided.ByModel) or (isinstance(by, decided.ByFormula) and ranker_in(by.formula) is not None)
    return not asks and isinstance(arm.exploration, exploration.Greedy)
