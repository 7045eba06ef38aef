"""Imported decisions as arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.imports.decision_store import CONTEXT_PREFIX, decision_paths, stored_record
from hub.tables import read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choices:
    """What could have been shown, where it was not everything everywhere; rows with the same choices share a group."""

    group: Integers
    """(rows,): index into `open`."""
    open: npt.NDArray[np.bool_]
    """(groups, actions): whether the action could stand there."""


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """What a logging policy did, one row for each action shown; all arrays have shape (rows,)."""

    name: str
    actions: tuple[str, ...]
    """Every action that the log shows or its action features list; numbers in their order, else by text."""
    action: Integers
    """What was shown, as an index into `actions`."""
    propensity: Floats
    """P(this action | situation) under the logging policy, in (0, 1]."""
    reward: Floats
    position: Integers
    """Place in the slate; 0 throughout where the log has no places."""
    decision: Integers
    """Which decision a row belongs to, as an index into `decision_ids`."""
    decision_ids: tuple[str, ...]
    context: pa.Table
    """What was known about the situation: numbers or text, names as in the source."""
    action_features: pa.Table | None
    """What is known about each action, keyed by its column `action`."""
    user: Integers | None = None
    """Whom a row's decision was made for, numbered from 0 without gaps, strangers one each; None: nobody is named."""
    sample_weight: Floats | None = None
    """(rows,): for how many decisions a row stands in a log that was thinned out; None: each for itself."""
    choices: Choices | None = None
    """None: each of `actions` could stand everywhere."""
    refused_rows: int = 0
    """How many rows its import refused."""

    @property
    def unit(self) -> Integers:
        """(rows,): what is independent of what, numbered from 0 without gaps; the unit of every interval.

        One user's decisions share his taste and his mood: a thousand of them may say no more than one.
        """
        return self.decision if self.user is None else self.user

    @property
    def unit_name(self) -> str:
        """What a unit is, for people."""
        return "decision" if self.user is None else "user"

    @property
    def rows(self) -> int:
        """Actions shown."""
        return len(self.reward)

    def of_rows(self, rows: Integers) -> LoggedDecisions:
        """Some of the rows, by their places; decisions and users are numbered anew, without gaps."""
        distinct, decision = np.unique(self.decision[rows], return_inverse=True)
        return replace(
            self,
            action=self.action[rows],
            propensity=self.propensity[rows],
            reward=self.reward[rows],
            position=self.position[rows],
            decision=decision.astype(np.int64),
            decision_ids=tuple(self.decision_ids[number] for number in distinct),
            context=self.context.take(rows),
            user=None if self.user is None else np.unique(self.user[rows], return_inverse=True)[1].astype(np.int64),
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            choices=None if self.choices is None else Choices(self.choices.group[rows], self.choices.open),
        )


def load_decisions(data_dir: Path, name: str) -> LoggedDecisions:
    """An imported log. Raises InputError when there is none of that name."""
    import pyarrow as pa

    paths = decision_paths(data_dir, name)
    record = stored_record(paths)
    if record is None:
        known = sorted(path.stem for path in (data_dir / "decisions").glob("*.json"))
        there = f"there are: {', '.join(known)}" if known else "nothing was imported yet"
        raise InputError(f"no decisions {name!r} in {data_dir}; {there} (`edgewise import decisions FILE`)")
    table = read_parquet(paths.table)
    features = read_parquet(paths.actions) if paths.actions.is_file() else None
    shown = table.column("action").combine_chunks().dictionary_encode()
    logged: list[str] = shown.dictionary.to_pylist()
    listed: list[str] = [] if features is None else features.column("action").to_pylist()
    could = table.column("choices").combine_chunks() if "choices" in table.column_names else None
    eligible: list[str] = [] if could is None else could.flatten().unique().to_pylist()
    actions = in_order({*logged, *listed, *eligible})
    index = {action: place for place, action in enumerate(actions)}
    decisions = table.column("decision_id").combine_chunks().dictionary_encode()
    has_position = "position" in table.column_names
    context = {
        column.removeprefix(CONTEXT_PREFIX): table.column(column)
        for column in table.column_names
        if column.startswith(CONTEXT_PREFIX)
    }
    return LoggedDecisions(
        name=name,
        actions=actions,
        action=np.array([index[action] for action in logged], np.int64)[shown.indices.to_numpy()],
        propensity=table.column("propensity").to_numpy(),
        reward=table.column("reward").to_numpy(),
        position=(
            table.column("position").to_numpy().astype(np.int64) if has_position else np.zeros(table.num_rows, np.int64)
        ),
        decision=decisions.indices.to_numpy().astype(np.int64),
        decision_ids=tuple(decisions.dictionary.to_pylist()),
        context=pa.table(context),
        action_features=features,
        user=_users(table, decisions.indices.to_numpy()),
        sample_weight=table.column("sample_weight").to_numpy() if "sample_weight" in table.column_names else None,
        choices=None if could is None else _choices(could, index),
        refused_rows=record.rejected,
    )


def _choices(could: pa.ListArray, index: dict[str, int]) -> Choices | None:
    """The distinct sets of a list column; None where every row could have shown every action."""
    encoded = could.flatten().dictionary_encode()
    code = np.array([index[action] for action in encoded.dictionary.to_pylist()], np.int64)
    listed = code[encoded.indices.to_numpy()]
    ends = np.cumsum(could.value_lengths().to_numpy())[:-1]
    groups: dict[bytes, int] = {}
    sets: list[Integers] = []
    group = np.empty(len(could), np.int64)
    for row, some in enumerate(np.split(listed, ends)):
        group[row] = place = groups.setdefault(some.tobytes(), len(groups))
        if place == len(sets):
            sets.append(some)
    is_open = np.zeros((len(sets), len(index)), np.bool_)
    for place, some in enumerate(sets):
        is_open[place, some] = True
    return None if is_open.all() else Choices(group, is_open)


def _users(table: pa.Table, decision: Integers) -> Integers | None:
    """(rows,): the user of each row's decision, which is the first that one of its rows names."""
    if "user" not in table.column_names:
        return None
    stated = table.column("user").combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    decisions = int(decision.max(initial=-1)) + 1
    of_decision = np.full(decisions, -1, np.int64)
    named = np.flatnonzero(stated >= 0)[::-1]  # of equal places the last one assigned stays
    of_decision[decision[named]] = stated[named]
    strangers = np.flatnonzero(of_decision < 0)
    of_decision[strangers] = int(stated.max(initial=-1)) + 1 + np.arange(len(strangers))
    _, numbered = np.unique(of_decision, return_inverse=True)
    return np.asarray(numbered[decision], np.int64)


def in_order(actions: Collection[str]) -> tuple[str, ...]:
    """By number where all are whole numbers, else by text."""
    if all(action.isdecimal() for action in actions):
        return tuple(sorted(actions, key=lambda action: (int(action), action)))
    return tuple(sorted(actions))
