"""A shop of visitors whose tastes drift, where the best choice is known: what a learning loop must find out.

Of a decision everything is drawn before anybody decides: who asks, on which page, and of every item whether it would be
clicked if it were shown. All learners therefore meet the same stream, and differ by what they show alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

PERSONAS: Final = ("parent", "student", "athlete", "gardener", "cook", "gamer")
DAYPARTS: Final = ("morning", "day", "evening")
DEVICES: Final = ("mobile", "desktop")
CATEGORIES: Final = ("sport", "kitchen", "garden", "games")
FORMATS: Final = ("video", "text", "offer")
ITEMS: Final = 12

DECISIONS: Final = 20_000
DRIFTS: Final = (7_000, 14_000)
"""Decisions at which tastes turn over, known to the bench and to no learner."""
SLOW_DRIFT: Final = 0.004
"""Standard deviation of what a taste moves by from one decision to the next, over sqrt(decisions): after 10,000
decisions every persona likes every category 0.4 logits more or less."""

Floats = NDArray[np.float64]


class Stream(NamedTuple):
    """Situations, and what would come of each item in each."""

    persona: NDArray[np.int64]
    """(n,)"""
    daypart: NDArray[np.int64]
    """(n,)"""
    device: NDArray[np.int64]
    """(n,)"""
    chance: Floats
    """(n, items): P(click) of an item that is shown."""
    clicked: NDArray[np.bool_]
    """(n, items): whether it would be clicked."""

    @override
    def __len__(self) -> int:
        return len(self.persona)

    def regret(self, shown: NDArray[np.int64]) -> Floats:
        """(n,): how much likelier the best item's click was than that of what was shown."""
        return np.asarray(self.chance.max(axis=1) - self.chance[np.arange(len(shown)), shown], np.float64)

    def uniform_regret(self) -> Floats:
        """(n,): expected regret of showing any item alike."""
        return np.asarray(self.chance.max(axis=1) - self.chance.mean(axis=1), np.float64)


def category_of(item: int) -> str:
    """Every category has three items."""
    return CATEGORIES[item % len(CATEGORIES)]


def format_of(item: int) -> str:
    """Every category comes in every format."""
    return FORMATS[item // len(CATEGORIES)]


def stream(seed: int, *, decisions: int = DECISIONS, drifts: tuple[int, ...] = DRIFTS) -> Stream:
    """Clicks follow a logistic model of persona x category, daypart x format, device x format, item, persona x item.

    At a drift tastes for categories, and half of the items' own appeal, are drawn anew; between drifts tastes walk.
    """
    rng = np.random.default_rng(seed)
    persona, daypart, device = (rng.integers(0, len(of), decisions) for of in (PERSONAS, DAYPARTS, DEVICES))
    category = np.array([CATEGORIES.index(category_of(item)) for item in range(ITEMS)])
    form = np.array([FORMATS.index(format_of(item)) for item in range(ITEMS)])
    at_time = rng.normal(0.0, 0.5, (len(DAYPARTS), len(FORMATS)))
    on_device = rng.normal(0.0, 0.4, (len(DEVICES), len(FORMATS)))
    own = rng.normal(0.0, 0.3, (len(PERSONAS), ITEMS))
    walk = rng.normal(0.0, SLOW_DRIFT, (decisions, len(PERSONAS), len(CATEGORIES))).cumsum(axis=0)
    logit = np.empty((decisions, ITEMS))
    appeal = rng.normal(0.0, 0.5, ITEMS)
    for start, end in zip((0, *drifts), (*drifts, decisions), strict=True):
        taste = rng.normal(0.0, 1.2, (len(PERSONAS), len(CATEGORIES)))
        turned = rng.permutation(ITEMS)[: ITEMS // 2]
        appeal = appeal.copy()
        appeal[turned] = rng.normal(0.0, 0.5, len(turned))
        now = slice(start, end)
        likes = taste + walk[now]
        logit[now] = (
            -2.0
            + appeal
            + own[persona[now]]
            + likes[np.arange(end - start)[:, None], persona[now][:, None], category]
            + at_time[daypart[now]][:, form]
            + on_device[device[now]][:, form]
        )
    chance = 1.0 / (1.0 + np.exp(-logit))
    return Stream(persona, daypart, device, chance, rng.random((decisions, ITEMS)) < chance)
