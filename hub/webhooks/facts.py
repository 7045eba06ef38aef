"""What product webhooks say of items, as live facts: stock and price of now, on all nodes within seconds.

Only webhooks, whose word is of this moment, and only of items and names that the live release knows: a shop sells more
than a site shows.
"""

from __future__ import annotations

from typing import Any

from edgewise.bundle.facts import STOCK
from edgewise.ids import ItemId
from hub.facts.board import FactsBoard
from hub.sources.conditions import holds
from hub.sources.document import ItemFacts, ItemNumber, SourceDocument, field_of
from hub.sources.money import number
from hub.sources.paths import getter
from hub.sources.values import Readers


class FactsReader:
    """Reads the numbers of one source's rows."""

    def __init__(self, said: ItemFacts, document: SourceDocument) -> None:
        readers = Readers(document)
        self._where = holds(said.where, readers.get)
        self._item = readers.reader(field_of(said.item), "id")
        self._numbers = [(name, each, getter(each.column)) for name, each in said.numbers.items()]
        self._mark = document.decimal_mark

    def numbers_of(self, row: dict[str, Any]) -> tuple[str, dict[str, float]] | None:
        """The item of a row and its numbers; None where the row is of no item. Raises Fault."""
        if not self._where(row) or (item := self._item(row)) is None:
            return None
        found = {
            name: value for name, each, read in self._numbers if (value := self._number(each, read(row))) is not None
        }
        return (str(item), found) if found else None

    def _number(self, said: ItemNumber, value: Any) -> float | None:
        values = value if isinstance(value, list) else [value]
        numbers = [float(number(said.column, each, self._mark)) for each in values if each not in (None, "")]
        if not numbers:
            return None
        return {"first": numbers[0], "sum": sum(numbers), "least": min(numbers)}[said.of_many]


def put_facts(board: FactsBoard, said: dict[str, dict[str, float]], *, by: str) -> int:
    """Set what the live release knows of; returns for how many items that was something.

    Raises:
        BundleRefused: nodes would refuse the facts; nothing is changed.
        UnavailableError: a key or the repository is missing; nothing is changed.
    """
    live = board.live()
    if live is None:
        return 0
    names = live.declared | {STOCK}
    changes: dict[str, dict[ItemId, float | None]] = {}
    items = set()
    for item, numbers in said.items():
        for name, value in numbers.items():
            if ItemId(item) in live.items and name in names:
                changes.setdefault(name, {})[ItemId(item)] = value
                items.add(item)
    if changes:
        board.change(changes, by=by)
    return len(items)
