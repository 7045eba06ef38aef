"""One visitor at one moment, read once a request: whatever placements and candidates share is computed here, once.

Everything is lazy. A bundle that has no affinity feature never pays for affinities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.items import Dimension, ItemTable
from edgewise.bundle.learned import UNNAMED
from edgewise.bundle.neighbours import Neighbours
from edgewise.bundle.vectors import Vectors
from edgewise.features.matching import Touched, touched
from edgewise.ids import ItemId, ModelName
from edgewise.nearness import Direction, taste
from edgewise.profile.buckets import total_since
from edgewise.profile.habits import price_octave
from edgewise.profile.state import DAY_MS, TOPIC_MS, Profile
from edgewise.request import Context
from edgewise.sessions import SILENCE, Heard, SessionIndex, steps_to_speaker, visit_of

_COUNTING: Final = 1 << 15
_NOTHING_SPOKEN: Final[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = (
    np.zeros(0, np.intp),
    np.zeros(0, np.intp),
    np.zeros(0, np.float32),
)


class NeighbourIndex:
    """Neighbour rows, ready to be walked from a history."""

    __slots__ = ("code_of", "counting", "indices", "indptr", "size", "weights")

    def __init__(self, neighbours: Neighbours) -> None:
        """Shares the arrays of `neighbours`."""
        self.size = len(neighbours.items)
        self.code_of = neighbours.code_of
        self.indptr: NDArray[np.intp] = neighbours.indptr.astype(np.intp)
        self.indices = neighbours.indices
        self.weights = neighbours.weights
        self.counting: NDArray[np.intp] = np.arange(_COUNTING)
        """0, 1, 2, …: the places of entries, so that no request has to count them out."""


class Spoken(NamedTuple):
    """What a history says. Codes are the neighbours' own."""

    items: list[ItemId]
    """Items of the history that have neighbours, latest first."""
    ends: NDArray[np.intp]
    """Where the entries of each of them end, shape (len(items),)."""
    codes: NDArray[np.intp]
    """Whom they speak for, shape (entries,)."""
    weights: NDArray[np.float32]
    """How loud, shape (entries,)."""


class Measure(NamedTuple):
    """What is measured of each value that the visitor met in one dimension."""

    how: Literal["share", "sum", "window"]
    """`share`: decayed weight / that of all values; `sum`: decayed weight; `window`: weight of the last days."""
    of: str
    """The dimension; TOPIC_MS: the time that was spent on topics."""
    days: float
    """Half-life, or length of the window."""


class _Fading(dict[int, float]):
    """Day -> what a count of that day still weighs; computed once a day, not once a value."""

    def __init__(self, now_ms: int, half_life_days: float) -> None:
        super().__init__()
        self._noon_ms = now_ms - DAY_MS // 2
        self._half_life_days = half_life_days

    def __missing__(self, day: int) -> float:
        age_days = (self._noon_ms - day * DAY_MS) / DAY_MS
        factor: float = 2.0 ** (-age_days / self._half_life_days) if age_days > 0 else 1.0
        self[day] = factor
        return factor


class ScoreSource(Protocol):
    """Visitor scores of one request (`edgewise.scores`)."""

    def value(self, model: ModelName, of_class: str) -> float:
        """What a score says, of one class where it has some; NaN where it is missing."""

    def likeliest(self, model: ModelName) -> str | None:
        """The class that a score gives the largest number, the first one among equals; None where it is missing."""

    def by_class(self, model: ModelName) -> Mapping[str, float]:
        """What a score says of each of its classes; empty where it is missing, or has none."""


class NoScores:
    """Of whoever has none: a stranger, a bundle without scores, a decision that leaves models out."""

    def value(self, _model: ModelName, _of_class: str) -> float:
        """NaN."""
        return math.nan

    def likeliest(self, _model: ModelName) -> str | None:
        """None."""
        return None

    def by_class(self, _model: ModelName) -> Mapping[str, float]:
        """Nothing."""
        return {}


NO_SCORES: Final = NoScores()


