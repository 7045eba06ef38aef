"""Live facts: numbers with bounds that can be kept, and contents in which a shown one is the number that it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from typing_extensions import TypeIs

from edgewise.bundle.facts import FactName
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS
from edgewise.templates.variables import written_number
from hub.site.files import ItemFile
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
            yield from _shown(files, name)


def _shown(files: Files, name: FactName) -> Iterator[Problem]:
    """Whatever is shown as the number has to be it: a price that does not follow is worse than none."""
    is_somewhere = False
    for item, place in files.items.values():
        released = item.attributes.get(name)
        for path, content in _contents(item):
            if name not in content:
                continue
            is_somewhere = True
            if not _is_number(released):
                message = f"a live {name} follows the item's attribute {name!r}, which is no number; add it"
                yield place.problem((*path, name), message)
            elif not _is_number(content[name]) or content[name] != released:
                number = written_number(released)
                message = (
                    f"{repr(content[name])[:_MOST_SAID]}, but live_facts shows {name}, and that is {number} here; "
                    f"write {number}, and what belongs around it in the template"
                )
                yield place.problem((*path, name), message)
    if not is_somewhere:
        message = f"no content has a {name!r} to show; add it to contents as a number, or remove `shown`"
        yield files.site_place.problem(("live_facts", name, "shown"), message)


def _contents(item: ItemFile) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    yield ("content",), item.content
    for position, variant in enumerate(item.variants):
        yield ("variants", position, "content"), variant.content
    for name, known in item.representations.items():
        yield ("representations", name, "content"), known.content


def _is_number(value: Any) -> TypeIs[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
