"""MAP.toml: which column of somebody's decision log is what.

    action_context = "items.csv"          # beside the map

    [columns]
    action = "item_id"
    reward = "click"
    propensity = "propensity_score"
    context = ["user_feature_0", "user_feature_1"]

A column that the map does not name is looked for under our own name. `context` and `action_context` may stand on
top or under `[columns]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED, InputError, Problem
from hub.tables import read_utf8

REQUIRED: Final = ("action", "propensity", "reward")
OPTIONAL: Final = ("timestamp", "decision_id", "position", "user", "sample_weight")


class DecisionColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names in the source file; None means our own name, where the file has it."""

    timestamp: str | None = None
    decision_id: str | None = None
    action: str | None = None
    propensity: str | None = None
    reward: str | None = None
    position: str | None = None
    user: str | None = None
    sample_weight: str | None = None
    """For how many decisions a row of a thinned-out log stands: one over the share that was kept."""
    context: list[str] | None = None
    action_context: str | None = None


class DecisionMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole MAP.toml."""

    columns: DecisionColumns = DecisionColumns()
    context: list[str] | None = None
    action_context: str | None = None

    def source_name(self, field: str) -> str:
        """The source column of one of our fields."""
        return getattr(self.columns, field) or field

    def is_named(self, field: str) -> bool:
        """Whether the map names this field, so that its absence is an error."""
        return getattr(self.columns, field) is not None

    @property
    def context_columns(self) -> list[str]:
        """Source columns that describe the situation of a decision."""
        return self.context or self.columns.context or []

    @property
    def action_context_file(self) -> str | None:
        """File of what is known about each action, relative to the map."""
        return self.action_context or self.columns.action_context


def load_map(path: Path | None) -> DecisionMap:
    """The map in a file; without one, columns are taken by our own names.

    Raises InputError with the place for a missing file, wrong TOML, an unknown or mistyped key, a column named
    twice, or a key given both on top and under `[columns]`.
    """
    if path is None:
        return DecisionMap()
    content = read_utf8(path)
    try:
        mapped = msgspec.toml.decode(content, type=DecisionMap)
    except MALFORMED as wrong:
        raise InputError(f"{path}: {wrong}") from None
    for key in ("context", "action_context"):
        if getattr(mapped, key) is not None and getattr(mapped.columns, key) is not None:
            raise InputError(f"{path}: `{key}` is given on top and again under [columns], expected it once")
    _check_names(path, mapped)
    return mapped


def _check_names(path: Path, mapped: DecisionMap) -> None:
    problems: list[Problem] = []
    users: dict[str, str] = {}
    for field in (*REQUIRED, *OPTIONAL):
        name = getattr(mapped.columns, field)
        if name is None:
            continue
        if not name:
            problems.append(Problem(f"$.columns.{field}", "an empty name, expected a column of the file"))
        if name in users:
            problems.append(Problem(f"$.columns.{field}", f"{name!r} is already the {users[name]}"))
        users[name] = field
    context = mapped.context_columns
    outcomes = {mapped.source_name(field): field for field in ("propensity", "reward")}
    problems += [
        Problem("$.context", f"{name!r} is the {outcomes[name]}, which is not known before the decision")
        for name in context
        if name in outcomes
    ]
    problems += [
        Problem("$.context", f"{name!r} occurs more than once")
        for name in sorted({name for name in context if context.count(name) > 1})
    ]
    if problems:
        raise InputError(f"{path}: not a usable map", tuple(problems))
