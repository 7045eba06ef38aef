"""Decisions that somebody else's system logged, with the probability of each: `edgewise import decisions`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.imports.cells import (
    Mask,
    instants_us,
    looks_numeric,
    missing,
    numbers,
    texts,
    whole_numbers,
)
from hub.imports.decision_store import (
    CONTEXT_PREFIX,
    DecisionsRecord,
    ImportedDecisions,
    decision_paths,
    default_name,
    digest,
    reported,
    span,
    store_decisions,
    stored_record,
)
from hub.imports.maps import OPTIONAL, REQUIRED, DecisionMap, load_map
from hub.imports.pseudonyms import erased_pseudonyms, import_key, pseudonyms
from hub.imports.rejects import Rejects
from hub.imports.rows import Rows, read_rows
from hub.tables import FileFormat, file_format, read_table

if TYPE_CHECKING:
    import pyarrow as pa

_LAYOUT: Final = 2
"""Grows when the stored columns change, so that an old store is not taken for a fresh one."""
_COLUMNS_SHOWN: Final = 30


def import_decisions(
    path: Path,
    data_dir: Path,
    *,
    name: str | None = None,
    form: FileFormat | None = None,
    map_path: Path | None = None,
    delimiter: str | None = None,
) -> ImportedDecisions:
    """Import a decision log; bad rows are set aside, an identical import changes nothing.

    Needs an action, a propensity in (0, 1] and a finite reward in each row. The format is told by the file's
    ending unless `form` says it. Users are stored as pseudonyms only.

    Raises InputError when the file or map cannot be used at all, or no row could; UnavailableError when the data
    folder cannot be written. In both cases what was imported before stays.
    """
    name = default_name(path) if name is None else name
    paths = decision_paths(data_dir, name)
    mapping = load_map(map_path)
    form = form or file_format(path)
    if form is None:
        if not path.exists():
            raise InputError(f"{path}: no such file")
        known = ", ".join(FileFormat)
        raise InputError(
            f"{path}: {path.suffix or 'no'} ending, expected a format: one of {known}, or dsjson (`--format`)"
        )
    features_path = _features_path(mapping, map_path)
    sha256 = digest(path)
    recipe = _recipe(mapping, form, delimiter, features_path)
    before = stored_record(paths)
    if before is not None and (before.sha256, before.recipe) == (sha256, recipe):
        return reported(before, paths, unchanged=True)

    rejects = Rejects()
    fields = {field: mapping.source_name(field) for field in (*REQUIRED, *OPTIONAL)}
    wanted = dict.fromkeys([*fields.values(), *mapping.context_columns])
    rows = read_rows(path, form, wanted, rejects, delimiter=delimiter)
    _check_present(path, mapping, rows)
    table = _validated(rows, mapping, data_dir, rejects)
    if table.num_rows == 0:
        problems = tuple(reject.problem() for reject in rejects.first())
        raise InputError(f"{path}: no row could be used, {rejects.rows:,} refused; nothing was imported", problems)
    record = DecisionsRecord(
        name=name,
        source=path.name,
        sha256=sha256,
        recipe=recipe,
        format=form.value,
        rows=table.num_rows,
        rejected=rejects.rows,
        rejects=rejects.by_column(),
        columns={field: source for field, source in fields.items() if source in rows.columns},
        context=mapping.context_columns,
        timestamps=span(table),
    )
    features = None if features_path is None else _action_features(features_path, mapping)
    store_decisions(paths, table, features, rejects, record)
    return reported(record, paths, unchanged=False)


def _check_present(path: Path, mapping: DecisionMap, rows: Rows) -> None:
    demanded = [*REQUIRED, *(field for field in OPTIONAL if mapping.is_named(field))]
    sources = [mapping.source_name(field) for field in demanded] + mapping.context_columns
    absent = [source for source in sources if source not in rows.columns]
    if absent:
        there = ", ".join(repr(column) for column in rows.present[:_COLUMNS_SHOWN])
        unseen = len(rows.present) - _COLUMNS_SHOWN
        more = f" and {unseen} more" if unseen > 0 else ""
        lacking = ", ".join(repr(column) for column in absent)
        raise InputError(f"{path}: no column {lacking}; there are: {there}{more}. A map tells which is which")


def _of_erased(users: pa.ChunkedArray, data_dir: Path) -> Mask:
    import pyarrow as pa
    import pyarrow.compute as pc

    erased = pa.array(sorted(erased_pseudonyms(data_dir)), pa.string())
    found: Mask = pc.is_in(users, value_set=erased).to_numpy(zero_copy_only=False)
    return found


def _validated(rows: Rows, mapping: DecisionMap, data_dir: Path, rejects: Rejects) -> pa.Table:
    """The good rows in our columns; every fault of the others is in `rejects`."""
    import pyarrow as pa

    count = len(rows.row)
    bad: Mask = np.zeros(count, np.bool_)

    def refuse(field: str, where: Mask, expected: str) -> None:
        nonlocal bad
        source = mapping.source_name(field)
        rejects.extend(rows.row[where], source, rows.columns[source].filter(pa.array(where)).to_pylist(), expected)
        bad = bad | where

    def given(field: str) -> pa.ChunkedArray | None:
        return rows.columns.get(mapping.source_name(field))

    columns: dict[str, Any] = {"row": pa.array(rows.row)}
    if (cells := given("timestamp")) is not None:
        moments, wrong = instants_us(cells)
        refuse("timestamp", wrong, "a time in ISO 8601, or seconds or milliseconds since 1970")
        columns["timestamp"] = pa.array(moments).cast(pa.timestamp("us", "UTC"))
    if (cells := given("decision_id")) is not None:
        columns["decision_id"] = texts(cells)
        refuse("decision_id", missing(columns["decision_id"]), "an id of the decision")
    else:
        columns["decision_id"] = pa.array(rows.row).cast(pa.string())
    columns["action"] = texts(rows.columns[mapping.source_name("action")])
    refuse("action", missing(columns["action"]), "the action that was shown")
    propensity = numbers(rows.columns[mapping.source_name("propensity")])
    refuse("propensity", ~((propensity > 0) & (propensity <= 1)), "a probability above 0 and at most 1")
    columns["propensity"] = pa.array(propensity)
    reward = numbers(rows.columns[mapping.source_name("reward")])
    refuse("reward", np.isnan(reward), "a finite number")
    columns["reward"] = pa.array(reward)
    if (cells := given("position")) is not None:
        position, wrong = whole_numbers(cells)
        refuse("position", wrong, "a whole number from 0")
        columns["position"] = pa.array(position.astype(np.int32))
    if (cells := given("sample_weight")) is not None:
        weight = numbers(cells)
        refuse("sample_weight", ~(weight > 0), "a number above 0")
        columns["sample_weight"] = pa.array(weight)
    if (cells := given("user")) is not None:
        columns["user"] = pseudonyms(texts(cells), import_key(data_dir))
        bad = bad | _of_erased(columns["user"], data_dir)
    for name in mapping.context_columns:
        cells = rows.columns[name]
        columns[CONTEXT_PREFIX + name] = pa.array(numbers(cells)) if looks_numeric(cells) else texts(cells)
    if given("decision_id") is not None:
        repeated = _repeated(columns, bad)
        refuse("decision_id", repeated, "one row for a decision and position; an earlier row has both")
    return pa.table(columns).filter(pa.array(~bad))


def _repeated(columns: dict[str, Any], bad: Mask) -> Mask:
    """Good rows whose decision and position an earlier good row has: a second exposure is not counted."""
    ids = columns["decision_id"].combine_chunks().dictionary_encode().indices.fill_null(-1)
    keys = ids.to_numpy().astype(np.int64)
    if "position" in columns:
        _, place = np.unique(columns["position"].to_numpy(), return_inverse=True)
        keys = keys * (int(place.max(initial=0)) + 1) + place
    good = np.flatnonzero(~bad)
    _, first = np.unique(keys[good], return_index=True)
    repeated = ~bad
    repeated[good[first]] = False
    return repeated


def _features_path(mapping: DecisionMap, map_path: Path | None) -> Path | None:
    if mapping.action_context_file is None or map_path is None:
        return None
    return map_path.parent / mapping.action_context_file


def _action_features(path: Path, mapping: DecisionMap) -> pa.Table:
    """The features of actions, keyed by `action`."""
    import pyarrow as pa

    key = mapping.source_name("action")
    table = read_table(path, text=[key, "action"])
    if key not in table.column_names:
        key = "action"
    if key not in table.column_names:
        there = ", ".join(repr(name) for name in table.column_names)
        raise InputError(f"{path}: no column {mapping.source_name('action')!r} or 'action'; there are: {there}")
    actions = texts(table.column(key))
    if actions.null_count:
        raise InputError(f"{path}: {actions.null_count} rows without an action")
    if len(actions.unique()) < len(actions):
        raise InputError(f"{path}: an action occurs more than once in column {key!r}")
    # a nameless column is the row number that a data frame wrote
    features = {name: table.column(name) for name in table.column_names if name not in {key, ""}}
    return pa.table({"action": actions, **features})


def _recipe(mapping: DecisionMap, form: FileFormat, delimiter: str | None, features_path: Path | None) -> str:
    features = None if features_path is None else digest(features_path)
    made_of = msgspec.json.encode([_LAYOUT, mapping, form.value, delimiter, features])
    return hashlib.sha256(made_of).hexdigest()
