"""What a node remembers for a while, beside the profiles: message ids for a day, decisions as long as room lasts."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from edge.profiles.cache_file import CacheFile, Txn, bytes_of
from edge.profiles.forgetting import Unstored
from edgewise.ids import DecisionId, MessageId, SubjectId
from edgewise.records import DecisionRecord, decode_record

MESSAGE_AGE_MS: Final = 86_400_000
MAX_MESSAGES: Final = 200_000
EXPIRED_AT_ONCE: Final = 4
"""Old entries dropped for each new one: more than one, so that a backlog shrinks, and few, so that nobody waits."""
DECISION_SHARE: Final = 0.15
"""Of the map, for remembered decisions."""

_age = struct.Struct(">Q16s")
_time = struct.Struct(">Q")


class RecentMessages:
    """Message ids of the last 24 hours, at most MAX_MESSAGES, the oldest forgotten first; shared by all workers."""

    def __init__(self, file: CacheFile, *, most: int = MAX_MESSAGES) -> None:
        self._db = file.db
        self._most = most

    def is_new(self, txn: Txn, message_id: MessageId, now_ms: int) -> bool:
        """Whether a message was not seen in the last 24 hours; from now on it was."""
        key = _key_of(message_id)
        found = txn.get(key, db=self._db["messages"])
        if found is not None:
            seen_ms = _time.unpack(found)[0]
            if now_ms - seen_ms < MESSAGE_AGE_MS:
                return False
            txn.delete(_age.pack(seen_ms, key), db=self._db["message_ages"])
        self._forget_old(txn, now_ms)
        txn.put(key, _time.pack(now_ms), db=self._db["messages"])
        txn.put(_age.pack(now_ms, key), b"", db=self._db["message_ages"])
        return True

    def forget(self, txn: Txn, message_ids: Iterable[MessageId]) -> None:
        """Let messages count as new again: they could not be kept, and their sender was told so."""
        for message_id in message_ids:
            key = _key_of(message_id)
            found = txn.get(key, db=self._db["messages"])
            if found is not None:
                txn.delete(key, db=self._db["messages"])
                txn.delete(_age.pack(_time.unpack(found)[0], key), db=self._db["message_ages"])

    def _forget_old(self, txn: Txn, now_ms: int) -> None:
        cursor = txn.cursor(db=self._db["message_ages"])
        for _ in range(EXPIRED_AT_ONCE):
            if not cursor.first():
                return
            seen_ms, key = _age.unpack(cursor.key())
            if now_ms - seen_ms < MESSAGE_AGE_MS and txn.stat(self._db["message_ages"])["entries"] < self._most:
                return
            cursor.delete()
            txn.delete(key, db=self._db["messages"])


class RememberedDecision(msgspec.Struct, frozen=True, array_like=True):
    """A decision as `/v1/why` needs it."""

    owners: tuple[SubjectId, ...]
    """Who may ask: the subjects of the visitor that it was made for; none where it was made for nobody."""
    record: bytes
    """The `DecisionRecord`, as it stands in the spool, or with the feature rows that are not kept for learning."""


class RecentDecisions:
    """The latest decisions of the node. Ids are ULIDs, so the smallest key is the oldest decision."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._most_bytes = int(file.env.info()["map_size"] * DECISION_SHARE)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(RememberedDecision)

    def remember(self, txn: Txn, decisions: Iterable[tuple[DecisionId, RememberedDecision]]) -> None:
        """Keep decisions, and forget as many of the oldest as that takes."""
        for decision_id, decision in decisions:
            txn.put(decision_id.encode(), self._encoder.encode(decision), db=self._file.db["decisions"])
            cursor = txn.cursor(db=self._file.db["decisions"])
            while self._bytes(txn) > self._most_bytes and cursor.first():
                cursor.delete()

    def find(self, decision_id: DecisionId) -> RememberedDecision | None:
        """None for a decision that is not remembered, or not yet."""
        with self._file.env.begin() as txn:
            found = txn.get(decision_id.encode("utf-8", "replace"), db=self._file.db["decisions"])
        return None if found is None else self._decoder.decode(found)

    def of(self, txn: Txn, subject: SubjectId) -> Iterator[DecisionRecord]:
        """What was decided for a subject, as far as it is remembered, oldest first."""
        cursor = txn.cursor(db=self._file.db["decisions"])
        for _, value in cursor:
            decision = self._decoder.decode(value)
            if subject in decision.owners and isinstance(record := decode_record(decision.record), DecisionRecord):
                yield record

    def forget(self, txn: Txn, subject: SubjectId, left: Unstored | None = None) -> bool:
        """Forget all decisions of a subject but those `left`; False when there is none to forget.

        Looks at each; erasures are rare.
        """
        is_any = False
        cursor = txn.cursor(db=self._file.db["decisions"])
        found = cursor.first()
        while found:
            key, value = cursor.item()
            decision = self._decoder.decode(value)
            if subject in decision.owners and not _stays(decision, left):
                is_any = True
                cursor.put(key, bytes(len(value)))  # LMDB would leave the bytes where they are
                cursor.delete()  # moves on to the next; what it returns is whether it deleted
                found = bool(cursor.key())
            else:
                found = cursor.next()
        return is_any

    def _bytes(self, txn: Txn) -> int:
        return bytes_of(txn.stat(self._file.db["decisions"]))


def _stays(decision: RememberedDecision, left: Unstored | None) -> bool:
    record = None if left is None else decode_record(decision.record)
    return left is not None and isinstance(record, DecisionRecord) and left.holds(record)


def _key_of(message_id: MessageId) -> bytes:
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
