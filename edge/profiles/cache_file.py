"""The LMDB file behind a node's caches: opened by each process, rebuilt empty when in doubt, also while it is in use.

Nothing is synced while the node runs, so a crash of the machine (not of a process: the page cache survives those) may
leave pages of different ages, or without the last half minute. That is why the file carries the boot that it was opened
under, and whether the last process to close it has made it durable: after another boot it is trusted only then, and
after its structure was verified. It may be deleted while the node is stopped: profiles come back from the hub,
statements from the hub and from the spool (`edge.profiles.recall`).

A file that turns out to be damaged is left behind for a new one by all processes (`edge.profiles.generation`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
import lmdb.verify
import msgspec

from edge.node.durable import replace_file
from edge.node.epochs import boot_id
from edge.profiles.generation import begin_anew, generation_of, leave_behind, place_of
from edgewise.errors import MALFORMED, UnavailableError

FORMAT: Final = 3
"""Grows when what is stored changes its form; other forms are dropped, not migrated."""
ENGINE: Final = 0
"""LMDB 0.9: the wheel also holds 1.0, whose files it cannot read, and the default may change."""
MAX_READERS: Final = 2_048
"""Shared by all processes; a killed one leaves its slots until `reader_check`."""
LOCK_FILE_BYTES: Final = 64 * MAX_READERS + 4_096
"""Taken from the disk at once: a slot that is first used on a full disk would end the process by SIGBUS."""
DATABASES: Final = (
    "profiles",
    "preferences",
    "stated",
    "pending",
    "wanted",
    "evicted",
    "decisions",
    "messages",
    "message_ages",
    "codes",
    "marks",
)
REBUILT: Final = b"rebuilt"
"""A mark: this file replaced one that held preferences."""
UNRECALLED: Final = b"unrecalled"
"""A mark: what the spool holds of statements was not taken in yet (`edge.profiles.recall`)."""
DAMAGES: Final = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.BadTxnError,
)
"""After these the file is not asked again. The last is what a look at a damaged page often ends in: none of ours goes
on with a transaction that has failed."""

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


class CacheError(UnavailableError):
    """The cache cannot take a change: full of what must stay, or damaged. What was to be cached is in the spool."""


class _Stamp(msgspec.Struct, frozen=True):
    format: int
    boot: str
    clean: bool = False
    """Whoever closed it last has made it durable."""


class CacheFile:
    """The environment and its databases by name. Both are others after `mend`, so they are asked for at each use."""

    def __init__(self, folder: Path, *, map_bytes: int) -> None:
        """Open, or make, the file in `folder`.

        Raises:
            UnavailableError: LMDB cannot open it, or this process has it open already.
        """
        self.folder: Final = folder
        self._map_bytes = map_bytes
        self._is_open = False
        self._is_panicking = False
        self._is_damaged = False
        self.generation = -1
        self.db: dict[str, lmdb._Database] = {}
        self._open()

    def _open(self) -> None:
        try:
            self._open_current()
        except DAMAGES:
            begin_anew(self.folder, self.generation)
            try:
                self._open_current()
            except DAMAGES as wrong:
                raise UnavailableError(f"profile cache {self.folder}: {wrong}") from wrong
        self._is_open, self._is_panicking, self._is_damaged = True, False, False

    def _open_current(self) -> None:
        """Raises UnavailableError, or one of DAMAGES."""
        self.generation = generation_of(self.folder)
        place = place_of(self.folder, self.generation)
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._open_in(place)
            except BaseException:
                os.close(self._lock)
                raise
        except DAMAGES:
            raise
        except (OSError, lmdb.Error) as wrong:
            raise UnavailableError(
                f"profile cache {place}: {wrong}; it may be deleted while the node stands"
            ) from wrong

    def _open_in(self, place: Path) -> None:
        stamp = _Stamp(FORMAT, boot_id())
        is_first = self._come_in()
        before = _read_stamp(place) if is_first else None
        is_replaced = is_new = False
        if is_first:
            is_replaced = _drop_unsound(place, before, stamp) or (self.generation > 0 and before is None)
            is_new = not (place / "data.mdb").exists()
            _write_stamp(place, stamp)
            _take_room(place / "lock.mdb")
            leave_behind(self.folder, self.generation, ("data.mdb", "lock.mdb", _STAMP))
        elif (clean := _read_stamp(place)) is not None and clean.clean:
            _write_stamp(place, stamp)  # who was the last to close it was just about to let go
        self._connect(place)
        try:
            self.env.reader_check()
            if is_new:
                with self.env.begin(write=True) as txn:
                    for mark in (UNRECALLED, REBUILT) if is_replaced else (UNRECALLED,):
                        txn.put(mark, b"", db=self.db["marks"])
            elif is_first and before is not None and before.boot != stamp.boot:
                self._forget_unsynced()
        except lmdb.Error:
            self.env.close()
            if is_first:  # on a full disk; an empty file takes less of it than what cannot be trusted
                (place / _STAMP).unlink(missing_ok=True)
            raise
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _connect(self, place: Path) -> None:
        self.env = lmdb.open(
            str(place),
            map_size=self._map_bytes,
            max_dbs=len(DATABASES),
            max_readers=MAX_READERS,
            max_spare_txns=8,
            sync=False,
            metasync=False,
            readahead=False,
            mode=0o600,
            lib_version=ENGINE,
        )
        try:
            self.db.update({name: self.env.open_db(name.encode()) for name in DATABASES})
        except lmdb.Error:
            self.env.close()
            raise

    def close(self) -> None:
        """Let go of the file; who is the last makes it durable, so that it may be trusted after another boot."""
        if not self._is_open:
            return
        self._is_open = False
        with contextlib.suppress(OSError, lmdb.Error):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (self._is_damaged or self._is_panicking):
                self.env.sync(True)
                place = place_of(self.folder, self.generation)
                stamp = _read_stamp(place)
                if stamp is not None:
                    replace_file(place / _STAMP, msgspec.json.encode(msgspec.structs.replace(stamp, clean=True)))
        self.env.close()
        os.close(self._lock)

    def mend(self) -> bool:
        """Open the file anew where that is needed, here or by another process's word; True if so.

        To be called now and then, and never while a transaction is open.

        Raises:
            UnavailableError: that is not possible now.
        """
        if self._is_damaged:
            begin_anew(self.folder, self.generation)
        is_current = generation_of(self.folder) == self.generation
        if self._is_open and is_current and not self._is_panicking:
            return False
        if self._is_open:
            self._is_open = False
            self.env.close()
            os.close(self._lock)
        self._open()
        return True

    def note(self, wrong: BaseException) -> None:
        """What LMDB has said, so that `mend` knows what is needed."""
        self._is_damaged = self._is_damaged or isinstance(wrong, DAMAGES)
        self._is_panicking = self._is_panicking or isinstance(wrong, lmdb.PanicError)

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Note whatever LMDB has to say meanwhile, and raise it as CacheError."""
        try:
            yield
        except lmdb.Error as wrong:
            self.note(wrong)
            raise CacheError(f"profile cache: {wrong}") from wrong

    def write(self, change: Callable[[Txn], T], make_room: Callable[[], int]) -> T:
        """Run `change` in one transaction; where the map is full, make room and run it again from the start.

        Raises:
            CacheError: there is no room to be made, or the file is damaged.
        """
        with self.asked():
            for _ in range(ROOM_ATTEMPTS):
                try:
                    with self.env.begin(write=True) as txn:
                        return change(txn)
                except lmdb.MapFullError:
                    if not make_room():
                        break
        raise CacheError("profile cache: the map is full of what must not be dropped")

    def live_share(self) -> float:
        """Pages in use as a share of the map, in [0, 1]."""
        with self.env.begin() as txn:
            used_bytes = sum(bytes_of(txn.stat(database)) for database in self.db.values())
        return used_bytes / self.env.info()["map_size"]

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

        Of a process that was killed, even where the last one closed the file. A message id: its sender had no answer
        and sends it again; it must not be taken for a repetition. A local record: no snapshot would ever contain it, so
        that it would count here for ever. Profiles with such records come back from the hub, with all that was durable.
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


