"""A world of slates whose policies' values are known: items are shown from the top, none twice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.evaluation.policies import Target


@dataclass(frozen=True)
class SlateWorld:
    """Visitors see `slots` of the items; what they do in a slot depends on what stands there and right above it."""

    share: Floats
    """(situations,)"""
    reward: Floats
    """(situations, items): P(reward 1) in the first slot."""
    below: Floats
    """(items,): by what an item changes the chance of the slot below it."""
    logging: Floats
    """(situations, items): weights, from which each slot draws among the items that are left."""
    target: Floats
    """(situations, items)"""
    slots: int
    is_independent: bool = False
    """Whether a slot may repeat the item above it, so that no slot depends on another."""

    def value(self, policy: Floats) -> float:
        """Expected reward per slot, over every slate there is."""
        situations, items = self.reward.shape
        every = itertools.product(range(items), repeat=self.slots)
        total = 0.0
        for slate in every:
            if not self.is_independent and len(set(slate)) < self.slots:
                continue
            for situation in range(situations):
                chance, gained = 1.0, 0.0
                for slot, item in enumerate(slate):
                    left = np.ones(items) if self.is_independent else 1.0 - np.isin(np.arange(items), slate[:slot])
                    chance *= float(policy[situation, item] / np.sum(policy[situation] * left))
                    above = self.below[slate[slot - 1]] if slot else 1.0
                    gained += float(self.reward[situation, item] * above)
                total += self.share[situation] * chance * gained / self.slots
        return total

    def log(self, decisions: int, rng: np.random.Generator) -> tuple[LoggedDecisions, Target]:
        """Simulate the logging policy, and state the target on the earlier slots that it met."""
        situations, items = self.reward.shape
        situation = rng.choice(situations, size=decisions, p=self.share)
        left = np.ones((decisions, items))
        action = np.empty((decisions, self.slots), np.int64)
        propensity, reward = np.empty(action.shape), np.empty(action.shape)
        target = np.empty((decisions, self.slots, items))
        each = np.arange(decisions)
        for slot in range(self.slots):
            logging = _normalised(self.logging[situation] * left)
            target[:, slot] = _normalised(self.target[situation] * left)
            action[:, slot] = shown = _drawn(logging, rng)
            propensity[:, slot] = logging[each, shown]
            above = self.below[action[:, slot - 1]] if slot else 1.0
            reward[:, slot] = rng.random(decisions) < self.reward[situation, shown] * above
            if not self.is_independent:
                left[each, shown] = 0.0
        rows = decisions * self.slots
        log = LoggedDecisions(
            name="slates",
            actions=tuple(str(number) for number in range(items)),
            action=action.ravel(),
            propensity=propensity.ravel(),
            reward=reward.ravel(),
            position=np.tile(np.arange(1, self.slots + 1), decisions),
            decision=np.repeat(each, self.slots),
            decision_ids=tuple(str(number) for number in range(decisions)),
            context=pa.table({"situation": [f"s{number}" for number in np.repeat(situation, self.slots)]}),
            action_features=None,
        )
        return log, Target("target", np.arange(rows), target.reshape(rows, items), np.zeros(rows))


def slate_world(*, is_independent: bool = False) -> SlateWorld:
    """Three situations, five items, three slots; an item above may halve the chance of the one below it."""
    rng = np.random.default_rng(17)
    reward = rng.beta(3, 5, size=(3, 5))
    target = np.exp(3 * reward)
    below = np.ones(5) if is_independent else np.linspace(1.0, 0.5, 5)
    return SlateWorld(
        rng.dirichlet(np.full(3, 5.0)), reward, below, np.exp(rng.normal(size=(3, 5)) / 3), target, 3, is_independent
    )


def _normalised(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def _drawn(probabilities: Floats, rng: np.random.Generator) -> Integers:
    chosen = (rng.random(len(probabilities))[:, None] > np.cumsum(probabilities, axis=1)).sum(axis=1)
    last = probabilities.shape[1] - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)
    return np.asarray(np.minimum(chosen, last), np.int64)
