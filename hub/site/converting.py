"""Plain values into typed structs, with everything that is wrong listed at its exact path, not only the first thing.

Stricter than the structs' own decoders, which pass over unknown keys so that newer hubs can speak to older nodes:
in a file that a person writes, an unknown key is a typing error.
"""

from __future__ import annotations

import difflib
import enum
import functools
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from hub.site.documents import Steps
from hub.site.files import NAME_PATTERN

T = TypeVar("T")


class Wrong(NamedTuple):
    """One thing that is wrong with a value, and where in it."""

    path: tuple[str | int, ...]
    message: str


def convert(value: Any, into: type[T], path: Steps = ()) -> tuple[T | None, list[Wrong]]:
    """The value as a struct, or everything that is wrong with it. `path` is where the value lies in its document."""
    found = list(_wrong(value, into, tuple(path)))
    return (None, found) if found else (msgspec.convert(value, into), [])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the closest known one, or all of them."""
    names = sorted(map(str, known))
    if not names:
        return "there is none yet"
    longer = [name for name in names if word and name.startswith(word)]
    close = longer or difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(names)}"


def _wrong(value: Any, into: Any, path: tuple[str | int, ...]) -> Iterator[Wrong]:
    inside = list(_wrong_inside(value, into, path))
    yield from inside
    if not inside:
        try:
            msgspec.convert(value, into)
        except msgspec.ValidationError as wrong:
            yield Wrong(path, _sentence(str(wrong), value, into))


def _wrong_inside(value: Any, into: Any, path: tuple[str | int, ...]) -> Iterator[Wrong]:
    """What is wrong in the parts of `value`; whether the whole fits is for msgspec to say."""
    into = _bare(into)
    arguments = typing.get_args(into)
    match typing.get_origin(into):
        case types.UnionType | typing.Union:
            yield from _wrong_in_union(value, arguments, path)
        case origin if origin in (list, tuple, dict):
            if isinstance(value, list) and origin is not dict:
                for position, part in enumerate(value):
                    yield from _wrong(part, arguments[0], (*path, position))
            elif isinstance(value, dict) and origin is dict:
                for key, part in value.items():
                    yield from _wrong(key, arguments[0], (*path, key))
                    yield from _wrong(part, arguments[1], (*path, key))
        case _ if isinstance(into, type) and issubclass(into, msgspec.Struct) and isinstance(value, dict):
            yield from _wrong_in_struct(value, into, path)


def _wrong_in_struct(value: dict[str, Any], into: type[msgspec.Struct], path: tuple[str | int, ...]) -> Iterator[Wrong]:
    fields = _fields(into)
    tag = into.__struct_config__.tag_field
    for key, part in value.items():
        if key in fields:
            yield from _wrong(part, fields[key], (*path, key))
        elif key != tag:
            yield Wrong((*path, key), f"unknown key {key!r}; {did_you_mean(key, fields)}")


@functools.cache
def _fields(into: type[msgspec.Struct]) -> dict[str, Any]:
    """Key -> type. Cached, because evaluating annotations is what reading a big catalogue would mostly do."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(into)}


def _wrong_in_union(value: Any, members: tuple[Any, ...], path: tuple[str | int, ...]) -> Iterator[Wrong]:
    members = tuple(_bare(member) for member in members if member is not type(None))
    if value is None:
        return
    if len(members) == 1:
        yield from _wrong_inside(value, members[0], path)
        return
    structs = [member for member in members if isinstance(member, type) and issubclass(member, msgspec.Struct)]
    if len(structs) < len(members):
        # a short form and one long one, which is meant where there are keys
        has_mapping = any(typing.get_origin(member) is dict for member in members)
        if len(structs) == 1 and isinstance(value, dict) and not has_mapping:
            yield from _wrong_in_struct(value, structs[0], path)
        return
    by_tag = {member.__struct_config__.tag: member for member in members}
    field = members[0].__struct_config__.tag_field
    if isinstance(value, dict) and field in value:
        tag = value[field]
        if tag in by_tag:
            yield from _wrong_in_struct(value, by_tag[tag], path)
        else:
            yield Wrong((*path, field), f"unknown {field} {tag!r}; {did_you_mean(str(tag), by_tag)}")
    elif isinstance(value, dict):
        yield Wrong(path, f"no {field!r} here; expected one of {', '.join(sorted(by_tag))}")


def _bare(into: Any) -> Any:
    """Without constraints and aliases."""
    while typing.get_origin(into) is Annotated:
        into = typing.get_args(into)[0]
    return into


def _words(into: Any) -> tuple[str, ...]:
    """The words of a closed list that a type is, or may be."""
    into = _bare(into)
    if typing.get_origin(into) is typing.Literal:
        return tuple(word for word in typing.get_args(into) if isinstance(word, str))
    if isinstance(into, type) and issubclass(into, enum.Enum):
        return tuple(str(member.value) for member in into)
    is_union = typing.get_origin(into) in (types.UnionType, typing.Union)
    return tuple(word for member in typing.get_args(into) for word in _words(member)) if is_union else ()


def _sentence(message: str, value: Any, into: Any) -> str:
    """What msgspec found, with a cure where there is a usual one."""
    said = message.partition(" - at `")[0].replace("`", "")
    said = said[:1].lower() + said[1:]
    if said.endswith(f"matching regex '{NAME_PATTERN}'"):
        return f"{value!r} is no name; write small letters, digits, - and _, at most 64"
    if "[0-5][0-9]" in said:
        return f'{value!r} is no time; write one as "08:00", or with its date as 2026-12-01T09:00'
    if said.startswith("invalid enum value") and (words := _words(into)):
        said += f"; {did_you_mean(str(value), words)}"
    if said.startswith("invalid RFC3339"):
        return f"{value!r} is no moment; write one with its zone, as 2026-12-01T09:00:00+01:00"
    if said.startswith("expected str, got") and isinstance(value, (bool, int, float)):
        said += f"; put quotes around {value}"
    return said
