"""What a score learns from: moments, the classes of its answer, and how likely each is at each moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.site.score_recipe import OTHER, Abandonment, NextCategory, Reason, ScoreRecipe, TraitScore
from hub.train.history import History
from hub.train.scores.carts import LeftCart, left_carts
from hub.train.scores.label_model import LabelModel, fit_label_model
from hub.train.scores.moments import MINUTE_MS, YES, Moment, moments_of
from hub.train.scores.weak_labels import Rule, chosen, spoken

FEWEST_OF_CLASS: Final = 20
"""Rows with an answer, among those to learn from, without which it is no class of its own."""


class WeakEvidence(NamedTuple):
    """How the labels of carts came about."""

    rules: tuple[Rule, ...]
    spoke: NDArray[np.float64]
    """(R,): the share of left carts that each rule spoke of."""
    model: LabelModel
    silent: int
    """Carts of which no rule spoke; they are not learned from."""
    left_out: tuple[Rule, ...]
    """Rules of reasons that hardly any cart speaks for."""


class Examples(NamedTuple):
    """Moments, oldest first, with their answers."""

    moments: list[Moment]
    classes: tuple[str, ...]
    """Empty for a score that says one probability."""
    belief: NDArray[np.float64]
    """(n, K), of one probability (n, 2) with NO first."""
    last: NDArray[np.int64] | None = None
    """(n,): the class of what was touched last, -1 for none; only of the next category."""
    weak: WeakEvidence | None = None


def examples_of(history: History, recipe: ScoreRecipe, *, seed: int) -> Examples:
    """The examples of a recipe, at most `most_rows`, drawn without replacement.

    Raises InputError: there are none, or only one answer.
    """
    if isinstance(recipe.predicts, Abandonment):
        return _of_carts(history, recipe, recipe.predicts, seed)
    moments = _drawn(moments_of(history, recipe, seed=seed), recipe, seed)
    if not moments:
        raise InputError(f"no moment with a known answer among {len(history):,} records: {_cure(recipe)}")
    told = recipe.predicts
    has_classes = isinstance(told, NextCategory) or (isinstance(told, TraitScore) and told.value is None)
    if not has_classes:
        yes = np.array([moment.answer == YES for moment in moments], np.float64)
        if yes.min() == yes.max():
            raise InputError(f"all {len(moments):,} answers are {moments[0].answer!r}: there is nothing to tell apart")
        return Examples(moments, (), np.column_stack([1.0 - yes, yes]))
    most = told.most_classes if isinstance(told, NextCategory | TraitScore) else 0
    classes = _classes([moment.answer for moment in moments[: _learned(len(moments), recipe)]], moments, most)
    code = {name: position for position, name in enumerate(classes)}
    rest = code.get(OTHER, -1)
    answers = np.array([code.get(moment.answer, rest) for moment in moments])
    last = np.array([code.get(moment.last, rest) for moment in moments], np.int64)
    return Examples(moments, classes, np.eye(len(classes))[answers], last if isinstance(told, NextCategory) else None)


def _classes(early: Sequence[str], moments: Sequence[Moment], most: int) -> tuple[str, ...]:
    """The most frequent answers of the early moments, by name; OTHER where any moment has another one."""
    counted = Counter(early)
    frequent = [name for name, count in counted.most_common(most) if count >= FEWEST_OF_CLASS and name != OTHER]
    named = sorted(frequent)
    if any(moment.answer not in named for moment in moments):
        named.append(OTHER)
    if len(named) < 2:  # noqa: PLR2004  # there is nothing to tell apart
        told = ", ".join(f"{name} {count}" for name, count in counted.most_common(5)) or "none"
        raise InputError(f"answers among those to learn from: {told}; expected two with {FEWEST_OF_CLASS} rows each")
    return tuple(named)


def _of_carts(history: History, recipe: ScoreRecipe, told: Abandonment, seed: int) -> Examples:
    carts = left_carts(history, told)
    if len(carts) > recipe.most_rows:
        kept = np.random.default_rng(seed).choice(len(carts), recipe.most_rows, replace=False, shuffle=False)
        carts = [carts[number] for number in np.sort(kept).tolist()]
    early = _learned(len(carts), recipe)
    rules = chosen(told.rules)
    speaks = spoken(carts, rules)
    count: Counter[Reason] = Counter()
    for reason in Reason:
        own = np.array([rule.reason is reason for rule in rules], np.bool_)
        count[reason] = int(speaks[:early, own].any(axis=1).sum())
    reasons = [reason for reason in Reason if count[reason] >= FEWEST_OF_CLASS]
    if len(reasons) < 2:  # noqa: PLR2004  # there is nothing to tell apart
        said = ", ".join(f"{reason} {number}" for reason, number in count.items())
        raise InputError(
            f"of {early:,} carts that were left rules speak for: {said}; expected two reasons with "
            f"{FEWEST_OF_CLASS} carts each"
        )
    is_kept = np.array([rule.reason in reasons for rule in rules], np.bool_)
    kept_rules = tuple(rule for rule in rules if rule.reason in reasons)
    speaks = speaks[:, is_kept]
    of_class = np.array([reasons.index(rule.reason) for rule in kept_rules], np.int64)
    # Weighed by the early carts alone: what is judged may not have a say in what it is judged by.
    model = fit_label_model(speaks[:early], of_class, len(reasons))
    heard = speaks.any(axis=1)
    belief = model.belief(speaks)
    evidence = WeakEvidence(
        kept_rules,
        speaks.mean(axis=0),
        model,
        int((~heard).sum()),
        tuple(rule for rule in rules if rule.reason not in reasons),
    )
    return Examples(
        [_moment(carts[number], told) for number in np.flatnonzero(heard).tolist()],
        tuple(str(reason) for reason in reasons),
        belief[heard],
        None,
        evidence,
    )


def _moment(cart: LeftCart, told: Abandonment) -> Moment:
    """When it is known that the cart was left; the answer is what rules say of what lies before."""
    now_ms = cart.last_ms + told.idle_minutes * MINUTE_MS
    return Moment(cart.deed, cart.visitor, now_ms, now_ms, "")


def _drawn(moments: list[Moment], recipe: ScoreRecipe, seed: int) -> list[Moment]:
    if len(moments) <= recipe.most_rows:
        return moments
    kept = np.random.default_rng(seed).choice(len(moments), recipe.most_rows, replace=False, shuffle=False)
    return [moments[number] for number in np.sort(kept).tolist()]


def _learned(count: int, recipe: ScoreRecipe) -> int:
    return round(count * (1 - recipe.validation_share - recipe.calibration_share))


def _cure(recipe: ScoreRecipe) -> str:
    match recipe.predicts:
        case NextCategory(dimension=dimension):
            return f"no two touched items with a {dimension} follow each other in time"
        case TraitScore(trait=trait):
            return f"nobody has stated the trait {trait!r}"
        case _:
            return "the history is shorter than the days that an answer takes"
