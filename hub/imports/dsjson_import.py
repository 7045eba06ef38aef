"""`edgewise import decisions F --format dsjson`: a whole log of VW or Azure Personalizer, whose service is gone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from hub.imports.dsjson import DsjsonDecision, DsjsonFault, LeftOut, parsed
from hub.imports.dsjson_features import Feature
from hub.imports.dsjson_summary import Tally
from hub.imports.lines import read_lines
from hub.imports.rejects import WHOLE_ROW, Rejects

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = "dsjson"
_LAYOUT: Final = 1
MOST_LINE_BYTES: Final = 16 << 20
MOST_FEATURES: Final = 200
"""Columns for the features of situations, and as many for those of actions: the most frequent ones."""
_SHOWN_BYTES: Final = 200
_STORED: Final = (
    *("row", "timestamp", "decision_id", "action", "propensity", "reward", "position", "slot"),
    *("sample_weight", "choices", "choice_probabilities", "audit"),
)
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
    path: Path, data_dir: Path, *, name: str | None = None, progress: Callable[[int], None] = lambda _: None
) -> ImportedDecisions:
    """Import a dsjson log, CB or CCB, plain or gzipped; bad lines are set aside, an identical import changes nothing.

    One row is stored for each slot, with what could have stood there, its weight against `pdrop`, and, as JSON,
    every field that has no column. Decisions from which nothing may be learned are counted and left out.
    `progress` is told how many bytes have been read.

    Raises InputError when the file cannot be read or no decision can be used; UnavailableError when the data folder
    cannot be written. In both cases what was imported before stays.
    """
    name = default_name(path) if name is None else name
    paths = decision_paths(data_dir, name)
    sha256 = digest(path)
    recipe = hashlib.sha256(msgspec.json.encode([FORMAT, _LAYOUT])).hexdigest()
    before = stored_record(paths)
    if before is not None and (before.sha256, before.recipe) == (sha256, recipe):
        return reported(before, paths, unchanged=True)

    rejects = Rejects()
    gathered = _Gathered(rejects)
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


class _Gathered:
    """The decisions of a log, a row a slot, until they become columns."""

    def __init__(self, rejects: Rejects) -> None:
        self.tally = Tally()
        self.left_out = LeftOut()
        self.rows: dict[str, list[Any]] = {name: [] for name in _STORED}
        self._rejects = rejects
        self._event_ids: set[str] = set()
        self._context: list[dict[str, Feature]] = []
        self._actions: dict[str, dict[str, Feature]] = {}
        self._is_ccb = False

    def add(self, row: int, line: bytes) -> None:
        """Take one line: stored, refused, or counted as not to be learned from."""
        try:
            decision = parsed(line)
            at = _instant(decision.timestamp)
        except DsjsonFault as fault:
            self._rejects.add(row, fault.field, fault.value, fault.expected)
            return
        event_id = str(row) if decision.event_id is None else decision.event_id
        if event_id in self._event_ids:
            self._rejects.add(row, "EventId", event_id, "one line for a decision; an earlier line has it")
            return
        self._event_ids.add(event_id)
        if decision.is_skipped or not decision.is_activated:
            left = self.left_out
            self.left_out = (
                msgspec.structs.replace(left, skip_learn=left.skip_learn + 1)
                if decision.is_skipped
                else msgspec.structs.replace(left, not_activated=left.not_activated + 1)
            )
            return
        self.tally.add(event_id, decision, at)
        self._store(row, event_id, decision, at)
        self._actions.update(decision.actions)

    def _store(self, row: int, event_id: str, decision: DsjsonDecision, at: datetime | None) -> None:
        for position, slot in enumerate(decision.slots, 1):
            self._is_ccb = self._is_ccb or slot.name is not None or len(decision.slots) > 1
            cells = {
                "row": row,
                "timestamp": at,
                "decision_id": event_id,
                "action": slot.shown,
                "propensity": slot.propensity,
                "reward": slot.reward,
                "position": position,
                "slot": slot.name,
                "sample_weight": decision.weight,
                "choices": slot.choices,
                "choice_probabilities": slot.probabilities,
                "audit": decision.audit,
            }
            for name, cell in cells.items():
                self.rows[name].append(cell)
            self._context.append(decision.context)

    def tables(self) -> tuple[pa.Table, pa.Table | None, int]:
        """(the rows, the features of actions, how many rare features got no column)."""
        import pyarrow as pa

        types = {
            "row": pa.int64(),
            "timestamp": pa.timestamp("us", "UTC"),
            "propensity": pa.float64(),
            "reward": pa.float64(),
            "position": pa.int32(),
            "sample_weight": pa.float64(),
            "choices": pa.list_(pa.string()),
            "choice_probabilities": pa.list_(pa.float64()),
        }
        empty = {"timestamp"} if all(at is None for at in self.rows["timestamp"]) else set()
        empty |= set() if self._is_ccb else {"position", "slot"}
        empty |= {"sample_weight"} if set(self.rows["sample_weight"]) == {1.0} else set()
        columns = {
            name: pa.array(cells, types.get(name, pa.string()))
            for name, cells in self.rows.items()
            if name not in empty
        }
        context, context_dropped = _feature_columns(self._context, CONTEXT_PREFIX)
        described, action_dropped = _feature_columns(list(self._actions.values()), "")
        features = pa.table({"action": pa.array(list(self._actions), pa.string()), **described}) if described else None
        return pa.table({**columns, **context}), features, context_dropped + action_dropped


def _feature_columns(rows: list[dict[str, Feature]], prefix: str) -> tuple[dict[str, pa.Array], int]:
    """(the most frequent features as columns, numbers where all are, else text; how many are left out)."""
    import pyarrow as pa

    frequent = Counter(name for row in rows for name in row)
    kept = sorted(frequent, key=lambda name: (-frequent[name], name))[:MOST_FEATURES]
    columns: dict[str, pa.Array] = {}
    for name in sorted(kept):
        cells = [row.get(name) for row in rows]
        is_text = any(isinstance(cell, str) for cell in cells)
        columns[prefix + name] = (
            pa.array([cell if cell is None else str(cell) for cell in cells], pa.string())
            if is_text
            else pa.array(cells, pa.float64())
        )
    return columns, len(frequent) - len(kept)


def _instant(text: str | None) -> datetime | None:
    """A time in ISO 8601; without a zone it is UTC, in which the service wrote them."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DsjsonFault("Timestamp", text, "a time in ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
