"""Rules of eligibility: what an edge could not evaluate is refused when it is written, not when it is served."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from edgewise.attributes import CONTEXT_FIELDS
from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.derived import DERIVED
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS, Kind
from edgewise.ids import ModelName
from edgewise.rules import OPERATORS, is_path, reference, score_in
from hub.site.converting import did_you_mean
from hub.site.documents import Say

_LISTS: Final = ("in", "not_in")
_ORDERING: Final = ("lt", "le", "gt", "ge")
_EXAMPLES: Final = (
    "item.id",
    "item.ATTRIBUTE",
    *(f"context.{field}" for field in CONTEXT_FIELDS),
    "context.attributes.NAME",
    "profile.category",
    "profile.brand",
    "profile.topic",
    "profile.items",
    "profile.history_length",
    "profile.days_since_visit",
    "profile.traits.NAME",
    f"profile.counts.{Kind.VIEW}.7",
    "profile.score.NAME",
    "profile.class.NAME",
    *(f"profile.{derived}.{dimension}" for derived in DERIVED for dimension in DIMENSIONS),
)


def check_rule(rule: Rule, models: Collection[ModelName], path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    """What is wrong with a rule that is written at `path`; `models` are those of the site.

    Whether a model is a visitor score, and of which classes, is known when a release is built.
    """
    match rule:
        case Every(rules) | Some(rules):
            for position, part in enumerate(rules):
                yield from check_rule(part, models, (*path, "rules", position), say)
        case Not(part):
            yield from check_rule(part, models, (*path, "rule"), say)
        case Compare():
            yield from _comparison(rule, path, say)
            for key, named in (("of", rule.of), ("to", reference(rule.to))):
                score = None if named is None else score_in(named)
                if score is not None and score.model and score.model not in models:
                    yield say((*path, key), f"no model {score.model!r}; {did_you_mean(score.model, models)}")


def _comparison(rule: Compare, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    if not is_path(rule.of):
        yield say((*path, "of"), f"no value {rule.of!r}; {did_you_mean(rule.of, _EXAMPLES)}")
    named = reference(rule.to)
    if rule.op not in OPERATORS:
        yield say((*path, "op"), f"no operator {rule.op!r}; {did_you_mean(rule.op, OPERATORS)}")
    elif rule.op == "exists":
        if rule.to is not None and not isinstance(rule.to, bool):
            yield say((*path, "to"), f"`exists` takes true or false, not {rule.to!r}; leave `to` away")
    elif rule.to is None:
        yield say((*path, "op"), f"`{rule.op}` compares with something; write it as `to`")
    elif named is not None:
        if not is_path(named):
            yield say((*path, "to"), f"no value {named!r}; {did_you_mean(named, _EXAMPLES)}")
    elif rule.op in _LISTS and not isinstance(rule.to, list):
        yield say((*path, "to"), f"`{rule.op}` takes a list, not {rule.to!r}; put it in brackets")
    elif rule.op in _ORDERING and isinstance(rule.to, (bool, list)):
        yield say((*path, "to"), f"`{rule.op}` takes a number or a text, not {rule.to!r}; write one")
