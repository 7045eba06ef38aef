"""What nodes saw comes in, and is answered by how far it is stored for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from typing_extensions import override

from edgewise.errors import EdgewiseError, InputError
from edgewise.seal import is_whole, sealed
from edgewise.v1 import uplink_pb2 as pb
from edgewise.v1.uplink_pb2_grpc import UplinkServicer
from hub.ledger.batch import MOST_SEQ, Batch, node_batch
from hub.ledger.writing import Mark
from hub.log import Log
from hub.rpc.guard import Context, Streams, node_of, refuse
from hub.rpc.inbox import Inbox

WINDOW: Final = 32
"""Batches of one stream that may wait for their answer; then its reading pauses."""
MOST_RECORDS: Final = 10_000
"""In one request; gRPC bounds its bytes."""


class _Pending(NamedTuple):
    epoch: int
    worker: int
    answer: asyncio.Future[Mark]


class Uplink(UplinkServicer):
    """Report: one answer a request, in order; its `stored_seq` is where the node has to go on.

    A request without records asks for the mark. A batch that does not follow on what is stored is cut at the hole and
    answered by the mark, too: the node sends again from there, or declares what it no longer has as a gap.
    """

    def __init__(self, inbox: Inbox, streams: Streams, log: Log) -> None:
        self._inbox = inbox
        self._streams = streams
        self._log = log
        self._draining = asyncio.Event()

    @override
    async def Report(
        self, request_iterator: AsyncIterator[pb.ReportRequest], context: Context
    ) -> AsyncIterator[pb.ReportResponse]:
        async with self._streams.one(context, "report"):
            pending: asyncio.Queue[_Pending | None] = asyncio.Queue(WINDOW)
            reading = asyncio.create_task(self._read(request_iterator, pending))
            draining = asyncio.create_task(self._stop_reading(reading, pending))
            try:
                while (one := await pending.get()) is not None:
                    mark = await one.answer
                    if mark.hole is not None:
                        self._log.warning(
                            "records missing", producer=mark.producer, expected=mark.hole[0], came=mark.hole[1]
                        )
                    answer = pb.ReportResponse(epoch=one.epoch, worker=one.worker, stored_seq=mark.stored_seq)
                    yield sealed(answer)
            except EdgewiseError as refused:
                await refuse(context, refused)
            finally:
                reading.cancel()
                draining.cancel()
            if reading.done() and not reading.cancelled() and (wrong := reading.result()) is not None:
                await refuse(context, wrong)

    def drain(self) -> None:
        """Take no more, answer what has come, and end every stream with a good status."""
        self._draining.set()

    async def _read(
        self, requests: AsyncIterator[pb.ReportRequest], pending: asyncio.Queue[_Pending | None]
    ) -> InputError | None:
        """Hand in every request until the node ends, or says what makes no sense."""
        node_id = None
        try:
            async for request in requests:
                node_id = request.node_id if node_id is None else node_id
                batch = _batch_of(request, node_id)
                await pending.put(_Pending(request.epoch, request.worker, await self._inbox.put(batch)))
        except InputError as wrong:
            await pending.put(None)
            return wrong
        await pending.put(None)
        return None

    async def _stop_reading(
        self, reading: asyncio.Task[InputError | None], pending: asyncio.Queue[_Pending | None]
    ) -> None:
        await self._draining.wait()
        reading.cancel()
        await pending.put(None)


def _batch_of(request: pb.ReportRequest, node_id: str) -> Batch:
    if not is_whole(request):
        raise InputError("a batch has changed on its way: its checksum is another one")
    node = node_of(request.node_id)
    if request.node_id != node_id:
        raise InputError(f"a batch of node {node} on a stream of {node_id}")
    if request.epoch >= MOST_SEQ:
        raise InputError(f"epoch {request.epoch}, expected less than 2^62")
    if len(request.records) > MOST_RECORDS:
        raise InputError(f"{len(request.records)} records in one request, expected at most {MOST_RECORDS}")
    return node_batch(node, request.epoch, request.worker, list(request.records))
