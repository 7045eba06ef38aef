"""Rows of the profile cache: a profile with what is known of its local records, and those records themselves.

    row = minute of the visitor's last use (u32) | CRC32C of the rest (u32) | rest
    rest = number of pending records, length of `given_up` | `given_up` as MessagePack | profile

The minute is what eviction goes by. It stands outside the checksum, because it changes without the rest; a row that
is nothing but a minute is of somebody who has begun here (`ProfileCache.begin`).

`pending` holds the local records of a visitor that no snapshot of the hub has contained yet. It is bounded: of too
many the oldest are given up, and the row remembers up to where, so that a snapshot which misses them is not taken.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Final

import google_crc32c
import lmdb
import msgspec

from edge.profiles.cache_file import Txn
from edge.profiles.forgetting import Unstored, delete
from edgewise.errors import MALFORMED
from edgewise.ids import Producer
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile, decode_profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, Record, decode_record, encode_record
from edgewise.request import Context

MAX_PENDING: Final = 256
"""Local records kept a visitor."""

_key = struct.Struct(">16s8sQ")
"""Subject, hash of the producer, seq: one producer's records in its own order, which is what `apply` asks for."""
_minute = struct.Struct("<I")
_sum = struct.Struct("<I")
_head = struct.Struct("<HI")
_given_up = msgspec.msgpack.Decoder(dict[Producer, int])


class ProfileRow(msgspec.Struct):
    """One visitor's row, decoded; the caller's to change."""

    profile: Profile = msgspec.field(default_factory=Profile)
    pending: int = 0
    given_up: dict[Producer, int] = {}
    """Producer -> highest sequence of its records that are in the profile and no longer pending."""


