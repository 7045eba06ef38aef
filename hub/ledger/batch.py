"""Payloads of one producer, put into its order. Pure: what is wrong with a payload is a value here.

A payload that cannot be used still takes its number, or everything behind it would wait for ever; it is stored
as a dead letter. Where it does not even tell its number, its neighbours do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from edgewise.ids import NodeId, Producer, producer
from edgewise.money import is_code
from edgewise.records import DecisionRecord, EventRecord, GapRecord, PreferenceRecord, Record, Touch, decode_record
from edgewise.touches import MOST_ENGAGED_MS

MOST_ID_CHARACTERS: Final = 512
MOST_SEQ: Final = 2**62
MOST_TIME_MS: Final = 2**48
"""As far as a ULID counts: the year 10889."""
MOST_MINOR: Final = 10**13
"""Money of one touch. A day's sum of a profile stays inside 64 bits for 900,000 such touches."""
MOST_REASON_CHARACTERS: Final = 500
_PLAIN_MINOR: Final = 10**8
_PLAIN_QUANTITY: Final = 10**5
"""Together they are within MOST_MINOR."""
MOST_GAP: Final = 2**36
"""How far beyond the mark one record may declare numbers lost. The longest true gap is all that a process has numbered
in its life, for a hub that has lost its ledger: 2,000 records a second for a year. A longer one is damaged, and taking
it would turn away everything that the process is yet to send."""


class Batch(NamedTuple):
    """Consecutive records of one producer, as they came."""

    producer: Producer
    payloads: Sequence[bytes]


class Placed(NamedTuple):
    """One payload and the numbers that it takes; `first_seq` is None while nobody knows them."""

    first_seq: int | None
    last_seq: int | None
    payload: bytes
    record: Record | None
    """None: a dead letter, because of `fault`."""
    fault: str


class Followed(NamedTuple):
    """What of a batch follows on what is stored."""

    accepted: list[Placed]
    """In order, without holes, beginning right behind the mark."""
    mark: int
    """The last number of it, or what was stored before."""
    hole: tuple[int, int] | None
    """(expected, came) where records are missing; what lies behind is left out."""


class ProducerParts(NamedTuple):
    """A producer's name taken apart; an import has neither epoch nor worker."""

    node: str
    epoch: int | None
    worker: int | None


class _Numbered(msgspec.Struct):
    producer: str
    seq: int
    record: str = ""


_numbered = msgspec.msgpack.Decoder(_Numbered)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: text that is no UTF-8 is not wrapped by msgspec."""


def node_batch(node: NodeId, epoch: int, worker: int, payloads: Sequence[bytes]) -> Batch:
    """A node's batch, under the producer that all of its records must name."""
    return Batch(producer(node, epoch, worker), payloads)


def parts_of(name: Producer) -> ProducerParts:
    """`node/epoch/worker`, or `import/NAME`."""
    node, _, rest = name.partition("/")
    epoch, _, worker = rest.partition("/")
    if epoch.isdecimal() and worker.isdecimal():
        return ProducerParts(node, int(epoch), int(worker))
    return ProducerParts(node, None, None)


def place(batch: Batch) -> list[Placed]:
    """Every payload with its numbers, as far as the batch tells; all are None when no payload knows its own."""
    placed = [_read(batch.producer, payload) for payload in batch.payloads]
    known = next((index for index, one in enumerate(placed) if one.first_seq is not None), None)
    if known is None:
        return placed
    following = placed[known].first_seq
    for index in range(known - 1, -1, -1):
        assert following is not None
        following -= 1
        placed[index] = placed[index]._replace(first_seq=following, last_seq=following)
    return _number_onwards(placed)


def number_from(placed: Sequence[Placed], first_seq: int) -> list[Placed]:
    """Number payloads of which none knows its own, from `first_seq` on, which may lie below 0."""
    first, *rest = placed
    return _number_onwards([first._replace(first_seq=first_seq, last_seq=first_seq), *rest])


