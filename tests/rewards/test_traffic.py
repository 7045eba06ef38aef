"""Whose decision it was, where no ledger is needed to tell."""

from __future__ import annotations

from rewards_world import HOME, join, shown

from edgewise.assign import traffic_of
from edgewise.bundle.experiments import Experiment
from edgewise.ids import ArmName, ExperimentKey, SubjectId
from edgewise.request import Attributes, Context
from hub.rewards.joined import Traffic
from hub.rewards.traffic import Crowd

KEY = ExperimentKey("hero")
ARMS = [ArmName("champion"), ArmName("challenger")]


def test_training_units_are_learned_from_and_the_others_are_measured() -> None:
    """Never both, and each by its hash; who is in no experiment is both."""
    experiment = Experiment(ARMS, [0.5, 0.5], "seed", training_share=0.5)
    units = [f"unit-{number}" for number in range(40)]
    decisions = [shown(seq, "a", unit=unit, experiment=KEY) for seq, unit in enumerate(units, 1)]
    outside = shown(41, "a", unit="somebody")
    found = join([*decisions, outside], [], standing_of=Crowd(experiments={KEY: experiment}).standing)

    is_training = [traffic_of(experiment, unit) == "training" for unit in units]
    assert 0 < sum(is_training) < len(units)
    assert [traffic is Traffic.TRAINING for traffic in found.traffic] == [*is_training, False]
    assert found.is_learnable.tolist() == [*is_training, True]
    assert found.is_counted.tolist() == [*(not each for each in is_training), True]


def test_an_experiment_without_training_traffic_is_learned_from_and_measured() -> None:
    experiment = Experiment(ARMS, [0.5, 0.5], "seed")
    found = join([shown(1, "a", experiment=KEY)], [], standing_of=Crowd(experiments={KEY: experiment}).standing)

    assert found.experiment == (KEY,)
    assert (found.is_learnable.tolist(), found.is_counted.tolist()) == ([True], [True])


def test_what_is_forced_or_ours_goes_before_what_is_fast() -> None:
    """A load test of our own is no attack; what neither rule nor page knows is a visitor."""
    busy, staff, guest = (SubjectId(letter * 32) for letter in "bcd")
    marks: list[Attributes] = [{"internal": True}, {"bot": "true"}, {"bot": False}, {"bot": "no"}]
    decisions = [
        shown(1, "a", subject=busy),
        shown(2, "a", subject=staff),
        shown(3, "a", subject=busy, force={HOME: "champion"}),
        *(shown(4 + index, "a", subject=guest, context=Context(attributes=mark)) for index, mark in enumerate(marks)),
    ]
    found = join(decisions, [], standing_of=Crowd(busy=[busy, staff], internal=[staff]).standing)
    bot, internal, visitor = Traffic.BOT, Traffic.INTERNAL, Traffic.VISITOR
    assert found.traffic == (bot, internal, internal, internal, bot, visitor, visitor)
