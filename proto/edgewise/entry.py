"""The first stages of a decision: who asks, which arm answers, and which items compete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from edgewise.admission.load import Bundle
from edgewise.assign import Assigned, assign, in_holdout
from edgewise.bundle.policy import External, Placement
from edgewise.candidates import OPEN, Catalogued, Pool, brought_pool
from edgewise.deadline import NEVER_LATE, IsLate, TimeIsUp
from edgewise.dial import DIAL_PAGE
from edgewise.eligibility import Blocks, may_personalise, readable
from edgewise.features.view import NO_SCORES, View
from edgewise.ids import ArmName, ItemId, ModelName
from edgewise.nearness import Places
from edgewise.profile.state import Enrolment, Profile
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.request import Candidate, PlacementRequest
from edgewise.retrieval import retrieve
from edgewise.rules import Facts
from edgewise.scores import Score, VisitorScores
from edgewise.targeting import attributes_of

_FALLBACK_OF: Final = {
    Degradation.DEADLINE: Reason.FALLBACK_DEADLINE,
    Degradation.OVERLOAD: Reason.FALLBACK_OVERLOAD,
}


class Visitor:
    """A visitor as far as one kind of placement may look; made once a request."""

    __slots__ = ("blocks", "facts", "is_known", "view")

    def __init__(self, asked: Asked, profile: Profile, *, is_known: bool) -> None:
        features = asked.bundle.features
        self.is_known = is_known
        self.view: View = features.view(profile, asked.question.context, asked.now_ms)
        self.blocks = Blocks(features.items, asked.question.mute, profile, asked.now_ms)
        self.facts = Facts(self.view, asked.bundle.policy.site.complements)


class Asked:
    """One question, and what all its placements share."""

    __slots__ = (
        "_known",
        "_profile",
        "_score",
        "_stranger",
        "bundle",
        "held_out",
        "is_late",
        "may_personalise",
        "now_ms",
        "question",
        "scores",
    )

    def __init__(
        self,
        question: Question,
        profile: Profile,
        bundle: Bundle,
        now_ms: int,
        *,
        score: Score | None = None,
        is_late: IsLate = NEVER_LATE,
    ) -> None:
        """`score` None: visitor scores are missing."""
        self.question = question
        self.is_late = is_late
        self.scores: VisitorScores | None = None
        """Of the visitor, as soon as he was looked at; None where none may be asked for, or the bundle has none."""
        self.bundle = bundle
        self.now_ms = now_ms
        self.may_personalise = may_personalise(question.grants, question.dial)
        self.held_out = in_holdout(bundle.policy.site, question.unit)
        self._profile = profile
        self._score = score
        self._known: Visitor | None = None
        self._stranger: Visitor | None = None

    def visitor(self, *, is_known: bool) -> Visitor:
        """The visitor as far as the dial allows, or a stranger of whom only the page and the mutes are known."""
        if not is_known:
            if self._stranger is None:
                self._stranger = Visitor(self, Profile(), is_known=False)
            return self._stranger
        if self._known is None:
            self._known = Visitor(self, readable(self._profile, self.question.dial, self.now_ms), is_known=True)
            if self.bundle.scores and self._score is not None and self.question.degradation is Degradation.NONE:
                view = self._known.view
                grants = self.question.grants
                self.scores = VisitorScores(self.bundle.scores, view, grants, self._score, self.is_late)
                view.scores = self.scores
        return self._known

    def enrolments(self) -> Mapping[str, Enrolment] | None:
        """What experiments remember of the visitor; None where they may not, or nobody will know him again."""
        question = self.question
        if question.dial <= DIAL_PAGE or question.unit == question.decision_id:
            return None
        return self.visitor(is_known=True).view.profile.enrolments

    def attributes(self) -> Mapping[str, Any]:
        """What conditions of experiments may ask."""
        return attributes_of(self.question.context, self.visitor(is_known=True).view.profile)

    @property
    def used_scores(self) -> bool:
        """Whether some score was asked for."""
        return self.scores is not None and bool(self.scores.said)

    @property
    def said(self) -> dict[ModelName, tuple[float, ...]]:
        """What scores were asked for and said."""
        return {} if self.scores is None else self.scores.said

    def end_ranking(self, degradation: Degradation) -> None:
        """What is asked of scores from now on is asked for items that stand already, which time does not change.

        After a degradation nothing more is asked: a replay, which is told of it before it begins, could not.
        """
        if self.scores is None:
            return
        self.scores.is_late = NEVER_LATE
        if degradation is not Degradation.NONE and self._known is not None:
            self._known.view.scores = NO_SCORES


class Entry(msgspec.Struct, frozen=True):
    """One placement of the question, with its arm and its reader."""

    request: PlacementRequest
    catalogued: Catalogued
    assigned: Assigned
    visitor: Visitor
    exclude: frozenset[ItemId]
    brought: dict[ItemId, Candidate]
    """What the caller brought, each id once, in its order; empty where the collection competes."""

    @property
    def placement(self) -> Placement:
        """What people decided about it."""
        return self.catalogued.placement

    @property
    def count(self) -> int:
        """How many items to show at most."""
        return self.request.count or self.placement.count


class Field(msgspec.Struct, frozen=True):
    """Who competes."""

    pool: Pool
    places: Places


def enter(request: PlacementRequest, asked: Asked) -> Entry:
    """Assign one placement of the question."""
    catalogued = asked.bundle.placements[request.name]
    forced = asked.question.force.get(request.name)
    assigned = assign(
        catalogued.placement,
        asked.bundle.experiments.get(request.name),
        asked.question.unit,
        may_personalise=asked.may_personalise,
        held_out=asked.held_out,
        forced=ArmName(forced) if isinstance(forced, str) else None,
        looks=asked,
    )
    visitor = asked.visitor(is_known=assigned.is_personal)
    brought: dict[ItemId, Candidate] = {}
    for candidate in request.candidates or ():
        brought.setdefault(candidate.id, candidate)
    exclude = frozenset(request.exclude)
    if asked.question.unpromised:
        exclude |= _without_code(asked)
    return Entry(request, catalogued, assigned, visitor, exclude, brought)


def _without_code(asked: Asked) -> frozenset[ItemId]:
    """Items that are shown only with a code, where none can be promised."""
    offers, promoted = asked.bundle.policy.offers, asked.bundle.promoted
    hidden = [
        promoted.get(name, frozenset())
        for name in asked.question.unpromised
        if name in offers and offers[name].when_out == "hide"
    ]
    return frozenset[ItemId]().union(*hidden)


def compete(entries: Sequence[Entry], asked: Asked) -> tuple[list[Field | Reason], Degradation]:
    """Who competes in every placement, and what was left out so far.

    A record says in one word what was left out, so that either time was enough for all placements or for none.
    """
    degradation = asked.question.degradation
    if degradation not in _FALLBACK_OF:
        try:
            return [field(entry, asked) for entry in entries], degradation
        except TimeIsUp:
            degradation = Degradation.DEADLINE
    return [_FALLBACK_OF[degradation]] * len(entries), degradation


def field(entry: Entry, asked: Asked) -> Field | Reason:
    """Who competes in a placement, or why nobody does: nobody where the page keeps what it has. Raises TimeIsUp."""
    if asked.is_late():
        raise TimeIsUp
    question = asked.question
    if isinstance(question.force.get(entry.request.name), list):
        return Reason.FORCED
    if isinstance(entry.assigned.arm.ranking, External):
        return entry.assigned.reason or Reason.RULE
    if not entry.catalogued.is_open(asked.now_ms):
        return Reason.FALLBACK_NO_CANDIDATE
    visitor = entry.visitor
    if entry.request.candidates is None:
        pool = entry.catalogued.pool
        gate = entry.catalogued.gate(visitor.blocks, entry.exclude, visitor.facts, asked.now_ms, asked.is_late)
    else:
        pool = brought_pool(
            list(entry.brought.values()),
            entry.catalogued,
            asked.bundle.features,
            blocks=visitor.blocks,
            exclude=entry.exclude,
            facts=visitor.facts,
        )
        gate = OPEN
    places = retrieve(pool, gate, entry.assigned.arm.retrieval, visitor.view)
    return Field(pool, places) if len(places) else Reason.FALLBACK_NO_CANDIDATE
