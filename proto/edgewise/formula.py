"""Ranking formulas: a small typed tree over the numbers of candidates, computed for all at once. Never an eval.

Only sums, products, quotients and square roots are computed, which IEEE 754 rounds the same on every machine: a replay
elsewhere comes to the same score, to the bit. `pow` and `exp` differ in their last digit from one processor to another,
which is why the exponent of a power is a multiple of a quarter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.policy import OfFeature, OfItem, OfModel, OfNumber, OfScore, Power, Product, Sum, Term
from edgewise.features.view import ScoreSource
from edgewise.ids import ModelName

Numbers = NDArray[np.float64]
QUARTERS: Final = 4
MOST_EXPONENT: Final = 8


def nothing_known(_feature: str) -> float:
    """For whoever has no features of the candidates."""
    return math.nan


class Known(NamedTuple):
    """What a formula may ask of the candidates and their visitor."""

    numbers: Callable[[str], Numbers]
    """A numeric attribute of the candidates."""
    scores: ScoreSource
    features: Callable[[str], Numbers | float] = nothing_known
    """A declared feature of the candidates; NaN is missing."""
    output: Numbers | None = None
    """What the ranker says of them; None where none was asked."""


def evaluate(term: Term, known: Known) -> Numbers | float:
    """The value for every candidate: float64 (n,), or one number where it is the same for all; NaN is missing.

    Raises what the scores raise.
    """
    with np.errstate(all="ignore"):
        return _value(term, known)


def parts_of(term: Term) -> Iterator[Term]:
    """A term and all that it is made of."""
    yield term
    match term:
        case Sum(of=of) | Product(of=of):
            for part in of:
                yield from parts_of(part)
        case Power(of=part):
            yield from parts_of(part)
        case _:
            pass


def ranker_in(term: Term) -> ModelName | None:
    """The model that has to be asked about the candidates; None where there is none."""
    return next((part.model for part in parts_of(term) if isinstance(part, OfModel)), None)


def is_impersonal(term: Term) -> bool:
    """Whether nothing of the visitor has a say."""
    return not any(isinstance(part, (OfModel, OfScore, OfFeature)) for part in parts_of(term))


def features_in(term: Term) -> frozenset[str]:
    """The declared features that it looks at."""
    return frozenset(part.name for part in parts_of(term) if isinstance(part, OfFeature))


def in_words(term: Term) -> str:
    """What a formula looks at, for people: `margin, popularity and the score churn`; blank for a plain number."""
    said: dict[str, None] = {}
    for part in parts_of(term):
        match part:
            case OfItem(attribute=attribute):
                said[attribute] = None
            case OfScore(model=model, of_class=of_class):
                said[f"the score {model}" + (f" of {of_class}" if of_class else "")] = None
            case OfFeature(name=name):
                said[name.replace("_", " ")] = None
            case OfModel(model=model):
                said[f"the model {model}"] = None
            case _:
                pass
    *others, last = said or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _value(term: Term, known: Known) -> Numbers | float:  # noqa: PLR0911  # one a kind of term
    match term:
        case Sum(of=of) | Product(of=of):
            # One after the other, so that a sum has one defined order.
            value = _value(of[0], known)
            for part in of[1:]:
                other = _value(part, known)
                value = value + other if isinstance(term, Sum) else value * other
            return value
        case Power(of=part, to=to):
            return _power(_value(part, known), to)
        case OfNumber(value=number):
            return number
        case OfModel():
            return math.nan if known.output is None else known.output
        case OfItem(attribute=attribute, missing=missing):
            return _filled(known.numbers(attribute), missing)
        case OfFeature(name=name, missing=missing):
            return _filled(known.features(name), missing)
        case OfScore(model=model, of_class=of_class, missing=missing):
            return _filled(known.scores.value(model, of_class), missing)


def _filled(value: Numbers | float, missing: float | None) -> Numbers | float:
    if missing is None:
        return value
    if isinstance(value, float):
        return missing if math.isnan(value) else value
    return np.where(np.isnan(value), missing, value)


def _power(base: Numbers | float, to: float) -> Numbers:
    """By squaring, after as many square roots as the exponent has halvings below one."""
    value = np.asarray(base, np.float64)
    quarters = abs(round(to * QUARTERS))
    while quarters % QUARTERS:
        value, quarters = np.sqrt(value), quarters * 2
    raised = np.ones_like(value)
    exponent = quarters // QUARTERS
    while exponent:
        if exponent & 1:
            raised = raised * value
        value, exponent = value * value, exponent >> 1
    return np.asarray(1.0 / raised if to < 0 else raised, np.float64)
