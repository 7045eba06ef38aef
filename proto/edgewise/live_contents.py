"""Contents in which numbers follow live facts: the price on the page is the price that was decided with.

A live fact changes a content only where the site has said so (`LiveFact.shown`), and only a number that is the item's
own: content and attribute of that name hold the same released number. A person has approved that it follows; how far
it goes is bounded as everywhere (`edgewise.live_facts.bounded`). Text is nobody's number, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.items import ItemTable
from edgewise.ids import ItemId
from edgewise.templates.variables import EXACT


class LiveContents:
    """The contents of one bundle under one sheet of facts. Remembers what it has made."""

    def __init__(self, items: ItemTable, live: Mapping[str, NDArray[np.float64]], shown: Sequence[str]) -> None:
        """`items` as released; `live`: as `ItemTable.under`; `shown`: names that contents show."""
        self._items = items
        self._columns = {name: live[name] for name in shown if name in live}
        self._made: dict[tuple[ItemId, bytes], bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._columns)

    def of(self, item: ItemId, released: bytes) -> bytes:
        """A content of an item as JSON, with its live numbers; the same bytes where none of them is in it."""
        code = self._items.code_of.get(item)
        if code is None:
            return released
        numbers = {name: float(column[code]) for name, column in self._columns.items() if not np.isnan(column[code])}
        if not numbers:
            return released
        made = self._made.get((item, released))
        if made is None:
            made = self._made[item, released] = self._written(code, released, numbers)
        return made

    def _written(self, code: int, released: bytes, numbers: Mapping[str, float]) -> bytes:
        content = msgspec.json.decode(released)
        changed = {
            name: int(number) if number.is_integer() and abs(number) < EXACT else number
            for name, number in numbers.items()
            if content is not None and _is_number(content.get(name), float(self._items.numbers(name)[code]))
        }
        return msgspec.json.encode(content | changed) if changed else released


def _is_number(said: object, released: float) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and said == released
