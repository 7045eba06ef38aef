"""The engine: one pure function from a question and a profile to a decision.

    assign -> candidates, eligibility -> features -> score -> policy -> explain -> Decision, and then `shadow`
    `entry`                              `ranking`            `answer`          all may ask `scores` of the visitor

The edge serves it, the hub replays it, golden files pin it. Model, chance and time are arguments. Nothing raises for
data that is missing: the answer degrades, and its reason says so. All placements of a request share one reading of
the profile and one call of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from edgewise.admission.load import Bundle
from edgewise.answer import Answer, answer, logged_rows, slate_propensities
from edgewise.bundle.facts import NO_FACTS
from edgewise.consent import Grants
from edgewise.deadline import NEVER_LATE, IsLate
from edgewise.decision import Decision
from edgewise.draws import Draw
from edgewise.entry import Asked, compete, enter
from edgewise.errors import InputError, Problem
from edgewise.explain import Attribute
from edgewise.ids import ArmName, ItemId, PlacementName
from edgewise.live_facts import LiveFacts
from edgewise.profile.state import Profile
from edgewise.question import Force, Question
from edgewise.ranking import rank
from edgewise.reasons import Degradation
from edgewise.records import FeatureRows, Shadow
from edgewise.request import PlacementRequest
from edgewise.scores import Score, ScoreFailed
from edgewise.shadow import shadows

NO_SHADOWS: Final[dict[PlacementName, Shadow]] = {}
"""Nobody writes to it."""


class UnknownPlacement(InputError):  # noqa: N818  # reads as what happened
    """A placement that the bundle does not have; the whole request is refused."""


def decide(
    question: Question,
    profile: Profile,
    *,
    bundle: Bundle,
    facts: LiveFacts | None = None,
    score: Score,
    attribute: Attribute | None = None,
    draw: Draw,
    now_ms: int,
    is_late: IsLate = NEVER_LATE,
) -> Outcome:
    """Answer all placements of a question. Same arguments, same decision: on the edge and in the hub's replay.

    A decision that used visitor scores and lost a model, or the time for it, is made again without any.
    `profile` is the visitor's, or an empty one where it may not be read; what dial and grants forbid is not looked
    at in any case. `attribute` is only asked when the question wants an explanation. Once `is_late`, what is not
    ranked yet falls back; the outcome's degradation says so, and a question with it gets the same answer. `facts` were
    made for this very bundle; None: none are in force.

    Raises:
        UnknownPlacement: a placement is not in the bundle.
        InputError: a placement is asked for twice, or forced to an arm that it does not have.
    """
    check(question.placements, question.force, bundle)
    if facts is not None:
        assert facts.bundle is bundle, "live facts are made for one bundle"
        bundle = facts.at(now_ms)
    facts_version = NO_FACTS if facts is None else facts.version
    while True:
        asked = Asked(question, profile, bundle, now_ms, score=score, is_late=is_late)
        try:
            outcome = _outcome(asked, score, attribute, draw, facts_version)
            degradation = outcome.degradation
        except ScoreFailed:
            outcome, degradation = None, Degradation.SCORES
        if outcome is not None and (degradation is question.degradation or not asked.used_scores):
            return outcome
        # What scores had said before something was left out, a replay could not ask: once more, without any. A question
        # with a degradation asks for none, so that this happens once.
        question = msgspec.structs.replace(question, degradation=degradation)


def _outcome(asked: Asked, score: Score, attribute: Attribute | None, draw: Draw, facts_version: int) -> Outcome:
    """One pass through all stages. Raises ScoreFailed."""
    question, bundle = asked.question, asked.bundle
    entries = [enter(request, asked) for request in question.placements]
    fields, degradation = compete(entries, asked)
    ranked, degradation = rank(entries, fields, asked, score, degradation=degradation)
    asked.end_ranking(degradation)
    answers = [
        answer(entry, field, ranks, asked, attribute=attribute, draw=draw)
        for entry, field, ranks in zip(entries, fields, ranked, strict=True)
    ]
    decision = Decision(
        decision_id=question.decision_id,
        bundle_version=bundle.version,
        bundle_digest=bundle.digest,
        placements={given.entry.request.name: given.decision for given in answers},
        # A copy: a challenger may ask for more, which had no say in the answer.
        scores=dict(asked.said),
    )
    beside = shadows(answers, asked, score, draw, degradation) if bundle.has_apprentices else NO_SHADOWS
    return Outcome(decision, degradation, answers, question.grants, facts_version=facts_version, shadows=beside)


class Outcome:
    """A decision, and what is logged beside it."""

    def __init__(
        self,
        decision: Decision,
        degradation: Degradation,
        answers: list[Answer],
        grants: Grants,
        *,
        facts_version: int = NO_FACTS,
        shadows: dict[PlacementName, Shadow] = NO_SHADOWS,
    ) -> None:
        self.decision = decision
        self.shadows = shadows
        """What challengers of apprentice placements would have shown."""
        self.facts_version = facts_version
        """Of the live facts that were in force, 0 for none."""
        self.degradation = degradation
        """What was left out in the end: the question's, or what a failing model or the time cost.

        A replay asks with this.
        """
        self._answers = answers
        self._grants = grants

    @property
    def shown(self) -> dict[PlacementName, FeatureRows]:
        """Feature rows of the shown items that a model ranked, as it saw them, or that one is to be learned from."""
        return {
            given.entry.request.name: rows
            for given in self._answers
            if (rows := logged_rows(given, given.places, self._grants)) is not None
        }

    @property
    def matrices(self) -> dict[PlacementName, FeatureRows]:
        """The same of all candidates. Made when asked for, so that only samples pay."""
        return {
            given.entry.request.name: rows
            for given in self._answers
            if (rows := logged_rows(given, None, self._grants)) is not None
        }

    def propensities_of(self, placement: PlacementName, items: Sequence[ItemId]) -> list[float]:
        """With which probability each slot of a placement would have got these items; see `slate_propensities`."""
        given = next(given for given in self._answers if given.entry.request.name == placement)
        return slate_propensities(given, items)

    @property
    def impressions(self) -> tuple[ItemId, ...]:
        """Items of placements with a frequency cap. They count as shown unless the decision is deferred or dry."""
        return tuple(
            item.id
            for given in self._answers
            if given.entry.placement.cap is not None and given.entry.visitor.is_known
            for item in given.decision.items
        )

    @property
    def enrolled(self) -> dict[str, ArmName]:
        """Assignments that the visitor's profile does not know yet. What an operator forced is none."""
        return {
            assigned.remember_as: assigned.name
            for assigned, told in ((given.entry.assigned, given.decision.experiment) for given in self._answers)
            if assigned.remember_as and told is not None and not told.forced
        }


def check(placements: Sequence[PlacementRequest], force: Force, bundle: Bundle) -> None:
    """Whether `decide` will take these; for whoever must know before he changes anything.

    Raises:
        UnknownPlacement, InputError: as `decide`.
    """
    unknown: list[Problem] = []
    wrong: list[Problem] = []
    names: set[PlacementName] = set()
    for position, request in enumerate(placements):
        path = f"$.placements[{position}].name"
        catalogued = bundle.placements.get(request.name)
        forced = force.get(request.name)
        if catalogued is None:
            unknown.append(Problem(path, f"no placement {request.name!r}; there are {', '.join(bundle.placements)}"))
        elif isinstance(forced, str) and forced not in catalogued.placement.arms:
            arms = ", ".join(catalogued.placement.arms)
            wrong.append(Problem(f"$.options.force.{request.name}", f"no arm {forced!r}; there are {arms}"))
        if request.name in names:
            wrong.append(Problem(path, f"placement {request.name!r} is asked for twice"))
        names.add(request.name)
    if unknown:
        raise UnknownPlacement("unknown placement", tuple(unknown))
    if wrong:
        raise InputError("a placement cannot be decided as asked", tuple(wrong))
