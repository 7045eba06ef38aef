"""Ranking formulas: equal to the bit to a naive twin that takes one candidate at a time; missing where a part is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.policy import ByFormula, OfFeature, OfItem, OfModel, OfNumber, OfScore, Power, Product, Sum, Term
from edgewise.candidates import rule_scores
from edgewise.formula import Known, Numbers, evaluate, features_in, in_words, is_impersonal, parts_of, ranker_in
from edgewise.ids import ModelName

CHURN, RANKER = ModelName("churn"), ModelName("ranker")
PRICE = np.array([4.0, 9.0, math.nan, -1.0, 0.0])
FEATURE = np.array([math.nan, 0.0, 0.5, -2.0, 1.0])
OUTPUT = np.array([0.5, -0.25, 3.0, 0.1, 2.0])


class Says:
    """A visitor of whom every score says the same."""

    def __init__(self, number: float) -> None:
        self._number = number

    def value(self, _model: ModelName, _of_class: str) -> float:
        """The number."""
        return self._number

    def likeliest(self, _model: ModelName) -> str | None:
        """Nothing."""
        return None

    def by_class(self, _model: ModelName) -> dict[str, float]:
        """Nothing."""
        return {}


def valued(term: Term, number: float = 0.25) -> Numbers:
    value = evaluate(term, Known(lambda _name: PRICE, Says(number), lambda _name: FEATURE, OUTPUT))
    return np.broadcast_to(np.asarray(value, np.float64), PRICE.shape)


def naive(term: Term, place: int, number: float) -> float:  # noqa: PLR0911  # one a kind of term
    """The value for one candidate, by Python's floats."""
    match term:
        case OfNumber(value=value):
            return value
        case OfScore(missing=missing):
            return missing if missing is not None and math.isnan(number) else number
        case OfItem(missing=missing):
            price = float(PRICE[place])
            return missing if missing is not None and math.isnan(price) else price
        case OfFeature(missing=missing):
            feature = float(FEATURE[place])
            return missing if missing is not None and math.isnan(feature) else feature
        case OfModel():
            return float(OUTPUT[place])
        case Sum(of=of) | Product(of=of):
            value = naive(of[0], place, number)
            for part in of[1:]:
                other = naive(part, place, number)
                value = value + other if isinstance(term, Sum) else value * other
            return value
        case Power(of=part, to=to):
            return power(naive(part, place, number), to)


def power(value: float, to: float) -> float:
    quarters = abs(round(to * 4))
    while quarters % 4:
        value, quarters = math.sqrt(value) if value >= 0 else math.nan, quarters * 2
    raised, exponent = 1.0, quarters // 4
    while exponent:
        raised = raised * value if exponent & 1 else raised
        value, exponent = value * value, exponent // 2
    if to >= 0:
        return raised
    return 1.0 / raised if raised else math.copysign(math.inf, raised)


numbers = st.floats(-4, 4).map(lambda value: round(value, 3))
leaves = st.one_of(
    st.builds(OfNumber, numbers),
    st.builds(OfItem, st.just("price"), st.none() | numbers),
    st.builds(OfScore, st.just(CHURN), st.just(""), st.none() | numbers),
    st.builds(OfFeature, st.just("fresh"), st.none() | numbers),
    st.just(OfModel(RANKER)),
)
terms: st.SearchStrategy[Term] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Sum, st.lists(inner, min_size=1, max_size=3)),
        st.builds(Product, st.lists(inner, min_size=1, max_size=3)),
        st.builds(Power, inner, st.integers(-8, 8).map(lambda quarters: quarters / 4)),
    ),
    max_leaves=6,
)


@given(terms, st.floats(0, 1) | st.just(math.nan))
def test_a_formula_equals_its_naive_twin_to_the_bit(term: Term, number: float) -> None:
    expected = [naive(term, place, number) for place in range(len(PRICE))]
    np.testing.assert_array_equal(valued(term, number), expected)


@pytest.mark.parametrize("quarters", range(-32, 33, 3))
def test_a_power_is_a_power(quarters: int) -> None:
    got = valued(Power(OfModel(RANKER), quarters / 4))
    with np.errstate(invalid="ignore"):
        expected = OUTPUT ** (quarters / 4)
    np.testing.assert_allclose(got, expected, rtol=1e-14)


class Priced:
    """A pool of which only prices are known."""

    def numbers(self, _attribute: str) -> Numbers:
        """Prices."""
        return PRICE


def test_what_has_no_value_stands_below_all_that_has_one() -> None:
    by = ByFormula(Power(OfItem("price"), -0.5))
    scores = rule_scores(Priced(), np.array([0, 1, 2, 3, 4]), by)  # type: ignore[arg-type]
    assert scores.tolist() == [0.5, 1 / 3, 1 / 3 - 1, 1 / 3 - 1, 1 / 3 - 1]
    lost = rule_scores(Priced(), np.array([2, 0]), ByFormula(Product([OfItem("price"), OfNumber(1e20)])))  # type: ignore[arg-type]
    assert lost[0] < lost[1]  # 1 less than 4e20 is 4e20
    nothing = rule_scores(Priced(), np.array([1, 0]), ByFormula(OfScore(CHURN)))  # type: ignore[arg-type]
    assert nothing.tolist() == [0.0, 0.0]


def test_what_a_formula_looks_at() -> None:
    term = Sum([OfItem("price"), Product([OfScore(CHURN, "soon"), OfModel(RANKER), OfItem("price")]), OfNumber(2)])
    assert ranker_in(term) == RANKER
    assert not is_impersonal(term)
    assert is_impersonal(Power(OfItem("price"), 2))
    assert in_words(term) == "price, the score churn of soon and the model ranker"
    assert in_words(OfNumber(1)) == ""
    fresh = Sum([OfItem("price"), Product([OfNumber(-1), OfFeature("read_already", 0)])])
    assert features_in(fresh) == {"read_already"}
    assert features_in(term) == frozenset()
    assert in_words(fresh) == "price and read already"
    assert not is_impersonal(fresh), "whether a feature looks at a person is not for the formula to tell"
    assert len(list(parts_of(term))) == 7
