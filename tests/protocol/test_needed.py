"""What an older node would pass over in silence asks for a newer one; what all sites have does not."""

from typing import Any

import msgspec
import pytest
import world

from edgewise.bundle.experiments import NamespaceRange
from edgewise.bundle.needed import DYNAMIC_CONTENT, FIRST, LIMITS_OF_CHOICE, protocol_needed
from edgewise.bundle.policy import Diversity, Nothing, Policy
from edgewise.bundle.promotions import Discount, Promotion, PromotionName
from edgewise.ids import ExperimentKey


def with_experiment(**changes: Any) -> Policy:
    policy = world.policy()
    key, experiment = next(iter(policy.experiments.items()))
    changed = msgspec.structs.replace(experiment, **changes)
    return msgspec.structs.replace(policy, experiments={**policy.experiments, ExperimentKey(key): changed})


def test_a_plain_site_speaks_to_every_node() -> None:
    assert protocol_needed(world.policy()) == FIRST


@pytest.mark.parametrize(
    "changes",
    [
        {"diversity": Diversity("genre")},
        {"may_be_empty": True},
        {"exploration_budget": 0.1},
        {"learning": "logging-only"},
    ],
)
def test_limits_of_a_placement_ask_for_a_newer_node(changes: dict[str, Any]) -> None:
    assert protocol_needed(world.policy({world.HERO: world.placement(**changes)})) == LIMITS_OF_CHOICE


def test_an_arm_that_may_show_nothing_asks_for_a_newer_node() -> None:
    placement = world.placement()
    name, arm = next(iter(placement.arms.items()))
    arms = {**placement.arms, name: msgspec.structs.replace(arm, nothing=Nothing(0.5))}
    assert protocol_needed(world.policy({world.HERO: world.placement(arms=arms)})) == LIMITS_OF_CHOICE


@pytest.mark.parametrize(
    "changes",
    [
        {"condition": {"geo.country": "DE"}},
        {"namespace": NamespaceRange("home", 0.0, 0.5)},
        {"hash_version": 1},
        {"min_bucket_version": 1},
    ],
)
def test_who_takes_part_asks_for_a_newer_node(changes: dict[str, Any]) -> None:
    assert protocol_needed(with_experiment(**changes)) == LIMITS_OF_CHOICE


def test_codes_ask_for_a_newer_node() -> None:
    """An older one would show their items without."""
    promotions = {PromotionName("spring"): Promotion(Discount(percent=15.0), total=100)}
    assert protocol_needed(msgspec.structs.replace(world.policy(), promotions=promotions)) == DYNAMIC_CONTENT
