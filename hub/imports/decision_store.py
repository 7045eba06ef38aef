"""Where imported decisions live, and the record that vouches for them.

`<data-dir>/decisions/NAME.parquet` holds the good rows, `NAME.json` says what they were made from; the refused
rows stand in `rejects/NAME.csv`, the features of the actions in `actions/NAME.parquet`.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgewise.errors import MALFORMED, InputError, UnavailableError
from hub.imports.dsjson_summary import DsjsonSummary
from hub.imports.rejects import Rejects

if TYPE_CHECKING:
    import pyarrow as pa

CONTEXT_PREFIX: Final = "context."
"""Before the name of each stored column that describes the situation of a decision."""
_NAME: Final = re.compile(r"\w[\w .-]{0,99}")


class DecisionsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """NAME.json: what an import was made from and what came of it."""

    name: str
    source: str
    sha256: str
    """Of the source file's bytes."""
    recipe: str
    """Hash of everything else that shapes the result: map, format, action features, layout."""
    format: str
    rows: int
    rejected: int
    rejects: dict[str, int]
    """Faults by source column; `` for a row that could not be cut into fields."""
    columns: dict[str, str]
    """Our field -> source column."""
    context: list[str]
    timestamps: tuple[str, str] | None
    dsjson: DsjsonSummary | None = None
    """What a dsjson log came to."""


class ImportedDecisions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `edgewise import decisions` reports."""

    name: str
    rows: int
    rejected: int
    rejects: dict[str, int]
    unchanged: bool
    """The same file had been imported in the same way; nothing was written."""
    sha256: str
    columns: dict[str, str]
    decisions: str
    rejects_file: str | None
    dsjson: DsjsonSummary | None = None


@dataclass(frozen=True, slots=True)
class DecisionPaths:
    """Where one imported log lives."""

    table: Path
    record: Path
    rejects: Path
    actions: Path


def decision_paths(data_dir: Path, name: str) -> DecisionPaths:
    """The files of an imported log. Raises InputError for a name that could leave the folder."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name decisions: expected up to 100 letters, digits, blanks, or one of `_.-`, "
            "beginning with a letter or digit"
        )
    root = data_dir / "decisions"
    return DecisionPaths(
        table=root / f"{name}.parquet",
        record=root / f"{name}.json",
        rejects=root / "rejects" / f"{name}.csv",
        actions=root / "actions" / f"{name}.parquet",
    )


def stored_record(paths: DecisionPaths) -> DecisionsRecord | None:
    """What an earlier import left, or None when there is none that is whole."""
    if not (paths.record.is_file() and paths.table.is_file()):
        return None
    try:
        return msgspec.json.decode(paths.record.read_bytes(), type=DecisionsRecord)
    except MALFORMED:
        return None


def store_decisions(
    paths: DecisionPaths, table: pa.Table, features: pa.Table | None, rejects: Rejects, record: DecisionsRecord
) -> None:
    """Write beside, then rename; the record comes last and only then vouches for the rest."""
    import pyarrow.parquet as pq

    try:
        paths.table.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.table.parent, prefix=".import-") as folder:
            beside = Path(folder)
            written: list[tuple[Path, Path]] = []
            if features is not None:
                pq.write_table(features, beside / "actions", compression="zstd")
                written.append((beside / "actions", paths.actions))
            if rejects.rows:
                rejects.write(beside / "rejects")
                written.append((beside / "rejects", paths.rejects))
            pq.write_table(table, beside / "table", compression="zstd")
            (beside / "record").write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
            written += [(beside / "table", paths.table), (beside / "record", paths.record)]
            paths.record.unlink(missing_ok=True)
            for stale in (paths.actions, paths.rejects):
                stale.unlink(missing_ok=True)
            for source, target in written:
                target.parent.mkdir(exist_ok=True)
                source.replace(target)
    except OSError as refused:
        raise UnavailableError(f"{paths.table.parent}: cannot be written: {refused.strerror}") from None


def reported(record: DecisionsRecord, paths: DecisionPaths, *, unchanged: bool) -> ImportedDecisions:
    """What to say about a stored import."""
    return ImportedDecisions(
        name=record.name,
        rows=record.rows,
        rejected=record.rejected,
        rejects=record.rejects,
        unchanged=unchanged,
        sha256=record.sha256,
        columns=record.columns,
        decisions=str(paths.table),
        rejects_file=str(paths.rejects) if record.rejected else None,
        dsjson=record.dsjson,
    )


def default_name(path: Path) -> str:
    """A file's stem: `week-12` of `logs/week-12.csv.gz`."""
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InputError when it cannot be read."""
    if not path.is_file():
        raise InputError(f"{path}: {'a folder, expected a file' if path.is_dir() else 'no such file'}")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as refused:
        raise InputError(f"{path}: cannot be read: {refused.strerror}") from None


def span(table: pa.Table) -> tuple[str, str] | None:
    """The first and the last time of a decision; None where none is known."""
    import pyarrow.compute as pc

    if "timestamp" not in table.column_names:
        return None
    bounds = pc.min_max(table.column("timestamp"))
    if bounds["min"].as_py() is None:
        return None
    return bounds["min"].as_py().isoformat(), bounds["max"].as_py().isoformat()
