"""Estimators for slates: several items shown together, each with its own reward.

A row's propensity is P(item in this slot | items of the earlier slots), so the probability of the first k items is a
product. How many of those factors a slot's reward needs depends on what moves it: `iips` takes its own alone (what
stands elsewhere does not matter), `rips` those up to it (people read from the top), `sips` all (anything may matter).
More factors are right in more worlds, and have more variance.

McInerney, Brost, Chandar, Mehrotra, Carterette 2020, *Counterfactual evaluation of slate recommendations with
sequential reward interactions*, KDD. As there, weights are normalised in each slot: a slot's value is sum of w r over
sum of w. Values are rewards per row, as of every other estimator: slots count by their rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.evaluation.estimators import Ratio, Terms
from hub.evaluation.logged import Floats, Integers

_MOST_SLOTS: Final = 16
"""Slots with a normalisation of their own; the ones behind share one, for few rows reach them."""
_LARGEST: Final = 1e100
"""A product of weights is cut here, so that its square is still a number; nothing that large is ever trusted."""


def sequential_weights(weights: Floats, decision: Integers, position: Integers) -> Floats:
    """(rows,): the product of a decision's weights up to each row, in order of position (RIPS)."""
    products = np.array(weights, np.float64)
    order = np.lexsort((position, decision))
    rank = _ranks(decision[order])
    for place in range(1, int(rank.max(initial=0)) + 1):
        here = np.flatnonzero(rank == place)
        products[order[here]] = np.minimum(products[order[here - 1]] * weights[order[here]], _LARGEST)
    return products


def slate_weights(weights: Floats, decision: Integers, position: Integers) -> Floats:
    """(rows,): the product of all weights of a row's decision (SIPS)."""
    products = sequential_weights(weights, decision, position)
    order = np.lexsort((position, decision))
    last = np.flatnonzero(np.append(np.diff(decision[order]) != 0, True)) if len(order) else order
    of_decision = np.zeros(int(decision.max(initial=-1)) + 1)
    of_decision[decision[order[last]]] = products[order[last]]
    return of_decision[decision]


def by_slot(weights: Floats, rewards: Floats, position: Integers, sample_weight: Floats | None = None) -> Terms:
    """The sum over slots of (share of rows) x (sum of w r over sum of w); slots that nobody reached are not there."""
    _, place = np.unique(position, return_inverse=True)
    place = np.minimum(place, _MOST_SLOTS - 1)
    counted = np.ones(len(rewards)) if sample_weight is None else sample_weight
    terms = []
    for slot in range(int(place.max(initial=-1)) + 1):
        here = np.where(place == slot, counted, 0.0)
        share = float(here.sum() / counted.sum())
        terms.append(Ratio(share * here * weights * rewards, here * weights))
    return tuple(terms)


def torn(decision: Integers, position: Integers) -> int:
    """How many decisions lack a slot between two of theirs: the product of what is left is then too short."""
    order = np.lexsort((position, decision))
    skips = (np.diff(decision[order]) == 0) & (np.diff(position[order]) > 1)
    return len(np.unique(decision[order][1:][skips]))


def _ranks(ordered: Integers) -> Integers:
    """(rows,): 0, 1, ... within each run of equal numbers."""
    starts = np.append(True, np.diff(ordered) != 0) if len(ordered) else np.zeros(0, np.bool_)
    first = np.flatnonzero(starts)
    return np.asarray(np.arange(len(ordered)) - np.repeat(first, np.diff(np.append(first, len(ordered)))), np.int64)
