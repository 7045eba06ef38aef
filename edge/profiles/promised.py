"""Whom a code was promised to, so that he sees the same one again: beside the profiles, and forgotten with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from edge.profiles.cache_file import SUBJECT_BYTES, CacheFile, Txn
from edgewise.bundle.promotions import PromotionName
from edgewise.errors import MALFORMED
from edgewise.ids import SubjectId

MOST_PROMISED: Final = 200_000
"""Promises that are remembered; above, some go, and whoever comes again gets another code."""
DROPPED_AT_ONCE: Final = 64
_NAME_BYTES: Final = 8


class Promised(msgspec.Struct, frozen=True, array_like=True):
    """A number that a person was promised."""

    promotion: PromotionName
    generation: int
    number: int
    last_day: int


class Whose(NamedTuple):
    """Who was promised something of what."""

    subject: SubjectId
    promotion: PromotionName


class PromisedCodes:
    """The promises of the node, by subject and promotion; shared by all workers."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder = msgspec.msgpack.Decoder(Promised)

    def find(self, whose: Whose) -> Promised | None:
        """What was promised; None for nothing, or not yet for the other workers. Raises lmdb.Error."""
        with self._file.env.begin() as txn:
            found = txn.get(_key(whose), db=self._file.db["codes"])
        if found is None:
            return None
        try:
            promised = self._decoder.decode(found)
        except MALFORMED:
            return None
        return promised if promised.promotion == whose.promotion else None

    def remember(self, txn: Txn, promises: Iterable[tuple[Whose, Promised]]) -> None:
        """Keep promises; an earlier one of the same promotion gives way."""
        database = self._file.db["codes"]
        for whose, promised in promises:
            txn.put(_key(whose), self._encode(promised), db=database)
        if txn.stat(database)["entries"] > MOST_PROMISED:
            cursor = txn.cursor(db=database)
            for _ in range(DROPPED_AT_ONCE):
                if not cursor.first():
                    break
                cursor.delete()

    def forget(self, txn: Txn, subject: SubjectId) -> bool:
        """Forget what a subject was promised; False when there is nothing to forget."""
        prefix, is_any = bytes.fromhex(subject), False
        cursor = txn.cursor(db=self._file.db["codes"])
        found = cursor.set_range(prefix)
        while found and cursor.key()[:SUBJECT_BYTES] == prefix:
            is_any = True
            cursor.put(cursor.key(), bytes(len(cursor.value())))  # LMDB would leave the bytes where they are
            cursor.delete()
            found = bool(cursor.key())
        return is_any


def _key(whose: Whose) -> bytes:
    name = hashlib.blake2b(whose.promotion.encode(), digest_size=_NAME_BYTES).digest()
    return bytes.fromhex(whose.subject) + name
