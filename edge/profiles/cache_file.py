"""The LMDB file behind a node's caches: opened once a process, checked once a boot, rebuilt empty when in doubt.

Nothing is synced, so a crash of the machine (not of a process: the page cache survives those) may leave pages of
different ages. That is why the file carries the boot that it was checked under; after another boot its structure is
verified before LMDB touches it. It may be deleted at any time: profiles come back from the hub.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
import lmdb.verify
import msgspec

from edge.node.durable import replace_file
from edgewise.errors import MALFORMED, UnavailableError

FORMAT: Final = 1
"""Grows when what is stored changes its form; other forms are dropped, not migrated."""
ENGINE: Final = 0
"""LMDB 0.9: the wheel also holds 1.0, whose files it cannot read, and the default may change."""
MAX_READERS: Final = 2_048
"""Shared by all processes; a killed one leaves its slots until `reader_check`."""
DATABASES: Final = ("profiles", "preferences", "pending", "wanted", "decisions", "messages", "message_ages", "marks")
REBUILT: Final = b"rebuilt"
"""A mark: this file replaced one that held preferences."""

SUBJECT_BYTES: Final = 16
"""Every key about a subject begins with it."""
FORGOTTEN_AT_ONCE: Final = 64

ROOM_ATTEMPTS: Final = 32
"""How often room is made for one change before it is given up."""

T = TypeVar("T")
if TYPE_CHECKING:
    Txn = lmdb.Transaction[bytes]
else:
    Txn = lmdb.Transaction  # cannot be subscripted at run time
_STAMP: Final = "stamp.json"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class CacheError(UnavailableError):
    """The cache cannot take a change: full of what must stay, or damaged. What was to be cached is in the spool."""


class _Stamp(msgspec.Struct, frozen=True):
    format: int
    boot: str


class CacheFile:
    """The environment and its databases by name."""

    def __init__(self, folder: Path, *, map_bytes: int) -> None:
        """Open, or make, the file in `folder`.

        Raises:
            UnavailableError: LMDB cannot open it, or this process has it open already.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        stamp = _Stamp(FORMAT, boot_id())
        is_first = self._come_in()
        before = _read_stamp(folder) if is_first else stamp
        dropped = is_first and _drop_unsound(folder, before, stamp)
        try:
            self.env = lmdb.open(
                str(folder),
                map_size=map_bytes,
                max_dbs=len(DATABASES),
                max_readers=MAX_READERS,
                max_spare_txns=8,
                sync=False,
                metasync=False,
                readahead=False,
                mode=0o600,
                lib_version=ENGINE,
            )
            self.db = {name: self.env.open_db(name.encode()) for name in DATABASES}
            self.env.reader_check()
            if dropped:
                with self.env.begin(write=True) as txn:
                    txn.put(REBUILT, b"", db=self.db["marks"])
            if before != stamp:
                self._forget_unsynced()
                with contextlib.suppress(OSError):  # a full disk: whoever comes first next time checks again
                    replace_file(folder / _STAMP, msgspec.json.encode(stamp), durable=False)
        except lmdb.Error as wrong:
            os.close(self._lock)
            raise UnavailableError(
                f"profile cache {folder}: {wrong}; it may be deleted while the node stands"
            ) from wrong
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of the file."""
        self.env.close()
        os.close(self._lock)

    def write(self, change: Callable[[Txn], T], make_room: Callable[[], int]) -> T:
        """Run `change` in one transaction; where the map is full, make room and run it again from the start.

        Raises:
            CacheError: there is no room to be made, or the file is damaged.
        """
        for _ in range(ROOM_ATTEMPTS):
            try:
                with self.env.begin(write=True) as txn:
                    return change(txn)
            except lmdb.MapFullError:
                if not make_room():
                    break
            except lmdb.Error as wrong:
                raise CacheError(f"profile cache: {wrong}") from wrong
        raise CacheError("profile cache: the map is full of what must not be dropped")

    def live_share(self) -> float:
        """Pages in use as a share of the map, in [0, 1]."""
        with self.env.begin() as txn:
            stats = [txn.stat(database) for database in self.db.values()]
        pages = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
        return pages * stats[0]["psize"] / self.env.info()["map_size"]

    def _come_in(self) -> bool:
        """Whether no other process has the file open, so that it may be checked while others wait."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            return False
        return True

    def _forget_unsynced(self) -> None:
        """Forget what the spool may have lost by a crash of the machine, because it was not durable there.

        A message id: its sender had no answer and sends it again; it must not be taken for a repetition. A local
        record: no snapshot would ever contain it, so that it would count here for ever. Profiles with such records
        come back from the hub, with all that was durable.
        """
        with self.env.begin(write=True) as txn:
            for name in ("messages", "message_ages"):
                txn.drop(self.db[name], delete=False)
        pending = [b""]
        while pending:  # in small transactions, which a full map takes, too
            with self.env.begin(write=True) as txn:
                pending = keys_after(txn, self.db["pending"], b"", most=FORGOTTEN_AT_ONCE)
                for key in pending:
                    txn.delete(key, db=self.db["pending"])
                    txn.delete(key[:SUBJECT_BYTES], db=self.db["profiles"])


def boot_id() -> str:
    """Another one after each start of the machine; empty where the kernel does not tell."""
    return _BOOT.read_text("ascii").strip() if _BOOT.exists() else ""


def _read_stamp(folder: Path) -> _Stamp | None:
    with contextlib.suppress(OSError, *MALFORMED):
        return msgspec.json.decode((folder / _STAMP).read_bytes(), type=_Stamp)
    return None


def _drop_unsound(folder: Path, before: _Stamp | None, now: _Stamp) -> bool:
    """Delete a file that cannot be trusted; True if there was one."""
    data = folder / "data.mdb"
    if not data.exists() or before == now:
        return False
    if before is not None and before.format == now.format:
        with contextlib.suppress(OSError, lmdb.verify.VerifyError):
            if not lmdb.verify.verify(str(folder)):  # type: ignore[no-untyped-call]
                return False
    for file in (data, folder / "lock.mdb"):
        file.unlink(missing_ok=True)
    return True


def keys_after(txn: Txn, database: lmdb._Database, after: bytes, *, most: int) -> list[bytes]:
    """At most `most` keys greater than `after`, in order."""
    cursor = txn.cursor(db=database)
    found = cursor.set_range(after + b"\0") if after else cursor.first()
    keys: list[bytes] = []
    while found and len(keys) < most:
        keys.append(cursor.key())
        found = cursor.next()
    return keys
