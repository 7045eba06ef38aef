"""Why an item was shown, in plain words, and only what is true.

For a model's choice: the features that raised its score most, by path attribution (the model's own arithmetic,
feature by feature) where the bundle has it. Without it, what can be read off the profile: which earlier item speaks
loudest for this one, and which of its categories the visitor likes. A feature is only named when it says something
of this visitor and this item: a tree may well reward that something is *missing*, but "because you looked at …" would
then be a lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import texts_of
from edgewise.bundle.policy import Arm, ByAttribute, ByFormula, ByPriority, ByRetrieval, Everything, Ranking
from edgewise.decision import Why
from edgewise.eligibility import attributes_of
from edgewise.features import table as declared
from edgewise.features.coding import item_attribute, source, written
from edgewise.features.compile import CompiledFeatures, Matrix, Rows, measure_of
from edgewise.features.granted import OfValues, dimension_of
from edgewise.features.view import View
from edgewise.formula import in_words
from edgewise.ids import ModelName
from edgewise.reasons import Reason
from edgewise.request import Candidate

Attribute = Callable[[ModelName, Matrix], Matrix]
"""A model's path attributions: (rows, features) -> (rows, features + 1), the last column being the bias."""

MOST_REASONS: Final = 3
_EXACT_BELOW: Final = 10
_NEW: Final = 0.5
"""Freshness from which on something is new: no older than its feature's `half_after_days`."""

_BECAUSE_OF_ITEM: Final = "Because you were interested in {item}"
_BECAUSE_OF_VALUE: Final = "Because you like {value}"

_EMPTY: Final = Why("nothing", "Left empty, because nothing here seemed worth your attention", 0.0)
_EMPTY_TO_LEARN: Final = Why("nothing", "Left empty to learn whether anything is missed here", 0.0)

_PLAIN: Final[dict[Reason, Why]] = {
    Reason.EXPLORE: Why("explore", "Shown to learn whether you like it", 0.0),
    Reason.FORCED: Why("forced", "An operator asked for exactly this", 0.0),
    Reason.OPTED_OUT: Why("opted_out", "Chosen without anything that is known about you", 0.0),
    Reason.HOLDOUT: Why("holdout", "Not personalised, to measure what personalisation does", 0.0),
    Reason.FALLBACK_NO_CANDIDATE: Why("fallback", "Shown to everybody when nothing else fits", 0.0),
    Reason.FALLBACK_SCORER: Why("fallback", "Shown to everybody while the model cannot answer", 0.0),
    Reason.FALLBACK_DEADLINE: Why("fallback", "Shown to everybody when time is short", 0.0),
    Reason.FALLBACK_OVERLOAD: Why("fallback", "Shown to everybody under high load", 0.0),
}
_KNOWN_ATTRIBUTES: Final = {
    "popularity": "Popular right now",
    "trending": "Trending right now",
    "newness": "New here",
    "rating": "Rated highly by others",
}


_OF_ITEMS: Final = (declared.NeighbourScore, declared.NeighbourMax, declared.SessionScore)
"""What an item of the visitor's own history stands behind."""
_SHARES: Final = (declared.ValueShare, declared.RecentShare)
_OF_AFFINITY: Final = (declared.Affinity, declared.AffinityMatch)

F = TypeVar("F", bound=declared.Feature)


class Shown(msgspec.Struct, frozen=True):
    """The items that one placement shows, and what the model saw of them; one row an item, first slot first."""

    rows: Rows
    matrix: Matrix
    columns: tuple[int, ...]
    """The feature table's column of every column of `matrix`."""
    attributions: Matrix | None
    """As `Attribute` gives them; None where there are none."""


class _Cause(NamedTuple):
    weight: float
    feature: declared.Feature
    item: str
    value: str


def _sentence(cause: _Cause) -> str:
    # Text is put in by replacement, not by a formatting language: sentences and titles come from site files.
    return cause.feature.sentence.replace("{value}", cause.value).replace("{item}", cause.item)


def why_plain(reason: Reason) -> tuple[Why, ...]:
    """The one cause of an answer that nothing about the visitor decided; none for MODEL and RULE."""
    why = _PLAIN.get(reason)
    return () if why is None else (why,)


def why_nothing(reason: Reason) -> tuple[Why, ...]:
    """Why a space was left empty."""
    return (_EMPTY_TO_LEARN if reason is Reason.EXPLORE else _EMPTY,)


def why_ruled(ranking: Ranking, features: CompiledFeatures) -> tuple[Why, ...]:
    """Why a rule chose: by its attribute's sentence in the feature table, else by the attribute's usual words."""
    match ranking:
        case ByAttribute(attribute=attribute, descending=descending):
            for feature in features.features:
                if isinstance(feature, declared.ItemAttribute) and feature.attribute == attribute:
                    sentence = feature.sentence
                    if sentence and "{" not in sentence and descending:
                        return (Why(attribute, sentence, 0.0),)
            ordered = f"Ordered by {attribute}, {'highest' if descending else 'lowest'} first"
            return (Why(attribute, _KNOWN_ATTRIBUTES.get(attribute, ordered) if descending else ordered, 0.0),)
        case ByFormula(formula=formula, sentence=sentence):
            return (Why("formula", sentence or f"Ordered by a formula of {in_words(formula) or 'numbers'}", 0.0),)
        case ByPriority():
            return (Why("priority", "Put first by the people of this site", 0.0),)
        case ByRetrieval():
            return (Why("retrieval", "Ordered by what you looked at last", 0.0),)
        case _:
            return ()


