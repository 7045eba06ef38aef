"""`edgewise import decisions F --format dsjson`: a whole log of VW or Azure Personalizer, whose service is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import InputError
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
from hub.imports.dsjson_rows import DsjsonRows, LoggedUsers
from hub.imports.lines import read_lines
from hub.imports.maps import DecisionColumns, DecisionMap, load_map
from hub.imports.rejects import WHOLE_ROW, Rejects

FORMAT: Final = "dsjson"
_LAYOUT: Final = 1
MOST_LINE_BYTES: Final = 16 << 20
_SHOWN_BYTES: Final = 200
_COLUMNS: Final = {
    "decision_id": "EventId",
    "timestamp": "Timestamp",
    "action": "_tag",
    "propensity": "_label_probability",
    "reward": "_label_cost",
    "position": "_outcomes",
    "sample_weight": "pdrop",
}


def is_dsjson(path: Path) -> bool:
    """Whether a file's name says so: `.dsjson`, also `.dsjson.gz`."""
    return path.name.lower().removesuffix(".gz").endswith(f".{FORMAT}")


def import_dsjson(
    path: Path,
    data_dir: Path,
    *,
    name: str | None = None,
    map_path: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ImportedDecisions:
    """Import a dsjson log, CB or CCB, plain or gzipped; bad lines are set aside, an identical import changes nothing.

    One row is stored for each slot, with what could have stood there, its weight against `pdrop`, and, as JSON,
    every field that has no column. Decisions from which nothing may be learned are counted and left out. A map may
    say where in the context the visitor is named (`[columns] user = "User.id"`): he is stored as a pseudonym only.
    `progress` is told how many bytes have been read.

    Raises InputError when the file or map cannot be read or no decision can be used; UnavailableError when the data
    folder cannot be written. In both cases what was imported before stays.
    """
    name = default_name(path) if name is None else name
    paths = decision_paths(data_dir, name)
    user_path = _user_path(map_path)
    sha256 = digest(path)
    recipe = hashlib.sha256(msgspec.json.encode([FORMAT, _LAYOUT, user_path])).hexdigest()
    before = stored_record(paths)
    if before is not None and (before.sha256, before.recipe) == (sha256, recipe):
        return reported(before, paths, unchanged=True)

    rejects = Rejects()
    gathered = DsjsonRows(rejects, None if user_path is None else LoggedUsers(user_path, data_dir))
    for line in read_lines(path, MOST_LINE_BYTES, progress):
        if line.too_long:
            said = line.content[:_SHOWN_BYTES].decode("utf-8", "replace")
            rejects.add(line.number, WHOLE_ROW, said, f"a line of at most {MOST_LINE_BYTES:,} bytes")
            continue
        gathered.add(line.number, line.content)
    if not gathered.rows["row"]:
        problems = tuple(reject.problem() for reject in rejects.first())
        left_out = gathered.left_out.total
        raise InputError(
            f"{path}: no decision could be used, {rejects.rows:,} lines refused, {left_out:,} not to be learned from; "
            "nothing was imported",
            problems,
        )
    table, features, dropped = gathered.tables()
    record = DecisionsRecord(
        name=name,
        source=path.name,
        sha256=sha256,
        recipe=recipe,
        format=FORMAT,
        rows=table.num_rows,
        rejected=rejects.rows,
        rejects=rejects.by_column(),
        columns={field: source for field, source in _COLUMNS.items() if field in table.column_names},
        context=[
            column.removeprefix(CONTEXT_PREFIX) for column in table.column_names if column.startswith(CONTEXT_PREFIX)
        ],
        timestamps=span(table),
        dsjson=gathered.tally.summary(gathered.left_out, dropped),
    )
    store_decisions(paths, table, features, rejects, record)
    return reported(record, paths, unchanged=False)


def _user_path(map_path: Path | None) -> str | None:
    mapping = load_map(map_path)
    if mapping != DecisionMap(columns=DecisionColumns(user=mapping.columns.user)):
        raise InputError(
            f"{map_path}: a dsjson log says itself which field is what; expected `user` under [columns] alone"
        )
    return mapping.columns.user
