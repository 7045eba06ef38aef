"""One slot's probabilities, in the form in which they are drawn from: a line of length 1 with a piece a candidate.

The best comes first on the line, then the others in their order; a floor lies before all of them. What no slot may
have any more has no piece.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.exploration import SquareCB
from edgewise.uncertain import exponential

Scores = NDArray[np.float64]
Places = NDArray[np.intp]
Kinds = Sequence[tuple[int, ...]]
"""Of every candidate, codes of what it shares with others."""
_SORTED_WHOLE: Final = 1_024
"""Up to here, sorting everything is cheaper than finding the best first (measured)."""


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


class Left:
    """Candidates that the next slot may have."""

    __slots__ = ("_counts", "_kinds", "_most", "_order", "_pointer", "_taken", "places")

    def __init__(self, scores: Scores, count: int, kinds: Kinds | None = None, most: int = 0) -> None:
        """For `count` slots; with `kinds`, at most `most` of one kind are taken."""
        self.places = list(range(len(scores)))
        # As many as slots are enough, where each slot takes one candidate away and no more.
        self._order: list[int] = best_first(scores, count if kinds is None else len(scores)).tolist()
        self._pointer = 0
        self._taken: set[int] = set()
        self._kinds = kinds
        self._most = most
        self._counts: dict[int, int] = {}

    def best(self) -> int:
        """The best candidate that is left."""
        while self._order[self._pointer] in self._taken:
            self._pointer += 1
        return self._order[self._pointer]

    def uniform(self, share: float) -> int:
        """Each candidate that is left with the same probability; `share` is uniform in [0, 1)."""
        return self.places[min(int(share * len(self.places)), len(self.places) - 1)]

    def uniforms(self, shares: Scores) -> Places:
        """As `uniform`, for many."""
        numbers = np.minimum((shares * len(self.places)).astype(np.intp), len(self.places) - 1)
        return np.array(self.places, np.intp)[numbers]

    def holds(self, place: int) -> bool:
        """Whether a candidate is left."""
        at = bisect_left(self.places, place)
        return at < len(self.places) and self.places[at] == place

    def take(self, place: int) -> list[int]:
        """Give a candidate to a slot; who is left no more: itself, and others of a kind of which there are enough."""
        self._taken.add(place)
        del self.places[bisect_left(self.places, place)]
        if self._kinds is None:
            return [place]
        full = set[int]()
        for kind in self._kinds[place]:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if self._counts[kind] == self._most:
                full.add(kind)
        if not full:
            return [place]
        kinds = self._kinds
        closed = [other for other in self.places if not full.isdisjoint(kinds[other])]
        self._taken.update(closed)
        self.places = [other for other in self.places if full.isdisjoint(kinds[other])]
        return [place, *closed]


class Chances(Protocol):
    """The probabilities of the slot that comes next."""

    of_best: float
    """Of the best that is left."""

    def turn(self, left: Left, best: int) -> None:
        """Look at the next slot; somebody is left."""

    def close(self, places: list[int]) -> None:
        """These are left no more."""

    def of(self, place: int) -> float:
        """Of one that is left."""

    def draw(self, uniform: float) -> int:
        """Who lies at a point of the line, in [0, 1)."""

    def draws(self, uniforms: Scores) -> Places:
        """As `draw`, for many."""


class EvenChances:
    """Epsilon-greedy: epsilon is shared alike, the rest is the best's, first on the line."""

    def __init__(self, epsilon: float) -> None:
        self.of_best = 1.0
        self._epsilon = epsilon
        self._exploit = 1 - epsilon
        self._left: Left
        self._best = 0

    def turn(self, left: Left, best: int) -> None:
        """As `Chances.turn`."""
        self._left, self._best = left, best
        self.of_best = self._epsilon / len(left.places) + self._exploit

    def close(self, places: list[int]) -> None:
        """Nothing is kept of single candidates."""

    def of(self, place: int) -> float:
        """As `Chances.of`."""
        return self.of_best if place == self._best else self._epsilon / len(self._left.places)

    def draw(self, uniform: float) -> int:
        """As `Chances.draw`."""
        if uniform < self._exploit:
            return self._best
        return self._left.uniform((uniform - self._exploit) / self._epsilon)

    def draws(self, uniforms: Scores) -> Places:
        """As `Chances.draws`."""
        exploring = self._left.uniforms(np.maximum(uniforms - self._exploit, 0.0) / self._epsilon)
        return np.where(uniforms < self._exploit, self._best, exploring)


