"""Second pass of a source's import: numbered, stored, folded; the vault filled; what is known but differs refused."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from itertools import islice
from typing import Any

import msgspec

from edgewise.clock import Clock
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.records import EventRecord, PreferenceRecord
from hub.imports.events import AT_ONCE
from hub.imports.sorted_runs import SortedRuns
from hub.imports.source_calls import RowCall
from hub.imports.source_rejects import SourceRejects
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ContactRow
from hub.sources.fault import Fault
from hub.sources.repeating import Statements, key_of
from hub.topics.tickets import FOUND, TOPIC_MODEL


class _Carried(msgspec.Struct, frozen=True, array_like=True):
    """An event between the passes, with what must be known of its rows."""

    record: EventRecord
    rows: tuple[int, ...]
    contact: dict[str, Any] | None
    contact_key: str
    said: PreferenceRecord | None
    """What the person stated with it."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Carried).decode


def carried(record: EventRecord, row_call: RowCall, said: PreferenceRecord | None) -> bytes:
    """What the second pass reads."""
    return _encode(_Carried(record, row_call.rows, row_call.contact, row_call.contact_key, said))


class Storing:
    """Stores in batches; a live hub on the same ledger stores its own between two of them."""

    def __init__(self, ledger: Ledger, name: str, rejects: SourceRejects, clock: Clock) -> None:
        self._ledger = ledger
        self._name = name
        self._rejects = rejects
        self._clock = clock
        self.stored = 0
        self.known = 0
        self.differing = 0
        """Known by their message id, but saying something else: their rows are refused."""
        self.contacts = 0
        self.changed: set[SubjectId] = set()

    def all(self, runs: SortedRuns, progress: Callable[[int], None]) -> None:
        """Store everything that was sorted."""
        ordered = iter(runs)
        done = 0
        aside: dict[str, list[_Carried]] = {}
        while some := [_decode(payload) for _, payload in islice(ordered, AT_ONCE)]:
            if named := self._named(some, aside):
                self._store(named)
            done += len(some)
            progress(done)
        waiting = iter(aside.items())
        while keys := dict(islice(waiting, AT_ONCE)):
            found: list[_Carried] = []
            stored = self._ledger.statements_of(keys)
            for key, of_key in keys.items():
                ids = Statements(stored.get(key, ())).ids([one.record.message_id for one in of_key])
                found += [_called(one, message_id) for one, message_id in zip(of_key, ids, strict=True)]
            self._store(found)

    def _named(self, some: Sequence[_Carried], aside: dict[str, list[_Carried]]) -> list[_Carried]:
        """Those that can be stored now. Only the rest of the file shows whether what was said before is said anew."""
        keys = [key_of(one.record.message_id) for one in some]
        wanted = {key for key in keys if key is not None}
        if not wanted:
            return list(some)
        stored = self._ledger.statements_of(wanted)
        said = {key: Statements(stored.get(key, ())) for key in wanted}
        found = []
        for one, key in zip(some, keys, strict=True):
            if key is None:
                found.append(one)
            elif key in aside or said[key].is_open(one.record.message_id):
                aside.setdefault(key, []).append(one)
            else:
                found.append(_called(one, *said[key].ids([one.record.message_id])))
        return found

    def _store(self, some: Sequence[_Carried]) -> None:
        events = [one.record for one in some]
        records = [record for one in some for record in (one.record, one.said) if record is not None]
        stored, known = self._ledger.append(Producer(f"import/{self._name}"), records, self._clock.now_ms())
        self.changed |= stored.changed
        self.stored += len(some) - known
        kept: Sequence[_Carried] = some
        if known:
            # what was passed over is known, or belongs to somebody who was erased: then it stays out of the vault, too
            there = self._ledger.events_named([event.message_id for event in events])
            # an event that names somebody who was erased was stored without him
            erased = self._ledger.erased(sorted({each for event in events for each in event.identifiers.values()}))
            differing = [one for one in some if _differs(one.record, there, erased)]
            for one in differing:
                for number in one.rows:
                    self._rejects.add(number, _DIFFERS)
            self.known += known - len(differing)
            self.differing += len(differing)
            kept = [one for one in some if one.record.message_id in there and not _differs(one.record, there, erased)]
        self.contacts += self._ledger.keep_contacts(
            [
                ContactRow(self._name, one.contact_key, one.record.subject, one.contact, one.record.time_ms)
                for one in kept
                if one.contact is not None and one.record.subject
            ]
        )


def _called(one: _Carried, message_id: MessageId) -> _Carried:
    if one.record.message_id == message_id:
        return one
    return msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, message_id=message_id))


_DIFFERS = Fault("", "", "known by its key, with other content", "the same as before, or another key")


def _differs(event: EventRecord, there: dict[MessageId, EventRecord], erased: Container[SubjectId]) -> bool:
    before = there.get(event.message_id)
    return before is not None and _said(before, erased) != _said(event, erased)


def _said(event: EventRecord, erased: Container[SubjectId]) -> tuple[Any, ...]:
    """What a source says in an event: without its number, and without what catalogue and consent add."""
    touches = [(touch.item, touch.quantity, touch.value_minor) for touch in event.touches]
    body = _without_topic(event.body) if event.subject else b""
    identifiers = {name: each for name, each in event.identifiers.items() if each not in erased}
    return event.type, event.name, event.traits, identifiers, touches, body


def _without_topic(body: bytes) -> Any:
    """A model that was trained again may find another topic in the same text."""
    if TOPIC_MODEL.encode() not in body:
        return body
    said = msgspec.json.decode(body, type=dict[str, dict[str, Any]])
    properties = said.get("properties", {})
    if TOPIC_MODEL in properties:
        for name in FOUND:
            properties.pop(name, None)
    return said
