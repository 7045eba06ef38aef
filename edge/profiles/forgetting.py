"""Forgetting people for good: LMDB leaves what was deleted on the disk, and in the memory of every process.

- In free pages, and in the gaps of pages in use: deleting moves nothing away. What is deleted here is overwritten first
  in the same transaction. `scrub` overwrites every free page, and writes every page in use anew.
- In the buffers in which a process prepares pages: LMDB uses them again without clearing them, and writes what is left
  between the two ends of a page to the disk with it. So every process clears its own (`cleanse`) before the file is
  scrubbed, which waits for that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import lmdb
import msgspec

from edge.profiles.cache_file import CacheFile, Txn, keys_after
from edgewise.errors import MALFORMED
from edgewise.ids import Producer
from edgewise.records import DecisionRecord, EventRecord

ERASED_THROUGH: Final = b"erased-through"
"""A mark: up to which number of which list erasures were carried out here."""
UNSCRUBBED: Final = b"unscrubbed"
"""A mark: somebody was forgotten then (milliseconds since the epoch), and the file was not scrubbed since."""
_PAGE_HEAD_BYTES: Final = 16
_PAGES_AT_ONCE: Final = 256
"""Overwritten in one transaction: a mebibyte, for which a click has to wait."""
_ROWS_AT_ONCE: Final = 256
_BUFFERS: Final = 1_024
"""More than any transaction of a node takes: 256 rows, and a page or two for each of them."""
_FILLER: Final = b"free-page-"


class Confirmed(msgspec.Struct, frozen=True, array_like=True):
    """How far a node has carried out the hub's erasures."""

    list: str = ""
    through: int = 0


class Unstored(NamedTuple):
    """What an erasure leaves: what happened after it, and the hub has not stored yet."""

    until_ms: int
    stored: Mapping[Producer, int]

    def holds(self, record: EventRecord | DecisionRecord) -> bool:
        """Whether a record is of that kind."""
        return record.time_ms > self.until_ms and record.seq > self.stored.get(record.producer, -1)


def delete(txn: Txn, key: bytes, database: lmdb._Database) -> bool:
    """Overwrite a value, then delete it; False when there is none.

    A value of the same length is written into its place (mdb_cursor_put).
    """
    found = txn.get(key, db=database)
    if found is None:
        return False
    txn.put(key, bytes(len(found)), db=database)
    txn.delete(key, db=database)
    return True


def erased_through(txn: Txn, marks: lmdb._Database) -> Confirmed:
    """What the file remembers of erasures; a file that was begun anew remembers none, and is told all again."""
    found = txn.get(ERASED_THROUGH, db=marks)
    try:
        return Confirmed() if found is None else msgspec.msgpack.decode(found, type=Confirmed)
    except MALFORMED:
        return Confirmed()


def cleanse(file: CacheFile) -> None:
    """Overwrite this process's page buffers: a transaction that takes all of them, and is taken back.

    Nothing of it reaches the disk.

    Raises:
        CacheError: the file is damaged.
    """
    filler = _filler(file)
    with file.asked(), contextlib.suppress(lmdb.MapFullError), file.env.begin(write=True) as txn:
        for page in range(_BUFFERS):
            txn.put(_FILLER + page.to_bytes(8), filler, db=file.db["marks"])
        txn.abort()


def scrub(file: CacheFile) -> None:
    """Leave nothing in the file but what can be read of it. Takes the writer's place for a millisecond at a time.

    Pages that a reader may still look at are left out; readers look for milliseconds.

    Raises:
        CacheError: the file is damaged.
    """
    with file.asked():
        _overwrite_free_pages(file)
        for database in file.db.values():
            _rewrite(file, database)
        _overwrite_free_pages(file)


def _overwrite_free_pages(file: CacheFile) -> None:
    """A value of a page's length takes a page of its own, whole (an overflow page), and a free one if there is any.

    When the file has grown there was none left.
    """
    filler, marks, pages = _filler(file), file.db["marks"], 0
    try:
        with file.env.begin(write=True) as txn:  # what the last transaction freed may be taken by the one after next
            txn.put(_FILLER, b"", db=marks)
        last = file.env.info()["last_pgno"]
        while file.env.info()["last_pgno"] == last:
            with file.env.begin(write=True) as txn:
                for _ in range(_PAGES_AT_ONCE):
                    txn.put(_FILLER + pages.to_bytes(8), filler, db=marks)
                    pages += 1
    except lmdb.MapFullError:
        pass  # that transaction is undone; what the ones before it have overwritten stays so
    finally:
        _free(file)


def _rewrite(file: CacheFile, database: lmdb._Database) -> None:
    """Put every value once more: a page that is changed is copied, and only what is used of it."""
    after = b""
    while True:
        try:
            with file.env.begin(write=True) as txn:
                keys = keys_after(txn, database, after, most=_ROWS_AT_ONCE)
                for key in keys:
                    value = txn.get(key, db=database)
                    assert value is not None
                    txn.put(key, value, db=database)
        except lmdb.MapFullError:
            return  # so full that no page can be copied; the rest is written anew after the next erasure
        if not keys:
            return
        after = keys[-1]


def _filler(file: CacheFile) -> bytes:
    return bytes(file.env.stat()["psize"] - _PAGE_HEAD_BYTES)


def _free(file: CacheFile) -> None:
    marks = file.db["marks"]
    left = True
    while left:
        with file.env.begin(write=True) as txn:
            cursor = txn.cursor(db=marks)
            left = False
            for _ in range(_PAGES_AT_ONCE):
                if not (cursor.set_range(_FILLER) and cursor.key().startswith(_FILLER)):
                    break
                cursor.delete()
                left = True
