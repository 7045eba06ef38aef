"""Rows of a delivery into records, as an import of the same source would make them.

They have the same ids, so that neither counts what the other has stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from edgewise.errors import EdgewiseError, InputError, Problem
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.intake import Call, decode_call, event_time_ms, record_of
from edgewise.naming import subject_of_call
from edgewise.records import EventRecord, PreferenceRecord
from hub.imports.events import Intake
from hub.imports.visitors import Visitors
from hub.ledger.batch import fault_of
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ContactRow
from hub.sources.document import SourceDocument
from hub.sources.fault import UNFORESEEN, Fault, as_fault
from hub.sources.repeating import ids_after, key_of
from hub.sources.stating import stated_with
from hub.sources.translate import Piece, Translator
from hub.topics.tickets import Topics, without_texts
from hub.webhooks.facts import FactsReader, Numbers, newer
from hub.webhooks.rejects import Refused

_encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode


class Translated(NamedTuple):
    """What a delivery's rows say."""

    records: list[EventRecord | PreferenceRecord]
    refused: list[Refused]
    contacts: list[ContactRow]
    """What the source's document keeps in plain words."""
    facts: dict[str, Numbers]
    """Of items."""
    passed_over: int
    """Rows that no rule is for, of robots, of people who granted nothing, from before an erasure."""
    trouble: str
    """What an operator should know, "" where all is well: tickets have no topic because a model is missing."""


class _Found(NamedTuple):
    number: int
    """Of the first of its rows."""
    row: Any
    call: dict[str, Any]
    contact: dict[str, Any] | None = None
    contact_key: str = ""
    consent_ms: int | None = None


def translate(
    name: str,
    document: SourceDocument,
    rows: Sequence[Any],
    *,
    ledger: Ledger,
    intake: Intake,
    topics: Topics,
    now_ms: int,
) -> Translated:
    """Records of the rows, numbered by nobody yet. A row of which anything is wrong gives none.

    Raises:
        UnavailableError: the ledger cannot be read.
    """
    refused: list[Refused] = []
    found, facts, passed_over = _calls(name, document, rows, refused)
    trouble = "" if document.topic is None else _topics(document, [one.call for one in found], topics)
    decoded: list[tuple[_Found, Call, SubjectId]] = []
    for one in found:
        try:
            call = decode_call(_encode(one.call), type=None)
            decoded.append((one, call, subject_of_call(call, intake.subject_key, vouched=True)))
        except (InputError, *UNFORESEEN) as wrong:
            refused.append(_refusal(one.number, one.row, wrong))
    visitors = Visitors(ledger, intake.default_consent)
    visitors.look_up({subject for _, _, subject in decoded})
    records: list[EventRecord | PreferenceRecord] = []
    contacts: list[ContactRow] = []
    for one, call, subject in decoded:
        try:
            made = _records(name, one, call, subject, visitors=visitors, intake=intake, now_ms=now_ms)
        except (InputError, *UNFORESEEN) as wrong:
            refused.append(_refusal(one.number, one.row, wrong))
            continue
        passed_over += not made
        records += made
        kept = next((record for record in made if isinstance(record, EventRecord) and record.subject), None)
        if kept is not None and one.contact is not None:
            contacts.append(ContactRow(name, one.contact_key, kept.subject, one.contact, kept.time_ms))
    return Translated(_named(records, ledger), refused, contacts, facts, passed_over, trouble)


def _named(records: Sequence[EventRecord | PreferenceRecord], ledger: Ledger) -> list[EventRecord | PreferenceRecord]:
    """The records, those that say nothing of when by what was said before them."""
    events = [record for record in records if isinstance(record, EventRecord)]
    keys = {key for event in events if (key := key_of(event.message_id)) is not None}
    if not keys:
        return list(records)
    ids = iter(ids_after([event.message_id for event in events], ledger.statements_of(keys)))
    return [
        msgspec.structs.replace(record, message_id=next(ids)) if isinstance(record, EventRecord) else record
        for record in records
    ]


def _calls(
    name: str, document: SourceDocument, rows: Sequence[Any], refused: list[Refused]
) -> tuple[list[_Found], dict[str, Numbers], int]:
    """Rows of one group make one call; those of other deliveries come too late for it."""
    reader = None if document.facts is None else FactsReader(document.facts, document)
    maker = _Maker(name, document)
    facts: dict[str, Numbers] = {}
    passed_over = 0
    for number, row in enumerate(rows, 1):
        try:
            if not isinstance(row, dict):
                raise Fault("", row, type(row).__name__, "an object")  # noqa: TRY301  # as every other fault of a row
            makes_calls = maker.add(number, row)
            said = None if reader is None else reader.numbers_of(row)
        except (Fault, *UNFORESEEN) as wrong:
            refused.append(_refusal(number, row, wrong))
            continue
        passed_over += not makes_calls and said is None
        if said is not None and newer(said[1], facts.get(said[0])):
            facts[said[0]] = said[1]
    return maker.found(refused), facts, passed_over


