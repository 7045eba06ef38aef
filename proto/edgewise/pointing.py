"""Which key of an object is the wrong one: a decoder says `$.attributes[...]`, and leaves the reader to look for it.

msgspec names the place of what it refuses but for the keys of mappings. It stops at the first value that it cannot
take and says of which kind that was, so the first key that leads to a value of this kind is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from edgewise.errors import Problem, problem_of

_SEGMENT: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<some>\[\.\.\.\])")
_GOT: Final = re.compile(r"got `(\w+)`")


def problem_in(wrong: msgspec.ValidationError, read: Callable[[], Any]) -> Problem:
    """What a decoder refused; `read` gives the whole of it as plain values, or fails where it is damaged as well."""
    problem = problem_of(str(wrong))
    try:
        return pointed(problem, read())
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError):
        return problem


def pointed(problem: Problem, value: Any) -> Problem:
    """The problem with its keys, as far as `value`, which was refused, tells them; else as it is."""
    got = _GOT.search(problem.message)
    if got is None or "[...]" not in problem.path:
        return problem
    place = next(_places(value, problem.path.removeprefix("$"), got[1]), None)
    return problem if place is None else Problem(f"${place}", problem.message)


def _places(value: Any, rest: str, kind: str) -> Iterator[str]:
    """Every way along `rest` that ends at a value of this kind, in the value's own order."""
    segment = _SEGMENT.match(rest)
    if segment is None:
        if not rest and _kind(value) == kind:
            yield ""
        return
    behind = rest[segment.end() :]
    if segment["index"] is not None:
        inner = {segment[0]: value[int(segment["index"])]} if _has(value, int(segment["index"])) else {}
    elif not isinstance(value, dict):
        return
    elif segment["some"]:
        inner = {f".{key}": each for key, each in value.items()}
    else:
        inner = {segment[0]: value[segment["name"]]} if segment["name"] in value else {}
    for step, each in inner.items():
        for place in _places(each, behind, kind):
            yield step + place


def _has(value: Any, index: int) -> bool:
    return isinstance(value, list) and index < len(value)


def _kind(value: Any) -> str:
    """A JSON value's kind, as msgspec names it."""
    names = {type(None): "null", dict: "object", list: "array", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)
