"""Forgetting people for good: LMDB leaves what was deleted in free pages, and in the gaps of pages in use.

What is deleted here is overwritten first, in the same transaction. That leaves older copies in pages that were freed
when their contents moved: `scrub` takes every free page, overwrites it, and frees it again.
"""

from __future__ import annotations

from typing import Final

import lmdb
import msgspec

from edge.profiles.cache_file import CacheFile, Txn
from edgewise.errors import MALFORMED

ERASED_THROUGH: Final = b"erased-through"
"""A mark: up to which number of which list erasures were carried out here."""
_PAGE_HEAD_BYTES: Final = 16
_PAGES_AT_ONCE: Final = 256
"""Overwritten in one transaction: a mebibyte, for which a click has to wait."""
_FILLER: Final = b"free-page-"


class Confirmed(msgspec.Struct, frozen=True, array_like=True):
    """How far a node has carried out the hub's erasures."""

    list: str = ""
    through: int = 0


def delete(txn: Txn, key: bytes, database: lmdb._Database) -> None:
    """Overwrite a value, then delete it. A value of the same length is written into its place (mdb_cursor_put)."""
    found = txn.get(key, db=database)
    if found is None:
        return
    txn.put(key, bytes(len(found)), db=database)
    txn.delete(key, db=database)


def erased_through(txn: Txn, marks: lmdb._Database) -> Confirmed:
    """What the file remembers of erasures; a file that was begun anew remembers none, and is told all again."""
    found = txn.get(ERASED_THROUGH, db=marks)
    try:
        return Confirmed() if found is None else msgspec.msgpack.decode(found, type=Confirmed)
    except MALFORMED:
        return Confirmed()


def scrub(file: CacheFile) -> int:
    """Overwrite the free pages of the file; returns how many pages were written.

    A value of a page's length takes a page of its own, whole (an overflow page), and takes a free one as long as there
    is any: when the file has grown there was none left. Pages that a reader may still look at are left out; readers
    look for milliseconds, and what they hold is overwritten by the next scrub.

    Raises:
        CacheError: the file is damaged.
    """
    filler = bytes(file.env.stat()["psize"] - _PAGE_HEAD_BYTES)
    pages = 0
    with file.asked():
        try:
            with file.env.begin(
                write=True
            ) as txn:  # what the last transaction freed may be taken by the one after next
                txn.put(_FILLER, b"", db=file.db["marks"])
            last = file.env.info()["last_pgno"]
            while file.env.info()["last_pgno"] == last:
                with file.env.begin(write=True) as txn:
                    for _ in range(_PAGES_AT_ONCE):
                        txn.put(_FILLER + pages.to_bytes(8), filler, db=file.db["marks"])
                        pages += 1
        except lmdb.MapFullError:
            pass  # that transaction is undone; what the ones before it have overwritten stays so
        finally:
            _free(file)
    return pages


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
