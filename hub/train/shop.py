"""The placement that a ranker is trained for, as an edge would decide in it, with items as they were known earlier.

Everything that chooses and describes candidates is the code that serves: `Asked`, `enter`, eligibility, retrieval,
features. Only the model is missing, because it is what is being made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle, LoadedModel, compiled_features
from edgewise.bundle.golden import Golden
from edgewise.bundle.items import ItemTable
from edgewise.bundle.manifest import PROTOCOL_VERSION, Manifest
from edgewise.candidates import rule_scores
from edgewise.consent import Grants
from edgewise.entry import Asked, Entry, enter
from edgewise.errors import InputError
from edgewise.features.compile import Rows
from edgewise.features.table import Feature, FeatureTable
from edgewise.features.view import View
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, ModelName, PlacementName
from edgewise.profile.preferences import Preferences
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.ranking import ranker_of
from edgewise.request import Context, PlacementRequest
from edgewise.retrieval import retrieve
from hub.content_vectors import vectors_of
from hub.item_statistics import with_statistics
from hub.site.loading import SiteContents
from hub.site.recipes import RankerRecipe
from hub.train.items import FittedItems

Matrix = NDArray[np.float32]
NOWHERE: Final = 1 << 30
"""The rank of what is in no list."""
_NO_PAGE: Final = Context()


class Seat(NamedTuple):
    """Where a model ranks."""

    placement: PlacementName
    arm: ArmName


class Choice(NamedTuple):
    """A visitor before an outcome: what could have been shown, as the ranker would have seen it."""

    matrix: Matrix
    """Float32 (n, features of the model): the retrieved candidates in their order (all, or a draw of them), then what
    was wanted but not retrieved."""
    wanted: NDArray[np.bool_]
    """(n,): which of them were wanted; at least one."""
    gain: NDArray[np.float32]
    """(n,): what that is worth; 0 where it was not wanted."""
    retrieved: int
    """How many rows come from the retrieval."""
    rank_by_retrieval: int
    """Place, from 0, of the best wanted item in the retrieval's own order; NOWHERE where it is not in it."""
    rank_by_rule: int
    """Place of the best wanted item where the opted-out arm's rule ranks all that may be shown."""


