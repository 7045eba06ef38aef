"""The feature table and the catalogue, compiled into one vectorised pass over the candidates.

What depends on the item alone lies ready as float32 rows. What depends on the visitor alone is computed once a
request (`View`). What depends on both is a gather from a vector that is made once a request. The hub trains on the
rows of this very code, so that serving and training cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import Attribute, is_or_contains, number_of, texts_of
from edgewise.bundle.items import UNKNOWN, ItemTable
from edgewise.bundle.neighbours import Neighbours
from edgewise.consent import Grants
from edgewise.features import table as declared
from edgewise.features.constants import Constant, constant_of
from edgewise.features.view import NeighbourIndex, View
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS, TOPIC_MS, Profile
from edgewise.request import Candidate, Context

Matrix = NDArray[np.float32]
Codes = NDArray[np.intp]


class Rows:
    """Which candidates a matrix is about.

    `codes` are catalogue codes, shape (n,), `bundle.items.UNKNOWN` for what the catalogue does not hold. `brought`
    are the candidates that the caller brought, n of them, or None when all come from the catalogue.
    """

    __slots__ = ("brought", "codes")

    def __init__(self, codes: Codes, brought: Sequence[Candidate] | None = None) -> None:
        """`brought[i]` belongs to `codes[i]`."""
        self.codes = codes
        self.brought = brought

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, places: Codes) -> Rows:
        """The rows at `places`, in their order."""
        brought = None if self.brought is None else [self.brought[place] for place in places.tolist()]
        return Rows(self.codes[places], brought)


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, one behind the other; catalogue rows stay what they are."""
    if len(parts) == 1:
        return parts[0]
    codes = np.concatenate([part.codes for part in parts])
    if all(part.brought is None for part in parts):
        return Rows(codes)
    return Rows(codes, [candidate for part in parts for candidate in part.brought or [_PLAIN] * len(part)])


_PLAIN: Final = Candidate(ItemId(""))
"""Stands for a catalogue row among brought ones: it states no attribute of its own."""

OfValues = declared.Affinity | declared.AffinityMatch | declared.TimeShare
"""Features of the values that a candidate has in a dimension."""
_OF_ATTRIBUTES: Final = (declared.ItemAttribute, declared.ItemIs, declared.PriceDistance)


class _Granted:
    """The columns to fill under one combination of grants."""

    __slots__ = (
        "absent",
        "affinities",
        "constant_columns",
        "constants",
        "neighbours",
        "prices",
        "scores",
        "since_item",
    )

    def __init__(self, features: list[declared.Feature], grants: Grants) -> None:
        self.neighbours: list[tuple[int, declared.NeighbourScore | declared.NeighbourMax]] = []
        self.affinities: dict[str, list[tuple[int, OfValues]]] = {}
        """By dimension."""
        self.since_item: list[int] = []
        self.prices: list[int] = []
        self.scores: list[tuple[int, Constant]] = []
        """Apart from other constants: each costs the call of a model."""
        constants: list[tuple[int, Constant]] = []
        absent: list[int] = []
        for column, feature in enumerate(features):
            if feature.purpose is not None and not grants.allows(feature.purpose):
                absent.append(column)
                continue
            match feature:
                case declared.NeighbourScore() | declared.NeighbourMax():
                    self.neighbours.append((column, feature))
                case declared.Affinity() | declared.AffinityMatch():
                    self.affinities.setdefault(feature.dimension, []).append((column, feature))
                case declared.TimeShare():
                    self.affinities.setdefault("topic", []).append((column, feature))
                case declared.DaysSinceItem():
                    self.since_item.append(column)
                case declared.PriceDistance():
                    self.prices.append(column)
                case declared.ItemAttribute() | declared.ItemIs():
                    pass  # they lie in the template
                case declared.Score():
                    self.scores.append((column, constant_of(feature)))
                case _:
                    constants.append((column, constant_of(feature)))
        self.neighbours.sort(key=lambda entry: entry[1].last)  # 0, all of the history, holds the rest
        self.absent = np.array(absent, np.intp)
        self.constant_columns = np.array([column for column, _ in constants], np.intp)
        self.constants = [constant for _, constant in constants]

    def fill_constants(self, matrix: Matrix, view: View, scores: Collection[int] | None) -> None:
        """What is the same for every candidate; of visitor scores only the columns `scores`, None: all of them."""
        if self.constants:
            matrix[:, self.constant_columns] = [constant(view) for constant in self.constants]
        for column, score in self.scores:
            if scores is None or column in scores:
                matrix[:, column] = score(view)


