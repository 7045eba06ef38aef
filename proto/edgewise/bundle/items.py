"""The catalogue as arrays: every item has a code, its place in the catalogue; what is asked of it often is a column.

The last row of every column stands for an item that the catalogue does not know. Its code is -1, which NumPy reads
as the last row, so that unknown items need no special case.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import number_of, texts_of
from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, Representation, Variant, content_sha256
from edgewise.bundle.facts import STOCK
from edgewise.bundle.opening_hours import NO_ZONES, OpeningHours
from edgewise.bundle.schedules import Zone, ZoneName
from edgewise.ids import ItemId

UNKNOWN: Final = -1
"""The code of an item that is not in the catalogue."""
FOREVER_MS: Final = 1 << 62

_content_encoder = msgspec.json.Encoder()


class Dimension:
    """The values of one text attribute over all items, as padded rows of value codes.

    `codes` intp (widest, items + 1): column c holds the value codes of item c, padded with `pad`.
    `count` float64 (items + 1,): how many values an item has, NaN for none, so that a mean of nothing is NaN.
    """

    __slots__ = ("codes", "count", "items_of", "pad", "value_code")

    def __init__(self, rows: list[tuple[str, ...]]) -> None:
        """`rows`: the values of every item, without the unknown one."""
        self.value_code: dict[str, int] = {}
        for row in rows:
            for text in row:
                self.value_code.setdefault(text, len(self.value_code))
        self.pad = len(self.value_code)
        widest = max((len(row) for row in rows), default=0)
        self.codes: NDArray[np.intp] = np.full((widest, len(rows) + 1), self.pad, np.intp)
        self.count: NDArray[np.float64] = np.full(len(rows) + 1, np.nan)
        owners: list[list[int]] = [[] for _ in self.value_code]
        for item, row in enumerate(rows):
            for place, text in enumerate(row):
                code = self.value_code[text]
                self.codes[place, item] = code
                owners[code].append(item)
            if row:
                self.count[item] = len(row)
        self.items_of: list[NDArray[np.intp]] = [np.array(codes, np.intp) for codes in owners]
        """Value code -> codes of the items that have it."""


class ItemTable:
    """All items of a catalogue. Columns that nobody asked for are never made; a made one is kept."""

    def __init__(self, catalogue: Catalogue, zones: Mapping[ZoneName, Zone] = NO_ZONES) -> None:
        """Digests every content once: what was approved is compared here and not at every request.

        `zones` are those that schedules of the items name.
        """
        self.items: list[Item] = catalogue.items
        self.ids: list[ItemId] = [item.id for item in catalogue.items]
        self.id_array: NDArray[np.object_] = np.array([*self.ids, ItemId("")], np.object_)
        """`ids` as a column, blank for the unknown item."""
        self.code_of: dict[ItemId, int] = {item: code for code, item in enumerate(self.ids)}
        size = len(self.items)
        self.approved: NDArray[np.bool_] = np.zeros(size + 1, np.bool_)
        self.starts_ms: NDArray[np.int64] = np.full(size + 1, -FOREVER_MS, np.int64)
        self.ends_ms: NDArray[np.int64] = np.full(size + 1, FOREVER_MS, np.int64)
        for code, item in enumerate(self.items):
            self.approved[code] = is_approved(item)
            if item.starts_ms is not None:
                self.starts_ms[code] = _bounded(item.starts_ms)
            if item.ends_ms is not None:
                self.ends_ms[code] = _bounded(item.ends_ms)
        self.zones = zones
        self.hours = OpeningHours([item.schedule for item in self.items], zones)
        """Which items are open by their schedules."""
        self.scheduled: NDArray[np.bool_] = (self.starts_ms > -FOREVER_MS) | (self.ends_ms < FOREVER_MS)
        self.scheduled |= self.hours.has_schedule
        self._approved_in: dict[str, NDArray[np.bool_]] = {"": self.approved}
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._dimensions: dict[str, Dimension] = {}
        self._may_be_number: dict[str, NDArray[np.bool_]] = {}
        self._live: Mapping[str, NDArray[np.float64]] = {}
        is_gone: NDArray[np.bool_] = self.numbers(STOCK) <= 0
        self.sold_out: NDArray[np.bool_] | None = is_gone if is_gone.any() else None
        """Items whose released stock is 0 or less; shape (items + 1,), None where there is none."""

    def __len__(self) -> int:
        return len(self.items)

    def item(self, item_id: ItemId) -> Item | None:
        """The item of an id."""
        code = self.code_of.get(item_id)
        return None if code is None else self.items[code]

    def codes(self, items: list[ItemId]) -> NDArray[np.intp]:
        """Codes of ids, UNKNOWN for what the catalogue does not hold; shape (len(items),)."""
        code_of = self.code_of
        return np.array([code_of.get(item, UNKNOWN) for item in items], np.intp)

    def approved_in(self, format_name: str) -> NDArray[np.bool_]:
        """Items that may be shown in placements of a format; shape (items + 1,), False for the unknown item.

        An item without an approval of its own is shown in none. Where it has a representation for the format, that
        has to be approved as well: nothing else stands in for it.
        """
        made = self._approved_in.get(format_name)
        if made is None:
            made = self.approved.copy()
            for code, item in enumerate(self.items):
                known = item.representations.get(format_name)
                if known is not None and made[code]:
                    made[code] = is_approved(known)
            self._approved_in[format_name] = made
        return made

    def open_at(self, codes: NDArray[np.intp], now_ms: int) -> NDArray[np.bool_]:
        """Which of some items may be shown at a moment: from their start to before their end, when they are open."""
        is_open: NDArray[np.bool_] = (self.starts_ms[codes] <= now_ms) & (now_ms < self.ends_ms[codes])
        return is_open if self.hours.is_always else is_open & self.hours.open_at(now_ms)[codes]

    def numbers(self, attribute: str) -> NDArray[np.float64]:
        """A numeric attribute of all items, NaN where it is missing; shape (items + 1,)."""
        column = self._numbers.get(attribute)
        if column is None:
            column = np.full(len(self.items) + 1, np.nan)
            for code, item in enumerate(self.items):
                column[code] = number_of(item.attributes.get(attribute))
            self._numbers[attribute] = column
        return column

    def attributes(self, code: int) -> Mapping[str, AttributeValue]:
        """All attributes of an item, live numbers before released ones."""
        released = self.items[code].attributes
        if not self._live:
            return released
        said = {name: float(column[code]) for name, column in self._live.items()}
        return {**released, **{name: number for name, number in said.items() if number == number}}  # noqa: PLR0124

    def may_be_number(self, attribute: str) -> NDArray[np.bool_]:
        """Items whose attribute is a number, or absent; shape (items + 1,), False for the unknown item.

        Text, lists and booleans mean something else than a number: none replaces them.
        """
        made = self._may_be_number.get(attribute)
        if made is None:
            values = (item.attributes.get(attribute) for item in self.items)
            made = np.array([*(value is None or isinstance(value, float) for value in values), False], np.bool_)
            self._may_be_number[attribute] = made
        return made

    def live(self, attribute: str) -> NDArray[np.float64] | None:
        """Live numbers of an attribute, NaN where the released one counts; None where none is live."""
        return self._live.get(attribute)

    def under(self, live: Mapping[str, NDArray[np.float64]]) -> Self:
        """The same items with live numbers, NaN where the released ones stay. Everything else is shared."""
        changed = {name: np.where(np.isnan(column), self.numbers(name), column) for name, column in live.items()}
        made = copy(self)
        made._live = live  # noqa: SLF001  # of its own class, here and where others are copied
        # `dict` copies at one go, while another thread may be making a column.
        made._numbers = dict(self._numbers) | changed  # noqa: SLF001
        return made

    def dimension(self, attribute: str) -> Dimension:
        """A text attribute of all items."""
        made = self._dimensions.get(attribute)
        if made is None:
            made = Dimension([texts_of(item.attributes.get(attribute)) for item in self.items])
            self._dimensions[attribute] = made
        return made

    def title(self, item_id: ItemId) -> str:
        """What people call the item: the title of its content, else of its attributes, else its id."""
        item = self.item(item_id)
        if item is not None:
            for title in (item.content.get("title"), item.attributes.get("title"), item.attributes.get("name")):
                if isinstance(title, str) and title:
                    return title
        return item_id


def is_approved(item: Item | Variant | Representation) -> bool:
    """Default-deny: only a digest that equals the content's own counts as an approval."""
    return item.approved_sha256 is not None and item.approved_sha256 == content_sha256(item.content)


def encoded_content(item: Item | Variant | Representation) -> bytes:
    """The content as JSON, to be pasted into an answer."""
    return _content_encoder.encode(item.content)


def _bounded(time_ms: int) -> int:
    return max(-FOREVER_MS + 1, min(FOREVER_MS - 1, time_ms))
