"""`POST /v1/{track,identify,page,screen,group,alias,batch}`: Segment's HTTP tracking API."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta

from edge.worker.desk import Desk
from edge.worker.endpoint import Exchange, Handler, json_answer
from edge.worker.outcome import Outcome
from edge.worker.problems import Answer
from edge.worker.reception import Offer, Reception, below
from edgewise.errors import InputError
from edgewise.intake import Call, CallType, decode_call

MAX_BATCH: Final = 2_500
DECODED_AT_ONCE: Final = 50
"""Calls of a batch, before other requests have their turn."""
CALL_TYPES: Final[tuple[CallType, ...]] = get_args(CallType)


class Batch(msgspec.Struct, frozen=True, rename="camel"):
    """Several calls; `sentAt` and `context` hold for those that say nothing else."""

    batch: Annotated[list[msgspec.Raw], Meta(max_length=MAX_BATCH)]
    sent_at: Any = None
    """ISO 8601; whatever else it may be costs no call."""
    context: dict[str, Any] | None = None


class Success(msgspec.Struct, frozen=True):
    """What was sent is stored for good."""

    success: bool = True


class RejectedCall(msgspec.Struct, frozen=True):
    """One call of a batch that was not taken."""

    index: int
    path: str
    message: str


class BatchAnswer(msgspec.Struct, frozen=True):
    """All but `rejected` is stored for good."""

    success: bool
    rejected: list[RejectedCall] = []


_batches = msgspec.json.Decoder(Batch)


class TrackingRoutes:
    """Takes Segment calls for one worker."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._reception = reception

    def post(self, call_type: CallType) -> Handler:
        """The handler of one type of call."""

        async def handle(exchange: Exchange) -> Answer:
            try:
                call = decode_call(exchange.body, type=call_type, fallback_id=_fallback_id(exchange))
            except InputError:
                self._desk.counts.event(call_type, Outcome.REJECTED)
                raise
            taken = await self._reception.take([Offer(call)], exchange.caller)
            if taken[0].refused is not None:
                raise taken[0].refused
            return json_answer(Success())

        return handle

    async def post_batch(self, exchange: Exchange) -> Answer:
        """Keep what is valid, list what is not."""
        batch = _batches.decode(exchange.body)
        around = _around(batch)
        offers: list[Offer] = []
        indices: list[int] = []
        rejected: list[RejectedCall] = []
        for index, raw in enumerate(batch.batch):
            try:
                call = decode_call(raw, type=None, fallback_id=_fallback_id(exchange))
            except InputError as wrong:
                self._desk.counts.event("batch", Outcome.REJECTED)
                rejected += _rejections(index, wrong)
                continue
            finally:
                if index % DECODED_AT_ONCE == DECODED_AT_ONCE - 1:
                    await asyncio.sleep(0)
            offers.append(Offer(_sent_at(call, around), around.consent))
            indices.append(index)
        for index, taken in zip(indices, await self._reception.take(offers, exchange.caller), strict=True):
            if taken.refused is not None:
                rejected += _rejections(index, taken.refused)
        return json_answer(BatchAnswer(success=True, rejected=sorted(rejected, key=lambda each: each.index)))


def _fallback_id(exchange: Exchange) -> str | None:
    return exchange.caller.pseudonym or exchange.caller.visitor


def _around(batch: Batch) -> Call:
    """What a batch says for all its calls, read as a call of its own, so that consent is spelled alike in both.

    A moment of sending that cannot be read costs no call: their own times then stand as they are.

    Raises:
        InputError: what it says of consent is wrong; then none of its calls may be taken.
    """
    envelope = {"type": "page", "anonymousId": "batch", "context": batch.context}
    try:
        return decode_call(msgspec.json.encode({**envelope, "sentAt": batch.sent_at}), type=None)
    except InputError:
        return decode_call(msgspec.json.encode(envelope), type=None)


def _sent_at(call: Call, around: Call) -> Call:
    return call if call.sent_at is not None else msgspec.structs.replace(call, sent_at=around.sent_at)


def _rejections(index: int, wrong: InputError) -> list[RejectedCall]:
    return [RejectedCall(index, problem.path, problem.message) for problem in below(f"$.batch[{index}]", wrong)]