class CompiledFeatures:
    """`matrix(view, rows, grants)` is the input of every model of the bundle; `compute` makes the view itself.

    Immutable once made, so that threads may share it.
    """

    def __init__(self, table: declared.FeatureTable, items: ItemTable, neighbours: Neighbours | None = None) -> None:
        """Raises ValueError for a feature that cannot be computed: an event kind that does not exist."""
        self.features: tuple[declared.Feature, ...] = tuple(table.features)
        self.names: tuple[str, ...] = tuple(feature.name for feature in table.features)
        self.sentences: tuple[str, ...] = tuple(feature.sentence for feature in table.features)
        self.column_of: dict[str, int] = {name: column for column, name in enumerate(self.names)}
        self.items = items
        self.index = None if neighbours is None else NeighbourIndex(neighbours)
        self._neighbour_code = self._neighbour_codes()
        self._template = np.full((len(items) + 1, len(self.features)), np.nan, np.float32)
        self._stated: dict[str, list[tuple[int, Callable[[Attribute], float]]]] = {}
        for column, feature in enumerate(self.features):
            match feature:
                case declared.ItemAttribute(attribute=attribute):
                    self._template[:, column] = items.numbers(attribute)
                    self._stated.setdefault(attribute, []).append((column, number_of))
                case declared.ItemIs(attribute=attribute, value=value):
                    self._template[:, column] = [
                        *(is_or_contains(item.attributes.get(attribute), value) for item in items.items),
                        False,
                    ]
                    self._stated.setdefault(attribute, []).append((column, _is(value)))
                case declared.Affinity(dimension=dimension) | declared.AffinityMatch(dimension=dimension):
                    items.dimension(dimension)
                case declared.TimeShare():
                    items.dimension("topic")
                case declared.PriceDistance(attribute=attribute, decimals=decimals):
                    self._template[:, column] = _octaves(items.numbers(attribute), decimals)
                    self._stated.setdefault(attribute, []).append((column, _octave(decimals)))
                case _:
                    pass
        self._telling: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._granted = [_Granted(table.features, _grants(bits)) for bits in range(8)]

    def under(self, items: ItemTable, live: Collection[str]) -> Self:
        """The same features of the same items with the live numbers of `items`; only their columns are made anew."""
        made = copy(self)
        made.items = items
        made._template = template = self._template.copy()  # noqa: SLF001  # of its own class
        for column, feature in enumerate(self.features):
            if not isinstance(feature, _OF_ATTRIBUTES) or feature.attribute not in live:
                continue
            numbers = items.numbers(feature.attribute)
            if isinstance(feature, declared.PriceDistance):
                template[:, column] = _octaves(numbers, feature.decimals)
            elif isinstance(feature, declared.ItemIs):
                said = items.live(feature.attribute)
                assert said is not None
                changed = np.flatnonzero(~np.isnan(said))
                template[changed, column] = [
                    is_or_contains(number, feature.value) for number in numbers[changed].tolist()
                ]
            else:
                template[:, column] = numbers
        return made

    def view(self, profile: Profile, context: Context, now_ms: int) -> View:
        """The visitor at this moment; one a request."""
        return View(profile, context, now_ms, self.index)

    def telling(self, columns: tuple[int, ...]) -> tuple[int, ...]:
        """Which of a model's `columns`, by their position, have a sentence to tell."""
        made = self._telling.get(columns)
        if made is None:
            made = tuple([position for position, column in enumerate(columns) if self.sentences[column]])
            self._telling[columns] = made
        return made

    def rows(self, candidates: Sequence[Candidate] | Sequence[ItemId]) -> Rows:
        """Rows of candidates that a caller brought, or of item ids.

        What a candidate states of itself goes before what the catalogue says of the item, attribute by attribute;
        null states that there is none.
        """
        code_of = self.items.code_of
        brought = [entry if isinstance(entry, Candidate) else Candidate(entry) for entry in candidates]
        codes = np.array([code_of.get(candidate.id, UNKNOWN) for candidate in brought], np.intp)
        if len(codes) and not any(candidate.attributes for candidate in brought) and int(codes.min()) >= 0:
            return Rows(codes)
        return Rows(codes, brought)

    def ids(self, rows: Rows) -> list[ItemId]:
        """The items of the rows."""
        ids: list[ItemId] = self.items.id_array.take(rows.codes).tolist()
        if rows.brought is None:
            return ids
        return [candidate.id or known for candidate, known in zip(rows.brought, ids, strict=True)]

    def compute(
        self,
        profile: Profile,
        context: Context,
        grants: Grants,
        now_ms: int,
        rows: Rows | Codes | Sequence[Candidate] | Sequence[ItemId],
    ) -> Matrix:
        """Float32 (n, features), columns in the order of `names`; NaN is missing.

        `rows` may also be catalogue codes, ids or candidates. A column whose purpose is not granted is NaN.
        """
        if isinstance(rows, np.ndarray):
            rows = Rows(rows.astype(np.intp))
        elif not isinstance(rows, Rows):
            rows = self.rows(rows)
        return self.matrix(self.view(profile, context, now_ms), rows, grants)

    def matrix(self, view: View, rows: Rows, grants: Grants, scores: Collection[int] | None = None) -> Matrix:
        """As `compute`, for a view that was made before; of visitor scores only the columns `scores` (None: all).

        Raises what the view's scores raise.
        """
        granted = self._granted[grants.personalisation + 2 * grants.analytics + 4 * grants.marketing]
        codes = rows.codes
        matrix = self._template.take(codes, axis=0)
        if rows.brought is not None:
            self._state(matrix, rows.brought)
        granted.fill_constants(matrix, view, scores)
        if granted.neighbours:
            speaking = self.neighbour_codes(rows)
            for column, feature in granted.neighbours:
                vector = (
                    view.neighbour_sum(feature.last)
                    if isinstance(feature, declared.NeighbourScore)
                    else view.neighbour_max(feature.last)
                )
                matrix[:, column] = vector[speaking]
        if granted.affinities:
            self._affinities(matrix, view, rows, granted)
        if granted.prices:
            matrix[:, granted.prices] = np.abs(matrix[:, granted.prices] - np.float32(view.price_octave()))
        if granted.since_item:
            days = self._days_since(view, rows)
            for column in granted.since_item:
                matrix[:, column] = days
        if len(granted.absent):
            matrix[:, granted.absent] = np.nan
        return matrix

    def neighbour_codes(self, rows: Rows) -> Codes:
        """The neighbours' codes of the rows, shape (n,); the last code stands for an item without neighbours."""
        codes: Codes = self._neighbour_code[rows.codes]
        if rows.brought is not None and self.index is not None:
            for place in np.flatnonzero(rows.codes == UNKNOWN).tolist():
                codes[place] = self.index.code_of.get(rows.brought[place].id, self.index.size)
        return codes

    def _neighbour_codes(self) -> Codes:
        if self.index is None:
            return np.zeros(len(self.items) + 1, np.intp)
        nobody = self.index.size
        return np.array([*(self.index.code_of.get(item, nobody) for item in self.items.ids), nobody], np.intp)

    def _state(self, matrix: Matrix, brought: Sequence[Candidate]) -> None:
        """What candidates state of themselves, over what the catalogue says of them."""
        for place, candidate in enumerate(brought):
            for name, value in candidate.attributes.items():
                for column, meaning in self._stated.get(name, ()):
                    matrix[place, column] = meaning(value)

    def _affinities(self, matrix: Matrix, view: View, rows: Rows, granted: _Granted) -> None:
        for name, features in granted.affinities.items():
            dimension = self.items.dimension(name)
            codes, count = dimension.codes.take(rows.codes, axis=1), dimension.count.take(rows.codes)
            gathered: dict[tuple[str, float], NDArray[np.float64]] = {}
            for column, feature in features:
                half_life_days = feature.half_life_days
                source = source_of(feature)
                row = view.share_row(source, half_life_days, dimension)
                if row is None:
                    matrix[:, column] = np.nan
                    continue
                share = gathered.get((source, half_life_days))
                if share is None:
                    share = gathered[source, half_life_days] = row.take(codes)
                # Down the first axis NumPy adds one row after the other, so that the sum has one defined order.
                if not isinstance(feature, declared.AffinityMatch):
                    matrix[:, column] = np.add.reduce(share, axis=0) / count
                else:
                    matrix[:, column] = np.maximum.reduce(share, axis=0, initial=0.0) + 0.0 * count
                if rows.brought is not None:
                    self._stated_affinities(matrix, column, feature, view, rows.brought)

    def _stated_affinities(
        self,
        matrix: Matrix,
        column: int,
        feature: OfValues,
        view: View,
        brought: Sequence[Candidate],
    ) -> None:
        shares, dimension = view.shares(source_of(feature), feature.half_life_days), dimension_of(feature)
        for place, candidate in enumerate(brought):
            if dimension in candidate.attributes:
                values = texts_of(candidate.attributes[dimension])
                of_each = [shares.get(value, 0.0) for value in values] or [np.nan]
                is_mean = not isinstance(feature, declared.AffinityMatch)
                matrix[place, column] = sum(of_each) / len(of_each) if is_mean else max(of_each)

    def _days_since(self, view: View, rows: Rows) -> NDArray[np.float64]:
        days = np.full(len(rows), np.nan)
        touched = view.profile.items
        ids = self.ids(rows)
        # Most placements leave out what was seen, so that most requests need no look at single candidates.
        if not touched.keys().isdisjoint(ids):
            for place, item in enumerate(ids):
                touch = touched.get(item)
                if touch is not None:
                    days[place] = max(0.0, (view.now_ms - touch.time_ms) / DAY_MS)
        return days


def _grants(bits: int) -> Grants:
    return Grants(personalisation=bool(bits & 1), analytics=bool(bits & 2), marketing=bool(bits & 4))


def _is(text: str) -> Callable[[Attribute], float]:
    return lambda value: float(is_or_contains(value, text))


def source_of(feature: OfValues) -> str:
    """Whose shares they are: of a dimension's values, or of the time spent on topics."""
    return TOPIC_MS if isinstance(feature, declared.TimeShare) else feature.dimension


def dimension_of(feature: OfValues) -> str:
    """Which of the candidate's attributes holds the values."""
    return "topic" if isinstance(feature, declared.TimeShare) else feature.dimension


def _octaves(numbers: NDArray[np.float64], decimals: int) -> NDArray[np.float64]:
    """Binary logarithms of prices in minor units, NaN for what is no price."""
    prices = np.where(numbers > 0, numbers, np.nan)
    return np.log2(prices * float(10**decimals))


def _octave(decimals: int) -> Callable[[Attribute], float]:
    return lambda value: float(_octaves(np.array([number_of(value)]), decimals)[0])
