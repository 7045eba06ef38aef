"""Rules: what every operator means, what a missing value means, and what a rule is said to look at."""

from typing import Any

import pytest
import strategies_features as some
import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.events import Kind
from edgewise.features.view import View
from edgewise.ids import ItemId, Producer
from edgewise.profile.state import Profile, Trait
from edgewise.request import Context
from edgewise.rules import OPERATORS, Facts, compile_rule, conjuncts, holds, is_path, reference

values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, 3.0]), some.texts)
anything: st.SearchStrategy[Any] = values | st.lists(some.texts, max_size=3) | st.lists(some.numbers, max_size=3)


def facts(profile: Profile | None = None, context: Context | None = None) -> Facts:
    return Facts(View(profile or Profile(), context or Context(), world.NOW_MS, None))


def ask(rule: Rule, *, item: str = "film-0", known: Facts | None = None, **attributes: Any) -> bool:
    return compile_rule(rule).test(ItemId(item), attributes, known or facts())


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("eq", "a", "a", True),
        ("eq", "a", "b", False),
        ("eq", 1, 1.0, True),
        ("eq", True, 1, False),
        ("eq", "1", 1, False),
        ("eq", ["a", "b"], ["a", "b"], True),
        ("eq", ["b", "a"], ["a", "b"], False),
        ("eq", ["a"], "a", False),
        ("lt", 1, 2, True),
        ("lt", 2, 2, False),
        ("le", 2, 2, True),
        ("gt", 2.5, 2, True),
        ("ge", 1, 2, False),
        ("lt", "2024-12-31", "2025-01-01", True),
        ("lt", "1", 2, False),
        ("gt", True, False, False),
        ("lt", float("nan"), 1, False),
        ("in", "a", ["a", "b"], True),
        ("in", "c", ["a", "b"], False),
        ("in", ["c", "b"], ["a", "b"], True),
        ("in", [], ["a"], False),
        ("in", "a", "abc", False),
        ("in", 1, [1.0], True),
        ("contains", ["a", "b"], "a", True),
        ("contains", ["a", "b"], ["a", "b"], True),
        ("contains", ["a"], ["a", "b"], False),
        ("contains", "/sale/shoes", "/sale", True),
        ("contains", "abc", ["a"], False),
        ("contains", 5, 5, False),
        ("exists", "a", None, True),
        ("exists", False, True, True),
        ("exists", None, True, False),
        ("exists", None, False, True),
        ("exists", 0, False, False),
    ],
)
def test_operators(op: str, left: Any, right: Any, *, expected: bool) -> None:
    assert holds(op, left, right) is expected


@given(anything, anything)
def test_ne_and_not_in_are_the_opposites_of_eq_and_in(left: Any, right: Any) -> None:
    assert holds("ne", left, right) is not holds("eq", left, right)
    assert holds("not_in", left, right) is not holds("in", left, right)


@given(anything)
def test_a_missing_value_is_equal_to_nothing_and_in_no_order(other: Any) -> None:
    for op in ("eq", "lt", "le", "gt", "ge", "in", "contains"):
        assert not holds(op, None, other)
    for op in ("eq", "lt", "le", "gt", "ge", "contains"):
        assert not holds(op, other, None)
    assert holds("ne", None, other)
    assert holds("not_in", None, other)


@given(anything, anything)
def test_order_is_consistent(left: Any, right: Any) -> None:
    less, more = holds("lt", left, right), holds("gt", left, right)
    assert not (less and more)
    assert holds("lt", right, left) is more
    if less or more:
        assert not holds("eq", left, right)
    assert holds("le", left, right) is (less or (holds("ge", left, right) and not more))


@given(st.sampled_from([*OPERATORS, "like", ""]), anything, anything)
def test_every_comparison_answers(op: str, left: Any, right: Any) -> None:
    assert holds(op, left, right) in {True, False}


def test_an_unknown_operator_holds_of_nothing() -> None:
    assert not holds("like", "a", "a")


def test_items_are_asked_by_name() -> None:
    assert ask(Compare("item.id", "eq", "film-0"))
    assert ask(Compare("item.price", "le", 5.0), price=5)
    assert not ask(Compare("item.price", "le", 5.0))
    assert ask(Compare("item.category", "contains", "drama"), category=["drama", "noir"])


