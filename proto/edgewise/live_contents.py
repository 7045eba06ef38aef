"""Contents in which numbers follow live facts: the price on the page is the price that was decided with.

A live fact changes a content only where the site has said so (`LiveFact.shown`), and only a number that is the item's
own: content and attribute of that name hold the same released number. A person has approved that it follows, and how
far; what lies beyond is not believed (`edgewise.live_facts`). Text is nobody's number, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import is_number, whole
from edgewise.bundle.items import ItemTable
from edgewise.ids import ItemId


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
        made = self._made.get((item, released))
        if made is None:
            code = self._items.code_of.get(item)
            if code is None:
                return released  # whatever callers bring is remembered nowhere
            made = self._made[item, released] = self._written(code, released)
        return made

    def _written(self, code: int, released: bytes) -> bytes:
        content = msgspec.json.decode(released) or {}
        changed = {
            name: whole(float(column[code]))
            for name, column in self._columns.items()
            if not np.isnan(column[code]) and self._is_own(content.get(name), name, code)
        }
        return msgspec.json.encode(content | changed) if changed else released

    def _is_own(self, said: object, name: str, code: int) -> bool:
        return is_number(said) and said == float(self._items.numbers(name)[code])
