"""What people ask of live facts: `NAME=VALUE` words, CSV files, JSON; what is wrong with it is told with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgewise.bundle.facts import LARGEST, MOST_ID_CHARACTERS, NAME_PATTERN
from edgewise.errors import InputError, Problem
from edgewise.ids import ItemId

if TYPE_CHECKING:
    from hub.ledger.facts import FactChanges

ITEM: Final = "item"
"""The column of a file that names items."""
_NAME = re.compile(NAME_PATTERN)
_SHOWN: Final = 20


def changes_of_words(item: str, words: Sequence[str]) -> FactChanges:
    """`stock=0 price=9.5 trending=` as changes of one item; an empty value takes the number away.

    Raises:
        InputError: a word is none of these.
    """
    changes: dict[str, dict[ItemId, float | None]] = {}
    problems: list[Problem] = []
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            problems.append(Problem(word, "expected NAME=VALUE"))
        else:
            _put(changes, item, name, text, problems, place=word)
    return _sound(changes, problems, "the facts cannot be set")


def changes_of_file(path: Path) -> FactChanges:
    """A CSV file with a column `item`, and a column for each name; an empty field leaves a number as it is.

    Raises:
        InputError: the file or a row of it cannot be used; then nothing of it is.
    """
    from hub.tables import read_table, require_columns

    table = read_table(path, text=(ITEM,))
    require_columns(table, [ITEM], where=str(path))
    changes: dict[str, dict[ItemId, float | None]] = {}
    problems: list[Problem] = []
    items: list[str | None] = table.column(ITEM).to_pylist()
    for name in table.column_names:
        if name == ITEM:
            continue
        for row, (item, value) in enumerate(zip(items, table.column(name).to_pylist(), strict=True)):
            if value is not None:
                _put(changes, item or "", name, value, problems, place=f"row {row + 2}, column {name}")
    return _sound(changes, problems, f"{path}: facts that cannot be used")


def changes_of_items(items: dict[str, dict[str, float | None]]) -> FactChanges:
    """Item -> name -> number, as the admin API takes them; null takes the number away.

    Raises:
        InputError: an id, a name or a number cannot be used; then nothing of them is.
    """
    changes: dict[str, dict[ItemId, float | None]] = {}
    problems: list[Problem] = []
    for item, numbers in items.items():
        for name, value in numbers.items():
            place = f"$.items.{item}.{name}"
            _put(changes, item, name, "" if value is None else value, problems, place=place)
    return _sound(changes, problems, "the facts cannot be set")


def _put(
    changes: dict[str, dict[ItemId, float | None]],
    item: str,
    name: str,
    said: Any,
    problems: list[Problem],
    *,
    place: str,
) -> None:
    if not _NAME.fullmatch(name):
        problems.append(Problem(place, f"name {name[:80]!r}; expected small letters, digits and `_`, at most 64"))
        return
    if not 0 < len(item) <= MOST_ID_CHARACTERS:
        problems.append(Problem(place, f"an item id of {len(item)} characters; expected 1 to {MOST_ID_CHARACTERS}"))
        return
    number = None if said == "" else _number(said)
    if number is not None and not abs(number) <= LARGEST:
        problems.append(Problem(place, f"{str(said)[:80]!r}; expected a number from {-LARGEST:g} to {LARGEST:g}"))
        return
    column = changes.setdefault(name, {})
    if column.get(ItemId(item), number) != number:
        problems.append(Problem(place, f"{name} of {item!r} is said twice, differently"))
    column[ItemId(item)] = number


def _number(said: Any) -> float:
    """NaN for what is no number: it passes no bound."""
    try:
        return float(said)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _sound(changes: FactChanges, problems: list[Problem], message: str) -> FactChanges:
    if problems:
        raise InputError(message, tuple(problems[:_SHOWN]))
    return changes