class _Maker:
    """Gathers what the rows of a delivery give to calls."""

    def __init__(self, name: str, document: SourceDocument) -> None:
        self._translator = Translator(document, name)
        self._has_calls = document.webhook is not None and document.webhook.has_calls
        self._pieces: list[list[tuple[Piece, Any]]] = []
        self._groups: dict[tuple[int, tuple[str, ...]], list[tuple[Piece, Any]]] = {}
        self._ready: list[_Found] = []

    def add(self, number: int, row: dict[str, Any]) -> bool:
        """Whether the row gives anything to a call. Raises Fault, or one of `UNFORESEEN`."""
        if self._has_calls:
            _encode(row)  # what cannot be written is refused before a model reads its texts
            self._ready.append(_Found(number, row, row))
            return True
        if self._translator.is_robot(row):
            return False
        pieces = self._translator.pieces(row, number)
        for piece in pieces:
            place = (piece.rule, piece.group or ())
            if piece.group is not None and place in self._groups:
                self._groups[place].append((piece, row))
                continue
            self._pieces.append([(piece, row)])
            if piece.group is not None:
                self._groups[place] = self._pieces[-1]
        return bool(pieces)

    def found(self, refused: list[Refused]) -> list[_Found]:
        """Every call, with the first of its rows."""
        for some in self._pieces:
            first, row = some[0]
            try:
                call = self._translator.join([piece for piece, _ in some])
            except (Fault, *UNFORESEEN) as wrong:
                refused += [_refusal(piece.number, each, wrong) for piece, each in some]
                continue
            key = "" if first.contact is None else self._translator.contact_key(first)
            self._ready.append(_Found(first.number, row, call, first.contact, key, first.consent_ms))
        return self._ready


def _topics(document: SourceDocument, calls: Sequence[dict[str, Any]], topics: Topics) -> str:
    """A ticket without a topic is worth more than none, and a vendor would not send it again for long."""
    assert document.topic is not None
    try:
        topics.write(document.topic, calls)
    except EdgewiseError as missing:
        without_texts(document.topic, calls)
        return str(missing)
    return ""


def _records(
    name: str, one: _Found, call: Call, subject: SubjectId, *, visitors: Visitors, intake: Intake, now_ms: int
) -> list[EventRecord | PreferenceRecord]:
    if visitors.is_erased(subject, event_time_ms(call, now_ms)):
        return []
    grants = visitors.grants(subject, call.consent)
    keeps = grants.personalisation or grants.analytics
    record = record_of(
        call,
        producer=Producer(""),
        seq=0,
        message_id=call.message_id or MessageId(f"{name}:{_refusal(one.number, one.row, None).digest}"),
        subject_key=intake.subject_key,
        grants=grants,
        received_ms=now_ms,
        attributes_of=intake.attributes_of,
        site_currency=intake.site_currency,
        vouched=True,
    )
    if unstorable := fault_of(record):
        raise Fault("", None, "cannot be stored", unstorable)
    said = stated_with(call, subject, now_ms, one.consent_ms)
    if said is not None:
        # a denial is kept even of somebody of whom nothing else may be; its event, which names nobody then, tells it
        # from its repetition
        return [record, said]
    return [record] if keeps else []


def _refusal(number: int, row: Any, wrong: Exception | None) -> Refused:
    content = _written(row)
    match wrong:
        case None:
            return Refused(number, "", "", "", "", content)
        case InputError() if not isinstance(wrong, Fault):
            problem = wrong.problems[0] if wrong.problems else Problem("", wrong.message)
            return Refused(number, problem.path, "", "no valid call", problem.message, content)
        case _:
            fault = as_fault(wrong)
            return Refused(number, fault.column, fault.value, fault.reason, fault.expected, content)


def _written(row: Any) -> str:
    """A row as JSON, for people's eyes where it is refused: also one that is no row at all."""
    try:
        return _encode(row).decode("utf-8")
    except UNFORESEEN:
        try:
            return json.dumps(row, default=str)  # lone surrogates as they came, escaped
        except UNFORESEEN:
            return f"{type(row).__name__}, which cannot be written as JSON"
