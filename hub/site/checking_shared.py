"""Whether a shared placement can be decided by the fields that it lists, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from edgewise.attributes import ATTRIBUTE_PREFIX, CONTEXT_FIELDS, is_context_field
from edgewise.bundle.policy import Compare, Not, Placement, Rule
from edgewise.errors import Problem
from edgewise.rules import reference
from hub.site.converting import did_you_mean
from hub.site.documents import Say

_CONTEXT = "context."


def check_shared(placement: Placement, say: Say) -> Iterator[Problem]:
    """What is wrong with `shared` of a placement."""
    shared = placement.shared
    if shared is None:
        return
    for position, field in enumerate(shared.vary):
        path = ("shared", "vary", position)
        if not is_context_field(field):
            cure = did_you_mean(field, CONTEXT_FIELDS)
            yield say(path, f"no field {field!r} of the context; {cure}, or write {ATTRIBUTE_PREFIX}NAME")
        elif field in shared.vary[:position]:
            yield say(path, f"{field!r} stands here twice; remove one")
    for position, rule in enumerate(placement.eligibility):
        for field in dict.fromkeys(_fields(rule)):
            if field not in shared.vary:
                message = f"a rule asks {_CONTEXT}{field}, which a shared fragment does not look at"
                yield say(("eligibility", position), f"{message}; add {field!r} to `shared.vary`, or remove `shared`")


def _fields(rule: Rule) -> Iterator[str]:
    """Fields of the context that a rule asks."""
    if isinstance(rule, Compare):
        for path in (rule.of, reference(rule.to) or ""):
            if path.startswith(_CONTEXT):
                yield path.removeprefix(_CONTEXT)
    elif isinstance(rule, Not):
        yield from _fields(rule.rule)
    else:
        for inner in rule.rules:
            yield from _fields(inner)
