"""`GET /v1/why/{decisionId}`: why this was shown, as JSON or as a plain page."""

from __future__ import annotations

import asyncio
import html
from http import HTTPStatus
from typing import Final

import lmdb
import msgspec

from edge.profiles.recent import RememberedDecision
from edge.worker.accepted import prefers
from edge.worker.desk import Desk
from edge.worker.endpoint import PRIVATE, Exchange, json_answer
from edge.worker.identity import unproven
from edge.worker.problems import Answer, HttpProblem
from edge.worker.why import WhyAnswer, WhyPlacement, explained
from edgewise.consent import Consent, ConsentState, effective
from edgewise.dial import DIAL_NOTHING, stricter
from edgewise.errors import InputError, Problem
from edgewise.ids import DecisionId, ModelName, ulid_time_ms
from edgewise.profile.preferences import merge_preferences
from edgewise.profile.state import Profile
from edgewise.records import ANONYMOUS, DecisionRecord, decode_record
from edgewise.scores import Named
from edgewise.subjects import subject_of

FLUSH_MS: Final = 100
"""Decisions are remembered for all workers at least this often (`edge.worker.upkeep`)."""
_YOUNG_MS: Final = 2_000
_PAGE_HEADERS: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    PRIVATE,
]


class WhyRoute:
    """Explains decisions of the whole node."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, exchange: Exchange) -> Answer:
        """For the visitor to whom it was shown, and for operators."""
        decision_id = DecisionId(exchange.path["decision_id"])
        try:
            made_ms = ulid_time_ms(decision_id)
        except ValueError as wrong:
            raise InputError(str(wrong), (Problem("$.decisionId", str(wrong)),)) from None
        remembered = self._find(decision_id)
        if remembered is None and 0 <= self._desk.clock.now_ms() - made_ms < _YOUNG_MS:
            # Another worker may have decided a moment ago.
            await asyncio.sleep(2 * FLUSH_MS / 1_000)
            remembered = self._find(decision_id)
        self._require_owner(exchange, remembered)
        if remembered is None:
            detail = "this node does not remember that decision; the hub may (`edgewise explain`)"
            raise HttpProblem(HTTPStatus.NOT_FOUND, "unknown-decision", detail)
        record = decode_record(remembered.record)
        assert isinstance(record, DecisionRecord)
        answer = explained(record, self._desk.live.served, self._readable(exchange, record))
        if prefers(exchange.headers.get(b"accept", b""), "text/html", to="application/json"):
            return Answer(200, _page(answer).encode(), list(_PAGE_HEADERS))
        return json_answer(answer, headers=[PRIVATE])

    def _find(self, decision_id: DecisionId) -> RememberedDecision | None:
        return self._desk.unflushed.get(decision_id) or self._desk.decisions.find(decision_id)

    def _require_owner(self, exchange: Exchange, remembered: RememberedDecision | None) -> None:
        """Who may ask; told apart before it is said whether the decision exists at all."""
        caller = exchange.caller
        if caller.is_operator or caller.is_server:
            return
        if caller.visitor is None:
            raise unproven("the cookie ew_id, a visitor token, a server key, or an operator")
        if remembered is None or not remembered.owners:
            return  # made for nobody: nothing in it is about anybody
        if subject_of(self._desk.keys.subject_key, "anonymousId", caller.visitor) not in remembered.owners:
            raise HttpProblem(HTTPStatus.NOT_FOUND, "unknown-decision", "that decision was not made for you")

    def _readable(self, exchange: Exchange, record: DecisionRecord) -> Profile | None:
        """The visitor's profile if it may be read now: he may have changed his mind since."""
        if record.subject == ANONYMOUS or not record.grants.personalisation:
            return None
        try:
            with self._desk.cache.reading() as reading:
                preferences = reading.preferences(record.subject)
                if exchange.caller.visitor is not None:
                    own = subject_of(self._desk.keys.subject_key, "anonymousId", exchange.caller.visitor)
                    preferences = merge_preferences(preferences, reading.preferences(own))
                grants = effective(
                    stored=preferences.stored_consent,
                    asked=Consent(),
                    default=Consent(personalisation=ConsentState.GRANTED),
                    opted_out=stricter(preferences.dial.value, exchange.caller.dial) == DIAL_NOTHING,
                    global_privacy_control=exchange.caller.opts_out,
                )
                return reading.profile(record.subject) if grants.personalisation else None
        except (lmdb.Error, ValueError):
            return None


def _page(answer: WhyAnswer) -> str:
    """The same in words, without style or script; everything that comes from elsewhere is escaped."""
    parts = [_placement(name, placed) for name, placed in answer.placements.items()]
    known = "what is known about you" if answer.used_profile else "nothing that is known about you"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Why you saw this</title>'
        '<meta name="viewport" content="width=device-width"></head><body><h1>Why you saw this</h1>'
        f"<p>This was decided with {known}.</p>{_scores(answer.scores)}{''.join(parts)}"
        f"<p><small>Decision {html.escape(answer.decision_id)}, bundle {answer.bundle_version}</small></p>"
        "</body></html>"
    )


def _scores(scores: dict[ModelName, Named]) -> str:
    """What was estimated, by the site's own names."""
    lines = "".join(
        f"<li>{html.escape(name)}: {html.escape(_said(said))}</li>" for name, said in sorted(scores.items())
    )
    return f"<h2>What was estimated of you</h2><ul>{lines}</ul>" if lines else ""


def _said(said: Named) -> str:
    if isinstance(said, float):
        return f"{said:.2g}"
    return ", ".join(f"{of_class} {number:.2g}" for of_class, number in sorted(said.items(), key=lambda one: -one[1]))


def _placement(name: str, placed: WhyPlacement) -> str:
    items = "".join(
        f"<li>{html.escape(item.title)}<ul>"
        + "".join(f"<li>{html.escape(why.text)}</li>" for why in item.why)
        + f"<li>chance of being shown here: {item.propensity:.0%}</li></ul></li>"
        for item in placed.items
    )
    nothing = placed.nothing
    if not isinstance(nothing, msgspec.UnsetType):
        told = "".join(f"<li>{html.escape(why.text)}</li>" for why in nothing.why)
        chance = f"<li>chance of being left empty here: {nothing.propensity:.0%}</li>"
        items += f"<li>Nothing<ul>{told}{chance}</ul></li>"
    return f"<h2>{html.escape(name)}</h2><ol>{items}</ol>"
