"""A world whose policies' values are known: what off-policy estimators must find out from a log."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.policies import Target


@dataclass(frozen=True)
class World:
    """Situations with known shares, actions with a known chance of a reward of 1 in each."""

    share: Floats
    """(situations,)"""
    reward: Floats
    """(situations, actions): P(reward 1)"""
    logging: Floats
    """(situations, actions): P(action) under the logging policy, all positive"""
    target: Floats
    """(situations, actions)"""

    def value(self, policy: Floats) -> float:
        """Expected reward per decision."""
        return float(np.sum(self.share[:, None] * policy * self.reward))

    def log(self, rows: int, rng: np.random.Generator) -> tuple[LoggedDecisions, Target]:
        """Simulate the logging policy, and state the target on what it met."""
        situations, actions = self.reward.shape
        situation = rng.choice(situations, size=rows, p=self.share)
        action = (rng.random(rows)[:, None] > np.cumsum(self.logging, axis=1)[situation]).sum(axis=1)
        action = np.minimum(action, actions - 1)
        reward = (rng.random(rows) < self.reward[situation, action]).astype(np.float64)
        log = LoggedDecisions(
            name="world",
            actions=tuple(str(number) for number in range(actions)),
            action=action,
            propensity=self.logging[situation, action],
            reward=reward,
            position=np.zeros(rows, np.int64),
            decision=np.arange(rows),
            decision_ids=tuple(str(number) for number in range(rows)),
            context=pa.table({"situation": [f"s{number}" for number in situation]}),
            action_features=None,
        )
        return log, Target("target", situation, self.target, np.zeros(situations))


def small_world() -> World:
    """Five situations, six actions; the logging policy explores, the target prefers what pays."""
    rng = np.random.default_rng(7)
    reward = rng.beta(2, 6, size=(5, 6))
    prefers = rng.normal(size=(5, 6))
    logging = 0.5 * np.exp(prefers) / np.exp(prefers).sum(axis=1, keepdims=True) + 0.5 / 6
    greedy = np.eye(6)[reward.argmax(axis=1)]
    share = rng.dirichlet(np.full(5, 5.0))
    return World(share, reward, logging, 0.7 * greedy + 0.3 / 6)
