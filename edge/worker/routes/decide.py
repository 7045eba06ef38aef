"""`POST /v1/decide`, as JSON or MessagePack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from edge.worker.decider import Decider
from edge.worker.desk import Desk
from edge.worker.endpoint import JSON, PRIVATE, Exchange
from edge.worker.problems import Answer, Headers
from edge.worker.reception import Reception
from edge.worker.surroundings import Surroundings
from edgewise.errors import InputError, Problem
from edgewise.pointing import problem_in
from edgewise.request import Attributes, DecideRequest

MSGPACK: Final = b"application/msgpack"

_json_decoder = msgspec.json.Decoder(DecideRequest)
_json_encoder = msgspec.json.Encoder()
_msgpack_decoder = msgspec.msgpack.Decoder(DecideRequest)
_msgpack_encoder = msgspec.msgpack.Encoder()


class DecideRoute:
    """Answers decide requests of one worker."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._reception = reception
        self._decider = Decider(desk, reception)
        self._surroundings = Surroundings(desk.settings, desk.log)

    async def post(self, exchange: Exchange) -> Answer:
        """No await between decoding and encoding; only for events that came along the disk is waited for."""
        packed = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == MSGPACK
        try:
            request = (_msgpack_decoder if packed else _json_decoder).decode(exchange.body)
        except msgspec.ValidationError as wrong:
            plainly = msgspec.msgpack.decode if packed else msgspec.json.decode
            problem = problem_in(wrong, partial(plainly, exchange.body))
            raise InputError(problem.message, (problem,)) from None
        if packed:
            _refuse_nan(request)
        context = self._surroundings.completed(
            request.context, exchange.peer, exchange.headers, self._desk.clock.now_ms()
        )
        if context is not request.context:
            request = msgspec.structs.replace(request, context=context)
        decided = self._decider.decide(
            request, exchange.caller, packed=packed, started_ms=exchange.started_ms, waited_ms=exchange.waited_ms
        )
        headers: Headers = [(b"content-type", MSGPACK) if packed else JSON, PRIVATE]
        if decided.proves is not None:
            now_ms = self._desk.clock.now_ms()
            headers.append(self._desk.doorman.cookie(decided.proves, now_ms, secure=exchange.is_secure))
        body = (_msgpack_encoder if packed else _json_encoder).encode(decided.answer)
        if decided.taken:
            await self._reception.settle(decided.taken)
        return Answer(200, body, headers)


def _refuse_nan(request: DecideRequest) -> None:
    """MessagePack can spell NaN and infinity, which mean nothing to a rule; JSON cannot."""
    problems = [
        Problem(path, f"expected a finite number, got {value}")
        for path, value in _numbers(request)
        if not math.isfinite(value)
    ]
    if problems:
        raise InputError(problems[0].message, tuple(problems))


def _numbers(request: DecideRequest) -> Iterator[tuple[str, float]]:
    if isinstance(request.options.deadline_ms, float | int):
        yield "$.options.deadlineMs", request.options.deadline_ms
    yield from _floats("$.context.attributes", request.context.attributes)
    for place, placement in enumerate(request.placements):
        for position, candidate in enumerate(placement.candidates or ()):
            path = f"$.placements[{place}].candidates[{position}].attributes"
            yield from _floats(path, candidate.attributes)


def _floats(path: str, attributes: Attributes) -> Iterator[tuple[str, float]]:
    for name, value in attributes.items():
        if isinstance(value, float):
            yield f"{path}.{name}", value
