"""Live facts: numbers with bounds that can be kept, and contents in which a shown one is the number that it follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from edgewise.attributes import is_number
from edgewise.bundle.facts import FactName
from edgewise.bundle.policy import LiveFact
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS
from edgewise.templates.variables import written_number
from hub.counted_facts import NAMES
from hub.site.copies import contents
from hub.site.reading import Files

_MOST_SAID: Final = 60


def check_facts(files: Files) -> Iterator[Problem]:
    """What is wrong with `live_facts` in site.yaml, and with contents that are to show them."""
    say = files.site_place.problem
    for name, fact in files.site.live_facts.items():
        path = ("live_facts", name)
        if name in DIMENSIONS:
            yield say(path, f"{name!r} is a dimension of profiles, which is text; live facts are numbers")
        if fact.min is not None and fact.max is not None and fact.min > fact.max:
            yield say((*path, "min"), f"the least, {fact.min:g}, is above the most, {fact.max:g}; exchange them")
        if fact.shown:
            yield from _shown(files, name, fact)


def _shown(files: Files, name: FactName, fact: LiveFact) -> Iterator[Problem]:
    """Whatever is shown as the number has to be it: a price that does not follow is worse than none."""
    is_somewhere = False
    for item, place in files.items.values():
        released = item.attributes.get(name)
        for path, content in contents(item):
            if name in content:
                is_somewhere = True
                if flaw := _flaw(content[name], name, released, fact):
                    yield place.problem((*path, name), flaw)
    if not is_somewhere:
        message = f"no content has a {name!r} to show; add it to contents as a number, or remove `shown`"
        yield files.site_place.problem(("live_facts", name, "shown"), message)


def _flaw(said: Any, name: FactName, released: Any, fact: LiveFact) -> str:
    """Why what a content says of the item could not follow; blank: it can."""
    if not is_number(released):
        there = f"is {released!r}" if released is not None else "is missing"
        return f"a live {name} follows the item's attribute {name!r}, which {there}; write it there as a number"
    number = written_number(released)
    if not is_number(said) or said != released:
        return (
            f"{repr(said)[:_MOST_SAID]}, but live_facts shows {name}, and that is {number} here; "
            f"write {number}, and what belongs around it in the template"
        )
    if released and name in NAMES:
        return f"{number}, but the hub counts {name} and says nothing of what is 0: pages would say {number}; write 0"
    if not released and fact.most_change is not None:
        return f"0 has no share to be changed by, so that no live {name} is ever shown; remove `most_change`"
    return ""
