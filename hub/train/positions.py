"""Rows of decisions as a lesson, with the slot taken out of what they seem to say of items.

The examination hypothesis (Craswell, Zoeter, Taylor, Ramsey 2008, WSDM): P(wanted | item, slot) = theta[slot] *
gamma[item]. Items that stood in several slots tell the slots apart, whatever they are worth themselves. What was wanted
in a slot that one in five looks at then counts five times (Joachims, Swaminathan, Schnabel 2017, WSDM, arXiv
1608.04468), which is without bias where rates are small: what was shown and not wanted counts once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from edgewise.features.encodings import Position
from edgewise.features.table import FeatureTable
from edgewise.profile.state import DAY_MS
from hub.site.recipes import DecisionRecipe
from hub.train.boosting import Lesson, categorical_of
from hub.train.logged import NOT_SHOWN, LoggedRows

_STEPS: Final = 500
_STILL: Final = 1e-8


def examination(slot: NDArray[np.int32], item: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often each slot is looked at, relative to the one that is most, in (0, 1]; shape (slots + 1,), [0] unused.

    `slot` from 1, `item` a code from 0, `wanted`: (n,) each, of what was shown. The maximum of the Poisson likelihood
    of counts n[slot, item] * theta[slot] * gamma[item], by iterative scaling (Darroch, Ratcliff 1972): it needs no draw
    and no slot of its own for anything. Slots that no item links, or where nothing was ever wanted, stay at 1: nothing
    is known of them, and 1 changes nothing.
    """
    slots, items = int(slot.max(initial=0)) + 1, int(item.max(initial=-1)) + 1
    shown = np.zeros((slots, items))
    np.add.at(shown, (slot, item), 1.0)
    of_slot = np.bincount(slot[wanted], minlength=slots).astype(np.float64)
    of_item = np.bincount(item[wanted], minlength=items).astype(np.float64)
    theta = np.ones(slots)
    for _ in range(_STEPS):
        expected = theta @ shown
        gamma = np.divide(of_item, expected, out=np.zeros(items), where=expected > 0)
        expected = shown @ gamma
        after = np.divide(of_slot, expected, out=np.ones(slots), where=(expected > 0) & (of_slot > 0))
        after /= after[1:].max(initial=0.0) or 1.0
        if np.abs(after - theta).max() < _STILL:
            break
        theta = after
    theta[0] = 1.0
    return theta


def lesson_of_decisions(
    logged: LoggedRows, features: FeatureTable, recipe: DecisionRecipe, *, until_ms: int, fewest: int
) -> Lesson:
    """What was shown before `until_ms`, in lists as they were shown; what was not shown says nothing.

    An outcome that came later has not come yet: an order of next week would be learned from and judged by.

    Raises InputError: fewer than `fewest` shown items were wanted; or `position: feature` and no such feature among the
    model's.
    """
    is_shown = (logged.slot != NOT_SHOWN) & np.repeat(logged.time_ms < until_ms, logged.size)
    is_known = logged.known_ms < until_ms
    wanted = int(logged.label[is_shown & is_known].sum())
    if wanted < fewest:
        left_out = ", ".join(f"{why}: {count:,}" for why, count in logged.left_out.items()) or "none"
        raise InputError(
            f"{wanted} of {int(is_shown.sum()):,} items that decisions showed were wanted; expected at least {fewest} "
            f"(decisions left out: {left_out})"
        )
    decision = np.repeat(np.arange(len(logged.size)), logged.size)[is_shown]
    size = np.bincount(decision, minlength=len(logged.size))
    slot, matrix = logged.slot[is_shown], logged.matrix[is_shown]
    label, gain = ((column * is_known)[is_shown] for column in (logged.label, logged.gain))
    if recipe.position == "feature":
        matrix[:, _position_column(features)] = slot
    elif len(slot):
        _, item = np.unique(np.array(logged.items, np.str_)[is_shown], return_inverse=True)
        theta = examination(slot, item, label > 0)
        gain = gain * np.minimum(1.0 / theta[slot], recipe.most_weight).astype(np.float32)
    counts = _counts(logged, recipe, until_ms)
    weight = None if counts is None else np.repeat(counts, logged.size)[is_shown]
    return Lesson(logged.names, matrix, label, gain, size[size > 0], categorical_of(features), weight)


def _counts(logged: LoggedRows, recipe: DecisionRecipe, until_ms: int) -> NDArray[np.float32] | None:
    """(decisions,): how much each counts; None: all alike.

    A decision that was kept with probability p stands for 1 / p of them (Horvitz, Thompson 1952, JASA 47).
    """
    found = None
    if recipe.half_life_days is not None:
        found = _freshness(logged.time_ms, min(until_ms, int(logged.time_ms.max()) + 1), recipe.half_life_days)
    kept = logged.kept_probability
    if kept is not None and (kept != 1).any():
        stands_for = (1 / kept).astype(np.float32)
        found = stands_for if found is None else found * stands_for
    return found


def _freshness(time_ms: NDArray[np.int64], now_ms: int, half_life_days: float) -> NDArray[np.float32]:
    """(decisions,): 1 for what is of this moment, half for what is as old as a half-life."""
    age_days = np.maximum(now_ms - time_ms, 0) / DAY_MS
    return np.exp2(-age_days / half_life_days).astype(np.float32)


def _position_column(features: FeatureTable) -> int:
    for column, feature in enumerate(features.features):
        if isinstance(feature, Position):
            return column
    raise InputError(
        "decisions.position is `feature`, and the model takes no feature of the type `position`; declare one, or "
        "choose inverse_propensity"
    )
