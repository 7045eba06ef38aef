"""One decision, in one synchronous pass: who asks, what he allows, his profile, `decide`, the record, the answer.

Nothing is awaited between the decoded question and the answer, so nothing can change in between: the bundle, the
profile and the clock's reading are taken once. What fails makes the answer poorer, never absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import lmdb
import msgspec
import numpy as np

from edge.profiles.cache_file import CacheError
from edge.worker.admission import Stage
from edge.worker.answers import DecideAnswer, bundle_answer, placement_answers
from edge.worker.desk import Desk
from edge.worker.exposures import Exposure, write_exposure
from edge.worker.identity import Caller
from edge.worker.live_bundle import Served
from edge.worker.metrics import NO_PLACEMENT
from edge.worker.pieces import Pieces, placements_with_html, visitor_answer
from edge.worker.problems import HttpProblem
from edge.worker.promising import promises_with, unpromised_to
from edge.worker.reception import Offer, Reception, Taken
from edge.worker.visit import CLOSED, Visit, recognise, without_queries
from edgewise.deadline import IsLate
from edgewise.decide import Outcome, check, decide
from edgewise.decision import Decision
from edgewise.dial import DIAL_PAGE
from edgewise.draws import draw_from
from edgewise.eligibility import may_personalise
from edgewise.errors import InputError, Problem
from edgewise.fallback import fallback_decision
from edgewise.ids import DecisionId, ulid
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile
from edgewise.promises import Promises
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.records import EventRecord
from edgewise.request import DecideRequest
from edgewise.subjects import subject_of

_ID_BYTES: Final = 10
_FRESH_BYTES: Final = 12
_CHANCE_BYTES: Final = 4


class Decided(NamedTuple):
    """What a route sends."""

    answer: DecideAnswer
    proves: str | None
    """The anonymous id that the browser is to be given a proof of."""
    taken: list[Taken]
    """Events that came along; the answer may be sent once they are settled."""


class _Asking(NamedTuple):
    """What is made up for one request."""

    decision_id: DecisionId
    named: str | None
    """The anonymous id that the request is about, None where a server names a user instead."""
    fresh_id: str
    chance: float
    """Uniform in [0, 1), for sampling."""


class Decider:
    """Decides for one worker."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._reception = reception

    def decide(
        self,
        request: DecideRequest,
        caller: Caller,
        *,
        packed: bool,
        started_ms: float,
        waited_ms: float = 0.0,
        gives_proof: bool = True,
        may_promise: bool = True,
        decision_id: DecisionId | None = None,
    ) -> Decided:
        """Answer a request; `packed` for MessagePack, `started_ms` is the monotonic clock when it had arrived.

        `waited_ms` is how long it had been in queues before. `gives_proof`: whether a browser would get the cookie.
        `may_promise`: whether codes may come with items. `decision_id`: of a dry run that draws as another one did.

        Raises:
            HttpProblem: 404 for an unknown placement, 403 for what only operators may ask.
            InputError: an event, or what is asked of a placement, is wrong; nothing was changed.
            UnavailableError: events came along and cannot be kept now.
        """
        desk, options = self._desk, request.options
        caller = caller.under_dial(options.dial)
        if options.force or options.debug:
            caller.require_operator("options.force or options.debug")
        served = desk.live.served
        if served is not None:
            request = _known(request, served)
            _check_placements(request, served)
            # Once more in `decide`; here, so that a request that is refused has not counted its events.
            check(request.placements, request.options.force, served.bundle)
        now_ms = desk.clock.now_ms()
        asking = self._asking(request, caller, now_ms, decision_id)
        is_brief = desk.admission.sheds(Stage.DEBUG, waited_ms)
        if is_brief and (options.explain or options.debug):
            desk.counts.shed_at(Stage.DEBUG.label)
        degradation = self._degradation(request, waited_ms)
        taken, rehearsed = self._events(request, caller, asking, packed=packed)
        visit, profile = self._look_up(request, caller, asking, rehearsed)
        question = self._question(request, visit, asking, degradation, is_brief=is_brief)
        is_new = asking.named == asking.fresh_id
        is_able = may_promise and not (is_new or options.dry_run)
        if unpromised := unpromised_to(desk, visit, served, now_ms, request, is_able=is_able):
            question = msgspec.structs.replace(question, unpromised=unpromised)

        said_ms = options.deadline_ms
        deadline_ms = desk.settings.deadline_ms if isinstance(said_ms, msgspec.UnsetType) else said_ms

        def is_late() -> bool:
            return desk.clock.monotonic_ms() - started_ms > deadline_ms

        outcome, applied = self._outcome(question, profile, served, now_ms, is_late)
        decision = fallback_decision(question) if outcome is None else outcome.decision
        promises = promises_with(desk, decision, question, visit, served)
        pieces = self._placements(decision, served, promises, request, now_ms=now_ms, packed=packed)
        proves = None
        if not options.dry_run:
            if gives_proof and visit.may_be_known_again and caller.visitor is None and not caller.is_server:
                # Never the id that the page has named: signing it would make a proof of a claim.
                proves = asking.fresh_id
                self._begin(proves)
            if outcome is not None:
                chance = 1.0 if is_brief else asking.chance
                promised = {promise.promotion: promise.number for promise in promises.values()}
                exposure = Exposure(
                    question,
                    outcome,
                    visit,
                    applied,
                    now_ms,
                    chance,
                    options.defer_activation,
                    promised,
                    pieces.left_out,
                )
                write_exposure(desk, exposure, proves=proves)
            self._count(decision, served, started_ms)
        answer = DecideAnswer(
            decision_id=decision.decision_id,
            bundle=bundle_answer(served, desk.state(served), now_ms),
            placements=pieces.placements,
            took_ms=desk.clock.monotonic_ms() - started_ms,
            visitor=visitor_answer(visit, caller) if options.render else msgspec.UNSET,
        )
        if options.debug and not is_brief:
            answer = msgspec.structs.replace(answer, debug=_debug(question, outcome, profile))
        return Decided(answer, proves, taken)

    # --- before ------------------------------------------------------------------------------------------------------
    def _asking(
        self, request: DecideRequest, caller: Caller, now_ms: int, decision_id: DecisionId | None = None
    ) -> _Asking:
        entropy = self._desk.entropy(_ID_BYTES + _FRESH_BYTES + _CHANCE_BYTES)
        fresh_id = f"ew-{entropy[_ID_BYTES:-_CHANCE_BYTES].hex()}"
        named = request.anonymous_id or caller.pseudonym or caller.visitor
        if named is None and not (caller.is_server and request.user_id):
            named = fresh_id
        chance = int.from_bytes(entropy[-_CHANCE_BYTES:]) / (1 << 8 * _CHANCE_BYTES)
        return _Asking(decision_id or DecisionId(ulid(now_ms, entropy[:_ID_BYTES])), named, fresh_id, chance)

    def _events(
        self, request: DecideRequest, caller: Caller, asking: _Asking, *, packed: bool
    ) -> tuple[list[Taken], list[EventRecord]]:
        """Take the events that came along; of a dry run only what they would have been."""
        if not request.events:
            return [], []
        offers: list[Offer] = self._reception.offers(request.events, asking.named, request.consent, packed=packed)
        rehearsed = self._reception.rehearse(offers, caller)
        if request.options.dry_run:
            return [], rehearsed
        return self._reception.take_now(offers, caller), []

    def _look_up(
        self, request: DecideRequest, caller: Caller, asking: _Asking, rehearsed: Sequence[EventRecord]
    ) -> tuple[Visit, Profile]:
        """Who he is and what he allows, then his profile, as far as that may be read."""
        desk = self._desk
        try:
            with desk.cache.reading() as reading:
                visit = recognise(
                    reading,
                    desk.keys.subject_key,
                    caller,
                    anonymous_id=asking.named,
                    user_id=request.user_id,
                    asked=request.consent,
                    default=desk.default_consent,
                    has_hub=desk.has_hub,
                    is_new=asking.named == asking.fresh_id,
                )
                if visit.is_unheard or not request.options.dry_run:
                    desk.want_all(visit.wanted)
                if not may_personalise(visit.grants, visit.dial) or visit.dial <= DIAL_PAGE:
                    return visit, Profile()
                profile = reading.profile(visit.subject)
        except (lmdb.Error, ValueError):
            desk.counts.failed("cache")
            return CLOSED, Profile()
        if not request.options.dry_run:
            desk.looked_up(visit.subject, found=profile is not None, is_fresh=asking.named == asking.fresh_id)
        if profile is None:
            profile = Profile()
        for record in rehearsed:
            if record.subject == visit.subject:
                apply(profile, record)
        return visit, profile

    def _degradation(self, request: DecideRequest, waited_ms: float) -> Degradation:
        """What load leaves no time for. The request's own deadline holds between the stages of `decide`."""
        desk, options = self._desk, request.options
        if options.force:  # an operator wants to see just this, and there are few of them
            return Degradation.NONE
        for stage, degradation in ((Stage.DEFAULT, Degradation.OVERLOAD), (Stage.RERANK, Degradation.UNRANKED)):
            if desk.admission.sheds(stage, waited_ms):
                desk.counts.shed_at(stage.label)
                return degradation
        return Degradation.NONE

    def _question(
        self, request: DecideRequest, visit: Visit, asking: _Asking, degradation: Degradation, *, is_brief: bool
    ) -> Question:
        return Question(
            decision_id=asking.decision_id,
            # Whom nothing may be tied to is in no experiment for longer than this request.
            unit=visit.logged_as or asking.decision_id,
            placements=tuple(request.placements),
            context=request.context if visit.logged_as else without_queries(request.context),
            grants=visit.grants,
            dial=visit.dial,
            mute=visit.preferences.mute.value,
            degradation=degradation,
            force=request.options.force,
            explain=request.options.explain and not is_brief,
        )

    # --- deciding ----------------------------------------------------------------------------------------------------
    def _outcome(
        self, question: Question, profile: Profile, served: Served | None, now_ms: int, is_late: IsLate
    ) -> tuple[Outcome | None, Profile]:
        """The outcome, None without a bundle, and the profile that was read in the end."""
        if served is None:
            return None, profile
        draw = draw_from(served.bundle.policy.site.salt, question.decision_id)

        def ask(question: Question, profile: Profile) -> Outcome:
            return decide(
                question,
                profile,
                bundle=served.bundle,
                facts=served.facts,
                score=served.score,
                attribute=served.attribute,
                draw=draw,
                now_ms=now_ms,
                is_late=is_late,
            )

        try:
            outcome = ask(question, profile)
        except InputError:
            raise
        except Exception:  # noqa: BLE001  # an error of ours must not cost a visitor the page
            self._desk.counts.failed("decide")
            plain = msgspec.structs.replace(question, degradation=Degradation.SCORER)
            try:  # what he is remembered by counts as long as it can: his arm of an experiment is part of it
                outcome = ask(plain, profile)
            except Exception:  # noqa: BLE001  # then it was the profile itself
                profile = Profile()
                outcome = ask(plain, profile)
        if outcome.degradation in {Degradation.SCORER, Degradation.SCORES}:
            self._desk.counts.failed("scorer")
        elif any(shadow.reason is Reason.FALLBACK_SCORER for shadow in outcome.shadows.values()):
            self._desk.counts.failed("challenger")
        return outcome, profile

    def _placements(
        self,
        decision: Decision,
        served: Served | None,
        promises: Promises,
        request: DecideRequest,
        *,
        now_ms: int,
        packed: bool,
    ) -> Pieces:
        options = request.options
        if served is None or not options.render:
            return Pieces(placement_answers(decision, served, promises, now_ms=now_ms, packed=packed), {})
        return placements_with_html(
            self._desk,
            decision,
            served,
            promises,
            locale=request.context.locale,
            deferred=options.defer_activation,
            now_ms=now_ms,
            packed=packed,
        )

    # --- after -------------------------------------------------------------------------------------------------------
    def _begin(self, fresh_id: str) -> None:
        """Before the answer is out: his next request, to whichever worker, must find that he began here."""
        if self._desk.has_hub:
            try:
                self._desk.cache.begin(subject_of(self._desk.keys.subject_key, "anonymousId", fresh_id))
            except CacheError:
                self._desk.counts.failed("cache")

    def _count(self, decision: Decision, served: Served | None, started_ms: float) -> None:
        counts = self._desk.counts
        for name, placed in decision.placements.items():
            counts.decided(NO_PLACEMENT if served is None else name, placed.reason)
        counts.took((self._desk.clock.monotonic_ms() - started_ms) / 1_000)