class View:
    """A profile and a context at `now_ms`. Nothing here asks for consent: `CompiledFeatures` does."""

    def __init__(
        self,
        profile: Profile,
        context: Context,
        now_ms: int,
        index: NeighbourIndex | None,
        *,
        named: Mapping[str, NeighbourIndex] | None = None,
        sessions: SessionIndex | None = None,
    ) -> None:
        """`index` None: this site has no neighbours without a name; `named`: the others."""
        self.profile = profile
        self.context = context
        self.now_ms = now_ms
        self.scores: ScoreSource = NO_SCORES
        self.items: ItemTable | None = None
        """What is known of the items that were touched; `CompiledFeatures` says it."""
        self._index = index
        self._named = named or {}
        self._sessions = sessions
        self._visit: list[ItemId] = []
        self._heard: Heard | None = None
        self._history: list[ItemId] | None = None
        self._spoken: dict[tuple[int, str], Spoken] = {}
        self._sums: dict[tuple[int, str], NDArray[np.float64]] = {}
        self._maxima: dict[tuple[int, str], NDArray[np.float32]] = {}
        self._measured: dict[Measure, dict[str, float]] = {}
        self._measured_rows: dict[Measure, NDArray[np.float64] | None] = {}
        self._touched: dict[tuple[str, int], Touched] = {}
        self._price_octave: float | None = None
        self._fading: dict[float, _Fading] = {}
        self._tastes: dict[tuple[float, int, str], Direction | None] = {}

    def history(self) -> list[ItemId]:
        """As `profile.read.history`: touched items, latest first."""
        if self._history is None:
            latest = sorted([(touch.time_ms, item) for item, touch in self.profile.items.items()], reverse=True)
            self._history = [item for _, item in latest]
        return self._history

    def spoken(self, last: int, source: str = UNNAMED) -> Spoken:
        """All entries of the neighbours `source` for the last `last` items (0: all), latest item first."""
        made = self._spoken.get((last, source))
        if made is None:
            whole = self._spoken.get((0, source))
            made = self._walk(last, self._index_of(source)) if whole is None else self._beginning(whole, last)
            self._spoken[last, source] = made
        return made

    def neighbour_sum(self, last: int, source: str = UNNAMED) -> NDArray[np.float64]:
        """Sum of weights for every neighbour code, and 0 for the unknown item; shape (codes + 1,)."""
        made = self._sums.get((last, source))
        if made is None:
            spoken, size = self.spoken(last, source), self._size(source)
            made = np.bincount(spoken.codes, spoken.weights, minlength=size).astype(np.float64, copy=False)
            self._sums[last, source] = made
        return made

    def neighbour_max(self, last: int, source: str = UNNAMED) -> NDArray[np.float32]:
        """Largest weight for every neighbour code; shape (codes + 1,).

        Never below 0: a weight that a truncated row does not list is taken as 0.
        """
        made = self._maxima.get((last, source))
        if made is None:
            spoken = self.spoken(last, source)
            # Equal types on both sides: `ufunc.at` is twenty times slower when it has to cast.
            made = np.zeros(self._size(source), np.float32)
            np.maximum.at(made, spoken.codes, spoken.weights)
            self._maxima[last, source] = made
        return made

    def loudest(self, code: int, last: int, source: str = UNNAMED) -> tuple[ItemId, float] | None:
        """The history item with the largest weight for one neighbour code; None where none is above 0."""
        spoken = self.spoken(last, source)
        entries = (spoken.codes == code).nonzero()[0]
        if not len(entries):
            return None
        best = int(entries[spoken.weights[entries].argmax()])
        if spoken.weights[best] <= 0:
            return None
        speaker = int(spoken.ends.searchsorted(best, side="right"))
        return spoken.items[speaker], float(spoken.weights[best])

    def heard(self) -> Heard:
        """What visits like the visitor's latest one went on to."""
        if self._heard is None:
            if self._sessions is None:
                return SILENCE
            self._visit = visit_of(self.history(), self.profile, self._sessions.walk)
            self._heard = self._sessions.hear(self._visit)
        return self._heard

    def session_speaker(self, code: int) -> ItemId | None:
        """The item of the visit because of which visits like it speak for a code of the sessions; None: none does."""
        steps = steps_to_speaker(self.heard(), code)
        return None if steps is None else self._visit[steps]

    def taste(self, vectors: Vectors, half_life_days: float, last: int, source: str = UNNAMED) -> Direction | None:
        """As `nearness.taste`, of the last `last` items; `vectors` are the set `source` of the bundle."""
        key = (half_life_days, last, source)
        if key not in self._tastes:
            self._tastes[key] = taste(self.history()[:last], self.profile, vectors, self.now_ms, half_life_days)
        return self._tastes[key]

    def measured(self, measure: Measure) -> dict[str, float]:
        """Value -> the measure, above 0; what is not listed has 0. Empty without history.

        Shares equal `profile.read.shares`, to the last bit; the decay of a day is computed once, not once a value.
        """
        made = self._measured.get(measure)
        if made is None:
            made = self._measured[measure] = self._measure(measure)
        return made

    def touched(self, name: str, last: int, dimension: Dimension, code_of: dict[ItemId, int]) -> Touched:
        """As `matching.touched`, of the last `last` items of the history; `dimension` is the catalogue's `name`."""
        key = (name, last)
        made = self._touched.get(key)
        if made is None:
            made = self._touched[key] = touched(dimension, code_of, self.history()[:last])
        return made

    def price_octave(self) -> float:
        """As `profile.habits.price_octave`; computed once."""
        if self._price_octave is None:
            self._price_octave = price_octave(self.profile.price_bands)
        return self._price_octave

    def measured_row(self, measure: Measure, dimension: Dimension) -> NDArray[np.float64] | None:
        """The measure by value code, 0 for the pad; shape (values + 1,). None without history."""
        if measure not in self._measured_rows:
            self._measured_rows[measure] = self._row(self.measured(measure), dimension)
        return self._measured_rows[measure]

    def _index_of(self, source: str) -> NeighbourIndex | None:
        return self._named.get(source) if source else self._index

    def _size(self, source: str) -> int:
        index = self._index_of(source)
        return 1 if index is None else index.size + 1

    def _walk(self, last: int, index: NeighbourIndex | None) -> Spoken:
        history = self.history()
        if index is None:
            return Spoken([], *_NOTHING_SPOKEN)
        code_of = index.code_of
        items = [item for item in (history[:last] if last else history) if item in code_of]
        if not items:
            return Spoken([], *_NOTHING_SPOKEN)
        rows = np.array([code_of[item] for item in items], np.intp)
        starts = index.indptr[rows]
        lengths = index.indptr[rows + 1] - starts
        ends = lengths.cumsum()
        total = int(ends[-1])
        # Entry e of the result is entry `e + shift` of the rows, where the shift is the same along one row. One
        # gather is faster than joining a slice for every item of the history, and never slower for a long one.
        places = (starts - ends + lengths).repeat(lengths)
        places += index.counting[:total] if total <= _COUNTING else np.arange(total)
        return Spoken(items, ends, index.indices.take(places).astype(np.intp), index.weights.take(places))

    def _beginning(self, whole: Spoken, last: int) -> Spoken:
        """What the last `last` items say, out of what all of them say: they come first."""
        recent = set(self.history()[:last])
        speakers = sum(item in recent for item in whole.items)
        entries = int(whole.ends[speakers - 1]) if speakers else 0
        return Spoken(whole.items[:speakers], whole.ends[:speakers], whole.codes[:entries], whole.weights[:entries])

    def _measure(self, measure: Measure) -> dict[str, float]:
        how, of, days = measure
        values = self.profile.topic_ms if of == TOPIC_MS else self.profile.affinity.get(of)
        if not values:
            return {}
        if how == "window":
            today = self.now_ms // DAY_MS
            sums = {value: float(total_since(buckets, today, int(days))) for value, buckets in values.items()}
            return {value: total for value, total in sums.items() if total > 0}
        fading = self._fading.get(days)
        if fading is None:
            fading = self._fading[days] = _Fading(self.now_ms, days)
        weights: dict[str, float] = {}
        for value in sorted(values):
            weight = 0.0
            for day, count in values[value]:
                weight += count * fading[day]
            weights[value] = weight
        if how == "sum":
            return {value: weight for value, weight in weights.items() if weight > 0}
        total = sum(weights.values())
        return {value: weight / total for value, weight in weights.items() if weight > 0} if total > 0 else {}

    def _row(self, measured: dict[str, float], dimension: Dimension) -> NDArray[np.float64] | None:
        if not measured:
            return None
        row = np.zeros(dimension.pad + 1)
        value_code = dimension.value_code
        for value, amount in measured.items():
            code = value_code.get(value)
            if code is not None:
                row[code] = amount
        return row
