"""Imported decision logs: their users stand there under pseudonyms of their own key, which nothing links to a subject.

So a person is found there by raw identifiers only: the one that was typed, and those of the vault. The list of who was
erased keeps the pseudonyms, so that importing the file again brings nobody back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewise.errors import UnavailableError
from hub.imports.decision_store import decision_paths, stored_record
from hub.imports.pseudonyms import import_key, pseudonym
from hub.ledger.forgetting import Removed
from hub.rights.person import Person

if TYPE_CHECKING:
    import pyarrow as pa

_USER = "user"


class DecisionFiles:
    """`<data-dir>/decisions/NAME.parquet`."""

    name = "imported decisions"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def pseudonyms(self, person: Person) -> frozenset[str]:
        """What the logs call him; empty where nothing was ever imported."""
        if not (self._data_dir / "decisions").is_dir():
            return frozenset()
        key = import_key(self._data_dir)
        return frozenset(pseudonym(name, key) for name in person.names)

    def count(self, person: Person) -> Removed:
        """Rows of his."""
        return sum((_gone(table, kept) for _, table, kept in self._tables(self.pseudonyms(person))), Removed())

    def export(self, person: Person) -> list[dict[str, Any]]:
        """Rows of his."""
        import pyarrow as pa
        import pyarrow.compute as pc

        pseudonyms = self.pseudonyms(person)
        return [
            {"log": name, **row}
            for name, table, _ in self._tables(pseudonyms)
            for row in table.filter(
                pc.is_in(table.column(_USER), value_set=pa.array(sorted(pseudonyms), pa.string()))
            ).to_pylist()
        ]

    def erase(self, person: Person) -> Removed:
        """Write the logs anew without his rows."""
        return self.erase_pseudonyms(self.pseudonyms(person))

    def erase_pseudonyms(self, pseudonyms: Collection[str]) -> Removed:
        """The same for who is known by pseudonyms alone."""
        import pyarrow.parquet as pq

        gone = Removed()
        for name, table, kept in self._tables(pseudonyms):
            paths = decision_paths(self._data_dir, name)
            record = stored_record(paths)
            assert record is not None
            try:
                with tempfile.TemporaryDirectory(dir=paths.table.parent, prefix=".import-") as folder:
                    beside = Path(folder)
                    pq.write_table(kept, beside / "table", compression="zstd")
                    fewer = msgspec.structs.replace(record, rows=kept.num_rows)
                    (beside / "record").write_bytes(msgspec.json.format(msgspec.json.encode(fewer)) + b"\n")
                    # the record vouches for the table: without it the log counts as not imported
                    paths.record.unlink()
                    (beside / "table").replace(paths.table)
                    (beside / "record").replace(paths.record)
            except OSError as refused:
                raise UnavailableError(f"{paths.table}: cannot be written: {refused.strerror}") from None
            gone += _gone(table, kept)
        return gone

    def _tables(self, pseudonyms: Collection[str]) -> Iterator[tuple[str, pa.Table, pa.Table]]:
        """(name, table, the rows that stay) of every log that names one of them.

        Raises UnavailableError for one that cannot be read, after all others.
        """
        if not pseudonyms:
            return
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        unreadable: list[str] = []
        for path in sorted((self._data_dir / "decisions").glob("*.parquet")):
            if stored_record(decision_paths(self._data_dir, path.stem)) is None:
                continue
            try:
                table = pq.read_table(path)
            except (OSError, pa.ArrowException) as why:
                unreadable.append(f"{path}: cannot be read: {why}; import it again, or delete it")
                continue
            if _USER not in table.column_names:
                continue
            his = pc.is_in(table.column(_USER), value_set=pa.array(sorted(pseudonyms), pa.string()))
            if pc.any(his).as_py():
                yield path.stem, table, table.filter(pc.invert(his))
        if unreadable:
            raise UnavailableError("; ".join(unreadable))


def _gone(table: pa.Table, kept: pa.Table) -> Removed:
    return Removed(rows=table.num_rows - kept.num_rows, bytes=max(0, table.nbytes - kept.nbytes), files=1)
