"""Rows of a delivery into records, as an import of the same source would make them.

They have the same ids, so that neither counts what the other has stored.
"""

from __future__ import annotations

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
from hub.ledger.ledger import Ledger
from hub.sources.document import SourceDocument
from hub.sources.fault import Fault
from hub.sources.stating import stated_with
from hub.sources.translate import Translator
from hub.topics.tickets import Topics, without_texts
from hub.webhooks.rejects import Refused

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Translated(NamedTuple):
    """What a delivery's rows say."""

    records: list[EventRecord | PreferenceRecord]
    refused: list[Refused]
    passed_over: int
    """Rows that no rule is for, of robots, of people who granted nothing, from before an erasure."""
    trouble: str
    """What an operator should know, "" where all is well: tickets have no topic because a model is missing."""


class _Found(NamedTuple):
    number: int
    row: Any
    call: dict[str, Any]


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
    found, passed_over = _calls(name, document, rows, refused)
    trouble = "" if document.topic is None else _topics(document, [one.call for one in found], topics)
    decoded: list[tuple[_Found, Call, SubjectId]] = []
    for one in found:
        try:
            call = decode_call(_encode(one.call), type=None)
            decoded.append((one, call, subject_of_call(call, intake.subject_key, vouched=True)))
        except InputError as wrong:
            refused.append(_refusal(one.number, one.row, wrong))
    visitors = Visitors(ledger, intake.default_consent)
    visitors.look_up({subject for _, _, subject in decoded})
    records: list[EventRecord | PreferenceRecord] = []
    for one, call, subject in decoded:
        try:
            made = _records(name, one, call, subject, visitors=visitors, intake=intake, now_ms=now_ms)
        except InputError as wrong:
            refused.append(_refusal(one.number, one.row, wrong))
            continue
        passed_over += not made
        records += made
    return Translated(records, refused, passed_over, trouble)


def _calls(
    name: str, document: SourceDocument, rows: Sequence[Any], refused: list[Refused]
) -> tuple[list[_Found], int]:
    translator = Translator(document, name)
    found: list[_Found] = []
    passed_over = 0
    has_calls = document.webhook is not None and document.webhook.has_calls
    for number, row in enumerate(rows, 1):
        try:
            calls = _calls_of(translator, row, number, has_calls=has_calls)
        except Fault as fault:
            refused.append(_refusal(number, row, fault))
            continue
        passed_over += not calls
        found += [_Found(number, row, call) for call in calls]
    return found, passed_over


def _calls_of(translator: Translator, row: Any, number: int, *, has_calls: bool) -> list[dict[str, Any]]:
    if not isinstance(row, dict):
        raise Fault("", row, type(row).__name__, "an object")
    if has_calls:
        return [row]
    return [] if translator.is_robot(row) else translator.calls(row, number)


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
        vouched=True,
    )
    said = stated_with(call, subject, now_ms)
    if said is not None:
        # a denial is kept even of somebody of whom nothing else may be; its event, which names nobody then, tells it
        # from its repetition
        return [record, said]
    return [record] if keeps else []


def _refusal(number: int, row: Any, wrong: InputError | None) -> Refused:
    content = _encode(row).decode("utf-8", "backslashreplace")
    match wrong:
        case None:
            return Refused(number, "", "", "", "", content)
        case Fault():
            return Refused(number, wrong.column, wrong.value, wrong.reason, wrong.expected, content)
        case _:
            problem = wrong.problems[0] if wrong.problems else Problem("", wrong.message)
            return Refused(number, problem.path, "", "no valid call", problem.message, content)
