"""What goes with what: dimensions and values that items really have, and rules that ask for what the site says."""

from __future__ import annotations

from collections.abc import Iterator

from edgewise.attributes import texts_of
from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.derived import COMPLEMENT
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS
from edgewise.rules import derived_in, reference
from hub.site.converting import did_you_mean
from hub.site.documents import Say
from hub.site.reading import Files


def check_complements(files: Files) -> Iterator[Problem]:
    """What is wrong with `complements` in site.yaml, and with the rules that ask for them."""
    say = files.site_place.problem
    for dimension, complements in files.site.complements.items():
        at = ("complements", dimension)
        if dimension not in DIMENSIONS:
            yield say(at, f"profiles keep no {dimension!r}; {did_you_mean(dimension, DIMENSIONS)}")
            continue
        held = {text for item, _ in files.items.values() for text in texts_of(item.attributes.get(dimension))}
        for value, others in complements.items():
            # Whoever looks for something may look for what the shop only lists elsewhere; what goes with it is shown.
            for position, other in enumerate(others):
                if other not in held:
                    message = f"no item has the {dimension} {other!r}; {did_you_mean(other, held)}"
                    yield say((*at, value, position), message)
                elif other == value:
                    yield say((*at, value, position), f"{value!r} does not go with itself; remove it")
    for placement, place in files.placements.values():
        for position, rule in enumerate(placement.eligibility):
            yield from _asked(files, rule, ("eligibility", position), place.problem)


def _asked(files: Files, rule: Rule, path: tuple[str | int, ...], say: Say) -> Iterator[Problem]:
    match rule:
        case Every(rules=parts) | Some(rules=parts):
            for position, part in enumerate(parts):
                yield from _asked(files, part, (*path, "rules", position), say)
        case Not(rule=part):
            yield from _asked(files, part, (*path, "rule"), say)
        case Compare():
            for key, named in (("of", rule.of), ("to", reference(rule.to) or "")):
                derived = derived_in(named)
                if derived is not None and derived[0] == COMPLEMENT and derived[1] not in files.site.complements:
                    message = f"the site says of no {derived[1]} what goes with it; write `complements` in site.yaml"
                    yield say((*path, key), message)
