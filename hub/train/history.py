"""What the ledger knows of everybody, in the order in which it became known: the past that training may look at.

A node's records come in its own order, at the moments at which it received them. Imported history was never received
live: each event counts from the time at which it happened, ties in the order of the file. Nothing else may decide what
was known before what; half of real events share a second with another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.events import TOUCHING, Kind, kind_of
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.profile.reduce import touches_profile
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord
from hub.ledger.batch import parts_of
from hub.ledger.canonical import Folding
from hub.ledger.ledger import Ledger
from hub.train.contexts import Pages


class Deed(NamedTuple):
    """One record, when it became known, and whose it is."""

    moment_ms: int
    visitor: int
    """Visitors are numbered as they appear, so that training does not depend on a site's secret keys."""
    record: Folding


class Touches(NamedTuple):
    """Every touch of an item, one entry each, in order."""

    deed: NDArray[np.int64]
    """Which deed it belongs to."""
    visitor: NDArray[np.int32]
    item: NDArray[np.int32]
    """Position in `items`."""
    moment_ms: NDArray[np.int64]
    rating: NDArray[np.float64]
    """Stars; NaN where there are none."""
    items: tuple[ItemId, ...]
    """Sorted."""

    def between(self, first: int, last: int) -> Touches:
        """Entries from `first` (included) to `last` (excluded), of the same items."""
        part = slice(first, last)
        return Touches(
            self.deed[part], self.visitor[part], self.item[part], self.moment_ms[part], self.rating[part], self.items
        )


class History:
    """Deeds in the order in which they became known; a deed's place in it is its number."""

    def __init__(self, records: Sequence[Folding], persons: Mapping[SubjectId, SubjectId] | None = None) -> None:
        """`records` in any order; those that may not be tied to a person, or move no profile, are left out.

        `persons` says whose subject it is, for those that are not a person of their own: nodes decide by the profile of
        the whole person, so a model must learn from it.
        """
        persons = persons or {}
        ordered = _in_order(records)
        number: dict[SubjectId, int] = {}
        self.deeds: list[Deed] = [
            Deed(moment_ms, number.setdefault(persons.get(record.subject, record.subject), len(number)), record)
            for moment_ms, record in ordered
        ]
        self.visitors = len(number)
        self.touches = _touches(self.deeds)

    def __len__(self) -> int:
        return len(self.deeds)

    def by_visitor(self) -> Iterator[list[int]]:
        """Numbers of the deeds of each visitor, in order."""
        numbers: list[list[int]] = [[] for _ in range(self.visitors)]
        for place, deed in enumerate(self.deeds):
            numbers[deed.visitor].append(place)
        yield from numbers

    def digest(self) -> str:
        """SHA-256 over who touched what when, 64 hex digits; equal histories of two hubs have equal digests."""
        touches = self.touches
        hashed = hashlib.sha256(msgspec.json.encode([touches.items, len(self.deeds)]))
        for column in (touches.deed, touches.visitor, touches.item, touches.moment_ms):
            hashed.update(column.astype("<i8").tobytes())
        hashed.update(touches.rating.astype("<f8").tobytes())
        return hashed.hexdigest()


def read_history(ledger: Ledger, *, with_bodies: bool = False, until_ms: int | None = None) -> History:
    """Everything that the ledger holds now; with `until_ms`, of what happened before that moment.

    Of what events said only their page is kept, for it is most of a ledger; `with_bodies` all of it.
    """
    pages, records = Pages(), list[Folding]()
    for _, decision in ledger.decisions(until_ms=until_ms):
        pages.remember(decision)
        if decision.impressions or decision.enrolled:
            records.append(_without_rows(decision))
    records += [event if with_bodies else pages.on_its_page(event) for _, event in ledger.events()]
    records += [said for _, said in ledger.preferences()]
    if until_ms is not None:
        records = [record for record in records if record.time_ms < until_ms]
    return History(records, ledger.persons())


def _without_rows(decision: DecisionRecord) -> DecisionRecord:
    return msgspec.structs.replace(decision, shown={}, sampled={}, decision=b"")


def _in_order(records: Sequence[Folding]) -> list[tuple[int, Folding]]:
    by_producer: dict[Producer, list[Folding]] = {}
    for record in records:
        if record.subject and (isinstance(record, PreferenceRecord) or touches_profile(record)):
            by_producer.setdefault(record.producer, []).append(record)
    timed: list[tuple[int, Producer, int, Folding]] = []
    for name, own in by_producer.items():
        if parts_of(name).epoch is None:
            timed += [
                (record.time_ms, name, number, record) for number, record in enumerate(_renumbered(own))
            ]  # an import
        else:
            own.sort(key=lambda record: record.seq)
            # A node's clock may be set back, its sequence never: what came later became known later.
            moments = np.maximum.accumulate([_received_ms(record) for record in own]).tolist()
            timed += [(moment, name, record.seq, record) for moment, record in zip(moments, own, strict=True)]
    timed.sort(key=lambda entry: entry[:3])
    return [(moment_ms, record) for moment_ms, _, _, record in timed]


def _renumbered(imported: list[Folding]) -> list[Folding]:
    """By time; the sequence follows, because a file that grew may have added something older behind the rest."""
    imported.sort(key=lambda record: (record.time_ms, record.seq))
    return [
        record if record.seq == number else msgspec.structs.replace(record, seq=number)
        for number, record in enumerate(imported)
    ]


def _received_ms(record: Folding) -> int:
    return record.time_ms if isinstance(record, DecisionRecord) else record.received_ms


def _touches(deeds: Sequence[Deed]) -> Touches:
    numbers: list[int] = []
    names: list[ItemId] = []
    ratings: list[float] = []
    for number, deed in enumerate(deeds):
        if isinstance(deed.record, EventRecord) and kind_of(deed.record.type, deed.record.name) in TOUCHING:
            for touch in deed.record.touches:
                numbers.append(number)
                names.append(touch.item)
                ratings.append(np.nan if touch.rating is None else touch.rating)
    items = tuple(sorted(set(names)))
    code = {item: position for position, item in enumerate(items)}
    deed_numbers = np.array(numbers, np.int64)
    return Touches(
        deed=deed_numbers,
        visitor=np.array([deed.visitor for deed in deeds], np.int32)[deed_numbers],
        item=np.array([code[name] for name in names], np.int32),
        moment_ms=np.array([deed.moment_ms for deed in deeds], np.int64)[deed_numbers],
        rating=np.array(ratings, np.float64),
        items=items,
    )


def kind_of_event(record: EventRecord) -> Kind:
    """What an event says of a visitor and an item."""
    return kind_of(record.type, record.name)
