"""Rules of eligibility: what an edge could not evaluate is refused when it is written, not when it is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.errors import Problem
from edgewise.features.values import CONTEXT_FIELDS, is_context_field
from hub.site.converting import did_you_mean
from hub.site.documents import Say

OPERATORS: Final = ("eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "exists")
_SOURCES: Final = ("item", "context", "profile")
_ORDERING: Final = ("lt", "le", "gt", "ge")


def check_rule(rule: Rule, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    """What is wrong with a rule that is written at `path`."""
    match rule:
        case Every(rules) | Some(rules):
            for position, part in enumerate(rules):
                yield from check_rule(part, (*path, "rules", position), say)
        case Not(part):
            yield from check_rule(part, (*path, "rule"), say)
        case Compare():
            yield from _comparison(rule, path, say)


def _comparison(rule: Compare, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    yield from _value(rule.of, (*path, "of"), say)
    if rule.op not in OPERATORS:
        yield say((*path, "op"), f"no operator {rule.op!r}; {did_you_mean(rule.op, OPERATORS)}")
    elif rule.op == "exists":
        if rule.to is not None:
            yield say((*path, "to"), "`exists` compares with nothing; remove `to`")
    elif rule.to is None:
        yield say((*path, "op"), f"{rule.op!r} compares with something; write it as `to`")
    elif isinstance(rule.to, str) and rule.to.startswith("$"):
        yield from _value(rule.to.removeprefix("$"), (*path, "to"), say)
    elif rule.op in {"in", "not_in"} and not isinstance(rule.to, list):
        yield say((*path, "to"), f"{rule.op!r} looks into a list, {rule.to!r} is none; write [{rule.to}]")
    elif rule.op in _ORDERING and (isinstance(rule.to, bool) or not isinstance(rule.to, float)):
        yield say((*path, "to"), f"{rule.op!r} compares numbers, {rule.to!r} is none; write a number")


def _value(name: str, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    source, _, rest = name.partition(".")
    if source not in _SOURCES or not rest:
        yield say(path, f"nothing is called {name!r}; expected item.NAME, context.NAME or profile.NAME")
    elif source == "context" and not is_context_field(rest):
        yield say(path, f"no field {rest!r} of the context; {did_you_mean(rest, [*CONTEXT_FIELDS, 'attributes.NAME'])}")
