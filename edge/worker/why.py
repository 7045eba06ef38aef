"""Why something was shown: the recorded decision, told with the causes that can still be told truthfully.

A decision that was made with `explain` carries its causes. For any other they are worked out when somebody asks, from
the feature rows that were logged with it, so the weights are those of the decision; items of the visitor's history
that came later are left out. Without the bundle that decided, or without consent to read the profile now, less is
said, never something else.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from edge.worker.live_bundle import Served
from edgewise.bundle.policy import ByModel
from edgewise.decision import ChosenItem, Decision, PlacementDecision, Why
from edgewise.eligibility import readable
from edgewise.explain import (
    MOST_REASONS,
    Shown,
    attributions_of,
    told_ranking,
    why_modelled,
    why_nothing,
    why_plain,
    why_ruled,
)
from edgewise.ids import DecisionId, ItemId, ModelName, PlacementName
from edgewise.profile.state import Profile
from edgewise.ranking import ranker_of
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord, FeatureRows
from edgewise.request import Candidate
from edgewise.scores import Named, named


class WhyItem(msgspec.Struct, frozen=True, rename="camel"):
    """One shown item."""

    id: ItemId
    title: str
    rank: int
    reason: Reason
    score: float
    propensity: float
    why: tuple[Why, ...]
    variant: str | msgspec.UnsetType = msgspec.UNSET
    """The copy that was shown, where it was not the item's own."""
    representation: str | msgspec.UnsetType = msgspec.UNSET
    """The format whose representation of the item was shown, where it was not its own content."""


class WhyNothing(msgspec.Struct, frozen=True, rename="camel"):
    """A slot that was left empty on purpose."""

    rank: int
    reason: Reason
    score: float
    propensity: float
    why: tuple[Why, ...]


class WhyPlacement(msgspec.Struct, frozen=True, rename="camel"):
    """One placement of the decision."""

    items: list[WhyItem]
    reason: Reason
    policy: str
    nothing: WhyNothing | msgspec.UnsetType = msgspec.UNSET
    """Where the slate ended because showing nothing was chosen."""


class WhyAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The whole decision, explained."""

    decision_id: DecisionId
    time_ms: int
    bundle_version: int
    bundle_digest: str
    used_profile: bool
    """Whether anything that is known of the visitor was looked at."""
    placements: dict[PlacementName, WhyPlacement]
    scores: dict[ModelName, Named]
    """What was estimated of the visitor and had a say; empty where that may not be told any more, or not named."""


_decisions = msgspec.json.Decoder(Decision)
_RANKED: Final = frozenset({Reason.RULE, Reason.OPTED_OUT, Reason.HOLDOUT})
"""Reasons under which a rule has put the items in order."""


def explained(record: DecisionRecord, served: Served | None, profile: Profile | None) -> WhyAnswer:
    """`served` is what serves now, `profile` the visitor's, None where it may not be read, or is not here."""
    decision = _decisions.decode(record.decision)
    teller = _Teller(record, served, profile)
    return WhyAnswer(
        decision_id=decision.decision_id,
        time_ms=record.time_ms,
        bundle_version=decision.bundle_version,
        bundle_digest=decision.bundle_digest and f"sha256:{decision.bundle_digest}",
        used_profile=bool(record.applied),
        placements={
            name: WhyPlacement(
                [
                    WhyItem(
                        item.id,
                        item.id if served is None else served.bundle.items.title(item.id),
                        item.rank,
                        item.reason,
                        item.score,
                        item.propensity,
                        item.why or teller.causes(name, item, placed),
                        item.variant,
                        item.representation,
                    )
                    for item in placed.items
                ],
                placed.reason,
                placed.policy,
                _nothing(placed),
            )
            for name, placed in decision.placements.items()
        },
        scores=teller.scores(decision),
    )


def _nothing(placed: PlacementDecision) -> WhyNothing | msgspec.UnsetType:
    chosen = placed.nothing
    if isinstance(chosen, msgspec.UnsetType):
        return msgspec.UNSET
    why = chosen.why or why_nothing(chosen.reason)
    return WhyNothing(chosen.rank, chosen.reason, chosen.score, chosen.propensity, why)


class _Teller:
    """Works out causes that were not told when the decision was made."""

    def __init__(self, record: DecisionRecord, served: Served | None, profile: Profile | None) -> None:
        self._record = record
        self._served = served if served is not None and served.bundle.digest == record.bundle_digest else None
        self._past = None if profile is None else _as_of(readable(profile, record.dial, record.time_ms), record.time_ms)

    def causes(self, name: PlacementName, item: ChosenItem, placed: PlacementDecision) -> tuple[Why, ...]:
        """As `decide` would have told them."""
        if self._served is None:
            return why_plain(item.reason)
        variants = self._served.bundle.variants
        return self._ranked(self._served, name, item, placed) + (
            variants.why(item.id, item.variant) if item.variant else ()
        )

    def scores(self, decision: Decision) -> dict[ModelName, Named]:
        """The visitor scores that had a say, as long as his profile may be read and the bundle is here to name them."""
        if self._served is None or self._past is None:
            return {}
        return named(decision.scores, self._served.bundle.manifest.models)

    def _ranked(
        self, served: Served, name: PlacementName, item: ChosenItem, placed: PlacementDecision
    ) -> tuple[Why, ...]:
        bundle = served.bundle
        arm = bundle.policy.placements[name].arms[placed.policy]
        was_read = bool(self._record.applied) if self._past is None else bool(self._past.items)
        ranking = told_ranking(arm, has_history=was_read)
        rows = self._record.shown.get(name)
        model = ranker_of(ranking)
        ruled = () if isinstance(ranking, ByModel) else why_ruled(ranking, bundle.features)
        if item.reason is Reason.MODEL and model is not None and rows is not None:
            return (ruled + self._modelled(served, model, name, rows, item.id))[:MOST_REASONS]
        return why_plain(item.reason) + (ruled if model is None and item.reason in _RANKED else ())

    def _modelled(
        self, served: Served, model: ModelName, name: PlacementName, rows: FeatureRows, item: ItemId
    ) -> tuple[Why, ...]:
        features, record = served.bundle.features, self._record
        brought = {
            candidate.id: candidate
            for request in record.placements
            if request.name == name
            for candidate in request.candidates or ()
        }
        columns = served.bundle.models[model].features
        matrix = np.frombuffer(rows.data, "<f4").reshape(-1, len(rows.names))
        attributions = attributions_of(served.attribute, model, matrix)
        if self._past is None:
            # What the model saw of the visitor is no longer anybody's to tell: as if it had been missing.
            personal = [features.features[column].purpose is not None for column in columns]
            matrix = np.where(personal, np.float32(np.nan), matrix)
        shown = Shown(
            features.rows([brought.get(each, Candidate(each)) for each in rows.items]), matrix, columns, attributions
        )
        view = features.view(self._past or Profile(), record.context, record.time_ms)
        return why_modelled(features, view, shown, rows.items.index(item))


def _as_of(profile: Profile, time_ms: int) -> Profile:
    """A profile without the items that were touched later."""
    items = {item: touch for item, touch in profile.items.items() if touch.time_ms <= time_ms}
    return msgspec.structs.replace(profile, items=items)
