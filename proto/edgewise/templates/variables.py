"""The values of a content that a template declared, each as its declaration says; nothing else reaches a template.

So what a template may ask of a value is known before there is one, and how much it can write is bounded. A value that
does not fit is refused, not mended: half a price or a title without its end is worse than nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from edgewise.attributes import is_number, whole
from edgewise.bundle.templates import (
    ChoiceVariable,
    FlagVariable,
    ImageVariable,
    ListVariable,
    NumberVariable,
    Plain,
    TextVariable,
    UrlVariable,
    Variable,
)
from edgewise.templates.flaws import Unrenderable
from edgewise.templates.links import flaw_of_link

Value = str | float | bool | None | Mapping[str, Any] | list[Any]

MOST_ALT: Final = 500
SIDES: Final = ("width", "height")
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that turn the direction of all that follows."""
_MOST_NUMBER: Final = sys.float_info.max
_MOST_SHOWN: Final = 60


def read_values(variables: Mapping[str, Variable], given: Mapping[str, Any]) -> dict[str, Value]:
    """Every declared variable with its value; None for a single one that is missing. Others of `given` are left out.

    Raises Unrenderable for a required one that is missing and for one that is not as declared.
    """
    return {name: read_value(variable, given.get(name), name) for name, variable in variables.items()}


def read_value(variable: Variable, given: Any, path: str) -> Value:
    """One value; `path` says where it stands. Raises as `read_values`."""
    if isinstance(variable, TextVariable) and isinstance(given, str):
        given = _UNSEEN.sub("", given)  # before it is missed: what nobody can see is missing
    if given is None or given in ("", []):
        if variable.required:
            _refuse(path, "is missing; it is required")
        return [] if isinstance(variable, ListVariable) else False if isinstance(variable, FlagVariable) else None
    match variable:
        case ImageVariable():
            return _image(variable, given, path)
        case ListVariable():
            return _list(variable, given, path)
        case _:
            return _single(variable, given, path)


def _single(variable: Plain, given: Any, path: str) -> Value:
    match variable:
        case TextVariable(most_characters=most):
            return _text(given, most, path)
        case NumberVariable():
            return _number(given, path)
        case UrlVariable():
            return _link(given, path)
        case ChoiceVariable(choices=choices) if given not in choices:
            _refuse(path, f"is {_said(given)}; expected one of {', '.join(choices)}")
        case FlagVariable() if not isinstance(given, bool):
            _refuse(path, f"is {_said(given)}; expected true or false")
        case _:
            pass
    said: str | bool = given
    return said


def _text(given: Any, most: int, path: str) -> str:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        _refuse(path, f"is {_said(given)}; expected text")
    text = _UNSEEN.sub("", given) if isinstance(given, str) else written_number(_number(given, path))
    if len(text) > most:
        _refuse(path, f"has {len(text)} characters, at most {most} are taken; shorten it")
    return text


def _number(given: Any, path: str) -> float:
    # Compared before any conversion: a whole number may be too large to become a float at all.
    if not is_number(given) or not -_MOST_NUMBER <= given <= _MOST_NUMBER:
        _refuse(path, f"is {_said(given)}; expected a number")
    return given


def _link(given: Any, path: str) -> str:
    if not isinstance(given, str):
        _refuse(path, f"is {_said(given)}; expected an address")
    flaw = flaw_of_link(given)
    if flaw:
        _refuse(path, f"is no address for a page: {flaw}")
    return given


def _image(variable: ImageVariable, given: Any, path: str) -> Mapping[str, Any]:
    said = {"src": given} if isinstance(given, str) else given
    if not isinstance(said, Mapping):
        _refuse(path, f"is {_said(given)}; expected an address, or {{src, alt, width, height}}")
    alt = said.get("alt")
    made: dict[str, Any] = {
        "src": _link(said.get("src"), f"{path}.src" if said is given else path),
        "alt": "" if alt is None else _text(alt, MOST_ALT, f"{path}.alt"),
    }
    if variable.alt_required and not made["alt"].strip():
        _refuse(f"{path}.alt", "is missing; say in words what the picture shows")
    for side, most in zip(SIDES, (variable.most_width, variable.most_height), strict=True):
        pixels = said.get(side)
        if pixels is None and variable.size_required:
            _refuse(f"{path}.{side}", "is missing; say it in pixels, so that the page does not jump")
        if pixels is not None and not 1 <= _number(pixels, f"{path}.{side}") <= most:
            _refuse(f"{path}.{side}", f"is {pixels:g} pixels; expected 1 to {most}")
        made[side] = pixels
    return made


def _list(variable: ListVariable, given: Any, path: str) -> list[Any]:
    if not isinstance(given, (list, tuple)):
        _refuse(path, f"is {_said(given)}; expected a list")
    if len(given) > variable.most:
        _refuse(path, f"has {len(given)} entries, at most {variable.most} are taken")
    if not variable.of:
        return [_text(text, variable.most_characters, f"{path}[{place}]") for place, text in enumerate(given)]
    return [_entry(variable, entry, f"{path}[{place}]") for place, entry in enumerate(given)]


def _entry(variable: ListVariable, given: Any, path: str) -> dict[str, Value]:
    if not isinstance(given, Mapping):
        _refuse(path, f"is {_said(given)}; expected an entry with {', '.join(variable.of)}")
    return {name: read_value(part, given.get(name), f"{path}.{name}") for name, part in variable.of.items()}


def written_number(number: float) -> str:
    """A number as people write it: 3, not 3.0."""
    return str(whole(number))


def _said(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _refuse(path: str, message: str) -> NoReturn:
    raise Unrenderable(f"{path} {message}", variable=path)
