"""What product webhooks say of items, as live facts: stock and price of now, on all nodes within seconds.

Only webhooks, whose word is of this moment, and only of items and names that the live release knows: a shop sells more
than a site shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from edgewise.bundle.facts import STOCK
from edgewise.ids import ItemId
from hub.facts.board import FactsBoard
from hub.ledger.ledger import Ledger
from hub.sources.conditions import holds
from hub.sources.document import ItemFacts, ItemNumber, SourceDocument, field_of
from hub.sources.fault import Fault
from hub.sources.money import number
from hub.sources.paths import getter
from hub.sources.values import Readers


class Numbers(NamedTuple):
    """Of one item."""

    numbers: dict[str, float]
    time_ms: int | None
    """When they held; None where the source does not say."""


class FactsReader:
    """Reads the numbers of one source's rows."""

    def __init__(self, said: ItemFacts, document: SourceDocument) -> None:
        readers = Readers(document)
        self._where = holds(said.where, readers.get)
        self._item = readers.reader(field_of(said.item), "id")
        self._numbers = [(name, each, getter(each.column)) for name, each in said.numbers.items()]
        self._mark = document.decimal_mark
        self._time_column = "" if said.time is None else str(field_of(said.time).column)
        self._time = None if said.time is None else readers.moment(field_of(said.time))

    def numbers_of(self, row: dict[str, Any]) -> tuple[str, Numbers] | None:
        """The item of a row and its numbers; None where the row is of no item. Raises Fault."""
        if not self._where(row) or (item := self._item(row)) is None:
            return None
        found = {
            name: value for name, each, read in self._numbers if (value := self._number(each, read(row))) is not None
        }
        if not found:
            return None
        time_ms = None if self._time is None else self._time(row)
        if self._time is not None and time_ms is None:
            raise Fault(self._time_column, None, "empty", "when the item was so")
        return str(item), Numbers(found, time_ms)

    def _number(self, said: ItemNumber, value: Any) -> float | None:
        values = value if isinstance(value, list) else [value]
        numbers = [float(number(said.column, each, self._mark)) for each in values if each not in (None, "")]
        if not numbers:
            return None
        return {"first": numbers[0], "sum": sum(numbers), "least": min(numbers)}[said.of_many]


def newer(said: Numbers, than: Numbers | None) -> bool:
    """Whether this is what holds, of two that came together: of equally new ones the last."""
    return than is None or said.time_ms is None or than.time_ms is None or said.time_ms >= than.time_ms


def put_facts(board: FactsBoard, ledger: Ledger, source: str, said: Mapping[str, Numbers], *, now_ms: int) -> int:
    """Set what the live release knows of; returns for how many items that was something.

    What is not newer than what the source said before is passed over. One at a time for each source: what holds is
    read before and written behind.

    Raises:
        BundleRefused: nodes would refuse the facts; nothing is changed.
        UnavailableError: a key or the repository is missing; nothing is changed.
    """
    live = board.live()
    if live is None:
        return 0
    names = live.declared | {STOCK}
    moments = {
        item: min(one.time_ms, now_ms)  # a clock that runs ahead must not silence what comes after
        for item, one in said.items()
        if one.time_ms is not None and ItemId(item) in live.items
    }
    known = ledger.fact_moments(source, moments) if moments else {}
    changes: dict[str, dict[ItemId, float | None]] = {}
    items = set()
    for item, one in said.items():
        if ItemId(item) not in live.items or (item in known and moments[item] <= known[item]):
            continue
        for name, value in one.numbers.items():
            if name in names:
                changes.setdefault(name, {})[ItemId(item)] = value
                items.add(item)
    if changes:
        board.change(changes, by=f"hook/{source}")
        # behind the change: were it refused or lost, the vendor's next attempt is as new as this one
        ledger.keep_fact_moments(source, {item: moments[item] for item in items if item in moments})
    return len(items)
