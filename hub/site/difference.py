"""What differs between two plain values, path by path, in words for a person who has to approve it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from typing_extensions import override

from hub.site.documents import written

_ABSENT: Final = object()


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference. `before` or `after` is missing where something was added or removed."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    steps: tuple[str | int, ...] = ()
    """The same as `path`, key by key: a key may hold a dot."""

    @override
    def __str__(self) -> str:
        """`+ path: value`, `- path: value` or `~ path: before -> after`."""
        if self.before is msgspec.UNSET:
            return f"+ {self.path}: {short(self.after)}"
        if self.after is msgspec.UNSET:
            return f"- {self.path}: {short(self.before)}"
        return f"~ {self.path}: {short(self.before)} -> {short(self.after)}"


def differences(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """Every difference, in the order of keys; lists are compared as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key))
    elif before is _ABSENT:
        yield Change(written(path), after=after, steps=path)
    elif after is _ABSENT:
        yield Change(written(path), before=before, steps=path)
    elif before != after or type(before) is not type(after):
        yield Change(written(path), before=before, after=after, steps=path)


def short(value: Any) -> str:
    """A value in at most a line; blank for none."""
    if value is msgspec.UNSET:
        return ""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004  # a line
