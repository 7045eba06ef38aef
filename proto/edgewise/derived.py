"""What recent browsing says of a visitor, derived when it is asked for: what he is likely after, and what goes with it.

    profile.likely.category      laptops                 what he looks for these days, decayed within days
    profile.complement.category  [laptop-accessories]    what the site says goes with it (`complements` of its policy)

Whoever is likely after laptops knows the shop's laptops already; what he may not know is what he will need beside one.
A value that is derived says nothing of itself in a profile: it is read anew at every decision, so that a click counts
at once, and nothing is kept that was only guessed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Final

from edgewise.events import affinity_weight
from edgewise.features.view import Measure, View
from edgewise.profile.state import DAY_MS

Complements = Mapping[str, Mapping[str, Sequence[str]]]
"""Dimension -> value -> values of what goes with it."""
NO_COMPLEMENTS: Final[Complements] = {}
LIKELY: Final = "likely"
COMPLEMENT: Final = "complement"
DERIVED: Final = (LIKELY, COMPLEMENT)
HALF_LIFE_DAYS: Final = 3.0
"""What somebody looks for changes within days; what he likes (`affinity`) within months."""
LEAST_WEIGHT: Final = 1.0
"""One click that is at most three days old, two views as old, or an order within nine days: a single look says little.

Weights are those of affinities (`edgewise.events.affinity_weight`).
"""


def likely(view: View, dimension: str, among: Container[str] | None = None) -> str | None:
    """The value that the visitor looks for these days, of those `among` (None: of all); None after a single look.

    By the items that he touched and the catalogue knows, each to the millisecond, which also works for a visitor whose
    dial lets only this session be read. Where the catalogue knows none of them, by the days of his affinities.
    """
    weights = _of_items(view, dimension) or view.measured(Measure("sum", dimension, HALF_LIFE_DAYS))
    strong = [
        value for value, weight in weights.items() if weight >= LEAST_WEIGHT and (among is None or value in among)
    ]
    return max(strong, key=lambda value: (weights[value], value), default=None)


def completed(view: View, dimension: str, complements: Complements) -> str | None:
    """The value that a complement completes: what the visitor looks for, of what the site says goes with something.

    Who has looked at the offer itself, with which nothing goes, is still after what it goes with.
    """
    return likely(view, dimension, complements.get(dimension, {}))


def _of_items(view: View, dimension: str) -> dict[str, float]:
    """Value -> decayed weight of the touched items that have it, in the order of the history."""
    if view.items is None:
        return {}
    held, code_of, touches = view.items.dimension(dimension), view.items.code_of, view.profile.items
    value_of = {code: text for text, code in held.value_code.items()}
    weights: dict[str, float] = {}
    for item in view.history():
        code, touch = code_of.get(item), touches[item]
        weight = affinity_weight(touch.kind, touch.rating if touch.rating >= 0 else None)
        if code is None or not weight:
            continue
        faded = weight * 2.0 ** (-max(0.0, (view.now_ms - touch.time_ms) / DAY_MS) / HALF_LIFE_DAYS)
        for value in held.codes[:, code].tolist():
            if value == held.pad:
                break
            weights[value_of[value]] = weights.get(value_of[value], 0.0) + faded
    return weights
