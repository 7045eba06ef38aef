"""The folder of a lake: whose it is, what in it is left over, and what its ledger cannot explain.

A database and its lake belong together, and whoever opens one with the wrong other would find that none of its files
is named. So the folder says whose it is, and nothing in it is touched for another ledger. A file is announced in the
database before it is written, and again when it is replaced: an announced file that no partition names is left over
from a crash or holds what was erased, and goes. One that was never announced comes from a later state than this
database's, which was brought back from a backup; it is set aside, where a better backup finds it again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from edgewise.errors import UnavailableError
from hub.durable import UNFINISHED, replace_file, sync_folder
from hub.lake.partition import SUFFIX, leave_out
from hub.ledger import tables
from hub.ledger.dialect import Storage, chunks, insert_new

OWNER: Final = "ID"
"""File with the random number of the ledger whose lake this is."""
ASIDE: Final = "aside"
"""Folder of what nobody can explain."""
ASIDE_DAYS: Final = 14
_DAY_MS: Final = 86_400_000
_IDENTITY: Final = "lake identity"
"""Counter with the same number, in the database."""
_ANNOUNCED: Final = "lake file "
"""Counters that begin with it announce the file behind it; a table for a handful of names would be one too many."""


class LakeFolder:
    """To be used by who holds the lake's lock."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def _path(self) -> Path:
        return self._storage.shelf.folder

    def claim(self) -> None:
        """Make sure that the folder is this ledger's; an empty one becomes it.

        Raises UnavailableError when it is another's, or when nobody can tell.
        """
        file = self._path / OWNER
        said = file.read_text("ascii", "replace").strip() if file.exists() else ""
        with self._storage.reading() as connection:
            query = sa.select(tables.counters.c.value).where(tables.counters.c.name == _IDENTITY)
            mine = connection.execute(query).scalar_one_or_none()
            named = set(connection.execute(sa.select(tables.partitions.c.file)).scalars())
        if mine is not None and said == str(mine):
            return
        there = {path.relative_to(self._path).as_posix() for path in self._path.rglob(f"*{SUFFIX}")}
        # a database from before it had a number, or a folder from before: the files tell
        is_known = not named.isdisjoint(there) and (not said or (mine is None and said.isdecimal()))
        if (there or named) and not is_known:
            raise UnavailableError(
                f"{self._path} is not the lake of {self._storage.place}, and was not touched: it holds {len(there)} "
                f"files, and the ledger names {len(named)}; put together what belongs together, or move the folder away"
            )
        if mine is None:
            mine = int(said) if there and said else secrets.randbits(62)
            with self._storage.writing() as connection:
                insert_new(connection, tables.counters, [{"name": _IDENTITY, "value": mine}])
        replace_file(file, f"{mine}\n".encode(), mode=0o600)

    def announce(self, names: Iterable[str]) -> None:
        """These files will be written; they are left over unless `keep` says otherwise."""
        with self._storage.writing() as connection:
            drop(connection, names)

    def sweep(self) -> None:
        """Remove what is left over, set aside what nobody can explain, bring back what is named after all."""
        with self._storage.reading() as connection:
            named = set(connection.execute(sa.select(tables.partitions.c.file)).scalars())
            names = sa.select(tables.counters.c.name).where(tables.counters.c.name.startswith(_ANNOUNCED))
            announced = [name.removeprefix(_ANNOUNCED) for name in connection.execute(names).scalars()]
        for name in announced:
            if name not in named:
                self.remove(name)
        for path in self._path.rglob(f"*{UNFINISHED}"):
            path.unlink(missing_ok=True)
        for path in self._path.glob(f"*/*/*{SUFFIX}"):
            name = path.relative_to(self._path).as_posix()
            if name not in named:
                _move(path, self._path / ASIDE / name)
                self._storage.shelf.forget(name)
        if (self._path / ASIDE).exists():
            for name in named:
                if not (self._path / name).exists() and (self._path / ASIDE / name).exists():
                    _move(self._path / ASIDE / name, self._path / name)
        if announced:
            with self._storage.writing() as connection:
                keep(connection, announced)

    def remove(self, name: str) -> None:
        """A file goes, and does not come back with the power."""
        path = self._path / name
        path.unlink(missing_ok=True)
        if path.parent.exists():
            sync_folder(path.parent)
        self._storage.shelf.forget(name)

    def has_aside(self) -> bool:
        """Whether anything was set aside."""
        return self._storage.shelf.is_known and next(self._aside(), None) is not None

    def lapse(self, now_ms: int) -> None:
        """Remove what was set aside more than ASIDE_DAYS ago."""
        for path in self._aside():
            if path.stat().st_mtime * 1_000 < now_ms - ASIDE_DAYS * _DAY_MS:
                path.unlink()

    def purge(self, subjects: Collection[str] | None) -> None:
        """Take erased people out of what was set aside; None: everybody whom the ledger knows to be erased."""
        files = list(self._aside())
        if files and subjects is None:
            with self._storage.reading() as connection:
                subjects = connection.execute(sa.select(tables.erasures.c.subject)).scalars().all()
        for path in files:
            try:
                leave_out(path, subjects or ())
            except UnavailableError:
                path.unlink()  # who is in it cannot be told, and nobody could read it

    def _aside(self) -> Iterator[Path]:
        return (self._path / ASIDE).glob(f"*/*/*{SUFFIX}")


def drop(connection: sa.Connection, names: Iterable[str]) -> None:
    """Announce files in a transaction: they go unless a partition names them."""
    insert_new(connection, tables.counters, [{"name": _ANNOUNCED + name, "value": 0} for name in names])


def keep(connection: sa.Connection, names: Iterable[str]) -> None:
    """Take it back, in the transaction that names them or once they are gone."""
    for some in chunks([_ANNOUNCED + name for name in names]):
        connection.execute(sa.delete(tables.counters).where(tables.counters.c.name.in_(some)))


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    os.utime(path)  # since when it lies there
    path.replace(to)
    for folder in (path.parent, to.parent):
        sync_folder(folder)
