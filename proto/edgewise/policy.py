"""From scores to probabilities, and from probabilities to a slate without replacement.

Every slot's propensity is P(item in this slot | items of earlier slots), the very number that the item was drawn
with; their product is the probability of the slate. A draw is taken apart (first "explore or not?", then "which
one?"), so that a slot costs a few vector operations at most and a greedy slate none.

Ties are broken by position: of equal scores the earlier candidate is better, on every machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.policy import EpsilonGreedy, Exploration, Greedy, SquareCB

Scores = NDArray[np.float64]
SlotDraw = Callable[[int], float]
"""Slot -> a uniform number in [0, 1)."""

GREEDY: Final = Greedy()
_SORTED_WHOLE: Final = 1_024
"""Up to here, sorting everything is cheaper than finding the best first (measured)."""


class Slate(NamedTuple):
    """The chosen candidates, first slot first."""

    places: list[int]
    """Which candidates, by their position in the scores."""
    propensities: list[float]
    """In (0, 1]."""
    is_greedy: list[bool]
    """Whether the slot got the best of what was left."""


def pmf(scores: Scores, exploration: Exploration) -> Scores:
    """Probabilities of the candidates for one slot; float64 (n,), sums to 1. `scores` are finite and at least one."""
    count = len(scores)
    best = int(scores.argmax())
    match exploration:
        case Greedy():
            probabilities = np.zeros(count)
            probabilities[best] = 1.0
            return probabilities
        case EpsilonGreedy(epsilon=epsilon):
            probabilities = np.full(count, epsilon / count)
            probabilities[best] += 1 - epsilon
            return probabilities
        case SquareCB(gamma=gamma, floor=floor):
            with np.errstate(over="ignore"):
                probabilities = np.asarray(1 / (count + gamma * (scores[best] - scores)), np.float64)
            probabilities[best] = 0.0
            probabilities[best] = 1 - probabilities.cumsum()[-1]
            probabilities *= 1 - floor
            probabilities += floor / count
            return probabilities


def best_first(scores: NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """Positions of the `most` best scores, best first, earlier positions first among equals."""
    if most == 1 and len(scores):
        return np.array([scores.argmax()], np.intp)
    badness = -scores
    if len(scores) <= _SORTED_WHOLE or most >= len(scores):
        return badness.argsort(kind="stable")[:most]
    # Only the best are put in order. Of those that equal the last one to be taken, the earliest are taken.
    last = np.partition(badness, most - 1)[most - 1]
    chosen: NDArray[np.intp] = (badness <= last).nonzero()[0]
    best: NDArray[np.intp] = chosen[badness[chosen].argsort(kind="stable")[:most]]
    return best


def slate(scores: Scores, count: int, exploration: Exploration, draw: SlotDraw) -> Slate:
    """At most `count` different candidates. `scores` are finite, higher is better; `draw` is asked once a slot.

    Greedy asks for no draw at all.
    """
    count = min(count, len(scores))
    match exploration:
        case EpsilonGreedy() if exploration.epsilon > 0:
            return _epsilon_greedy(scores, count, exploration.epsilon, draw)
        case SquareCB():
            return _square_cb(scores, count, exploration, draw)
        case _:
            return Slate(best_first(scores, count).tolist(), [1.0] * count, [True] * count)


class _Left:
    """Candidates that no slot has taken yet."""

    __slots__ = ("_order", "_pointer", "_taken", "places")

    def __init__(self, scores: Scores, count: int) -> None:
        self.places = list(range(len(scores)))
        # As many as slots are enough: each slot takes one candidate away.
        self._order: list[int] = best_first(scores, count).tolist()
        self._pointer = 0
        self._taken: set[int] = set()

    def best(self) -> int:
        """The best candidate that is left."""
        while self._order[self._pointer] in self._taken:
            self._pointer += 1
        return self._order[self._pointer]

    def uniform(self, share: float) -> int:
        """Each candidate that is left with the same probability; `share` is uniform in [0, 1)."""
        return self.places[min(int(share * len(self.places)), len(self.places) - 1)]

    def take(self, place: int) -> None:
        self._taken.add(place)
        del self.places[bisect_left(self.places, place)]


def _epsilon_greedy(scores: Scores, count: int, epsilon: float, draw: SlotDraw) -> Slate:
    left = _Left(scores, count)
    chosen = Slate([], [], [])
    exploit = 1 - epsilon
    for slot in range(count):
        best, uniform = left.best(), draw(slot)
        place = best if uniform < exploit else left.uniform((uniform - exploit) / epsilon)
        propensity = epsilon / len(left.places) + (exploit if place == best else 0.0)
        _put(chosen, left, place, propensity, is_greedy=place == best)
    return chosen


def _square_cb(scores: Scores, count: int, exploration: SquareCB, draw: SlotDraw) -> Slate:
    gamma, floor = exploration.gamma, exploration.floor
    left = _Left(scores, count)
    chosen = Slate([], [], [])
    open_scores = scores.astype(np.float64)  # a copy: a taken candidate gets -inf, and with it no probability
    weights = np.empty_like(open_scores)
    with np.errstate(over="ignore"):
        for slot in range(count):
            best, uniform, size = left.best(), draw(slot), len(left.places)
            np.subtract(scores[best], open_scores, out=weights)
            weights *= gamma
            weights += size
            np.divide(1.0, weights, out=weights)
            weights[best] = 0.0
            summed = weights.cumsum()
            of_best = 1 - float(summed[-1])
            if uniform < floor:
                place = left.uniform(uniform / floor)
            else:
                # The best comes first on the line, then the others in their order.
                beyond = (uniform - floor) / (1 - floor) - of_best
                place = best if beyond < 0 else int(summed.searchsorted(beyond, side="right"))
                if place == len(scores):  # rounding at the very end of the line
                    place = best
            inner = of_best if place == best else float(weights[place])
            _put(chosen, left, place, floor / size + (1 - floor) * inner, is_greedy=place == best)
            open_scores[place] = -np.inf
    return chosen


def _put(chosen: Slate, left: _Left, place: int, propensity: float, *, is_greedy: bool) -> None:
    chosen.places.append(place)
    chosen.propensities.append(propensity)
    chosen.is_greedy.append(is_greedy)
    left.take(place)
