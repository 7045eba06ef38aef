"""Eligibility rules: a small typed tree, compiled to closures. Never an eval.

Paths: `item.id`, `item.NAME` (an attribute), `context.FIELD` (`page.path`, `device.type`, `attributes.NAME`, …),
`profile.history_length`, `profile.days_since_visit`, `profile.items`, `profile.category|brand|topic` (values that
the visitor has an affinity for), `profile.traits.NAME`, `profile.counts.KIND.DAYS`, `profile.score.NAME` (what a
visitor score says), `profile.score.NAME.CLASS` (the same of one with classes), `profile.class.NAME` (its likeliest),
`profile.likely.DIMENSION` and `profile.complement.DIMENSION` (derived from recent browsing by `edgewise.derived`).

A comparison with a missing value is false: a missing value is never equal, smaller, larger, in or containing. Only
`ne` and `not_in` are true of it, being the exact opposites of `eq` and `in`, and `exists` asks for it. Text never
equals a number, and true is not 1. `in`: a value, or some value of a list, is in the list. `contains`: a list holds
the value, or all values of a list; a text holds a text. `exists` with `to: false` asks for the absence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from edgewise.attributes import Attribute, context_field, is_context_field
from edgewise.bundle.policy import Compare, Every, Not, Operand, Rule, Some
from edgewise.derived import DERIVED, LIKELY, NO_COMPLEMENTS, Complements, completed, likely
from edgewise.events import DIMENSIONS, Kind
from edgewise.features.view import View
from edgewise.ids import ItemId, ModelName
from edgewise.profile.read import window_count
from edgewise.profile.state import COUNT_HORIZON_DAYS, DAY_MS

Value = Attribute | Sequence[float] | Sequence[str | float]
Attributes = Mapping[str, Attribute]

OPERATORS: Final = ("eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "exists")
ORDERED: Final = frozenset({"lt", "le", "gt", "ge"})
_ITEM: Final = "item."
_CONTEXT: Final = "context."
_PROFILE: Final = "profile."
_TRAITS: Final = "traits."
_COUNTS: Final = "counts."
_SCORE: Final = "score."
_CLASS: Final = "class."


class Facts:
    """What rules may ask of the visitor and the page; each path is looked up once a request."""

    def __init__(self, view: View, complements: Complements = NO_COMPLEMENTS) -> None:
        """`complements`: what goes with what, by dimension."""
        self._view = view
        self._complements = complements
        self._known: dict[str, Value] = {}

    def value(self, path: str) -> Value:
        """The value of a `context.` or `profile.` path; None is missing."""
        if path not in self._known:
            self._known[path] = (
                context_field(self._view.context, path.removeprefix(_CONTEXT))
                if path.startswith(_CONTEXT)
                else self._profile(path.removeprefix(_PROFILE))
            )
        return self._known[path]

    def sought(self, derived: str, dimension: str) -> str | None:
        """What the visitor looks for, as far as it led to what is `derived` (`edgewise.derived.DERIVED`)."""
        if derived == LIKELY:
            return likely(self._view, dimension)
        return completed(self._view, dimension, self._complements)

    def _profile(self, name: str) -> Value:
        profile, now_ms = self._view.profile, self._view.now_ms
        head, _, rest = name.partition(".")
        value: Value = None
        match head:
            case "traits":
                trait = profile.traits.get(rest)
                value = None if trait is None else trait.value
            case "counts":
                kind, _, days = rest.partition(".")
                value = window_count(profile, Kind(kind), now_ms, int(days))
            case "score":
                model, _, of_class = rest.partition(".")
                said = self._view.scores.value(ModelName(model), of_class)
                value = None if math.isnan(said) else said
            case "class":
                value = self._view.scores.likeliest(ModelName(rest))
            case "likely":
                value = likely(self._view, rest)
            case "complement":
                sought = completed(self._view, rest, self._complements)
                value = None if sought is None else self._complements[rest][sought]
            case "history_length":
                value = len(profile.items)
            case "items":
                value = list(profile.items) or None
            case "days_since_visit":
                value = max(0.0, (now_ms - profile.last_ms) / DAY_MS) if profile.last_ms else None
            case _:
                values = profile.affinity.get(head, {})
                value = sorted(text for text, buckets in values.items() if buckets) or None
        return value


Test = Callable[[ItemId, Attributes, Facts], bool]


class CompiledRule(NamedTuple):
    """A rule, and what it looks at: a rule of the item alone has one answer for all visitors."""

    test: Test
    reads_item: bool
    reads_visitor: bool
    attributes: frozenset[str] = frozenset()
    """Attributes of the item that it looks at."""


def is_path(path: str) -> bool:  # noqa: PLR0911  # one a kind of path
    """Whether a rule can name this."""
    if path.startswith(_ITEM):
        return len(path) > len(_ITEM)
    if path.startswith(_CONTEXT):
        return is_context_field(path.removeprefix(_CONTEXT))
    name = path.removeprefix(_PROFILE)
    if not path.startswith(_PROFILE):
        return False
    if name.startswith(_COUNTS):
        kind, _, days = name.removeprefix(_COUNTS).partition(".")
        is_days = days.isascii() and days.isdigit() and len(days) <= len(str(COUNT_HORIZON_DAYS))
        return kind in list(Kind) and is_days and 1 <= int(days) <= COUNT_HORIZON_DAYS
    derived, score = derived_in(path), score_in(path)
    if derived is not None:
        return derived[1] in DIMENSIONS
    if name.startswith(_TRAITS) or score is not None:
        return len(name) > len(_TRAITS) if score is None else bool(score.model)
    return name in DIMENSIONS or name in {"history_length", "items", "days_since_visit"}


class ScoreNamed(NamedTuple):
    """A visitor score as a path names it; `of_class` None: the likeliest class is meant."""

    model: ModelName
    of_class: str | None


def score_in(path: str) -> ScoreNamed | None:
    """The visitor score that a path names; None where it names something else."""
    name = path.removeprefix(_PROFILE)
    if not path.startswith(_PROFILE):
        return None
    if name.startswith(_SCORE):
        model, _, of_class = name.removeprefix(_SCORE).partition(".")
        return ScoreNamed(ModelName(model), of_class)
    return ScoreNamed(ModelName(name.removeprefix(_CLASS)), None) if name.startswith(_CLASS) else None


def derived_in(path: str) -> tuple[str, str] | None:
    """What is derived (`derived.DERIVED`), and of which dimension, as a path names it; None where it names neither."""
    head, _, dimension = path.removeprefix(_PROFILE).partition(".")
    return (head, dimension) if path.startswith(_PROFILE) and head in DERIVED else None


def reference(to: Operand | None) -> str | None:
    """The path that an operand names; None for a plain value. `$$` writes a leading `$`."""
    if isinstance(to, str) and to.startswith("$") and not to.startswith("$$"):
        return to[1:]
    return None


def conjuncts(rules: Iterable[Rule]) -> list[Rule]:
    """The rules that must all hold, with nested `all` taken apart."""
    flat: list[Rule] = []
    for rule in rules:
        if isinstance(rule, Every):
            flat.extend(conjuncts(rule.rules))
        else:
            flat.append(rule)
    return flat


def compile_rule(rule: Rule) -> CompiledRule:
    """One closure. Paths and operators must have been checked (`is_path`, `OPERATORS`)."""
    match rule:
        case Compare():
            return _compare(rule)
        case Not():
            inner = compile_rule(rule.rule)
            return inner._replace(test=lambda item, attributes, facts: not inner.test(item, attributes, facts))
        case Every() | Some():
            parts = [compile_rule(part) for part in rule.rules]
            tests = [part.test for part in parts]
            decide = all if isinstance(rule, Every) else any
            return CompiledRule(
                lambda item, attributes, facts: decide(test(item, attributes, facts) for test in tests),
                any(part.reads_item for part in parts),
                any(part.reads_visitor for part in parts),
                frozenset[str]().union(*(part.attributes for part in parts)),
            )


def _compare(rule: Compare) -> CompiledRule:
    named = reference(rule.to)
    left = _reader(rule.of)
    plain = rule.to[1:] if isinstance(rule.to, str) and rule.to.startswith("$$") else rule.to
    right = _reader(named) if named is not None else None
    op = rule.op
    paths = [rule.of] if named is None else [rule.of, named]
    reads_item = any(path.startswith(_ITEM) for path in paths)
    reads_visitor = not all(path.startswith(_ITEM) for path in paths)
    names = frozenset(path.removeprefix(_ITEM) for path in paths if path.startswith(_ITEM))
    if right is None:
        return CompiledRule(
            lambda item, attributes, facts: holds(op, left(item, attributes, facts), plain),
            reads_item,
            reads_visitor,
            names,
        )
    other = right
    return CompiledRule(
        lambda item, attributes, facts: holds(op, left(item, attributes, facts), other(item, attributes, facts)),
        reads_item,
        reads_visitor,
        names,
    )


def _reader(path: str) -> Callable[[ItemId, Attributes, Facts], Value]:
    if path == "item.id":
        return lambda item, _attributes, _facts: item
    if path.startswith(_ITEM):
        name = path.removeprefix(_ITEM)
        return lambda _item, attributes, _facts: attributes.get(name)
    return lambda _item, _attributes, facts: facts.value(path)


def holds(op: str, left: Value, right: Value) -> bool:
    """One comparison; the semantics are this module's docstring. False for an operator that does not exist."""
    match op:
        case "eq" | "ne":
            return _same(left, right) is (op == "eq")
        case "in" | "not_in":
            return _is_in(left, right) is (op == "in")
        case "contains":
            return _contains(left, right)
        case "exists":
            return (left is not None) is (right is not False)
        case _:
            return op in ORDERED and _is_ordered(op, left, right)


def _same(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return False


def _is_in(left: Value, right: Value) -> bool:
    if not isinstance(right, (list, tuple)):
        return False
    values = left if isinstance(left, (list, tuple)) else (left,)
    return any(_same(value, member) for value in values for member in right)


def _contains(left: Value, right: Value) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    if not isinstance(left, (list, tuple)) or right is None:
        return False
    wanted = right if isinstance(right, (list, tuple)) else (right,)
    return all(any(_same(value, member) for member in left) for value in wanted)


def _is_ordered(op: str, left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, str) and isinstance(right, str):
        order = (left > right) - (left < right)
    elif isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if left != left or right != right:  # noqa: PLR0124  # NaN, which MessagePack can bring, is in no order
            return False
        order = (left > right) - (left < right)
    else:
        return False
    return {"lt": order < 0, "le": order <= 0, "gt": order > 0, "ge": order >= 0}[op]
