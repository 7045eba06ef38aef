"""People of one file or two, as one table of comparable values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgewise.errors import InputError, Problem
from hub.linkage import values
from hub.linkage.roles import Role, recognised
from hub.tables import FileFormat, file_format, read_table, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = (
    *Role,
    "both_names",
    "email_user",
    "postcode_area",
    "birth_year",
)
"""Of the prepared table, beside `number`: the row's place, 0 to n - 1. All are text or null."""
_PLAIN: Final[dict[Role, Callable[[str], str | None]]] = {
    Role.EMAIL: values.email,
    Role.PHONE: values.phone,
    Role.POSTCODE: values.postcode,
}


class Records(NamedTuple):
    """People that may be the same. Position k belongs to row number k everywhere."""

    table: pa.Table
    """`number` and COLUMNS."""
    ids: list[str]
    """As they are reported: with the file's name before them when two files share an id."""
    files: list[str]
    truth: list[str | None] | None
    roles: dict[Role, str]
    """Roles that say something, with the column of the first file that has it."""


def read_records(
    paths: Sequence[Path],
    *,
    key: str,
    truth: str | None = None,
    given: Mapping[str, Role] | None = None,
    delimiter: str | None = None,
) -> Records:
    """The records of one file or two.

    Raises InputError for an unreadable file, a missing column, ids that are empty or occur twice, fewer than two
    records, and files where no column with values says anything about a person.
    """
    rows: list[dict[Role, str | None]] = []
    ids: list[str] = []
    files: list[str] = []
    real: list[str | None] = []
    columns: dict[Role, str] = {}
    seen: set[str] = set()
    labels = _labels(paths)
    for path, label in zip(paths, labels, strict=True):
        table = _as_text(path, delimiter)
        require_columns(table, [name for name in (key, truth) if name is not None], where=str(path))
        persons = [name for name in table.column_names if name not in (key, truth)]
        roles = recognised(persons, {column: role for column, role in (given or {}).items() if column in persons})
        seen.update(table.column_names)
        ids += _ids(table, key, path)
        files += [label] * table.num_rows
        if truth is not None:
            real += table.column(truth).to_pylist()
        rows += prepared({role: table.column(column).to_pylist() for role, column in roles.items()}, table.num_rows)
        columns = {**roles, **columns}
    recognised(seen, given)  # with two files one of them may lack a column, not both
    return records(rows, ids=_told_apart(ids, files), files=files, truth=real if truth else None, columns=columns)


def records(
    rows: Sequence[Mapping[Role, str | None]],
    *,
    ids: list[str],
    files: list[str],
    truth: list[str | None] | None = None,
    columns: Mapping[Role, str] | None = None,
) -> Records:
    """Prepared rows as one table. Raises InputError for fewer than two, and where nobody says anything."""
    import pyarrow as pa

    if len(rows) < 2:  # noqa: PLR2004  # a pair
        raise InputError(f"{_times(len(rows), 'record')}, expected at least two to compare")
    table = {"number": pa.array(range(len(rows)), pa.int64())}
    full = [_derived(row) for row in rows]
    for column in COLUMNS:
        table[column] = pa.array([row.get(column) for row in full], pa.string())
    said = [role for role in Role if any(row.get(role) is not None for row in rows)]
    if not said:
        raise InputError(
            "no column with values says who somebody is; name them with --role COLUMN=ROLE",
            (Problem("--role", f"ROLE is one of {', '.join(Role)}"),),
        )
    return Records(pa.table(table), ids, files, truth, {role: (columns or {}).get(role, role.value) for role in said})


def prepared(columns: Mapping[Role, list[str | None]], rows: int) -> list[dict[Role, str | None]]:
    """Values of each column written in one way, row by row."""
    found: list[dict[Role, str | None]] = [{} for _ in range(rows)]
    for role, column in columns.items():
        if role is Role.BIRTH_DATE:
            order = values.date_order(value for value in column if value is not None)
            for row, value in zip(found, column, strict=True):
                row[role] = None if value is None else values.date(value, order)
        else:
            write = _PLAIN.get(role, values.plain)
            for row, value in zip(found, column, strict=True):
                row[role] = None if value is None else write(value)
    return found


def _derived(row: Mapping[Role, str | None]) -> dict[str, str | None]:
    """A row with the columns that are made of others."""
    first, last, full = (row.get(role) for role in (Role.FIRST_NAME, Role.LAST_NAME, Role.FULL_NAME))
    if full is not None and first is None and last is None:
        words = [word.strip(",") for word in full.split()]
        first, last = words[0], words[-1] if len(words) > 1 else None
    elif full is None and first is not None and last is not None:
        full = f"{first} {last}"
    email, code, born = (row.get(role) for role in (Role.EMAIL, Role.POSTCODE, Role.BIRTH_DATE))
    return {
        **{role.value: value for role, value in row.items()},
        Role.FIRST_NAME: first,
        Role.LAST_NAME: last,
        Role.FULL_NAME: full,
        "both_names": f"{first} {last}" if first and last else None,
        "email_user": email.partition("@")[0] or None if email else None,
        "postcode_area": values.area(code) if code else None,
        "birth_year": born[:4] if born and born[:4].isdigit() else None,
    }


def _as_text(path: Path, delimiter: str | None) -> pa.Table:
    """All columns as text: `007` is no number and `1990-01-02` no point in time here."""
    import pyarrow as pa

    table = read_table(path, delimiter=delimiter)
    if file_format(path) in (None, FileFormat.CSV):
        return read_table(path, delimiter=delimiter, text=table.column_names)
    texts: dict[str, Any] = {
        name: pa.array([None if value is None else str(value) for value in table.column(name).to_pylist()], pa.string())
        for name in table.column_names
    }
    return pa.table(texts)


def _ids(table: pa.Table, key: str, path: Path) -> list[str]:
    found: list[str | None] = table.column(key).to_pylist()
    empty = [number for number, value in enumerate(found, 1) if value is None or not value.strip()]
    if empty:
        raise InputError(f"{path}: column {key!r} is empty in {_times(len(empty), 'row')}, first in row {empty[0]}")
    ids = [value.strip() for value in found if value is not None]
    repeated = [(value, times) for value, times in Counter(ids).items() if times > 1]
    if repeated:
        value, times = repeated[0]
        others = f", and {len(repeated) - 1:,} other ids" if len(repeated) > 1 else ""
        raise InputError(
            f"{path}: {key} {value!r} occurs {times} times{others}; expected an id of its own for each row"
        )
    return ids


def _labels(paths: Sequence[Path]) -> list[str]:
    stems = [path.name.partition(".")[0] or path.name for path in paths]
    return stems if len(set(stems)) == len(stems) else ["A", "B"][: len(paths)]


def _told_apart(ids: list[str], files: Iterable[str]) -> list[str]:
    if len(set(ids)) == len(ids):
        return ids
    return [f"{file}:{value}" for file, value in zip(files, ids, strict=True)]


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
