"""Columns and paths: `InvoiceNo`, `customer.email`, `line_items[0].sku`, `params[key=page].value`, `tags[*]`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Row = Mapping[str, Any]
Getter = Callable[[Row], Any]
"""What stands in a row; None where nothing does."""

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,6}|\*|[^=\[\]]{1,100}=[^\[\]]{0,200})\]")
_MOST_STEPS: Final = 24


class _Every:
    """`[*]`."""


Step = str | int | tuple[str, str] | type[_Every]


def steps_of(path: str) -> list[Step]:
    """The steps of a path. Raises ValueError for what is none."""
    steps: list[Step] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None or (position == 0 and path[0] == "."):
            raise ValueError(f"{path!r} is no column or path at character {position + 1}")
        key, bracket = found.groups()
        if key is not None:
            steps.append(key)
        elif bracket == "*":
            steps.append(_Every)
        elif "=" in bracket:
            name, _, wanted = bracket.partition("=")
            steps.append((name, wanted))
        else:
            steps.append(int(bracket))
        position = found.end()
    if not steps or len(steps) > _MOST_STEPS:
        raise ValueError(f"{path!r} has {len(steps)} steps; expected 1 to {_MOST_STEPS}")
    return steps


def first_column(path: str) -> str:
    """The column of a flat file that a path begins in."""
    first = steps_of(path)[0]
    return first if isinstance(first, str) else path


def getter(path: str) -> Getter:
    """Reads a path. A column that is called so as a whole comes first, however many dots its name has."""
    if not set(path) & set(".["):
        return lambda row: row.get(path)
    try:
        steps = steps_of(path)
    except ValueError:
        return lambda row: row.get(
            path
        )  # `Amount [GBP].` may be a column; whether there is one, the file's reader says

    def read(row: Row) -> Any:
        if path in row:
            return row[path]
        return _walk(row, steps)

    return read


def _walk(found: Any, steps: list[Step]) -> Any:
    for position, step in enumerate(steps):
        if isinstance(found, str) and found[:1] in ("{", "["):
            found = _inside(found)
        if step is _Every:
            if not isinstance(found, list):
                return None
            rest = steps[position + 1 :]
            values = [_walk(entry, rest) for entry in found]
            return [value for value in values if value is not None]
        if isinstance(step, str):
            found = found.get(step) if isinstance(found, Mapping) else None
        elif isinstance(step, int):
            found = found[step] if isinstance(found, list) and step < len(found) else None
        elif isinstance(step, tuple):
            found = _entry(found, *step)
        if found is None:
            return None
    return found


def _entry(found: Any, name: str, wanted: str) -> Any:
    if not isinstance(found, list):
        return None
    return next((each for each in found if isinstance(each, Mapping) and str(each.get(name)) == wanted), None)


def _inside(text: str) -> Any:
    """JSON that an export holds as text, as Snowplow's and BigQuery's do."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
