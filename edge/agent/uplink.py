"""Ships the spool to the hub, exactly once.

Every record carries its producer's sequence. The hub answers how far it has stored each producer for good, and that
mark, not a memory of ours, says where to go on: it is asked for before the first batch of a producer.

One batch a producer is under way at a time. Whatever is lost on the way, a request or an answer, is sent again after
the stream was opened anew, and the hub drops what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import grpc

from edge.agent.link import Line
from edge.agent.state import AgentState
from edge.backoff import Backoff, Draw
from edge.log import Log
from edge.node.counted import is_counted
from edge.node.doorbell import next_ring
from edge.node.layout import ProducerKey, producer_of
from edge.settings import EdgeSettings
from edge.spool.contents import segments_bytes
from edge.spool.files import Files
from edge.spool.reader import LEFTOVER_SUFFIX, Batch, SpoolReader, remove_leftover
from edgewise.clock import Clock
from edgewise.ids import NodeId
from edgewise.seal import is_whole, sealed
from edgewise.v1.uplink_pb2 import ReportRequest, ReportResponse
from edgewise.v1.uplink_pb2_grpc import UplinkStub

NO_PROGRESS_FIRST_MS: Final = 100
NO_PROGRESS_MOST_MS: Final = 10_000


class _Producer:
    """One producer's progress on the way to the hub."""

    def __init__(self, reader: SpoolReader, draw: Draw) -> None:
        self.reader = reader
        self.stored_seq = reader.next_seq - 1
        self.is_known = False
        """Whether the hub has said how far it stored this producer. Until then nothing is sent: an agent that was
        started again would repeat a segment, and call lost what is gone because it is stored."""
        self.under_way: Batch | None = None
        self.sent_ms = 0.0
        self.not_before_ms = 0.0
        self.backoff = Backoff(NO_PROGRESS_FIRST_MS, NO_PROGRESS_MOST_MS, draw)


class Uplink:
    """All producers of a node. Belongs to the agent's event loop."""

    def __init__(
        self,
        settings: EdgeSettings,
        node: NodeId,
        *,
        bell: asyncio.Event,
        state: AgentState,
        clock: Clock,
        draw: Draw,
        log: Log,
        files: Files | None = None,
    ) -> None:
        """`bell` is set whenever a worker's spool has grown. `files` delete what is stored."""
        self._paths = settings.paths
        self._answer_timeout_ms = settings.answer_timeout_ms
        self._node = node
        self._bell = bell
        self._state = state
        self._clock = clock
        self._draw = draw
        self._log = log
        self._files = files
        self._producers: dict[ProducerKey, _Producer] = {}
        self._finishing = False

    def finish(self) -> None:
        """Ship what is there, then end the stream."""
        self._finishing = True
        self._bell.set()

    def measure(self) -> None:
        """Count what waits on disk."""
        self._state.spool_bytes = segments_bytes(self._paths.spool)

    async def session(self, line: Line, heard: Callable[[], None]) -> None:
        """One stream, until the hub or `finish` ends it."""
        for one in self._producers.values():
            # What was under way on the last stream may or may not have arrived; the hub will say.
            one.under_way = None
            one.reader.seek(one.stored_seq + 1)
        ended = asyncio.Event()

        def give_up() -> None:
            call.cancel()

        stub = UplinkStub(line.channel)  # type: ignore[no-untyped-call]  # generated
        call: grpc.aio.StreamStreamCall[ReportRequest, ReportResponse] = stub.Report(
            self._requests(give_up, ended), metadata=line.metadata
        )
        try:
            async for answer in call:
                if not is_whole(answer):
                    self._log.warning("an answer of the hub has changed on its way")
                    call.cancel()
                    break
                heard()
                self._answered(answer)
                self._bell.set()
        finally:
            # gRPC goes on asking for requests of a stream that has failed; it must not get the next stream's batches.
            ended.set()
            self._bell.set()

    async def _requests(self, give_up: Callable[[], None], ended: asyncio.Event) -> AsyncIterator[ReportRequest]:
        while not ended.is_set():
            request = self._next_request()
            if request is not None:
                yield sealed(request)
                continue
            waiting = [one for one in self._producers.values() if one.under_way is not None]
            if self._finishing and not waiting:
                return
            now_ms = self._clock.monotonic_ms()
            if any(now_ms - one.sent_ms > self._answer_timeout_ms for one in waiting):
                self._log.warning("the hub does not answer for records", producers=len(waiting))
                give_up()
                return
            await next_ring(self._bell)

    def _look(self) -> None:
        """Find producers that are new."""
        for folder in self._paths.spool.iterdir():
            key = producer_of(folder.name)
            if key is None and folder.name.endswith(LEFTOVER_SUFFIX):
                remove_leftover(folder)
            if key is not None and key not in self._producers:
                self._producers[key] = _Producer(SpoolReader(folder, key, self._node, self._files), self._draw)

    def _next_request(self) -> ReportRequest | None:
        try:
            self._look()
            return self._read_next()
        except OSError as failed:
            # An exception must not leave a request iterator: gRPC swallows it and cancels the stream.
            self._log.error("the spool cannot be read", detail=str(failed))
            return None

    def _read_next(self) -> ReportRequest | None:
        now_ms = self._clock.monotonic_ms()
        for key, one in list(self._producers.items()):
            if one.under_way is not None or now_ms < one.not_before_ms:
                continue
            if not one.is_known:
                one.under_way, one.sent_ms = Batch(0, -1, []), now_ms
                return ReportRequest(node_id=self._node, epoch=key.epoch, worker=key.worker)
            torn = one.reader.torn_bytes
            batch = one.reader.read()
            self._state.torn_bytes += one.reader.torn_bytes - torn
            if batch is not None:
                one.under_way, one.sent_ms = batch, now_ms
                # To the end of the line, so that a busy producer does not keep the others waiting.
                self._producers[key] = self._producers.pop(key)
                return ReportRequest(node_id=self._node, epoch=key.epoch, worker=key.worker, records=batch.records)
            self._delete_stored(key, one)
        return None

    def _answered(self, answer: ReportResponse) -> None:
        key = ProducerKey(answer.epoch, answer.worker)
        one = self._producers.get(key)
        if one is None:
            return
        batch, one.under_way = one.under_way, None
        if one.is_known:
            self._state.records_stored += max(0, answer.stored_seq - one.stored_seq)
        one.is_known = True
        one.stored_seq = answer.stored_seq
        self._state.stored_seqs[one.reader.folder.name] = answer.stored_seq
        one.reader.seek(answer.stored_seq + 1)
        if batch is None or answer.stored_seq >= batch.last_seq:
            one.backoff.reset()
            if batch is not None and batch.lost:
                # Not before: an agent that is killed until now reads, and counts, the same loss again.
                self._state.lost(batch.lost)
        else:
            # The hub is behind what we hold (restored from a backup), or it does not take this batch.
            pause_ms = one.backoff.next_ms()
            one.not_before_ms = self._clock.monotonic_ms() + pause_ms
            self._log.warning(
                "the hub stored less than was sent", producer=key, stored_seq=answer.stored_seq, sent_seq=batch.last_seq
            )
        self._delete_stored(key, one)

    def _delete_stored(self, key: ProducerKey, one: _Producer) -> None:
        if one.reader.is_exhausted and not is_counted(self._paths, key, one.reader.next_seq):
            return
        one.reader.acknowledge(one.stored_seq)
        if one.reader.is_gone:
            del self._producers[key]
            self._state.stored_seqs.pop(one.reader.folder.name, None)
