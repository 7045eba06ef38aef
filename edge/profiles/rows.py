"""Rows of the profile cache: a profile with what is known of its local records, and those records themselves.

`pending` holds the local records of a visitor that no snapshot of the hub has contained yet. It is bounded: of too
many the oldest are given up, and the row remembers up to where, so that a snapshot which misses them is not taken.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Final

import lmdb
import msgspec

from edge.profiles.cache_file import Txn
from edgewise.ids import Producer
from edgewise.profile.state import Profile, decode_profile, encode_profile
from edgewise.records import DecisionRecord, EventRecord, decode_record, encode_record
from edgewise.request import Context

MAX_PENDING: Final = 256
"""Local records kept a visitor."""

_key = struct.Struct(">16s8sQ")
"""Subject, hash of the producer, seq: one producer's records in its own order, which is what `apply` asks for."""
_head = struct.Struct("<HI")
"""Number of pending records, length of `given_up`; then `given_up` as MessagePack, then the profile."""
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
        self._profiles = db["profiles"]
        self._pending = db["pending"]
        self._most_pending = most_pending

    def get(self, txn: Txn, key: bytes) -> ProfileRow | None:
        """None when nothing is cached, or what is cached cannot be read: the hub has it."""
        found = txn.get(key, db=self._profiles)
        if found is None:
            return None
        try:
            pending, length = _head.unpack_from(found)
            given_up = _given_up.decode(found[_head.size : _head.size + length]) if length else {}
            return ProfileRow(profile_of(found), pending, given_up)
        except (ValueError, struct.error):
            return None

    def put(self, txn: Txn, key: bytes, row: ProfileRow) -> None:
        """Replace a row."""
        given_up = msgspec.msgpack.encode(row.given_up) if row.given_up else b""
        head = _head.pack(row.pending, len(given_up))
        txn.put(key, head + given_up + encode_profile(row.profile), db=self._profiles)

    def add_pending(self, txn: Txn, key: bytes, row: ProfileRow, record: EventRecord | DecisionRecord) -> None:
        """Keep a record until a snapshot contains it, or too many came since; changes `row`."""
        producer = hashlib.blake2b(record.producer.encode(), digest_size=8).digest()
        payload = encode_record(_what_moves_profiles(record))
        txn.put(_key.pack(key, producer, record.seq), payload, db=self._pending)
        row.pending += 1
        if row.pending > self._most_pending:
            self._give_up_oldest(txn, key, row)

    def pending_of(self, txn: Txn, key: bytes) -> Iterator[tuple[bytes, EventRecord | DecisionRecord]]:
        """A visitor's pending records with their keys, producer by producer in its order; may be deleted meanwhile."""
        cursor = txn.cursor(db=self._pending)
        found = cursor.set_range(key)
        rows = []
        while found and cursor.key()[: len(key)] == key:
            rows.append((cursor.key(), cursor.value()))
            found = cursor.next()
        for pending_key, payload in rows:
            record = decode_record(payload)
            assert isinstance(record, EventRecord | DecisionRecord)
            yield pending_key, record

    def _give_up_oldest(self, txn: Txn, key: bytes, row: ProfileRow) -> None:
        """Forget a quarter of them: giving up one at a time would have to be done again at every event."""
        pending = list(self.pending_of(txn, key))
        for pending_key, record in pending[: 1 + len(pending) // 4]:
            row.given_up[record.producer] = max(record.seq, row.given_up.get(record.producer, -1))
            txn.delete(pending_key, db=self._pending)
            row.pending -= 1

    def drop(self, txn: Txn, key: bytes) -> None:
        """Delete a row and all that is pending."""
        for pending_key, _ in self.pending_of(txn, key):
            txn.delete(pending_key, db=self._pending)
        txn.delete(key, db=self._profiles)


def _what_moves_profiles(record: EventRecord | DecisionRecord) -> EventRecord | DecisionRecord:
    """A record without what no profile looks at: it may have to be applied again, and nothing else."""
    if isinstance(record, EventRecord):
        return msgspec.structs.replace(record, body=b"")
    return msgspec.structs.replace(
        record, placements=(), context=Context(), applied={}, decision=b"", shown={}, sampled={}, force={}, mute={}
    )


def profile_of(row: bytes) -> Profile:
    """The profile in a stored row, without the rest: the one thing that a decision reads.

    Raises:
        ValueError, struct.error: it is no row.
    """
    _, length = _head.unpack_from(row)
    return decode_profile(row[_head.size + length :])
