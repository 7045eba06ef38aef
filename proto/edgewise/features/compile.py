"""The feature table and the catalogue, compiled into one vectorised pass over the candidates.

What depends on the item alone lies ready as float32 rows. What depends on the visitor alone is computed once a
request (`View`). What depends on both is a gather from a vector that is made once a request. The hub trains on the
rows of this very code, so that serving and training cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import Attribute, is_or_contains, number_of, texts_of
from edgewise.bundle.items import UNKNOWN, ItemTable
from edgewise.bundle.learned import UNNAMED
from edgewise.bundle.neighbours import Neighbours
from edgewise.bundle.sessions import Sessions
from edgewise.bundle.vectors import Vectors
from edgewise.consent import Grants
from edgewise.features import table as declared
from edgewise.features.coding import coder_of, item_attribute
from edgewise.features.crossing import cross, crossings
from edgewise.features.freshness import freshness, published_day
from edgewise.features.granted import SUMS, GrantedColumns, OfBoth, OfValues, dimension_of
from edgewise.features.likeness import Likeness
from edgewise.features.matching import score_matches, shares, stated_shares
from edgewise.features.rows import Codes, Rows, joined
from edgewise.features.view import Measure, NeighbourIndex, View
from edgewise.ids import ItemId
from edgewise.profile.state import DAY_MS, TOPIC_MS, Profile
from edgewise.request import Candidate, Context
from edgewise.sessions import SessionIndex, scores_of

Matrix = NDArray[np.float32]
Meaning = Callable[[Attribute], float]
"""What a column says of an attribute."""

__all__ = ["Codes", "OfValues", "Rows", "dimension_of", "joined"]


class CompiledFeatures:
    """`matrix(view, rows, grants)` is the input of every model of the bundle; `compute` makes the view itself.

    Immutable once made, so that threads may share it.
    """

    def __init__(
        self,
        table: declared.FeatureTable,
        items: ItemTable,
        neighbours: Neighbours | None = None,
        vectors: Vectors | None = None,
        *,
        named: Mapping[str, Neighbours] | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """Without vectors nothing is like anything. `named`: sets of neighbours beside the one without a name.

        Raises ValueError for a feature that cannot be computed: an event kind that does not exist, or a cross of what
        is not in the table.
        """
        self.features: tuple[declared.Feature, ...] = tuple(table.features)
        self.names: tuple[str, ...] = tuple(feature.name for feature in table.features)
        self.sentences: tuple[str, ...] = tuple(feature.sentence for feature in table.features)
        self.column_of: dict[str, int] = {name: column for column, name in enumerate(self.names)}
        self.items = items
        self.index = None if neighbours is None else NeighbourIndex(neighbours)
        self._likeness = None if vectors is None else Likeness(vectors, items.ids)
        self.named = {name: NeighbourIndex(rows) for name, rows in (named or {}).items()}
        self.sessions = None if sessions is None else SessionIndex(sessions)
        self._neighbour_code = {
            source: self._known_codes(index.code_of, index.size)
            for source, index in [(UNNAMED, self.index), *self.named.items()]
            if index is not None
        }
        self._session_code = (
            None if self.sessions is None else self._known_codes(self.sessions.code_of, self.sessions.size)
        )
        self._template = np.full((len(items) + 1, len(self.features)), np.nan, np.float32)
        self._stated: dict[str, list[tuple[int, Meaning]]] = {}
        for column, feature in enumerate(self.features):
            match feature:
                case declared.ItemAttribute(attribute=attribute):
                    self._describe(column, attribute, number_of, items.numbers(attribute))
                case declared.ItemIs(attribute=attribute, value=value):
                    self._describe(column, attribute, _is(value))
                case declared.PriceDistance(attribute=attribute, decimals=decimals):
                    self._describe(column, attribute, _octave(decimals), _octaves(items.numbers(attribute), decimals))
                case declared.Freshness(attribute=attribute):
                    self._describe(column, attribute, published_day)
                case declared.ScoreMatch(attribute=attribute):
                    items.dimension(attribute)
                case declared.Code() | declared.Hash() if (coded := item_attribute(feature)) is not None:
                    self._describe(column, coded, coder_of(feature))
                case (
                    declared.Affinity(dimension=dimension)
                    | declared.AffinityMatch(dimension=dimension)
                    | declared.AffinitySum(dimension=dimension)
                    | declared.AffinityWindow(dimension=dimension)
                    | declared.LastMatch(dimension=dimension)
                    | declared.RecentShare(dimension=dimension)
                ):
                    items.dimension(dimension)
                case declared.TimeShare():
                    items.dimension("topic")
                case _:
                    pass
        self._telling: dict[tuple[int, ...], tuple[int, ...]] = {}
        made_of_others = crossings(self.features, self.column_of)
        self._granted = [GrantedColumns(self.features, made_of_others, _grants(bits)) for bits in range(8)]

    def under(self, items: ItemTable, live: Collection[str]) -> Self:
        """The same features of the same items with the live numbers of `items`; only their columns are made anew."""
        made = copy(self)
        made.items = items
        made._template = template = self._template.copy()  # noqa: SLF001  # of its own class
        for attribute in live:
            for column, meaning in self._stated.get(attribute, ()):
                feature, numbers = self.features[column], items.numbers(attribute)
                if isinstance(feature, declared.PriceDistance):
                    template[:, column] = _octaves(numbers, feature.decimals)
                elif isinstance(feature, declared.ItemAttribute):
                    template[:, column] = numbers
                else:
                    said = items.live(attribute)
                    assert said is not None
                    changed = np.flatnonzero(~np.isnan(said))
                    template[changed, column] = [meaning(number) for number in numbers[changed].tolist()]
        return made

    def view(self, profile: Profile, context: Context, now_ms: int) -> View:
        """The visitor at this moment; one a request."""
        made = View(profile, context, now_ms, self.index, named=self.named, sessions=self.sessions)
        made.items = self.items
        return made

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
        matrix = self._template.take(rows.codes, axis=0)
        if rows.brought is not None:
            self._state(matrix, rows.brought)
        granted.fill_constants(matrix, view, scores)
        if granted.neighbours:
            self._neighbours(matrix, view, rows, granted)
        if granted.affinities:
            self._affinities(matrix, view, rows, granted)
        if granted.prices:
            matrix[:, granted.prices] = np.abs(matrix[:, granted.prices] - np.float32(view.price_octave()))
        for column, fresh in granted.fresh:
            matrix[:, column] = freshness(matrix[:, column], view.now_ms, fresh.half_after_days)
        for column, match in granted.matches:
            if granted.is_asked(column, scores):
                said, dimension = view.scores.by_class(match.model), self.items.dimension(match.attribute)
                matrix[:, column] = score_matches(said, dimension, match.attribute, rows)
        for column, feature in granted.of_both:
            matrix[:, column] = self._of_both(feature, view, rows)
        if len(granted.absent):
            matrix[:, granted.absent] = np.nan
        # Last, so that what is made of something absent is absent.
        cross(matrix, granted.crossings)
        return matrix

    def neighbour_codes(self, rows: Rows, source: str = UNNAMED) -> Codes:
        """The rows' places in the neighbours `source`, shape (n,); an item that these do not know has one of its own.

        A site without these neighbours has that place alone.
        """
        index = self.index if source == UNNAMED else self.named.get(source)
        if index is None:
            return np.zeros(len(rows), np.intp)
        return self._codes_in(rows, self._neighbour_code[source], index.code_of, index.size)

    def session_codes(self, rows: Rows) -> Codes:
        """The rows' codes in the sessions, shape (n,); one beyond the last for an item that is in none."""
        if self.sessions is None or self._session_code is None:
            return np.zeros(len(rows), np.intp)
        return self._codes_in(rows, self._session_code, self.sessions.code_of, self.sessions.size)

    def _codes_in(self, rows: Rows, of_catalogue: Codes, code_of: Mapping[ItemId, int], nobody: int) -> Codes:
        codes: Codes = of_catalogue[rows.codes]
        if rows.brought is not None:
            for place in np.flatnonzero(rows.codes == UNKNOWN).tolist():
                codes[place] = code_of.get(rows.brought[place].id, nobody)
        return codes

    def _known_codes(self, code_of: Mapping[ItemId, int], nobody: int) -> Codes:
        return np.array([*(code_of.get(item, nobody) for item in self.items.ids), nobody], np.intp)

    def _state(self, matrix: Matrix, brought: Sequence[Candidate]) -> None:
        """What candidates state of themselves, over what the catalogue says of them."""
        for place, candidate in enumerate(brought):
            for name, value in candidate.attributes.items():
                for column, meaning in self._stated.get(name, ()):
                    matrix[place, column] = meaning(value)

    def _describe(
        self, column: int, attribute: str, meaning: Meaning, of_all: NDArray[np.float64] | None = None
    ) -> None:
        """A column that the item's attribute alone decides: of the catalogue's items once, of brought ones later."""
        values: NDArray[np.float64] | list[float]
        if of_all is None:
            values = [*(meaning(item.attributes.get(attribute)) for item in self.items.items), meaning(None)]
        else:
            values = of_all
        self._template[:, column] = values
        self._stated.setdefault(attribute, []).append((column, meaning))

    def _affinities(self, matrix: Matrix, view: View, rows: Rows, granted: GrantedColumns) -> None:
        for name, features in granted.affinities.items():
            dimension = self.items.dimension(name)
            codes, count = dimension.codes.take(rows.codes, axis=1), dimension.count.take(rows.codes)
            gathered: dict[Measure, NDArray[np.float64]] = {}
            for column, feature in features:
                measure = measure_of(feature)
                row = view.measured_row(measure, dimension)
                if row is None:
                    # A share of nothing is nothing that is known; a sum of nothing is 0.
                    matrix[:, column] = 0.0 * count if isinstance(feature, SUMS) else np.nan
                    if isinstance(feature, SUMS) and rows.brought is not None:
                        self._stated_affinities(matrix, column, feature, view, rows.brought)
                    continue
                measured = gathered.get(measure)
                if measured is None:
                    measured = gathered[measure] = row.take(codes)
                # Down the first axis NumPy adds one row after the other, so that the sum has one defined order.
                if isinstance(feature, declared.AffinityMatch):
                    matrix[:, column] = np.maximum.reduce(measured, axis=0, initial=0.0) + 0.0 * count
                elif isinstance(feature, SUMS):
                    matrix[:, column] = np.add.reduce(measured, axis=0) + 0.0 * count
                else:
                    matrix[:, column] = np.add.reduce(measured, axis=0) / count
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
        measured, dimension = view.measured(measure_of(feature)), dimension_of(feature)
        for place, candidate in enumerate(brought):
            if dimension in candidate.attributes:
                values = texts_of(candidate.attributes[dimension])
                of_each = [measured.get(value, 0.0) for value in values] or [np.nan]
                if isinstance(feature, declared.AffinityMatch):
                    matrix[place, column] = max(of_each)
                else:
                    matrix[place, column] = sum(of_each) / (1 if isinstance(feature, SUMS) else len(of_each))

    def _neighbours(self, matrix: Matrix, view: View, rows: Rows, granted: GrantedColumns) -> None:
        speaking: dict[str, Codes] = {}
        for column, feature in granted.neighbours:
            source = feature.source
            if source not in speaking:
                speaking[source] = self.neighbour_codes(rows, source)
            vector = (
                view.neighbour_sum(feature.last, source)
                if isinstance(feature, declared.NeighbourScore)
                else view.neighbour_max(feature.last, source)
            )
            matrix[:, column] = vector[speaking[source]]

    def _of_both(self, feature: OfBoth, view: View, rows: Rows) -> NDArray[np.float64]:
        match feature:
            case declared.LastMatch(dimension=name):
                dimension = self.items.dimension(name)
                last = view.touched(name, feature.last, dimension, self.items.code_of)
                matches = shares(dimension, rows.codes, last)
                if rows.brought is not None:
                    stated_shares(matches, dimension, name, rows.brought, last)
                return matches
            case declared.SessionScore():
                return scores_of(view.heard(), self.session_codes(rows))
            case declared.ContentCosine():
                if self._likeness is None:
                    return np.full(len(rows), np.nan)
                taste = view.taste(self._likeness.vectors, feature.half_life_days, feature.last)
                return self._likeness.cosines(taste, rows.codes, rows.brought)
            case declared.DaysSinceItem():
                return self._days_since(view, rows)
            case declared.Touched(days=days):
                since = self._days_since(view, rows)
                return (since <= days if days else ~np.isnan(since)).astype(np.float64)

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


def _is(text: str) -> Meaning:
    return lambda value: float(is_or_contains(value, text))


def measure_of(feature: OfValues) -> Measure:
    """What it measures of each value."""
    match feature:
        case declared.TimeShare(half_life_days=days):
            return Measure("share", TOPIC_MS, days)
        case declared.AffinitySum(dimension=dimension, half_life_days=days):
            return Measure("sum", dimension, days)
        case declared.AffinityWindow(dimension=dimension, days=window):
            return Measure("window", dimension, window)
        case declared.Affinity() | declared.AffinityMatch():
            return Measure("share", feature.dimension, feature.half_life_days)


def _octaves(numbers: NDArray[np.float64], decimals: int) -> NDArray[np.float64]:
    """Binary logarithms of prices in minor units, NaN for what is no price."""
    prices = np.where(numbers > 0, numbers, np.nan)
    return np.log2(prices * float(10**decimals))


def _octave(decimals: int) -> Meaning:
    return lambda value: float(_octaves(np.array([number_of(value)]), decimals)[0])
