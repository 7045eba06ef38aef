"""A hub in the caller's process: the production gRPC services over plain dictionaries, and faults on demand.

It keeps the contract of `edgewise.v1` (proto/edgewise/v1/*.proto): a batch is stored with its producer's mark or not
at all, what was stored before is passed over, what follows a hole is not taken, and the answer is the mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import Enum
from itertools import count
from typing import Any, Final, Self, TypeAlias

import grpc
from typing_extensions import override

from edge.testing.signed_site import SignedSite
from edgewise.records import GapRecord, Record, decode_record
from edgewise.seal import sealed
from edgewise.v1.distribution_pb2 import (
    Ack,
    EnrolRequest,
    EnrolResponse,
    FactsAnswer,
    FactsNotice,
    FetchRequest,
    FetchResponse,
    Heartbeat,
    Hello,
    Nack,
    Offer,
    WatchRequest,
    WatchResponse,
)
from edgewise.v1.distribution_pb2_grpc import DistributionServicer, add_DistributionServicer_to_server
from edgewise.v1.profiles_pb2 import Erasure, Snapshot, SyncRequest, SyncResponse, Unknown
from edgewise.v1.profiles_pb2_grpc import ProfilesServicer, add_ProfilesServicer_to_server
from edgewise.v1.uplink_pb2 import ReportRequest, ReportResponse
from edgewise.v1.uplink_pb2_grpc import UplinkServicer, add_UplinkServicer_to_server

CHUNK_BYTES: Final = 64 << 10
Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
ProducerKey = tuple[str, int, int]
"""Node, epoch, worker."""


class Fault(Enum):
    """What may happen to one batch."""

    NONE = "none"
    LOSE_REQUEST = "lose request"
    """The connection breaks before it is stored."""
    LOSE_ANSWER = "lose answer"
    """It is stored, and the connection breaks before that is said."""
    SAY_NOTHING = "say nothing"
    """It is not stored, and the connection stays: as if the hub were stuck."""
    ANSWER_TWICE = "answer twice"
    TAKE_HALF = "take half"
    """Only the first half is stored, as by a hub whose disk is slow; the mark says so."""


class FakeHub:
    """Use in `async with`; `address` is what a node is given as its hub."""

    def __init__(self, site: SignedSite, *, faults: Iterable[Fault] = ()) -> None:
        """`faults` happen to the first batches, in this order; later ones are well."""
        self.site = site
        self.address = ""
        self.incarnation = "one"
        self.token = ""
        """Every call must show it, as where other machines can reach a hub; empty: whoever asks is answered."""
        self.calls: list[tuple[str, str]] = []
        """Method and authorization of every call, the refused ones too."""
        self.hellos: list[Hello] = []
        self.heartbeats: list[Heartbeat] = []
        self.answers: list[Ack | Nack] = []
        self.facts_answers: list[FactsAnswer] = []
        self.fetched: list[str] = []
        """Paths, in the order that they were asked for."""
        self.endless: set[str] = set()
        """Paths whose data never ends."""
        self.endless_bytes = 0
        """So many were sent of them."""
        self.endless_readers = 0
        """So many of them are being sent: nobody has stopped them yet."""
        self.records: dict[ProducerKey, list[Record]] = {}
        self.marks: dict[ProducerKey, int] = {}
        self.batches: list[list[bytes]] = []
        """Every batch that arrived, as it came; one without records asks for the mark."""
        self.profiles: dict[str, tuple[bytes, bytes]] = {}
        """Subject -> profile and preferences, as bytes."""
        self.erased: set[str] = set()
        """Subjects that were forgotten: asked about one, the hub says so."""
        self.asked: list[str] = []
        """Subjects that nodes said they cache."""
        self.dropped: list[str] = []
        """Subjects that nodes said they cache no more."""
        self.confirmed: list[tuple[str, int]] = []
        """List and number of erasures, every time that a node said how far it has carried them out."""
        self.watching: set[asyncio.Queue[WatchResponse | None]] = set()
        self.syncing: set[asyncio.Queue[SyncResponse | None]] = set()
        self._faults = iter(faults)
        self._nonces = count(1)
        self._server: grpc.aio.Server | None = None

    # --- its life ----------------------------------------------------------------------------------------------------
    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; a hub that was stopped comes back at its old port if that is given."""
        server = grpc.aio.server(
            options=[("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 10_000)],
            interceptors=[_Admission(self)],
        )
        add_DistributionServicer_to_server(_Distribution(self), server)  # type: ignore[no-untyped-call]  # generated
        add_UplinkServicer_to_server(_Uplink(self), server)  # type: ignore[no-untyped-call]
        add_ProfilesServicer_to_server(_Profiles(self), server)  # type: ignore[no-untyped-call]
        self.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Cut all connections. What was stored stays."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    # --- what a test does with it ------------------------------------------------------------------------------------
    def offer(self) -> str:
        """Tell every watching node that metadata changed; returns the nonce of the offer."""
        response = self.new_offer()
        for to_say in self.watching:
            to_say.put_nowait(response)
        return response.offer.nonce

    def tell_facts(self) -> None:
        """Tell every watching node that live facts changed."""
        for to_say in self.watching:
            to_say.put_nowait(WatchResponse(hub_incarnation=self.incarnation, facts=FactsNotice(version=1)))

    def push(self, subject: str, profile: bytes, preferences: bytes) -> None:
        """Change a canonical profile, and send it to every node that is listening."""
        self.profiles[subject] = (profile, preferences)
        self._tell(self.news_of(subject))

    def erase(self, subject: str, *, time_ms: int = 0) -> None:
        """Forget a subject, here and on every node that is listening."""
        self.profiles.pop(subject, None)
        self.erased.add(subject)
        self._tell(sealed(SyncResponse(subject=subject, erasure=Erasure(time_ms=time_ms))))

    def tell_erasures(self, name: str, *subjects: str, first: int = 1, time_ms: int = 0) -> None:
        """Tell every listening node of erasures of the list `name`, one a subject, numbered from `first`."""
        for number, subject in enumerate(subjects, first):
            erasure = Erasure(list=name, number=number, time_ms=time_ms)
            self._tell(sealed(SyncResponse(subject=subject, erasure=erasure)))

    def sequences(self, key: ProducerKey) -> list[int]:
        """Every sequence that is stored or declared lost of one producer, in the order that it came."""
        found: list[int] = []
        for record in self.records.get(key, []):
            first = record.first_seq if isinstance(record, GapRecord) else record.seq
            found += range(first, record.seq + 1)
        return found

    # --- what its services do with it --------------------------------------------------------------------------------
    def new_offer(self) -> WatchResponse:
        """An offer with a nonce of its own."""
        return WatchResponse(hub_incarnation=self.incarnation, offer=Offer(nonce=f"offer-{next(self._nonces)}"))

    def news_of(self, subject: str) -> SyncResponse:
        """What is known of a subject."""
        known = self.profiles.get(subject)
        if known is None and subject in self.erased:
            return sealed(SyncResponse(subject=subject, erasure=Erasure()))
        if known is None:
            return sealed(SyncResponse(subject=subject, unknown=Unknown()))
        return sealed(SyncResponse(subject=subject, snapshot=Snapshot(profile=known[0], preferences=known[1])))

    def store(self, request: ReportRequest) -> int:
        """Store what follows on the producer's mark; returns the mark."""
        key = (request.node_id, request.epoch, request.worker)
        mark = self.marks.get(key, -1)
        if not request.records:
            return mark
        kept = self.records.setdefault(key, [])
        for payload in request.records:
            record = decode_record(payload)
            first = record.first_seq if isinstance(record, GapRecord) else record.seq
            if record.seq <= mark:
                continue
            if first != mark + 1:
                break
            kept.append(record)
            mark = record.seq
        self.marks[key] = mark
        return mark

    def next_fault(self) -> Fault:
        """What happens to the next batch."""
        return next(self._faults, Fault.NONE)

    def _tell(self, news: SyncResponse) -> None:
        for to_say in self.syncing:
            to_say.put_nowait(news)


async def eventually(condition: Callable[[], bool], *, most_s: float = 20.0) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it did not in time.
    """
    async with asyncio.timeout(most_s):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in other processes, too
            await asyncio.sleep(0.01)


class _Admission(grpc.aio.ServerInterceptor):
    def __init__(self, hub: FakeHub) -> None:
        self._hub = hub

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        shown = str(dict(handler_call_details.invocation_metadata).get("authorization", ""))
        self._hub.calls.append((handler_call_details.method.rpartition("/")[2], shown))
        if self._hub.token and shown != f"Bearer {self._hub.token}":
            return grpc.stream_stream_rpc_method_handler(self._refuse)
        return await continuation(handler_call_details)

    @staticmethod
    async def _refuse(_: object, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token of ours")


class _Distribution(DistributionServicer):
    def __init__(self, hub: FakeHub) -> None:
        self._hub = hub

    @override
    async def Enrol(self, request: EnrolRequest, context: Context) -> EnrolResponse:
        return self._hub.site.enrolment

    @override
    async def Watch(
        self, request_iterator: AsyncIterator[WatchRequest], context: Context
    ) -> AsyncIterator[WatchResponse]:
        hub = self._hub
        first = await anext(request_iterator)
        hub.hellos.append(first.hello)
        to_say: asyncio.Queue[WatchResponse | None] = asyncio.Queue()
        to_say.put_nowait(hub.new_offer())
        hub.watching.add(to_say)
        listening = asyncio.create_task(self._listen(request_iterator, to_say))
        try:
            while (response := await to_say.get()) is not None:
                yield response
        finally:
            hub.watching.discard(to_say)
            listening.cancel()

    async def _listen(
        self, statements: AsyncIterator[WatchRequest], to_say: asyncio.Queue[WatchResponse | None]
    ) -> None:
        try:
            async for statement in statements:
                match statement.WhichOneof("statement"):
                    case "ack":
                        self._hub.answers.append(statement.ack)
                    case "nack":
                        self._hub.answers.append(statement.nack)
                    case "facts":
                        self._hub.facts_answers.append(statement.facts)
                    case "heartbeat":
                        self._hub.heartbeats.append(statement.heartbeat)
                        to_say.put_nowait(WatchResponse(hub_incarnation=self._hub.incarnation))
                    case _:
                        pass
        finally:
            to_say.put_nowait(None)

    @override
    async def Fetch(self, request: FetchRequest, context: Context) -> AsyncIterator[FetchResponse]:
        hub = self._hub
        hub.fetched.append(request.path)
        data = hub.site.files.get(request.path)
        if data is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.path}")
        assert data is not None
        for start in range(request.offset, max(len(data), 1), CHUNK_BYTES):
            yield FetchResponse(data=data[start : start + CHUNK_BYTES], total_bytes=len(data))
        hub.endless_readers += 1
        try:
            while request.path in hub.endless:
                hub.endless_bytes += CHUNK_BYTES
                yield FetchResponse(data=bytes(CHUNK_BYTES), total_bytes=len(data))
        finally:
            hub.endless_readers -= 1


class _Uplink(UplinkServicer):
    def __init__(self, hub: FakeHub) -> None:
        self._hub = hub

    @override
    async def Report(
        self, request_iterator: AsyncIterator[ReportRequest], context: Context
    ) -> AsyncIterator[ReportResponse]:
        hub = self._hub
        async for request in request_iterator:
            hub.batches.append(list(request.records))
            fault = hub.next_fault()
            if fault is Fault.LOSE_REQUEST:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way there")
            if fault is Fault.SAY_NOTHING:
                continue
            if fault is Fault.TAKE_HALF:
                del request.records[len(request.records) // 2 :]
            mark = hub.store(request)
            if fault is Fault.LOSE_ANSWER:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way back")
            for _ in range(2 if fault is Fault.ANSWER_TWICE else 1):
                yield sealed(ReportResponse(epoch=request.epoch, worker=request.worker, stored_seq=mark))


class _Profiles(ProfilesServicer):
    def __init__(self, hub: FakeHub) -> None:
        self._hub = hub

    @override
    async def Sync(self, request_iterator: AsyncIterator[SyncRequest], context: Context) -> AsyncIterator[SyncResponse]:
        hub = self._hub
        to_say: asyncio.Queue[SyncResponse | None] = asyncio.Queue()
        hub.syncing.add(to_say)
        listening = asyncio.create_task(self._listen(request_iterator, to_say))
        try:
            while (response := await to_say.get()) is not None:
                yield response
        finally:
            hub.syncing.discard(to_say)
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[SyncRequest], to_say: asyncio.Queue[SyncResponse | None]) -> None:
        try:
            async for request in requests:
                self._hub.dropped += request.remove
                if request.HasField("erased_through"):
                    self._hub.confirmed.append((request.erasure_list, request.erased_through))
                for subject in request.add:
                    self._hub.asked.append(subject)
                    to_say.put_nowait(self._hub.news_of(subject))
        finally:
            to_say.put_nowait(None)
