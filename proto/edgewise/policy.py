"""From scores to probabilities, and from probabilities to a slate without replacement.

Every slot's propensity is P(item in this slot | items of earlier slots), the very number that the item was drawn
with; their product is the probability of the slate. A draw is taken apart (first "explore or not?", then "which
one?"), so that a slot costs a few vector operations at most and a greedy slate none.

What limits a slate holds before the draw, never after it: who cannot be chosen any more (because a slot has him, or
enough like him) has no probability, the budget takes from the policy's probabilities what it does not allow, and to
show nothing is one candidate more. So the logged number stays the probability of what was done.

Ties are broken by position: of equal scores the earlier candidate is better, on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from edgewise.bundle.exploration import EpsilonGreedy, Exploration, Greedy, Softmax, SquareCB, Thompson
from edgewise.chances import (
    Chances,
    EvenChances,
    Kinds,
    Left,
    Places,
    Scores,
    WeighedChances,
    best_first,
    inverse_gaps,
    softmaxed,
)
from edgewise.uncertain import probability_of_best

__all__ = [
    "GREEDY",
    "NOBODY",
    "NOTHING",
    "UNLIMITED",
    "Kinds",
    "Limits",
    "Scores",
    "Slate",
    "SlotDraw",
    "best_first",
    "chances_of",
    "pmf",
    "propensities_of",
    "slate",
    "slates",
]

SlotDraw = Callable[[int], float]
"""Slot -> a uniform number in [0, 1)."""

GREEDY: Final = Greedy()
NOTHING: Final = -1
"""The place of showing nothing: always the last one of a slate."""
NOBODY: Final = -2
"""The place of a slot that a slate does not come to; for `slates`."""


class Limits(NamedTuple):
    """What holds for a slate beside the policy."""

    budget: float = 1.0
    """The largest probability of not choosing greedily in one slot. So of all slots that slates fill at most this share
    is expected not to be, whatever their lengths, and no state is needed. It goes before a floor."""
    nothing: float | None = None
    """The score of showing nothing; None where that is no candidate."""
    kinds: Kinds | None = None
    """Of every candidate, what it shares with others; None where all may be alike."""
    most: int = 0
    """How many of one kind there may be."""


UNLIMITED: Final = Limits()
_LAST: Final = 1 - 2**-53
"""The largest number that is drawn."""


class Slate(NamedTuple):
    """The chosen candidates, first slot first; the last may be NOTHING."""

    places: list[int]
    """Which candidates, by their position in the scores."""
    propensities: list[float]
    """In (0, 1]."""
    is_greedy: list[bool]
    """Whether the slot got the best of what was left."""

    @property
    def joint_propensity(self) -> float:
        """The probability of the whole slate."""
        return math.prod(self.propensities)


class Slates(NamedTuple):
    """Many slates from the same scores; arrays of shape (draws, slots)."""

    places: Places
    """NOBODY in slots that a slate did not come to."""
    propensities: Scores
    """1 there."""
    is_greedy: Places
    """0 or 1; 1 there."""


@np.errstate(over="ignore")
def pmf(
    scores: Scores, exploration: Exploration, *, errors: Scores | None = None, limits: Limits = UNLIMITED
) -> Scores:
    """Probabilities of the candidates for the first slot; float64 (n,), sums to 1; with `nothing`, that is the last.

    `scores` are finite and at least one; `errors` as in `slate`.
    """
    walk = _Walk(scores, 1, exploration, errors, limits)
    walk.turn()
    return np.array([walk.of(place) for place in range(walk.size)])


def slate(
    scores: Scores,
    count: int,
    exploration: Exploration,
    draw: SlotDraw,
    *,
    errors: Scores | None = None,
    limits: Limits = UNLIMITED,
) -> Slate:
    """At most `count` different candidates. `scores` are finite, higher is better; `draw` is asked once a slot.

    Greedy asks for no draw at all. `errors`: standard errors of the scores, finite and not negative, which Thompson
    needs; who has none is taken to be certain.
    """
    if _is_greedy(exploration, limits):
        if limits.nothing is None and limits.kinds is None:
            count = min(count, len(scores))
            return Slate(best_first(scores, count).tolist(), [1.0] * count, [True] * count)
        return _greedy(scores, count, limits)
    chosen = Slate([], [], [])
    walk = _Walk(scores, count, exploration, errors, limits)
    with np.errstate(over="ignore"):
        for slot in range(count):
            if not walk.turn():
                break
            place = walk.draw(draw(slot))
            chosen.propensities.append(walk.chance(place))
            chosen.is_greedy.append(place == walk.best)
            chosen.places.append(walk.named(place))
            if slot + 1 == count or not walk.take(place):
                break
    return chosen


@np.errstate(over="ignore")
def slates(
    scores: Scores,
    count: int,
    exploration: Exploration,
    uniforms: Scores,
    *,
    errors: Scores | None = None,
    limits: Limits = UNLIMITED,
) -> Slates:
    """As `slate`, for many draws at once: `uniforms` has shape (draws, at least `count`), a row a slate.

    Each state that slates come to is computed once, so it is made for few candidates and many draws: simulations.
    """
    drawn = len(uniforms)
    made = Slates(np.full((drawn, count), NOBODY), np.ones((drawn, count)), np.ones((drawn, count), np.intp))
    waiting: list[tuple[tuple[int, ...], Places]] = [((), np.arange(drawn))]
    while waiting:
        history, rows = waiting.pop()
        slot = len(history)
        walk = _Walk(scores, count, exploration, errors, limits)
        for place in history:
            walk.turn()
            walk.take(place)
        is_over = slot > 0 and made.places[rows[0], slot - 1] == NOTHING
        if slot == count or is_over or not walk.turn():
            continue
        places = walk.draws(uniforms[rows, slot])
        for place in np.unique(places).tolist():
            mine = rows[places == place]
            made.places[mine, slot] = walk.named(place)
            made.propensities[mine, slot] = walk.of(place)
            made.is_greedy[mine, slot] = place == walk.best
            waiting.append(((*history, place), mine))
    return made


@np.errstate(over="ignore")
def propensities_of(
    scores: Scores,
    exploration: Exploration,
    places: Sequence[int | None],
    *,
    errors: Scores | None = None,
    limits: Limits = UNLIMITED,
) -> list[float]:
    """With which probability this policy would have filled each slot as `places` say, given the slots before it.

    The last may be NOTHING. None is an item that is no candidate here: it has probability 0, and the later slots are
    those after it all the same. So the product is the probability of the slate, and each factor is what the estimators
    by slot ask for. From the first slot on that could not be reached, because the slate had ended, all are 0.
    """
    walk = _Walk(scores, len(places), exploration, errors, limits)
    found: list[float] = []
    for place in places:
        if not walk.turn():
            break
        known = None if place is None else walk.place_of(place)
        if known is None:
            found.append(0.0)
            continue
        found.append(walk.of(known))
        if not walk.take(known):
            break
    return found + [0.0] * (len(places) - len(found))


@np.errstate(over="ignore")
def chances_of(
    scores: Scores,
    exploration: Exploration,
    places: Sequence[int | None],
    *,
    errors: Scores | None = None,
    limits: Limits = UNLIMITED,
) -> Scores:
    """As `propensities_of`, of every candidate: float64 (slots, candidates); with `nothing` that is the last one.

    A row sums to 1, or to 0 where the slate could not have come so far.
    """
    walk = _Walk(scores, len(places), exploration, errors, limits)
    found = np.zeros((len(places), walk.size))
    for slot, place in enumerate(places):
        if not walk.turn():
            break
        found[slot] = [walk.of(candidate) for candidate in range(walk.size)]
        known = None if place is None else walk.place_of(place)
        if known is not None and not walk.take(known):
            break
    return found


def _is_greedy(exploration: Exploration, limits: Limits) -> bool:
    match exploration:
        case Greedy():
            return True
        case EpsilonGreedy(epsilon=epsilon):
            return epsilon <= 0 or limits.budget <= 0
        case _:
            return limits.budget <= 0


def _greedy(scores: Scores, count: int, limits: Limits) -> Slate:
    places: list[int] = []
    walk = _Walk(scores, count, GREEDY, None, limits)
    while len(places) < count and walk.turn():
        places.append(walk.named(walk.best))
        if not walk.take(walk.best):
            break
    return Slate(places, [1.0] * len(places), [True] * len(places))


class _Walk:
    """One slate on its way: who is left, and the chances of the slot that comes next."""

    __slots__ = ("_chances", "_left", "_nothing", "_scores", "_share", "best", "budget", "size")

    def __init__(
        self, scores: Scores, count: int, exploration: Exploration, errors: Scores | None, limits: Limits
    ) -> None:
        kinds, self._nothing = limits.kinds, NOTHING
        if limits.nothing is not None:
            # Last, so that an item of the same score comes first. What it is worth was said, not estimated.
            self._nothing = len(scores)
            scores = np.append(scores, limits.nothing)
            errors = None if errors is None else np.append(errors, 0.0)
            kinds = None if kinds is None else [*kinds, ()]
        self.best = 0
        self.size = len(scores)
        self.budget = limits.budget
        self._scores = scores
        self._left = Left(scores, count, kinds, limits.most)
        self._chances = None if _is_greedy(exploration, limits) else _chances(scores, exploration, errors)
        self._share = 1.0

    def turn(self) -> bool:
        """Look at the next slot; False where nobody is left for it."""
        if not self._left.places:
            return False
        self.best = self._left.best()
        if self._chances is not None:
            self._chances.turn(self._left, self.best)
            others = 1 - self._chances.of_best
            # The policy has its say in so many slots; in the others the best is chosen.
            self._share = 1.0 if others <= self.budget else self.budget / others
        return True

    def draw(self, uniform: float) -> int:
        """Who gets the slot; `uniform` in [0, 1)."""
        if self._chances is None or uniform >= self._share:
            return self.best
        return self._chances.draw(min(uniform / self._share, _LAST) if self._share < 1 else uniform)

    def draws(self, uniforms: Scores) -> Places:
        """As `draw`, for many."""
        if self._chances is None:
            return np.full(len(uniforms), self.best)
        drawn = self._chances.draws(np.minimum(uniforms / self._share, _LAST) if self._share < 1 else uniforms)
        return np.where(uniforms < self._share, drawn, self.best)

    def of(self, place: int) -> float:
        """The probability of a candidate in this slot; 0 of one that is not left."""
        return self.chance(place) if self._left.holds(place) else 0.0

    def chance(self, place: int) -> float:
        """As `of`, of one that is left."""
        if self._chances is None:
            return 1.0 if place == self.best else 0.0
        chance = self._chances.of(place)
        if self._share < 1:
            chance *= self._share
            if place == self.best:
                chance += 1 - self._share
        return chance

    def take(self, place: int) -> bool:
        """Give the slot to a candidate; False where the slate ends with it."""
        if place == self._nothing:
            return False
        closed = self._left.take(place)
        if self._chances is not None:
            self._chances.close(closed)
        return True

    def named(self, place: int) -> int:
        """A place as a slate says it."""
        return NOTHING if place == self._nothing else place

    def place_of(self, named: int) -> int | None:
        """The place that a slate says; None of who is not left, or never was there."""
        place = self._nothing if named == NOTHING else named
        return place if self._left.holds(place) and (named == NOTHING or place != self._nothing) else None


def _chances(scores: Scores, exploration: Exploration, errors: Scores | None) -> Chances | None:
    match exploration:
        case EpsilonGreedy(epsilon=epsilon):
            return EvenChances(epsilon)
        case SquareCB(floor=floor):
            return WeighedChances(scores, inverse_gaps(exploration), floor)
        case Softmax(temperature=temperature, floor=floor):
            return WeighedChances(scores, softmaxed(temperature), floor)
        case Thompson(floor=floor):
            spread = np.zeros(len(scores)) if errors is None else errors
            return WeighedChances(scores, lambda left, *_: probability_of_best(left, spread, exploration), floor)
        case Greedy():
            return None