def told_ranking(arm: Arm, *, has_history: bool) -> Ranking:
    """What to tell of an arm's order: retrieval without a history is the collection, or what fills it up."""
    if not isinstance(arm.ranking, ByRetrieval):
        return arm.ranking
    if isinstance(arm.retrieval, Everything):
        return ByPriority()
    return arm.ranking if has_history else ByAttribute(arm.retrieval.fill_attribute)


def why_modelled(features: CompiledFeatures, view: View, shown: Shown, place: int) -> tuple[Why, ...]:
    """Why the model chose the item in row `place`; at most MOST_REASONS causes, weightiest first."""
    explained = _Explained(features, view, shown, place)
    causes = explained.attributed() if shown.attributions is not None else explained.observed()
    causes.sort(key=lambda cause: -cause.weight)
    told: dict[str, Why] = {}
    for cause in causes:
        text = _sentence(cause)
        told.setdefault(text, Why(cause.feature.name, text, cause.weight))
        if len(told) == MOST_REASONS:
            break
    return tuple(told.values())


def telling(features: CompiledFeatures, view: View, rows: Rows) -> Callable[[declared.Feature, float], str | None]:
    """What a feature's value says of the one item of `rows`, in its sentence; None where it would not be true."""
    nothing = np.zeros((1, 0), np.float32)
    explained = _Explained(features, view, Shown(rows, nothing, (), None), 0)

    def told(feature: declared.Feature, value: float) -> str | None:
        cause = explained.cause(feature, value, value)
        return None if cause is None else _sentence(cause)

    return told