Weigh = Callable[[Scores, int, int], Scores]
"""(scores with -inf for whoever is not left, the best, how many are left) -> probabilities (n,). The best's own entry
is overwritten: it has what the others leave. Scores that are far apart overflow to infinity, which is meant."""


class WeighedChances:
    """Probabilities from all scores at once, with a floor: p = floor / K + (1 - floor) * weight."""

    def __init__(self, scores: Scores, weigh: Weigh, floor: float) -> None:
        self.of_best = 1.0
        self._weigh = weigh
        self._floor = floor
        self._scores = scores.astype(np.float64)  # a copy: whoever is not left gets -inf, and with it no probability
        self._left: Left
        self._best = 0
        self._weights = self._summed = self._scores
        self._bare_best = 1.0

    def turn(self, left: Left, best: int) -> None:
        """As `Chances.turn`."""
        self._left, self._best = left, best
        size = len(left.places)
        weights = self._weigh(self._scores, best, size)
        weights[best] = 0.0
        self._weights, self._summed = weights, weights.cumsum()
        bare_best = 1 - float(self._summed[-1])
        # Where another than the best by score is all but sure to be better, rounding must not leave less than nothing.
        self._bare_best = bare_best = max(bare_best, 0.0)
        self.of_best = self._floor / size + (1 - self._floor) * bare_best

    def close(self, places: list[int]) -> None:
        """As `Chances.close`."""
        for place in places:
            self._scores[place] = -np.inf

    def of(self, place: int) -> float:
        """As `Chances.of`."""
        if place == self._best:
            return self.of_best
        return self._floor / len(self._left.places) + (1 - self._floor) * float(self._weights[place])

    def draw(self, uniform: float) -> int:
        """As `Chances.draw`."""
        floor = self._floor
        if uniform < floor:
            return self._left.uniform(uniform / floor)
        beyond = (uniform - floor) / (1 - floor) - self._bare_best
        if beyond < 0:
            return self._best
        place = int(self._summed.searchsorted(beyond, side="right"))
        return place if place < len(self._summed) else self._last()

    def draws(self, uniforms: Scores) -> Places:
        """As `Chances.draws`."""
        floor = self._floor
        evenly = self._left.uniforms(uniforms / floor if floor else np.zeros_like(uniforms))
        if floor == 1:
            return evenly
        beyond = (uniforms - floor) / (1 - floor) - self._bare_best
        places = self._summed.searchsorted(beyond, side="right")
        places = np.where(places < len(self._summed), places, self._last())
        return np.where(uniforms < floor, evenly, np.where(beyond < 0, self._best, places))

    def _last(self) -> int:
        """Who gets what rounding leaves at the very end of the line: one that has a piece of it."""
        return self._best if self._bare_best > 0 else int(self._weights.argmax())


def inverse_gaps(exploration: SquareCB) -> Weigh:
    """SquareCB's weights: 1 / (K + gamma * gap)."""
    gamma = exploration.gamma

    def weigh(scores: Scores, best: int, size: int) -> Scores:
        weights: Scores = scores[best] - scores
        weights *= gamma
        weights += size
        np.divide(1.0, weights, out=weights)
        return weights

    return weigh


def softmaxed(temperature: float) -> Weigh:
    """Softmax's weights: exp(-gap / temperature), in shares of their sum."""

    def weigh(scores: Scores, best: int, _size: int) -> Scores:
        weights = exponential((scores - scores[best]) / temperature)
        weights[scores == -np.inf] = 0.0
        weights /= weights.cumsum()[-1]
        return weights

    return weigh