def test_pages_and_visitors_are_asked_by_name() -> None:
    visitor = world.profile(["film-0", "film-6"])
    visitor.traits["plan"] = Trait(1, Producer("p"), 0, "gold")
    visitor.affinity["brand"] = {"expired": []}
    known = facts(visitor, Context(locale="en-GB", attributes={"budget": 20}))
    assert ask(Compare("context.locale", "eq", "en-GB"), known=known)
    assert ask(Compare("context.page.path", "exists", to=False), known=known)
    assert ask(Compare("context.attributes.budget", "gt", 19.5), known=known)
    assert ask(Compare("profile.history_length", "eq", 2.0), known=known)
    assert ask(Compare("profile.items", "contains", "film-6"), known=known)
    assert ask(Compare("profile.category", "contains", "drama"), known=known)
    assert ask(Compare("profile.brand", "exists", to=False), known=known)
    assert ask(Compare("profile.counts.view.7", "eq", 2.0), known=known)
    assert ask(Compare("profile.counts.order.7", "eq", 0.0), known=known)
    assert ask(Compare("profile.traits.plan", "in", ["gold", "silver"]), known=known)
    assert ask(Compare("profile.days_since_visit", "lt", 1.0), known=known)
    stranger = facts()
    assert ask(Compare("profile.traits.plan", "ne", "gold"), known=stranger)
    assert ask(Compare("profile.days_since_visit", "exists", to=False), known=stranger)


def test_one_value_may_be_compared_with_another() -> None:
    known = facts(world.profile(["film-0"]), Context(attributes={"budget": 20}))
    assert ask(Compare("item.price", "le", "$context.attributes.budget"), known=known, price=19)
    assert not ask(Compare("item.price", "le", "$context.attributes.budget"), known=known, price=21)
    assert ask(Compare("item.category", "in", "$profile.category"), known=known, category=["drama"])
    assert ask(Compare("item.label", "eq", "$$ale"), label="$ale")
    assert reference("$$ale") is None


@given(st.lists(st.booleans(), max_size=4))
def test_all_any_and_not_are_logic(truths: list[bool]) -> None:
    yes, no = Compare("item.id", "eq", "film-0"), Compare("item.id", "eq", "another")
    rules: list[Rule] = [yes if truth else no for truth in truths]
    assert ask(Every(rules)) is all(truths)
    assert ask(Some(rules)) is any(truths)
    assert ask(Not(Every(rules))) is not all(truths)
    assert ask(Every([Every(rules), Some([yes])])) is all(truths)
    assert [ask(rule) for rule in conjuncts([Every([Every(rules)])])] == truths


def test_a_rule_knows_what_it_looks_at() -> None:
    def looks(rule: Rule) -> tuple[bool, bool]:
        compiled = compile_rule(rule)
        return compiled.reads_item, compiled.reads_visitor

    of_item = Compare("item.price", "lt", 3.0)
    of_page = Compare("context.locale", "eq", "de")
    assert looks(of_item) == (True, False)
    assert looks(of_page) == (False, True)
    assert looks(Compare("item.price", "lt", "$item.old_price")) == (True, False)
    assert looks(Compare("item.price", "lt", "$context.attributes.budget")) == (True, True)
    assert looks(Not(Some([of_item, of_page]))) == (True, True)
    assert looks(Every([])) == (False, False)


@pytest.mark.parametrize(
    "path",
    [
        "item.id",
        "item.price",
        "context.page.path",
        "context.attributes.x",
        "profile.category",
        "profile.items",
        "profile.traits.plan",
        *(f"profile.counts.{kind}.400" for kind in Kind),
    ],
)
def test_paths_that_can_be_named(path: str) -> None:
    assert is_path(path)
    assert compile_rule(Compare(path, "exists")).test(ItemId("x"), {}, facts()) in {True, False}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "item",
        "item.",
        "price",
        "context.",
        "context.page",
        "context.ip",
        "context.attributes.",
        "profile.",
        "profile.email",
        "profile.traits.",
        "profile.counts.view",
        "profile.counts.view.0",
        "profile.counts.view.401",
        "profile.counts.view.-1",
        "profile.counts.view.²",
        "profile.counts.sleep.7",
        "profile.history_length.x",
    ],
)
def test_paths_that_name_nothing(path: str) -> None:
    assert not is_path(path)


def test_a_fact_is_looked_up_once() -> None:
    visitor = world.profile(["film-0"])
    known = facts(visitor)
    first = known.value("profile.category")
    visitor.affinity.clear()
    assert known.value("profile.category") is first