class ProfileRows:
    """Reads and writes rows within the caller's transaction. A key is a subject's 16 bytes."""

    def __init__(self, db: Mapping[str, lmdb._Database], *, most_pending: int) -> None:
        """`db` is the file's own, whose databases change with it."""
        self._db = db
        self._most_pending = most_pending

    def get(self, txn: Txn, key: bytes) -> ProfileRow | None:
        """None when nothing is cached, or what is cached cannot be read: the hub has it."""
        found = txn.get(key, db=self._db["profiles"])
        if found is None:
            return None
        try:
            rest = _checked(found)
            pending, length = _head.unpack_from(rest)
            given_up = _given_up.decode(rest[_head.size : _head.size + length]) if length else {}
            return ProfileRow(_profile_in(rest), pending, given_up)
        except (ValueError, struct.error):
            return None

    def put(self, txn: Txn, key: bytes, row: ProfileRow, minute: int, *, is_use: bool = True) -> None:
        """Replace a row; where the hub speaks of a visitor, and not he himself has come, his last use stays."""
        if not is_use:
            minute = last_use(txn.get(key, db=self._db["profiles"]) or b"", minute)
        given_up = msgspec.msgpack.encode(row.given_up) if row.given_up else b""
        rest = _head.pack(row.pending, len(given_up)) + given_up + encode_profile(row.profile)
        txn.put(key, _minute.pack(minute) + with_checksum(rest), db=self._db["profiles"])

    def stamp(self, txn: Txn, key: bytes, minute: int) -> None:
        """Write down that a visitor was here."""
        found = txn.get(key, db=self._db["profiles"])
        if found is not None:
            txn.put(key, _minute.pack(minute) + found[_minute.size :], db=self._db["profiles"])

    def begin(self, txn: Txn, key: bytes, minute: int) -> None:
        """A row without a profile, unless there is any."""
        txn.put(key, _minute.pack(minute), db=self._db["profiles"], overwrite=False)

    def add_pending(self, txn: Txn, key: bytes, row: ProfileRow, record: EventRecord | DecisionRecord) -> None:
        """Keep a record until a snapshot contains it, or too many came since; changes `row`."""
        producer = hashlib.blake2b(record.producer.encode(), digest_size=8).digest()
        payload = encode_record(_what_moves_profiles(record))
        txn.put(_key.pack(key, producer, record.seq), payload, db=self._db["pending"])
        row.pending += 1
        if row.pending > self._most_pending:
            self._give_up_oldest(txn, key, row)

    def pending_of(self, txn: Txn, key: bytes) -> Iterator[tuple[bytes, EventRecord | DecisionRecord]]:
        """A visitor's pending records with their keys, producer by producer in its order; may be deleted meanwhile.

        What is damaged is deleted: the hub has it, or gets it from the spool, and tells of it with its next snapshot.
        """
        for pending_key, payload in self._pending_rows(txn, key):
            try:
                record: Record | None = decode_record(payload)
            except MALFORMED:
                record = None
            if isinstance(record, EventRecord | DecisionRecord):
                yield pending_key, record
            else:
                txn.delete(pending_key, db=self._db["pending"])

    def _pending_rows(self, txn: Txn, key: bytes) -> list[tuple[bytes, bytes]]:
        cursor = txn.cursor(db=self._db["pending"])
        found = cursor.set_range(key)
        rows = []
        while found and cursor.key()[: len(key)] == key:
            rows.append((cursor.key(), cursor.value()))
            found = cursor.next()
        return rows

    def _give_up_oldest(self, txn: Txn, key: bytes, row: ProfileRow) -> None:
        """Forget a quarter of them: giving up one at a time would have to be done again at every event."""
        pending = list(self.pending_of(txn, key))
        for pending_key, record in pending[: 1 + len(pending) // 4]:
            row.given_up[record.producer] = max(record.seq, row.given_up.get(record.producer, -1))
            txn.delete(pending_key, db=self._db["pending"])
            row.pending -= 1

    def drop(self, txn: Txn, key: bytes) -> None:
        """Delete a row and all that is pending."""
        for pending_key, _ in self._pending_rows(txn, key):
            txn.delete(pending_key, db=self._db["pending"])
        txn.delete(key, db=self._db["profiles"])

    def forget(self, txn: Txn, key: bytes, minute: int, left: Unstored | None = None) -> bool:
        """The same for good: what is deleted is overwritten first. False when there was nothing.

        `left`: what is pending and of that kind stays, and makes a row of its own.
        """
        stay = {} if left is None else {own: one for own, one in self.pending_of(txn, key) if left.holds(one)}
        pending = self._pending_rows(txn, key)
        for pending_key, _ in pending:
            if pending_key not in stay:
                delete(txn, pending_key, self._db["pending"])
        is_known = delete(txn, key, self._db["profiles"]) or bool(pending)
        if stay:
            row = ProfileRow(pending=len(stay))
            for record in stay.values():
                apply(row.profile, record)
            self.put(txn, key, row, minute)
        return is_known

    def is_later(self, txn: Txn, key: bytes, until_ms: int) -> bool:
        """Whether all that is known of a visitor happened after a moment; False where nothing is."""
        row = self.get(txn, key)
        if row is None or row.profile.first_ms <= until_ms:
            return False
        # the profile's first time is that of events; what decisions left in it has its own
        left_ms = [shown.time_ms for shown in row.profile.impressions]
        left_ms += [enrolment.time_ms for enrolment in row.profile.enrolments.values()]
        if any(time_ms <= until_ms for time_ms in left_ms):
            return False
        return all(record.time_ms > until_ms for _, record in self.pending_of(txn, key))


def _what_moves_profiles(record: EventRecord | DecisionRecord) -> EventRecord | DecisionRecord:
    """A record without what no profile looks at: it may have to be applied again, and nothing else."""
    if isinstance(record, EventRecord):
        return msgspec.structs.replace(record, body=b"")
    return msgspec.structs.replace(
        record,
        placements=(),
        context=Context(),
        applied={},
        decision=b"",
        shown={},
        sampled={},
        shadows={},
        force={},
        mute={},
    )


def profile_of(row: bytes) -> Profile:
    """The profile in a stored row, without the rest: the one thing that a decision reads.

    Raises:
        ValueError, struct.error: it is no row, or damaged.
    """
    return _profile_in(_checked(row))


def is_whole_row(row: bytes) -> bool:
    """Whether a stored row holds more than that somebody has begun here."""
    return len(row) > _minute.size


def last_use(row: bytes, otherwise: int) -> int:
    """The minute of a stored row."""
    return int(_minute.unpack_from(row)[0]) if len(row) >= _minute.size else otherwise


def with_checksum(content: bytes) -> bytes:
    """Content that says whether it is whole: LMDB does not notice a flipped bit."""
    return _sum.pack(google_crc32c.value(content)) + content


def without_checksum(stored: bytes) -> bytes:
    """Raises ValueError when the content is not the one that was stored."""
    content = stored[_sum.size :]
    if len(stored) < _sum.size or _sum.unpack_from(stored)[0] != google_crc32c.value(content):
        raise ValueError("a row of the profile cache is damaged")
    return content


def _checked(row: bytes) -> bytes:
    return without_checksum(row[_minute.size :])


def _profile_in(rest: bytes) -> Profile:
    _, length = _head.unpack_from(rest)
    return decode_profile(rest[_head.size + length :])
