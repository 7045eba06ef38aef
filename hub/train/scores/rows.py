"""Rows of visitors as a node would have made them at each moment, and their division by time.

Every visitor's records are folded again by the reducer that serves, and described by the features that serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.items import UNKNOWN, ItemTable
from edgewise.consent import NOTHING
from edgewise.eligibility import may_personalise, readable
from edgewise.errors import InputError
from edgewise.features.compile import CompiledFeatures, Rows
from edgewise.features.table import FeatureTable
from edgewise.profile.preferences import Preferences, state
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.request import Context
from hub.ledger.canonical import Folding
from hub.site.loading import SiteContents
from hub.train.contexts import context_of
from hub.train.dataset import Progress
from hub.train.history import History
from hub.train.scores.moments import Moment

Matrix = NDArray[np.float32]
FEWEST: Final = 50
"""Rows of a part; fewer cannot be told from chance."""
_TOLD_EVERY: Final = 256
_NOBODY: Final = Rows(np.array([UNKNOWN], np.intp))
"""A candidate of which nothing is known: no column of a visitor changes with it."""


@dataclass(frozen=True, slots=True)
class ScoreRows:
    """One row a moment, oldest first."""

    names: tuple[str, ...]
    """Columns."""
    matrix: Matrix
    """Float32 (n, F)."""
    belief: NDArray[np.float64]
    """(n, K): how likely each class is the answer; one of them 1 where that is known, a weak label's odds elsewhere."""
    visitor: NDArray[np.int64]
    """(n,)"""
    now_ms: NDArray[np.int64]
    """(n,)"""
    known_ms: NDArray[np.int64]
    """(n,): when the answer was known."""
    place: NDArray[np.int64]
    """(n,): which of all rows it is."""

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def answer(self) -> NDArray[np.int64]:
        """(n,): the likeliest class."""
        return np.asarray(self.belief.argmax(axis=1), np.int64)

    def take(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> ScoreRows:
        """Some rows, in their order."""
        return ScoreRows(
            self.names,
            self.matrix[kept],
            self.belief[kept],
            self.visitor[kept],
            self.now_ms[kept],
            self.known_ms[kept],
            self.place[kept],
        )


class Parts(NamedTuple):
    """Rows to learn from, to calibrate with and to judge on; each earlier than the next."""

    learn: ScoreRows
    calibrate: ScoreRows
    judge: ScoreRows


def replayed(
    history: History,
    contents: SiteContents,
    table: FeatureTable,
    moments: Sequence[Moment],
    *,
    progress: Progress = lambda _what, _done, _of: None,
) -> tuple[Matrix, NDArray[np.bool_]]:
    """The features of every moment, float32 (moments, features), as a node would have computed them then.

    The second is which moments a node would have asked at: not those of visitors who denied it, or turned the dial
    to nothing. What a lower dial hides of a profile is hidden here as well.
    """
    features = CompiledFeatures(table, ItemTable(contents.catalogue, contents.policy.site.zones))
    matrix = np.full((len(moments), len(table.features)), np.nan, np.float32)
    is_asked = np.zeros(len(moments), np.bool_)
    waiting: dict[int, list[int]] = {}
    for row, moment in enumerate(moments):
        waiting.setdefault(moment.visitor, []).append(row)
    done = 0
    for visitor, own in enumerate(history.by_visitor()):
        rows = sorted(waiting.get(visitor, ()), key=lambda row: moments[row].deed)
        past, place = _Past(), 0
        for number in own:
            if place == len(rows):
                break
            past.learn(history.deeds[number].record)
            while place < len(rows) and moments[rows[place]].deed == number:
                row = rows[place]
                context = _context(history, moments[row])
                described = past.described(features, context, moments[row].now_ms)
                if described is not None:
                    matrix[row], is_asked[row] = described, True
                place += 1
                done += 1
                if done % _TOLD_EVERY == 0 or done == len(moments):
                    progress("replaying", done, len(moments))
    return matrix, is_asked


class _Past:
    """What is known of one visitor so far."""

    def __init__(self) -> None:
        self._profile, self._said, self._grants = Profile(), Preferences(), NOTHING

    def learn(self, record: Folding) -> None:
        if isinstance(record, PreferenceRecord):
            state(self._said, record)
        else:
            apply(self._profile, record)
            self._grants = record.grants

    def described(self, features: CompiledFeatures, context: Context, now_ms: int) -> NDArray[np.float32] | None:
        """(features,); None where a node would not have asked."""
        dial = self._said.dial.value
        if not may_personalise(self._grants, dial):
            return None
        view = features.view(readable(self._profile, dial, now_ms), context, now_ms)
        row: NDArray[np.float32] = features.matrix(view, _NOBODY, self._grants)[0]
        return row


def _context(history: History, moment: Moment) -> Context:
    if moment.page is None:
        return Context()
    record = history.deeds[moment.page].record
    return context_of(record) if isinstance(record, EventRecord) else Context()


def by_time(rows: ScoreRows, calibration_share: float, validation_share: float) -> Parts:
    """Three parts, one behind the other. A row whose answer was known only within a later part is in none.

    The two later parts have their shares of all rows; what falls between parts is taken from those to learn from.

    Raises InputError when a part is too small.
    """
    position = np.arange(len(rows))
    _, second = _bounds(len(rows), calibration_share, validation_share)
    known = np.flatnonzero(rows.known_ms[:second] <= rows.now_ms[min(second, len(rows) - 1)])
    calibrate = known[max(0, len(known) - round(len(rows) * calibration_share)) :]
    first = int(calibrate[0]) if len(calibrate) else 0
    learn = (position < first) & (rows.known_ms <= rows.now_ms[first])
    return _checked(Parts(rows.take(learn), rows.take(calibrate), rows.take(position >= second)))


def by_visitor(rows: ScoreRows, calibration_share: float, validation_share: float) -> Parts:
    """Three parts by when visitors were first asked about, whole visitors each.

    For what does not change with time: a visitor of two parts would be known again by his other columns.
    """
    visitors, places, visitor = np.unique(rows.visitor, return_index=True, return_inverse=True)
    order = np.empty(len(visitors), np.int64)
    order[np.argsort(places, kind="stable")] = np.arange(len(visitors))  # rows are oldest first
    first, second = _bounds(len(visitors), calibration_share, validation_share)
    came = order[visitor]
    return _checked(
        Parts(rows.take(came < first), rows.take((came >= first) & (came < second)), rows.take(came >= second))
    )


def together(early: ScoreRows, late: ScoreRows) -> ScoreRows:
    """Both, one behind the other."""
    columns = {
        name: np.concatenate([getattr(early, name), getattr(late, name)])
        for name in (field.name for field in fields(ScoreRows))
        if name != "names"
    }
    return ScoreRows(names=early.names, **columns)


def _bounds(count: int, calibration_share: float, validation_share: float) -> tuple[int, int]:
    second = round(count * (1 - validation_share))
    return min(second, round(count * (1 - validation_share - calibration_share))), second


def _checked(parts: Parts) -> Parts:
    for name, rows in parts._asdict().items():
        if len(rows) < FEWEST:
            raise InputError(
                f"{len(rows)} rows to {name}; expected at least {FEWEST}: the history is too short for answers that "
                "are known so late, or too few visitors make rows"
            )
    return parts