def follow(placed: Sequence[Placed], mark: int) -> Followed:
    """Take what comes behind `mark`, and pass over what was stored before.

    The records of a batch are consecutive. So where exactly one number is out of its place, that number is wrong, not
    the batch: the record becomes a dead letter in its place, or everything behind it would wait for ever. So does a
    gap that is longer than any true one.
    """
    accepted: list[Placed] = []
    for index, one in enumerate(placed):
        assert one.first_seq is not None
        assert one.last_seq is not None
        expected = mark + 1
        if one.last_seq < expected:
            continue
        if one.first_seq > expected:
            after = placed[index + 1].first_seq if index + 1 < len(placed) else None
            before = placed[index - 1].last_seq if index else None
            if after == expected + 1:
                accepted.append(_out_of_place(one, expected))
                mark = expected
                continue
            if one.first_seq != expected + 1 or before is None or before == mark:
                return Followed(accepted, mark, (expected, one.first_seq))
            accepted.append(_out_of_place(placed[index - 1], expected))
            expected += 1
        if one.last_seq - expected >= MOST_GAP:
            accepted.append(_too_long(one, expected))
            mark = expected
            continue
        # a gap may begin below the mark: its first records had arrived, only their acknowledgement was lost
        accepted.append(one if one.first_seq == expected else one._replace(first_seq=expected))
        mark = one.last_seq
    return Followed(accepted, mark, None)


def fault_of(record: Record) -> str:
    """Why a well-formed record cannot be stored, or "" when it can: bounds that the databases have."""
    if isinstance(record, EventRecord) and _is_plain(record):
        return ""
    return fault_in_words(record)


def fault_in_words(record: Record) -> str:
    """The same, each bound by itself."""
    texts = "".join(_texts_of(record))  # one look for all of them: nearly every record is sound
    faults = (
        *(map(_fault_of_text, _texts_of(record)) if len(texts) > MOST_ID_CHARACTERS or "\0" in texts else ()),
        *map(_fault_of_time, _times_of(record)),
        *_faults_of_content(record),
        "" if 0 <= record.seq < MOST_SEQ else f"seq {record.seq}, expected 0 to 2^62 - at `$.seq`",
    )
    return next(filter(None, faults), "")


def _is_plain(event: EventRecord) -> bool:
    """Whether an event is so far inside every bound that they need not be looked at one by one: nearly every one is."""
    if event.engaged_ms or event.topics or event.ticket or event.currency or event.mood is not None:
        return False
    texts = f"{event.subject}{event.message_id}{event.type}{event.name}{event.decision_id}{event.placement}"
    for kind, identifier in event.identifiers.items():
        texts += kind + identifier
    for touch in event.touches:
        if touch.rating is not None or touch.listed_minor or abs(touch.value_minor) > _PLAIN_MINOR:
            return False
        if abs(touch.quantity) > _PLAIN_QUANTITY:
            return False
        texts += touch.item
    return (
        len(texts) <= MOST_ID_CHARACTERS
        and "\0" not in texts
        and event.message_id != ""
        and 0 <= event.seq < MOST_SEQ
        and 0 <= event.time_ms < MOST_TIME_MS
        and 0 <= event.received_ms < MOST_TIME_MS
    )


def _texts_of(record: Record) -> tuple[str, ...]:
    match record:
        case EventRecord():
            said = (record.subject, record.message_id, record.type, record.name)
            named = (record.decision_id or "", record.placement or "", record.ticket, record.currency)
            ids = (*record.identifiers, *record.identifiers.values())
            return (*said, *named, *ids, *record.topics, *(touch.item for touch in record.touches))
        case DecisionRecord():
            return (record.decision_id, record.subject)
        case PreferenceRecord():
            return (record.subject,)
        case GapRecord():
            return (record.lane,)


def _times_of(record: Record) -> tuple[int, ...]:
    match record:
        case EventRecord() | PreferenceRecord():
            return (record.time_ms, record.received_ms)
        case DecisionRecord():
            return (record.time_ms,)
        case GapRecord():
            return ()