def _read_stamp(place: Path) -> _Stamp | None:
    with contextlib.suppress(OSError, *MALFORMED):
        return msgspec.json.decode((place / _STAMP).read_bytes(), type=_Stamp)
    return None


def _write_stamp(place: Path, stamp: _Stamp) -> None:
    """Durable before anything is written under it: an older one may say that the file is clean."""
    try:
        replace_file(place / _STAMP, msgspec.json.encode(stamp))
    except OSError:  # a full disk; a file without a stamp is trusted by nobody after another boot
        (place / _STAMP).unlink(missing_ok=True)


def _take_room(lock_file: Path) -> None:
    """Before LMDB opens it: afterwards, closing a descriptor of it would let go of LMDB's own locks."""
    with contextlib.suppress(OSError):
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, LOCK_FILE_BYTES)
        finally:
            os.close(descriptor)


def _drop_unsound(place: Path, before: _Stamp | None, now: _Stamp) -> bool:
    """Delete a file that cannot be trusted; True if there was one."""
    data = place / "data.mdb"
    if not data.exists():
        return False
    if before is not None and before.format == now.format:
        if before.boot == now.boot:
            return False
        with contextlib.suppress(OSError, lmdb.verify.VerifyError):
            if before.clean and not lmdb.verify.verify(str(place)):  # type: ignore[no-untyped-call]
                return False
    for file in (data, place / "lock.mdb"):
        file.unlink(missing_ok=True)
    return True


def bytes_of(stat: lmdb._StatDict) -> int:
    """Bytes of all pages of a database, of which LMDB tells this."""
    return (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) * stat["psize"]


def keys_after(txn: Txn, database: lmdb._Database, after: bytes, *, most: int) -> list[bytes]:
    """At most `most` keys greater than `after`, in order."""
    cursor = txn.cursor(db=database)
    found = cursor.set_range(after + b"\0") if after else cursor.first()
    keys: list[bytes] = []
    while found and len(keys) < most:
        keys.append(cursor.key())
        found = cursor.next()
    return keys
