"""`POST /ofrep/v1/evaluate/flags[/{key}]`: OpenFeature's Remote Evaluation Protocol, so that any of its SDKs can ask.

https://github.com/open-feature/protocol, `service/openapi.yaml`. What it answers in other words than problems is
`edge.worker.refusals`'s part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from edge.worker.answers import DecideAnswer
from edge.worker.consent_header import consent_of
from edge.worker.decider import Decider
from edge.worker.desk import Desk
from edge.worker.endpoint import JSON, PRIVATE, Exchange, json_answer
from edge.worker.flag_context import DEFERRED, FlagContext, flag_context
from edge.worker.flags import Evaluated, Flag, evaluated, flag_of, flags_of
from edge.worker.live_bundle import Served
from edge.worker.problems import Answer, HttpProblem
from edge.worker.reception import Reception
from edge.worker.surroundings import Surroundings
from edgewise.ids import DecisionId, ulid
from edgewise.request import DecideRequest, Options, PlacementRequest

MOST_AT_ONCE: Final = 50
"""Placements of one decision; a list of more flags takes several."""
_ID_BYTES: Final = 10


class EvaluationRequest(msgspec.Struct, frozen=True):
    """The body of both calls."""

    context: dict[str, Any] = {}


class EvaluationAnswer(msgspec.Struct, frozen=True):
    """All flags, for SDKs that ask once for a visitor."""

    flags: list[Evaluated]


_decoder = msgspec.json.Decoder(EvaluationRequest)
_encoder = msgspec.json.Encoder()


class FlagRoutes:
    """Flags of one worker."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._decider = Decider(desk, reception)
        self._surroundings = Surroundings(desk.settings, desk.log)

    async def post(self, exchange: Exchange) -> Answer:
        """One flag."""
        served, asked = self._asked(exchange)
        key = exchange.path["key"]
        flag = flag_of(served.bundle.policy, key)
        if flag is None:
            there = ", ".join(flags_of(served.bundle.policy)) or "none"
            raise HttpProblem(HTTPStatus.NOT_FOUND, "unknown-flag", f"there is no flag {key!r}; there are {there}")
        answer = self._decide(exchange, asked, served, [flag])
        return json_answer(evaluated(flag, answer, is_recorded=asked.exposing.is_recorded), headers=[PRIVATE])

    async def post_all(self, exchange: Exchange) -> Answer:
        """All flags; 304 where nothing has changed for this visitor since he was told `If-None-Match`."""
        served, asked = self._asked(exchange)
        if asked.exposing.is_recorded and asked.exposing is not DEFERRED:
            detail = "exposure: nobody is shown all flags at once; ask for one flag, or say 'deferred'"
            raise HttpProblem(HTTPStatus.BAD_REQUEST, "context", detail)
        flags = list(flags_of(served.bundle.policy).values())
        names = sorted({flag.placement for flag in flags})
        told: dict[str, Evaluated] = {}
        for start in range(0, len(names), MOST_AT_ONCE):
            part = set(names[start : start + MOST_AT_ONCE])
            asked_now = [flag for flag in flags if flag.placement in part]
            answer = self._decide(exchange, asked, served, asked_now)
            for flag in asked_now:
                told[flag.key] = evaluated(flag, answer, is_recorded=asked.exposing.is_recorded)
        body = _encoder.encode(EvaluationAnswer([told[flag.key] for flag in flags]))
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        if _matches(exchange.headers.get(b"if-none-match", b""), tag):
            return Answer(HTTPStatus.NOT_MODIFIED.value, b"", [(b"etag", tag), PRIVATE])
        return Answer(HTTPStatus.OK.value, body, [JSON, (b"etag", tag), PRIVATE])

    def _asked(self, exchange: Exchange) -> tuple[Served, FlagContext]:
        served = self._desk.live.served
        if served is None:
            raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "no-bundle", "there is nothing to decide with yet")
        asked = flag_context(_decoder.decode(exchange.body or b"{}").context)
        caller = exchange.caller
        is_named = asked.targeting_key or caller.visitor or caller.pseudonym or (caller.is_server and asked.user_id)
        if not is_named:
            detail = "targetingKey: expected the visitor's anonymous id"
            raise HttpProblem(HTTPStatus.BAD_REQUEST, "no-targeting-key", detail)
        return served, asked

    def _decide(self, exchange: Exchange, asked: FlagContext, served: Served, flags: Sequence[Flag]) -> DecideAnswer:
        names = dict.fromkeys(flag.placement for flag in flags)
        context = self._surroundings.completed(
            asked.context, exchange.peer, exchange.headers, self._desk.clock.now_ms()
        )
        is_recorded, is_deferred = asked.exposing
        request = DecideRequest(
            placements=[PlacementRequest(name) for name in names],
            anonymous_id=asked.targeting_key,
            user_id=asked.user_id,
            context=context,
            consent=asked.consent.under(consent_of(exchange.headers)),
            options=Options(defer_activation=is_deferred, dry_run=not is_recorded),
        )
        return self._decider.decide(
            request,
            exchange.caller,
            packed=False,
            started_ms=exchange.started_ms,
            waited_ms=exchange.waited_ms,
            gives_proof=False,
            may_promise=False,
            decision_id=None if is_recorded else _same_for(asked, exchange, served),
        ).answer


def _same_for(asked: FlagContext, exchange: Exchange, served: Served) -> DecisionId:
    """An id for answers that nobody records: while the release stays, a visitor who asks again draws the same."""
    caller = exchange.caller
    who = asked.targeting_key or caller.pseudonym or caller.visitor or asked.user_id or ""
    entropy = hashlib.sha256(f"{served.bundle.digest}/{who}".encode(errors="surrogatepass")).digest()[:_ID_BYTES]
    return DecisionId(ulid(served.bundle.manifest.created_ms, entropy))


def _matches(header: bytes, tag: bytes) -> bool:
    """RFC 9110, 13.1.2: weakly, one of a list, or any."""
    tags = {part.strip().removeprefix(b"W/") for part in header.split(b",")}
    return tag in tags or b"*" in tags
