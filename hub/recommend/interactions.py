"""Who used what, as numbers: ids become codes whose order is the order of the ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError

Matrix: TypeAlias = Any
"""A scipy.sparse.csr_array of float64; scipy ships no types, and importing it takes a while."""
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
"""Row numbers of an `Interactions`, in the order in which they were chosen."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Interactions:
    """One row per interaction, in file order.

    A code is a position in `users` or `items`. Both are sorted by id, so a stable sort by score leaves ties
    with the lower id first, whatever order the file has.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: Codes
    item: Codes
    time: npt.NDArray[np.float64] | None = None
    """Any unit, growing; None when the file has no time."""
    weight: npt.NDArray[np.float64] | None = None
    """Above 0; None when an interaction is just there."""
    rating: npt.NDArray[np.float64] | None = None
    """How much the item was liked, any scale, growing; None when the file does not say."""

    def __len__(self) -> int:
        return len(self.user)


def sorted_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """The distinct ids in order: as numbers when all of them are integers, else as text."""
    distinct = set(ids)
    if all(_INTEGER.fullmatch(one) for one in distinct):
        return tuple(sorted(distinct, key=lambda one: (int(one), one)))
    return tuple(sorted(distinct))


def encode(
    user: Sequence[str],
    item: Sequence[str],
    *,
    time: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    rating: npt.ArrayLike | None = None,
    catalogue: Iterable[str] = (),
) -> Interactions:
    """Interactions from columns of equal length.

    `catalogue`: items that exist whether or not somebody used them; they get a code, too.

    Raises InputError when there is no row, or a weight is not a number above 0, or a time or rating is not a number.
    """
    if not len(user):
        raise InputError("no interactions: the table has a header and no row")
    users, items = sorted_ids(user), sorted_ids([*item, *catalogue])
    times = None if time is None else np.asarray(time, dtype=np.float64)
    weights = None if weight is None else np.asarray(weight, dtype=np.float64)
    ratings = None if rating is None else np.asarray(rating, dtype=np.float64)
    if ratings is not None:
        _refuse_first(~np.isfinite(ratings), ratings, "rating", "a number")
    if times is not None:
        _refuse_first(~np.isfinite(times), times, "time", "a point in time")
    if weights is not None:
        _refuse_first(~(np.isfinite(weights) & (weights > 0)), weights, "weight", "a number above 0")
    return Interactions(users, items, _codes(user, users), _codes(item, items), times, weights, ratings)


def matrix(interactions: Interactions, rows: Rows) -> Matrix:
    """Users x items (float64, CSR) over all ids, of the chosen rows only.

    A cell is 1 where the user has the item, however often; with weights it is their sum.
    """
    from scipy.sparse import csr_array

    weight = np.ones(len(rows)) if interactions.weight is None else interactions.weight[rows]
    cells = csr_array(
        (weight, (interactions.user[rows], interactions.item[rows])),
        shape=(len(interactions.users), len(interactions.items)),
    )
    cells.sum_duplicates()
    if interactions.weight is None:
        cells.data[:] = 1.0
    return cells


def moments(interactions: Interactions, rows: Rows) -> Matrix:
    """As `matrix`, but a cell says when the user last used the item: time since the earliest of all rows, plus 1.

    Where the interactions have no time, their position in the file is their time.
    """
    from scipy.sparse import csr_array

    times = np.arange(len(interactions), dtype=np.float64) if interactions.time is None else interactions.time
    since = times - times.min() + 1.0
    # A later row overwrites an earlier one of the same cell; scipy would add them up.
    ordered = rows[np.argsort(since[rows], kind="stable")]
    cell = interactions.user[ordered].astype(np.int64) * len(interactions.items) + interactions.item[ordered]
    cells, first_from_end = np.unique(cell[::-1], return_index=True)
    latest = since[ordered[::-1][first_from_end]]
    users, items = np.divmod(cells, len(interactions.items))
    return csr_array((latest, (users, items)), shape=(len(interactions.users), len(interactions.items)))


def _codes(ids: Sequence[str], ordered: tuple[str, ...]) -> Codes:
    code = {one: position for position, one in enumerate(ordered)}
    return np.fromiter((code[one] for one in ids), dtype=np.int32, count=len(ids))


def _refuse_first(bad: npt.NDArray[np.bool_], values: npt.NDArray[np.float64], what: str, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"row {row + 1}: {what} is {values[row]:g}, expected {expected}")