class _Explained:
    """One shown item, and what can be said of its features."""

    def __init__(self, features: CompiledFeatures, view: View, shown: Shown, place: int) -> None:
        self._features = features
        self._view = view
        self._shown = shown
        self._place = place
        self._rows = shown.rows.take(np.array([place], np.intp))
        self._id = features.ids(self._rows)[0]

    def attributed(self) -> list[_Cause]:
        """Features that raised the score and have something true to say."""
        if self._shown.attributions is None:
            return []
        features, columns = self._features.features, self._shown.columns
        contributions: list[float] = self._shown.attributions[self._place].tolist()
        values: list[float] = self._shown.matrix[self._place].tolist()
        raised = [
            (-contributions[place], place) for place in self._features.telling(columns) if contributions[place] > 0
        ]
        raised.sort()
        causes: list[_Cause] = []
        for _, place in raised:
            cause = self.cause(features[columns[place]], values[place], contributions[place])
            if cause is not None:
                causes.append(cause)
            if len(causes) == MOST_REASONS:
                break
        return causes

    def observed(self) -> list[_Cause]:
        """What the profile itself says for the item, as far as the model looks at it."""
        causes: list[_Cause | None] = []
        for position, column in enumerate(self._shown.columns):
            feature = self._features.features[column]
            if isinstance(feature, _OF_ITEMS):
                value = float(self._shown.matrix[self._place, position])
                causes.append(self._of_items(_with_sentence(feature, _BECAUSE_OF_ITEM), value, None))
            elif isinstance(feature, _OF_AFFINITY):
                value = float(self._shown.matrix[self._place, position])
                causes.append(self._of_affinity(_with_sentence(feature, _BECAUSE_OF_VALUE), value, value))
        return [cause for cause in causes if cause is not None]

    def cause(  # noqa: C901, PLR0911  # one a kind of feature
        self, feature: declared.Feature, value: float, weight: float
    ) -> _Cause | None:
        """The cause to tell for one feature; None where it would not be true, or its sentence cannot be filled."""
        if math.isnan(value):
            return None
        match feature:
            case declared.NeighbourScore() | declared.NeighbourMax() | declared.SessionScore():
                return self._of_items(feature, value, weight)
            case (
                declared.Affinity()
                | declared.AffinityMatch()
                | declared.TimeShare()
                | declared.AffinitySum()
                | declared.AffinityWindow()
            ):
                return self._of_affinity(feature, value, weight)
            case declared.LastMatch() | declared.Code() | declared.Hash():
                return self._of_texts(feature, value, weight)
            case declared.ScoreMatch():
                return self._of_score(feature, value, weight)
            case declared.Touched():
                return _Cause(weight, feature, self._features.items.title(self._id), "") if value > 0 else None
            case declared.DaysSinceItem():
                return _Cause(weight, feature, self._features.items.title(self._id), number_text(value))
            case declared.Freshness():
                # Everything is a little fresh: only what is new is told as new.
                return _filled(feature, weight, number_text(value)) if value >= _NEW else None
            case declared.Position() | declared.Cross():
                # The same for all; and a product of two things is nobody's reason.
                return None
            case (
                declared.ItemIs(value=text)
                | declared.ContextIs(value=text)
                | declared.TraitIs(value=text)
                | declared.ValueShare(value=text)
                | declared.RecentShare(value=text)
            ):
                is_true = value > 0 if isinstance(feature, _SHARES) else value == 1
                return _filled(feature, weight, text) if is_true else None
            case (
                declared.WindowCount()
                | declared.HistoryLength()
                | declared.Rate()
                | declared.CartSize()
                | declared.CartValue()
                | declared.OpenTickets()
                | declared.DistinctCount()
                | declared.Visits()
                | declared.ActiveDays()
                | declared.Spent()
                | declared.DecayedCount()
                | declared.ContentCosine()
                | declared.TopicSeconds()
            ):
                return _filled(feature, weight, number_text(value)) if value > 0 else None
            case _:
                return _filled(feature, weight, number_text(value))

    def _of_items(
        self,
        feature: declared.NeighbourScore | declared.NeighbourMax | declared.SessionScore,
        value: float,
        weight: float | None,
    ) -> _Cause | None:
        """`weight` None: how loud the loudest speaker is."""
        if not value > 0:
            return None
        if isinstance(feature, declared.SessionScore):
            code = int(self._features.session_codes(self._rows)[0])
            speaker, loudness = self._view.session_speaker(code), value
        else:
            code = int(self._features.neighbour_codes(self._rows, feature.source)[0])
            speaker, loudness = self._view.loudest(code, feature.last, feature.source) or (None, 0.0)
        if speaker is None:
            return None
        title = self._features.items.title(speaker)
        return _Cause(loudness if weight is None else weight, feature, title, number_text(value))

    def _of_affinity(self, feature: OfValues, value: float, weight: float) -> _Cause | None:
        if not value > 0:
            return None
        attributes = attributes_of(self._features.items, self._candidate())
        measured = self._view.measured(measure_of(feature))
        values = texts_of(attributes.get(dimension_of(feature)))
        return _filled(feature, weight, max(values, key=lambda text: measured.get(text, 0.0)))

    def _of_texts(
        self, feature: declared.LastMatch | declared.Code | declared.Hash, value: float, weight: float
    ) -> _Cause | None:
        """By texts, because the number itself means nothing to anybody.

        A match by the latest of the last items that shares a value, and the first value that it shares.
        """
        items = self._features.items
        attributes = attributes_of(items, self._candidate())
        if not isinstance(feature, declared.LastMatch):
            attribute = item_attribute(feature)
            coded = source(self._view, feature.of) if attribute is None else attributes.get(attribute)
            known = [text for text in written(coded) if isinstance(feature, declared.Hash) or text in feature.values]
            return _filled(feature, weight, known[0]) if known else None
        values = texts_of(attributes.get(feature.dimension)) if value > 0 else ()
        for item in self._view.history()[: feature.last]:
            touched = items.item(item)
            theirs = () if touched is None else texts_of(touched.attributes.get(feature.dimension))
            shared = next((text for text in values if text in theirs), None)
            if shared is not None:
                return _Cause(weight, feature, items.title(item), shared)
        return None

    def _of_score(self, feature: declared.ScoreMatch, value: float, weight: float) -> _Cause | None:
        """By the class that speaks for the item."""
        if not value > 0:
            return None
        values = texts_of(attributes_of(self._features.items, self._candidate()).get(feature.attribute))
        said = self._view.scores.by_class(feature.model)
        return _filled(feature, weight, max(values, key=lambda text: said.get(text, 0.0)))

    def _candidate(self) -> Candidate:
        return Candidate(self._id) if self._rows.brought is None else self._rows.brought[0]


def _with_sentence(feature: F, sentence: str) -> F:
    return feature if feature.sentence else msgspec.structs.replace(feature, sentence=sentence)


def number_text(value: float) -> str:
    """A number as people write it: whole where it is whole or at least 10, else with one decimal."""
    if abs(value) >= _EXACT_BELOW or value == int(value):
        return str(round(value))
    return f"{value:.1f}"


def _filled(feature: declared.Feature, weight: float, value: str) -> _Cause | None:
    """A cause that no item of the history stands behind; None where the sentence asks for one."""
    return None if "{item}" in feature.sentence else _Cause(weight, feature, "", value)


def attributions_of(
    attribute: Attribute | None, model: ModelName, matrix: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Path attributions of the rows, or None where there are none to be had.

    An explanation must never cost an answer, so whatever goes wrong here only makes it less detailed.
    """
    if attribute is None:
        return None
    try:
        attributions = np.asarray(attribute(model, matrix), np.float32)
    except Exception:  # noqa: BLE001  # the function is the caller's: it may raise anything
        return None
    rows, columns = matrix.shape
    is_sound = attributions.shape == (rows, columns + 1) and bool(np.isfinite(attributions).all())
    return attributions if is_sound else None