class Shop:
    """One placement at one state of knowledge about items."""

    def __init__(self, contents: SiteContents, model: ModelName, recipe: RankerRecipe, fitted: FittedItems) -> None:
        """Raises InputError when the recipe names a placement or a feature that is not there."""
        self.seat = seat_of(contents, model, recipe)
        self.fitted = fitted
        table = contents.features
        items = ItemTable(with_statistics(contents.catalogue, fitted.statistics), contents.policy.site.zones)
        learned = fitted.learned(vectors_of(contents.policy, table, contents.catalogue, contents.vectors))
        features = compiled_features(table, items, learned)
        taken = features_of(table, recipe)
        self.features = taken
        self._columns = np.array([features.column_of[feature.name] for feature in taken.features], np.intp)
        self._bundle = Bundle(
            Manifest(BundleVersion(0), None, contents.policy.site.name, 0, 1, PROTOCOL_VERSION, {}, {}, {}),
            "",
            policy=contents.policy,
            features=features,
            learned=learned,
            golden=Golden({}),
            models={name: LoadedModel(entry, b"", None, (), None) for name, entry in contents.scores.entries.items()},
        )
        self._score = contents.scores.score
        self._taken = frozenset(self._columns.tolist())
        pool = self._bundle.placements[self.seat.placement].pool
        self._place_of = {item: place for place, item in enumerate(features.ids(pool.rows))}

    @property
    def count(self) -> int:
        """How many items the placement shows."""
        return self._bundle.policy.placements[self.seat.placement].count

    def choice(
        self,
        profile: Profile,
        said: Preferences,
        grants: Grants,
        now_ms: int,
        *,
        wanted: Sequence[ItemId],
        gains: Sequence[float] | None = None,
        context: Context = _NO_PAGE,
        draw: Callable[[NDArray[np.bool_]], NDArray[np.bool_]] | None = None,
    ) -> Choice | None:
        """The candidates of a visitor at a moment, on a page.

        None when he may not be personalised, or nothing of what he wanted may be shown to him. `gains` says what each
        of `wanted` is worth, above 0; 1 where it is not given. `draw` gets which of the retrieved candidates were
        wanted and says which of them to keep.
        """
        entry = self._enter(profile, said, grants, now_ms, context)
        if entry is None:
            return None
        visitor, pool = entry.visitor, entry.catalogued.pool
        gate = entry.catalogued.gate(visitor.blocks, entry.exclude, visitor.facts, now_ms)
        eligible = gate.passing(pool.everything)
        gain = np.zeros(len(pool), np.float32)
        for item, worth in zip(wanted, gains or [1.0] * len(wanted), strict=True):
            if item in self._place_of:
                gain[self._place_of[item]] = worth
        is_wanted = gain > 0
        ranked_by_rule = is_wanted[eligible]
        if not ranked_by_rule.any():
            return None
        places = retrieve(pool, gate, entry.assigned.arm.retrieval, visitor.view)
        found = is_wanted[places]
        is_missed = is_wanted.copy()
        is_missed[places] = False
        missed = eligible[is_missed[eligible]]
        rows = np.concatenate([places if draw is None else places[draw(found)], missed])
        placement = entry.placement
        rule = placement.arms[placement.opted_out_arm].ranking
        return Choice(
            matrix=self._seen(visitor.view, pool.rows.take(rows), grants),
            wanted=is_wanted[rows],
            gain=gain[rows],
            retrieved=len(rows) - len(missed),
            rank_by_retrieval=int(found.argmax()) if found.any() else NOWHERE,
            rank_by_rule=best_rank(rule_scores(pool, eligible, rule), ranked_by_rule),
        )

    def _seen(self, view: View, rows: Rows, grants: Grants) -> Matrix:
        return self._bundle.features.matrix(view, rows, grants, self._taken).take(self._columns, axis=1)

    def _enter(
        self, profile: Profile, said: Preferences, grants: Grants, now_ms: int, context: Context
    ) -> Entry | None:
        question = Question(
            decision_id=DecisionId(""),
            unit="",
            placements=(PlacementRequest(self.seat.placement),),
            context=context,
            grants=grants,
            dial=said.dial.value,
            mute=said.mute.value,
            force={self.seat.placement: self.seat.arm},
        )
        asked = Asked(question, profile, self._bundle, now_ms, score=self._score)
        entry = enter(question.placements[0], asked)
        return entry if entry.assigned.is_personal else None


def best_rank(scores: NDArray[np.floating], wanted: NDArray[np.bool_]) -> int:
    """The place, from 0, of the best wanted row when rows are put in order of scores, earlier rows first among equals.

    NOWHERE when none is wanted.
    """
    if not wanted.any():
        return NOWHERE
    places = np.flatnonzero(wanted)
    best = places[int(np.argmax(scores[places]))]
    return int((scores > scores[best]).sum() + (scores[:best] == scores[best]).sum())


def seat_of(contents: SiteContents, model: ModelName, recipe: RankerRecipe) -> Seat:
    """The placement and arm that a model is trained for. Raises InputError when there is none, or not exactly one."""
    seats = [
        Seat(name, arm_name)
        for name, placement in contents.policy.placements.items()
        if recipe.placement in (None, name)
        for arm_name, arm in placement.arms.items()
        if ranker_of(arm.ranking) == model
    ]
    if not seats or len({seat.placement for seat in seats}) > 1:
        there = ", ".join(f"{seat.placement}.{seat.arm}" for seat in seats) or "none"
        raise InputError(f"arms that rank by the model {model!r}: {there}; expected one placement")
    return seats[0]


def features_of(table: FeatureTable, recipe: RankerRecipe) -> FeatureTable:
    """The columns that a model takes, in the order of the table. Raises InputError: an unknown one, or none at all."""
    if not (table.features if recipe.features is None else recipe.features):
        raise InputError("no feature to learn from; expected some under the site's features/, or all of them")
    if recipe.features is None:
        return table
    declared: dict[str, Feature] = {feature.name: feature for feature in table.features}
    unknown = sorted(set(recipe.features) - set(declared))
    if unknown:
        raise InputError(f"no feature {unknown[0]!r}; there are {', '.join(declared)}")
    return FeatureTable([feature for feature in table.features if feature.name in set(recipe.features)])