def _faults_of_content(record: Record) -> Iterator[str]:
    match record:
        case EventRecord():
            yield "" if record.message_id else "an empty message id - at `$.message_id`"
            yield _fault_of_stated(record)
            yield from (
                f"{fault} - at `$.touches[{index}]`"
                for index, touch in enumerate(record.touches)
                if (fault := _fault_of_touch(touch))
            )
        case DecisionRecord():
            yield "" if record.decision_id else "an empty decision id - at `$.decision_id`"
            version = record.bundle_version
            yield "" if abs(version) < MOST_SEQ else f"bundle version {version} - at `$.bundle_version`"
        case PreferenceRecord():
            pass
        case GapRecord():
            sound = 0 <= record.first_seq <= record.seq and 0 <= record.count <= record.seq - record.first_seq + 1
            yield "" if sound else f"a gap of {record.count} records, {record.first_seq} to {record.seq}"


def _fault_of_text(text: str) -> str:
    if len(text) > MOST_ID_CHARACTERS:
        return f"an id of {len(text)} characters, expected at most {MOST_ID_CHARACTERS}: {text[:40]!r}…"
    return f"a NUL character in {text[:40]!r}" if "\0" in text else ""


def _fault_of_time(time_ms: int) -> str:
    return "" if 0 <= time_ms < MOST_TIME_MS else f"time {time_ms} ms, expected 0 to 2^48"


def _fault_of_stated(event: EventRecord) -> str:
    if not 0 <= event.engaged_ms <= MOST_ENGAGED_MS:
        return f"engaged for {event.engaged_ms} ms, expected 0 to {MOST_ENGAGED_MS} - at `$.engaged_ms`"
    if event.mood is not None and not -1 <= event.mood <= 1:
        return f"mood {event.mood}, expected -1 to 1 - at `$.mood`"
    if event.currency and not is_code(event.currency):
        return f"currency {event.currency[:40]!r}, expected a code of ISO 4217 - at `$.currency`"
    return ""


def _fault_of_touch(touch: Touch) -> str:
    if max(abs(touch.quantity), abs(touch.value_minor), abs(touch.listed_minor)) > MOST_MINOR:
        return f"a quantity or price beyond {MOST_MINOR}"
    if abs(touch.value_minor * touch.quantity) > MOST_MINOR:
        return f"{touch.quantity} x {touch.value_minor} minor units, expected at most {MOST_MINOR}"
    if touch.rating is not None and not math.isfinite(touch.rating):
        return f"rating {touch.rating}, expected a finite number"
    return ""


def _read(name: Producer, payload: bytes) -> Placed:
    try:
        record = decode_record(payload)
    except _UNREADABLE as wrong:
        return _refused(name, payload, str(wrong))
    if record.producer != name:
        return Placed(None, None, payload, None, f"record of {record.producer[:200]!r}, expected {name!r}")
    if fault := fault_of(record):
        return _refused(name, payload, fault)
    first_seq = record.first_seq if isinstance(record, GapRecord) else record.seq
    return Placed(first_seq, record.seq, payload, record, "")


def _out_of_place(one: Placed, seq: int) -> Placed:
    return Placed(seq, seq, one.payload, None, one.fault or f"numbered {one.last_seq}, in the place of {seq}")


def _too_long(one: Placed, seq: int) -> Placed:
    fault = one.fault or f"a gap up to {one.last_seq}, expected at most {MOST_GAP} numbers from {seq} on"
    return Placed(seq, seq, one.payload, None, fault)


def _refused(name: Producer, payload: bytes, fault: str) -> Placed:
    fault = fault[:MOST_REASON_CHARACTERS]
    try:
        numbered = _numbered.decode(payload)
    except _UNREADABLE:
        return Placed(None, None, payload, None, fault)
    if numbered.producer != name or not 0 <= numbered.seq < MOST_SEQ:
        return Placed(None, None, payload, None, fault)
    # which numbers an unreadable gap record meant cannot be known: it covers what is missing up to its own
    first_seq = 0 if numbered.record == "gap" else numbered.seq
    return Placed(first_seq, numbered.seq, payload, None, fault)


def _number_onwards(placed: list[Placed]) -> list[Placed]:
    """Number each unnumbered payload by the one before it; the first must be numbered."""
    numbered = placed[:1]
    for one in placed[1:]:
        before = numbered[-1].last_seq
        assert before is not None
        numbered.append(one if one.first_seq is not None else one._replace(first_seq=before + 1, last_seq=before + 1))
    return numbered
