"""One partition: records of one kind and month, sorted by subject, so that one person's lie in few row groups.

Columns: `position` (int64), `subject`, `time_ms` (int64, UTC), `producer`, `seq` (int64), `id` (message or decision),
`name` (of an event; "" for decisions), `record` (MessagePack as it came). Compressed with Zstandard; every page carries
a checksum. Any program that reads Parquet reads it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgewise.errors import UnavailableError
from hub.durable import UNFINISHED, sync_folder

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP: Final = 2_048
"""Records that are read to find one person's; about 1 MB."""
SUFFIX: Final = ".parquet"
_COLUMNS: Final = ("position", "subject", "time_ms", "producer", "seq", "id", "name", "record")


class Kept(NamedTuple):
    """One record of a partition."""

    position: int
    subject: str
    time_ms: int
    producer: str
    seq: int
    id: str
    name: str
    record: bytes


class PartitionGone(UnavailableError):  # noqa: N818  # reads as what happened
    """A file is not there: it was written anew since its name was read, or somebody took it away."""


def write_partition(path: Path, records: Sequence[Kept]) -> int:
    """Write a new file durably, readable by its owner only; returns its bytes. Raises UnavailableError."""
    import pyarrow as pa

    ordered = sorted(records, key=lambda kept: (kept.subject, kept.position))
    columns = list(zip(*ordered, strict=True))
    table = pa.Table.from_arrays(
        [pa.array(column, kind) for column, (_, kind) in zip(columns, _fields(), strict=True)], schema=_schema()
    )
    with _new_file(path) as file, _writer(file) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)
    return path.stat().st_size


def copy_partition(path: Path, to: Path, keep: Callable[[int], bool]) -> tuple[int, int]:
    """Write a file anew with the positions that `keep` says, a row group at a time.

    Returns how many records it has, and how many were left out; without any it is not written.
    """
    import pyarrow as pa

    kept = left_out = 0
    with _opened(path) as source:
        chosen = [
            [keep(position) for position in source.read_row_group(group, ["position"])["position"].to_pylist()]
            for group in range(source.num_row_groups)
        ]
        if not any(map(any, chosen)):
            return 0, sum(map(len, chosen))
        with _new_file(to) as file, _writer(file) as writer:
            for group, wanted in enumerate(chosen):
                kept += sum(wanted)
                left_out += len(wanted) - sum(wanted)
                if any(wanted):
                    writer.write_table(source.read_row_group(group).filter(pa.array(wanted)), row_group_size=ROW_GROUP)
    return kept, left_out


def all_records(path: Path) -> tuple[list[int], list[bytes]]:
    """Positions and records of a whole file, in its own order. Raises UnavailableError when it is gone or damaged."""
    with _opened(path) as source:
        table = source.read(["position", "record"])
    return table["position"].to_pylist(), table["record"].to_pylist()


def records_of(path: Path, subject: str) -> dict[int, bytes]:
    """Position -> record of one subject; reads only the row groups that may hold it."""
    found: dict[int, bytes] = {}
    with _opened(path) as source:
        for group in _groups(source, (subject,)):
            table = source.read_row_group(group, ["position", "subject", "record"])
            rows = zip(*(table[name].to_pylist() for name in ("position", "subject", "record")), strict=True)
            found.update((position, record) for position, whose, record in rows if whose == subject)
    return found


def holds_any(path: Path, subjects: Collection[str]) -> bool:
    """Whether a file has a record of one of the subjects."""
    wanted = frozenset(subjects)
    with _opened(path) as source:
        return any(
            not wanted.isdisjoint(source.read_row_group(group, ["subject"])["subject"].to_pylist())
            for group in _groups(source, wanted)
        )


def leave_out(path: Path, subjects: Collection[str]) -> None:
    """Write a file anew without the records of some subjects, under its own name; without any left it goes."""
    if not holds_any(path, subjects):
        return
    wanted = frozenset(subjects)
    gone: set[int] = set()
    with _opened(path) as source:
        for group in _groups(source, wanted):
            table = source.read_row_group(group, ["position", "subject"])
            rows = zip(table["position"].to_pylist(), table["subject"].to_pylist(), strict=True)
            gone.update(position for position, whose in rows if whose in wanted)
    moved_ns = path.stat().st_mtime_ns
    kept, _ = copy_partition(path, path, lambda position: position not in gone)
    if kept:
        os.utime(path, ns=(moved_ns, moved_ns))
    else:
        path.unlink()
        sync_folder(path.parent)


def new_name(kind: str, month: str) -> str:
    """A file's name below the lake that was never used: `events/2026-11/….parquet`."""
    return f"{kind}/{month}/{secrets.token_hex(8)}{SUFFIX}"


def _groups(source: pq.ParquetFile, subjects: Collection[str]) -> Iterator[int]:
    for group in range(source.num_row_groups):
        told = source.metadata.row_group(group).column(_COLUMNS.index("subject")).statistics
        if told is None or not told.has_min_max or any(told.min <= subject <= told.max for subject in subjects):
            yield group


def _fields() -> list[tuple[str, Any]]:
    import pyarrow as pa

    kinds = {"position": pa.int64(), "time_ms": pa.int64(), "seq": pa.int64(), "record": pa.binary()}
    return [(name, kinds.get(name, pa.string())) for name in _COLUMNS]


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in _fields()])


def _writer(file: Any) -> pq.ParquetWriter:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        file,
        _schema(),
        compression="zstd",
        use_dictionary=["subject", "producer", "name"],
        write_statistics=["position", "subject", "time_ms"],
        write_page_checksum=True,
    )


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            if not source.schema_arrow.equals(_schema()):
                raise UnavailableError(f"{path}: this part of the ledger is damaged: other columns")
            yield source
    except FileNotFoundError:
        raise PartitionGone(f"{path}: this part of the ledger is not there") from None
    except (OSError, ValueError, pa.ArrowException) as damaged:
        raise UnavailableError(f"{path}: this part of the ledger is damaged: {_line(damaged)}") from damaged


@contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    """A file that is whole and durable under its name, or not there at all."""
    beside = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            sync_folder(folder)
    except OSError as refused:
        beside.unlink(missing_ok=True)
        raise UnavailableError(f"{path}: cannot be written: {refused.strerror}") from refused
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
