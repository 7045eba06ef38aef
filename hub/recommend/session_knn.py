"""What an edge needs for session nearest neighbours (`edgewise.sessions`), from what people did one after the other.

The resource names nobody: a visit becomes the set of its items, put in a row by how recent it is. An item that fewer
than `fewest_people` different people touched is left out of all of them, so that nothing rare travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewise.bundle.sessions import MOST_LAST, MOST_MEMBERS, Sessions, Walk, decode_sessions, encode_sessions
from edgewise.errors import InputError
from edgewise.ids import ItemId
from edgewise.sessions import SessionIndex

if TYPE_CHECKING:
    from hub.recommend.interactions import Matrix

LONGEST_PERCENTILE: Final = 99.5
"""Visits with more clicks than this percentile are left out, as Serenade does: machines click so often."""

Integers = npt.NDArray[np.integer]


class Clicks(NamedTuple):
    """One entry a click, in order of time; columns of equal length."""

    person: Integers
    visit: Integers
    """Numbers; the clicks of a visit need not follow one another."""
    item: Integers
    """Codes."""


def learn(
    items: Sequence[ItemId],
    clicks: Clicks,
    walk: Walk,
    *,
    fewest_people: int = 1,
    longest_percentile: float = LONGEST_PERCENTILE,
    most_visits: int | None = None,
) -> bytes:
    """The resource `sessions.msgpack`. `items`: code -> item; `most_visits`: only the most recent of all.

    Raises InputError when no item was touched by `fewest_people`.
    """
    visit = _renumbered(clicks.visit)
    length = np.bincount(visit)
    last = np.zeros(len(length), np.int64)
    last[visit] = np.arange(len(visit))  # the last write stays: clicks are in order
    newest = np.argsort(-last)
    newest = newest[length[newest] <= np.percentile(length, longest_percentile)][:most_visits]
    rank = np.full(len(length), -1, np.int64)
    rank[newest] = np.arange(len(newest))
    # Pairs once each, by rank: what a person did twice in one visit counts once.
    size = len(items)
    is_public = _people(clicks, size) >= fewest_people
    kept = (rank[visit] >= 0) & is_public[clicks.item]
    if not kept.any():
        raise InputError(
            f"no item was touched by {fewest_people} people in {len(newest):,} visits of {len(length):,}; "
            "expected some, or a smaller `fewest_people`"
        )
    pairs = _short_enough(np.unique(rank[visit[kept]] * size + clicks.item[kept]), size)
    sequence, item = pairs // size, pairs % size
    holders = np.bincount(item, minlength=size)
    sequences = len(np.unique(sequence))
    # `pairs` rises, so that the first sequence of an item is the most recent one that holds it.
    present, first = np.unique(item, return_index=True)
    order = present[np.lexsort((present, sequence[first]))]
    code = np.full(size, -1, np.int64)
    code[order] = np.arange(len(order))
    is_needed = np.zeros(len(newest), np.bool_)
    by_item = np.argsort(item, kind="stable")
    place = np.arange(len(item)) - np.searchsorted(item[by_item], item[by_item])
    is_needed[sequence[by_item][place < walk.most_recent]] = True
    stays = is_needed[sequence]
    sequence, member = sequence[stays], code[item[stays]]
    members = member[np.lexsort((member, sequence))]
    counts = np.bincount(sequence, minlength=len(newest))
    return encode_sessions(
        [items[one] for one in order.tolist()],
        np.log(sequences / holders[order]),
        np.concatenate([[0], np.cumsum(counts[counts > 0])]),
        members,
        walk,
    )


def walk_of(settings: Mapping[str, float]) -> Walk:
    """The walk that settings of `train recommend` write. Raises InputError for a number out of its range."""
    import msgspec

    numbers = {"most_recent": settings["m"], "neighbours": settings["k"], "last": settings["last"]}
    try:
        return msgspec.convert({name: int(number) for name, number in numbers.items()}, Walk)
    except (msgspec.ValidationError, ValueError, OverflowError) as wrong:
        raise InputError(
            f"session-knn: {wrong}; expected m, k and last of 1 or more, last at most {MOST_LAST}"
        ) from wrong


class Remembered:
    """Histories of moments (users x items; a cell is when the user last used the item) scored one after the other."""

    def __init__(self, history: Matrix, walk: Walk, *, fewest_people: int) -> None:
        """Every user of `history` is one visit. Raises as `learn`."""
        cells = history.tocoo()
        order = np.argsort(cells.data, kind="stable")
        users, items = cells.row[order], cells.col[order]
        self._size: int = history.shape[1]
        ids = [ItemId(str(code)) for code in range(self._size)]
        self._sessions: Sessions = decode_sessions(
            learn(ids, Clicks(users, users, items), walk, fewest_people=fewest_people, longest_percentile=100.0)
        )
        self._index = SessionIndex(self._sessions)
        self._column = np.array([int(item) for item in self._sessions.items], np.intp)

    def scores(self, asked: Matrix) -> npt.NDArray[np.float64]:
        """Users x items, as the index hears each history."""
        scores = np.zeros(asked.shape)
        for user in range(asked.shape[0]):
            row = slice(asked.indptr[user], asked.indptr[user + 1])
            latest = asked.indices[row][np.argsort(-asked.data[row], kind="stable")]
            heard = self._index.hear([ItemId(str(code)) for code in latest[: self._index.walk.last].tolist()])
            scores[user, self._column[heard.codes]] = heard.scores
        return scores


def _short_enough(pairs: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Without visits of more different items than a node takes."""
    visit = pairs // size
    return pairs[np.bincount(visit)[visit] <= MOST_MEMBERS]


def _renumbered(visit: Integers) -> npt.NDArray[np.int64]:
    return np.unique(visit, return_inverse=True)[1].astype(np.int64)


def _people(clicks: Clicks, items: int) -> npt.NDArray[np.int64]:
    """How many different people touched each item."""
    pairs = np.unique(clicks.person.astype(np.int64) * items + clicks.item)
    return np.bincount(pairs % items, minlength=items)
