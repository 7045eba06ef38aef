"""What is to be predicted: read from a column, checked that there is something to learn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, Problem
from hub.origin import Origin
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.columns import PROBLEMS_SHOWN, kind_of, numbers, texts

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_ROWS = 20
MOST_CLASSES = 100
BINARY = 2
INFINITE = ("inf", "-inf")


@dataclass(frozen=True, slots=True)
class Target:
    """The target of the rows that have one."""

    name: str
    kind: ScoreKind
    guessed: bool
    values: NDArray[Any]
    """int64 class numbers, or float64 quantities; one for each row that `present` keeps."""
    classes: tuple[str, ...]
    """Names of the classes in the order of their numbers; empty for quantities."""
    present: NDArray[np.bool_]
    """Which rows of the table have a target."""


def read_target(
    table: pa.Table,
    name: str,
    kind: ScoreKind | None,
    *,
    classes: tuple[str, ...] = (),
    origin: Origin | None = None,
) -> Target:
    """Read the column `name`; without a `kind` it is guessed from the values.

    `classes` are those of the training rows, when a test set is read; `origin` is where errors point to.

    Raises:
        InputError: too few rows, a constant target, values that do not fit the kind, or unknown classes.
    """
    origin = origin or Origin.nowhere(table.num_rows)
    words = texts(table, name)
    present = words != ""
    if int(present.sum()) < FEWEST_ROWS:
        raise InputError(f"{int(present.sum())} rows with a {name!r}; expected at least {FEWEST_ROWS}")
    held, origin = words[present], origin.kept(present)
    if len(set(held)) == 1:
        raise InputError(f"target {name!r} is {held[0]!r} in all {len(held)} rows; there is nothing to learn")
    is_number = kind_of(table.schema.field(name).type) == "number"
    if is_number:
        _refuse(np.isin(held, INFINITE), held, name, origin, "a finite number")
    chosen = kind or _guess(held, is_number=is_number)
    if chosen.has_classes:
        names = classes or _classes(name, held, chosen)
        numbered = {label: index for index, label in enumerate(names)}
        unknown = sorted(set(held) - set(names))
        if unknown:
            raise InputError(f"target {name!r} has the class {unknown[0]!r}; expected one of {list(names)}")
        values: NDArray[Any] = np.array([numbered[word] for word in held], dtype=np.int64)
    else:
        names = ()
        values = numbers(table.filter(present), name, origin).astype(np.float64)
        _refuse(~np.isfinite(values), held, name, origin, "a finite number that float32 holds")
        if chosen is ScoreKind.COUNT:
            _refuse((values < 0) | (values % 1 != 0), held, name, origin, "whole numbers from 0 on for a count")
    return Target(name, chosen, kind is None, values, names, present)


def _refuse(odd: NDArray[np.bool_], held: NDArray[np.object_], name: str, origin: Origin, expected: str) -> None:
    """Raise InputError with the places of the odd values, if there are any."""
    places = np.flatnonzero(odd)
    if len(places):
        first = f"row {origin.rows[places[0]]} holds {held[places[0]]:.40}"
        problems = tuple(
            Problem(origin.place(place, name), f"{held[place]:.40}; expected {expected}") for place in places.tolist()
        )
        raise InputError(f"{origin.file}: target {name!r}: {first}; expected {expected}", problems[:PROBLEMS_SHOWN])


def _guess(held: NDArray[np.object_], *, is_number: bool) -> ScoreKind:
    different = len(set(held))
    if different == BINARY:
        return ScoreKind.BINARY
    if not is_number:
        return ScoreKind.MULTICLASS
    values = np.array([float(word) for word in held])
    whole = bool((values % 1 == 0).all())
    return ScoreKind.COUNT if whole and values.min() == 0 else ScoreKind.REGRESSION


def _classes(name: str, held: NDArray[np.object_], kind: ScoreKind) -> tuple[str, ...]:
    counted = Counter(held)
    if kind is ScoreKind.BINARY and len(counted) != BINARY:
        raise InputError(
            f"target {name!r} has {len(counted)} different values ({_some(counted)}); expected 2 for binary"
        )
    if len(counted) > MOST_CLASSES:
        raise InputError(
            f"target {name!r} has {len(counted)} different values ({_some(counted)}); expected at most {MOST_CLASSES}"
            " for multiclass"
        )
    try:
        return tuple(sorted(counted, key=float))
    except ValueError:
        return tuple(sorted(counted))


def _some(counted: Counter[str]) -> str:
    return ", ".join(repr(word) for word, _ in counted.most_common(4)) + (", …" if len(counted) > 4 else "")  # noqa: PLR2004
