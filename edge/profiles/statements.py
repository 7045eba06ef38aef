"""What visitors have stated: the hub's last word, and what was stated here that the hub's word may not contain yet.

    preferences   what holds: the hub's last word under what was stated here
    stated        what was stated here since a snapshot last contained all of it; absent where one did

A snapshot replaces the hub's word, it is not merged with the one before: it is about a person, and a person may turn
out to be two (`unmerge`). Of two people taken apart neither may keep the other's grant.

What was stated here is kept folded, not as records: a statement is a maximum, so folding it in once more changes
nothing, and however often somebody changes his mind it takes one row. It is his own statement, so no unmerge takes it
from him. Both rows are never evicted (`proto/decisions/0015-cache-after-a-crash.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import lmdb

from edge.profiles.cache_file import Txn
from edge.profiles.forgetting import delete
from edge.profiles.rows import with_checksum, without_checksum
from edgewise.ids import Producer
from edgewise.profile.preferences import (
    Preferences,
    decode_preferences,
    encode_preferences,
    later_than,
    merge_preferences,
    stamps_of,
    state,
)
from edgewise.records import PreferenceRecord

NAMES: Final = ("preferences", "stated")
NOTHING_STATED: Final = Preferences()


class Statements:
    """Reads and writes both rows within the caller's transaction. A key is a subject's 16 bytes."""

    def __init__(self, db: Mapping[str, lmdb._Database]) -> None:
        """`db` is the file's own, whose databases change with it."""
        self._db = db

    def holds(self, txn: Txn, key: bytes) -> bool:
        """Whether anything readable is known of a visitor's will, if only that he has stated nothing."""
        return self._read(txn, key, "preferences") is not None or self._read(txn, key, "stated") is not None

    def state(self, txn: Txn, key: bytes, record: PreferenceRecord) -> None:
        """Let a statement hold; one that was applied before, here or by the hub, changes nothing.

        One that asks to be erased takes all back that was stated before it, also where it is read later.
        """
        if record.erasure:
            self.forget(txn, key, record.time_ms)
            return
        own = self._read(txn, key, "stated") or Preferences()
        known = self._read(txn, key, "preferences")
        preferences = own if known is None else known
        if record.seq <= preferences.applied.get(record.producer, -1):
            return
        preferences = merge_preferences(preferences, own)  # a copy: both are written
        state(preferences, record)
        state(own, record)
        self._write(txn, key, "preferences", preferences)
        self._write(txn, key, "stated", own)

    def take(self, txn: Txn, key: bytes, base: Preferences) -> None:
        """Put the hub's word in the place of its last one; what it does not contain of what was stated here, over it.

        The hub stores each producer in its order, so that a word which contains a producer's last statement here
        contains all of that producer's.
        """
        own = self._own(txn, key)
        if own is not None and all(base.applied.get(producer, -1) >= seq for producer, seq in own.applied.items()):
            own = None
        if own is None:
            delete(txn, key, self._db["stated"])
        else:
            self._write(txn, key, "stated", own)
            base = merge_preferences(base, own)
        if base == NOTHING_STATED:
            delete(txn, key, self._db["preferences"])  # it would be kept for ever, and says nothing
        else:
            self._write(txn, key, "preferences", base)

    def forget(
        self, txn: Txn, key: bytes, until_ms: int | None = None, stored: Mapping[Producer, int] | None = None
    ) -> bool:
        """Delete for good what was stated until then, or everything; what is deleted is overwritten first.

        `stored`: the hub's word goes whenever it was stated, and what was stated here as far as the hub has stored it.

        False when there was nothing.
        """
        found = [None if until_ms is None else self._read(txn, key, name) for name in NAMES]
        if stored is not None:
            found = [self._own(txn, key)] * len(NAMES)
        known = [delete(txn, key, self._db[name]) for name in NAMES]
        for name, stated in zip(NAMES, found, strict=True):
            if stated is None or until_ms is None:
                continue
            later = later_than(stated, until_ms, stored)
            if later != NOTHING_STATED:
                self._write(txn, key, name, later)
        return any(known)

    def are_later(self, txn: Txn, key: bytes, until_ms: int) -> bool:
        """Whether everything was stated after a moment; False where something cannot be read."""
        for name in NAMES:
            stated = self._read(txn, key, name)
            if stated is None and txn.get(key, db=self._db[name]) is not None:
                return False
            if stated is not None and not all(time_ms > until_ms for time_ms in _times_ms(stated)):
                return False
        return True

    def _own(self, txn: Txn, key: bytes) -> Preferences | None:
        """What was stated here and the hub's word may not contain; None where that is nothing."""
        own = self._read(txn, key, "stated")
        if own is None and txn.get(key, db=self._db["stated"]) is not None:
            own = self._read(txn, key, "preferences")  # damaged: what it said holds as a part of this
        return own

    def _read(self, txn: Txn, key: bytes, name: str) -> Preferences | None:
        """None where nothing is stored, or nothing that can be read: the hub, and the visitor, say it again."""
        found = txn.get(key, db=self._db[name])
        try:
            return None if found is None else decode_preferences(without_checksum(found))
        except ValueError:
            return None

    def _write(self, txn: Txn, key: bytes, name: str, preferences: Preferences) -> None:
        txn.put(key, with_checksum(encode_preferences(preferences)), db=self._db[name])


def _times_ms(stated: Preferences) -> list[int]:
    """When each thing was stated that was."""
    return [stamp[0] for stamp in stamps_of(stated) if stamp[0]]
