"""Why a rule or a formula chose an item for this very visitor: the parts of it that speak for the item, and are true.

A formula's top-level sum says by itself what each part added, so no attribution is needed: the parts with a declared
feature that added most are told by the sentences of these features. What was taken away ("read already") is no reason
to show something and is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from edgewise.bundle.policy import OfFeature, Sum, Term
from edgewise.decision import Why
from edgewise.derived import COMPLEMENT
from edgewise.eligibility import PlacementRules
from edgewise.features import table as declared
from edgewise.formula import Known, evaluate, parts_of
from edgewise.ids import ItemId
from edgewise.rules import Attributes, Facts, derived_in

Told = Callable[[declared.Feature, float], str | None]
"""The sentence of a feature with this value for the item in question; None where it would not be true."""

_GOES_WITH: Final = "Goes with {value}, which you have been looking for"
_LOOKED_FOR: Final = "Because you have been looking for {value}"


def why_derived(rules: PlacementRules, item: ItemId, attributes: Attributes, facts: Facts) -> tuple[Why, ...]:
    """What was derived from recent browsing and let this item in; each said once."""
    told: dict[str, Why] = {}
    for path, rule in rules.derived:
        named = derived_in(path)
        if named is None or not rule.test(item, attributes, facts):
            continue
        what, dimension = named
        sought = facts.sought(what, dimension)
        if sought is not None:
            sentence = _GOES_WITH if what == COMPLEMENT else _LOOKED_FOR
            told.setdefault(what, Why(what, sentence.replace("{value}", in_words(sought)), 0.0))
    return tuple(told.values())


def why_formulated(
    formula: Term, known: Known, place: int, features: Sequence[declared.Feature], told: Told
) -> tuple[Why, ...]:
    """The features that raised an item's formula, weightiest first; `place` is its place among the candidates."""
    columns = {feature.name: feature for feature in features}
    causes: list[Why] = []
    for part in formula.of if isinstance(formula, Sum) else [formula]:
        names = {each.name for each in parts_of(part) if isinstance(each, OfFeature)}
        if len(names) != 1:  # a product of two things is nobody's reason
            continue
        (name,) = names
        value = float(_at(known.features(name), place))
        added = float(_at(evaluate(part, known), place))
        text = told(columns[name], value) if added > 0 else None
        if text:
            causes.append(Why(name, text, added))
    return tuple(sorted(causes, key=lambda why: -why.weight))


def in_words(value: str) -> str:
    """A value of a dimension as people say it: `laptop-accessories` are laptop accessories, and Sci-Fi stays Sci-Fi."""
    return value.replace("-", " ").replace("_", " ") if value == value.lower() else value


def _at(column: object, place: int) -> float:
    values = np.asarray(column, np.float64)
    return float(values[place] if values.ndim else values)
