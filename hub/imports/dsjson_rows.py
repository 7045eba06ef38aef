"""The decisions of a dsjson log as columns: a row for each slot, and what its actions and situations are like."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.imports.decision_store import CONTEXT_PREFIX
from hub.imports.dsjson import DsjsonDecision, DsjsonFault, LeftOut, parsed
from hub.imports.dsjson_features import Feature
from hub.imports.dsjson_summary import Tally
from hub.imports.pseudonyms import erased_pseudonyms, import_key, pseudonym
from hub.imports.rejects import Rejects

if TYPE_CHECKING:
    import pyarrow as pa

MOST_FEATURES: Final = 200
"""Columns for the features of situations, and as many for those of actions: the most frequent ones."""
_STORED: Final = (
    *("row", "timestamp", "decision_id", "action", "propensity", "reward", "position", "slot", "user"),
    *("sample_weight", "choices", "choice_probabilities", "audit"),
)


class LoggedUsers:
    """Where a log names its visitors, and how they are called here."""

    def __init__(self, path: str, data_dir: Path) -> None:
        self.path = path
        self._key = import_key(data_dir)
        self._erased = erased_pseudonyms(data_dir)

    def pseudonym(self, user: str | None) -> str | None:
        """None for nobody."""
        return None if user is None else pseudonym(user.strip(), self._key)

    def is_erased(self, name: str | None) -> bool:
        """Whether his rows must stay away."""
        return name in self._erased


class DsjsonRows:
    """The decisions of a log, a row a slot, until they become columns."""

    def __init__(self, rejects: Rejects, users: LoggedUsers | None) -> None:
        self._users = users
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
            decision = parsed(line, None if self._users is None else self._users.path)
            at = _instant(decision.timestamp)
        except DsjsonFault as fault:
            self._rejects.add(row, fault.field, fault.value, fault.expected)
            return
        event_id = str(row) if decision.event_id is None else decision.event_id
        if event_id in self._event_ids:
            self._rejects.add(row, "EventId", event_id, "one line for a decision; an earlier line has it")
            return
        self._event_ids.add(event_id)
        user = None if self._users is None else self._users.pseudonym(decision.user)
        if self._users is not None and self._users.is_erased(user):
            return
        if decision.is_skipped or not decision.is_activated:
            left = self.left_out
            self.left_out = (
                msgspec.structs.replace(left, skip_learn=left.skip_learn + 1)
                if decision.is_skipped
                else msgspec.structs.replace(left, not_activated=left.not_activated + 1)
            )
            return
        self.tally.add(event_id, decision, at)
        self._store(row, event_id, decision, at, user)
        self._actions.update(decision.actions)

    def _store(self, row: int, event_id: str, decision: DsjsonDecision, at: datetime | None, user: str | None) -> None:
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
                "user": user,
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
        empty |= {"user"} if self._users is None else set()
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