def _known(request: DecideRequest, served: Served) -> DecideRequest:
    """A page's request without placements that this bundle does not know; as it is where it knows none of them."""
    if not request.options.render:
        return request
    known = [placement for placement in request.placements if placement.name in served.bundle.placements]
    if not known or len(known) == len(request.placements):
        return request
    return msgspec.structs.replace(request, placements=known)


def _check_placements(request: DecideRequest, served: Served) -> None:
    """Before any event is taken: an unknown name refuses the whole request."""
    known = served.bundle.placements
    unknown = [
        Problem(f"$.placements[{position}].name", f"there is no placement {placement.name!r}")
        for position, placement in enumerate(request.placements)
        if placement.name not in known
    ]
    if unknown:
        detail = f"{unknown[0].message}; there are {', '.join(sorted(known)) or 'none'}"
        raise HttpProblem(HTTPStatus.NOT_FOUND, "unknown-placement", detail, problems=unknown)


def _debug(question: Question, outcome: Outcome | None, profile: Profile) -> dict[str, Any]:
    """What an operator may look at: how the question stood, and what the models saw."""
    shown = {} if outcome is None else outcome.shown
    return {
        "grants": question.grants,
        "dial": question.dial,
        "unit": question.unit,
        "degradation": question.degradation if outcome is None else outcome.degradation,
        "applied": profile.applied,
        "scores": {} if outcome is None else outcome.decision.scores,
        "shadows": {} if outcome is None else outcome.shadows,
        "features": {
            placement: {
                item: dict(zip(rows.names, row, strict=True))
                for item, row in zip(
                    rows.items, np.frombuffer(rows.data, "<f4").reshape(-1, len(rows.names)).tolist(), strict=True
                )
            }
            for placement, rows in shown.items()
        },
    }
