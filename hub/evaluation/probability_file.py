"""A target policy written down: `action, probability`, optionally for each `position` and `decision_id`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
from typing_extensions import override

from edgewise.errors import InputError, Problem
from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.imports.cells import Mask, missing, numbers, texts, whole_numbers
from hub.origin import Origin
from hub.tables import read_table, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

_SUM_TOLERANCE: Final = 0.01  # probabilities that people round to four digits still add up
_PROBLEMS_SHOWN: Final = 20


class Situation(NamedTuple):
    """What a set of probabilities holds for; None where it holds for all."""

    decision_id: str | None
    position: int | None

    @override
    def __str__(self) -> str:
        named = [] if self.decision_id is None else [f"decision {self.decision_id}"]
        named += [] if self.position is None else [f"position {self.position}"]
        return ", ".join(named) or "every decision"


@dataclass(frozen=True, slots=True)
class Situations:
    """The distinct situations of some rows, and which each row has."""

    distinct: tuple[Situation, ...]
    row: Integers
    """(rows,): index into `distinct`."""

    @classmethod
    def of(cls, log: LoggedDecisions, *, by_decision: bool, by_position: bool) -> Self:
        """The situations of a log, told apart by decision, by position, by both or not at all."""
        return cls.group(
            log.rows,
            log.decision if by_decision else None,
            log.decision_ids,
            log.position if by_position else None,
        )

    @classmethod
    def group(cls, rows: int, decision: Integers | None, ids: tuple[str, ...], position: Integers | None) -> Self:
        """Group rows by an index into `ids` and by position, as far as they are given."""
        if decision is None and position is None:
            return cls((Situation(None, None),), np.zeros(rows, np.int64))
        size = 1 if position is None else int(position.max(initial=0)) + 1
        first = 0 if decision is None else decision * size
        keys, row = np.unique(first + (0 if position is None else position), return_inverse=True)
        distinct = tuple(
            Situation(None if decision is None else ids[key // size], None if position is None else key % size)
            for key in keys.tolist()
        )
        return cls(distinct, row.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Probabilities:
    """The lines of a file; arrays are (lines,)."""

    by_decision: bool
    by_position: bool
    situations: tuple[Situation, ...]
    situation: Integers
    """Index into `situations`."""
    actions: tuple[str, ...]
    action: Integers
    """Index into `actions`."""
    probability: Floats


def read_probabilities(path: Path, delimiter: str | None = None) -> Probabilities:
    """Read CSV, Parquet or JSON lines; `delimiter` as `hub.tables.read_table` has it.

    Raises InputError when a column or value is missing, a value is no probability, an action occurs twice in a
    situation, or the probabilities of a situation do not add up to 1 within 0.01.
    """
    table = read_table(path, delimiter=delimiter, text=["action", "decision_id"])
    require_columns(table, ["action", "probability"], where=str(path))
    if table.num_rows == 0:
        raise InputError(f"{path}: no rows")
    by_decision, by_position = "decision_id" in table.column_names, "position" in table.column_names
    problems: list[Problem] = []
    origin = Origin.of(path, table.num_rows)

    def refuse(column: str, wrong: Mask, expected: str) -> None:
        for row in np.flatnonzero(wrong)[:_PROBLEMS_SHOWN].tolist():
            came = table.column(column)[row].as_py()
            said = "nothing, or a word for it" if came is None else repr(came)
            problems.append(Problem(origin.place(row, column), f"{said}, expected {expected}"))

    action, actions = _encoded(table, "action", refuse)
    probability = numbers(table.column("probability"))
    refuse("probability", ~((probability >= 0) & (probability <= 1)), "a number from 0 to 1")
    decision, ids = _encoded(table, "decision_id", refuse) if by_decision else (None, ())
    position: Integers | None = None
    if by_position:
        position, wrong = whole_numbers(table.column("position"))
        refuse("position", wrong, "a whole number from 0")
    if problems:
        raise InputError(f"{path}: not a table of probabilities", tuple(problems))
    situations = Situations.group(table.num_rows, decision, ids, position)
    found = Probabilities(by_decision, by_position, situations.distinct, situations.row, actions, action, probability)
    _check_unique(origin, found)
    _check_sums(path, found)
    return found


def _encoded(table: pa.Table, name: str, refuse: Callable[[str, Mask, str], None]) -> tuple[Integers, tuple[str, ...]]:
    column = texts(table.column(name))
    refuse(name, missing(column), "text")
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(0).to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def _check_unique(origin: Origin, found: Probabilities) -> None:
    key = found.situation * len(found.actions) + found.action
    _, first = np.unique(key, return_index=True)
    repeated = np.ones(len(key), np.bool_)
    repeated[first] = False
    problems = tuple(
        Problem(
            f"row {origin.rows[row]}",
            f"{found.situations[found.situation[row]]}: action {found.actions[found.action[row]]!r} again",
        )
        for row in np.flatnonzero(repeated)[:_PROBLEMS_SHOWN]
    )
    if problems:
        raise InputError(f"{origin.file}: an action has more than one probability", problems)


def _check_sums(path: Path, found: Probabilities) -> None:
    sums = np.bincount(found.situation, found.probability, minlength=len(found.situations))
    problems = tuple(
        Problem(str(found.situations[place]), f"probabilities add up to {sums[place]:.4f}, expected 1")
        for place in np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)[:_PROBLEMS_SHOWN]
    )
    if problems:
        raise InputError(f"{path}: probabilities that do not add up to 1", problems)
