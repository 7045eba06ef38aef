"""The gRPC server: the four services and health on one port, with bounds that gRPC itself does not set.

Reflection is there on loopback only: strangers need not be told what can be called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from edgewise.ids import Producer
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.v1 import codes_pb2, distribution_pb2, profiles_pb2, uplink_pb2
from edgewise.v1.codes_pb2_grpc import add_CodesServicer_to_server
from edgewise.v1.distribution_pb2_grpc import add_DistributionServicer_to_server
from edgewise.v1.profiles_pb2_grpc import add_ProfilesServicer_to_server
from edgewise.v1.uplink_pb2_grpc import add_UplinkServicer_to_server
from hub.codes.book import CodeBook
from hub.enrolment import Anchored, Enrolment
from hub.keys import SiteSecrets
from hub.ledger.ledger import Ledger
from hub.ledger.suppression import SuppressionList
from hub.ledger.writing import Stored
from hub.log import Log
from hub.meters import Meters
from hub.rpc.admission import admissions
from hub.rpc.codes import Codes
from hub.rpc.distribution import Announcer, Distribution, Published
from hub.rpc.erasure_feed import ErasureFeed
from hub.rpc.fleet import Fleet
from hub.rpc.guard import Streams
from hub.rpc.inbox import Inbox
from hub.rpc.interest import Interest
from hub.rpc.profiles import Profiles
from hub.rpc.uplink import Uplink
from hub.settings import HubSettings, host_port, on_loopback

MOST_MESSAGE_BYTES: Final = 4 << 20
READERS: Final = 4
SERVICES: Final = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (distribution_pb2, "Distribution"),
        (uplink_pb2, "Uplink"),
        (profiles_pb2, "Profiles"),
        (codes_pb2, "Codes"),
    )
)


class SignedRepository(Published, Anchored, Protocol):
    """What nodes fetch and pin; `hub.release.repository.Repository` is one."""


class RpcServer:
    """Start once, stop once, in one event loop: gRPC does not bear a second one in a process (grpc#25364).

    Raises InputError when other machines can call and no token is configured.
    """

    def __init__(
        self,
        ledger: Ledger,
        repository: SignedRepository,
        secrets: Callable[[], SiteSecrets],
        *,
        settings: HubSettings,
        incarnation: str,
        clock: Clock,
        meters: Meters,
        log: Log,
        suppressions: SuppressionList | None = None,
        codes: CodeBook | None = None,
    ) -> None:
        """`suppressions` are told to every node; without them erasures reach those that cache the person.

        Without `codes` none are lent.
        """
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._meters = meters
        self._log = log
        self._admissions = admissions(settings, log)
        # one thread writes: SQLite has one writer, and a second would only wait for the file lock
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._readers = ThreadPoolExecutor(READERS, "ledger-reader")
        streams = Streams(settings.most_streams, meters)
        self.fleet = Fleet(ledger, clock, self._writer, log)
        self._announcer = Announcer(repository, settings.offer_poll_ms, log)
        enrolment = Enrolment(repository, secrets)
        self._distribution = Distribution(
            repository,
            self._announcer,
            enrolment,
            self.fleet,
            incarnation=incarnation,
            streams=streams,
            meters=meters,
            log=log,
        )
        interest = Interest(settings.most_profiles_per_node, meters)
        feed = ErasureFeed(ledger, suppressions, clock)
        self._profiles = Profiles(
            ledger, interest, self._readers, feed, writer=self._writer, streams=streams, meters=meters, log=log
        )
        self._inbox = Inbox(
            ledger,
            clock,
            self._writer,
            most_bytes=settings.inbox_most_bytes,
            on_stored=self._profiles.stored,
            meters=meters,
            log=log,
        )
        self._uplink = Uplink(self._inbox, streams, log)
        self._codes = None if codes is None else Codes(codes, self._writer, log)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._why = "a part of the hub has failed; its log says which"

    async def start(self) -> str:
        """Listen; returns HOST:PORT as bound. Raises UnavailableError when the port is taken."""
        await self.fleet.load()
        server = grpc.aio.server(options=_options(self._settings), interceptors=self._admissions)
        add_DistributionServicer_to_server(self._distribution, server)  # type: ignore[no-untyped-call]
        add_UplinkServicer_to_server(self._uplink, server)  # type: ignore[no-untyped-call]
        add_ProfilesServicer_to_server(self._profiles, server)  # type: ignore[no-untyped-call]
        if self._codes is not None:
            add_CodesServicer_to_server(self._codes, server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if on_loopback(self._settings.grpc):
            reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        host, _ = host_port(self._settings.grpc)
        try:
            bound = server.add_insecure_port(self._settings.grpc)
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise UnavailableError(f"{self._settings.grpc} cannot be listened on; is another hub running there?")
        await server.start()
        self._server = server
        self._announcer.look()
        self._tasks = [
            asyncio.create_task(self._announcer.run()),
            asyncio.create_task(self.fleet.run()),
            asyncio.create_task(self._inbox.run()),
            asyncio.create_task(self._profiles.run(self._settings.profile_poll_ms)),
        ]
        for task in self._tasks:
            task.add_done_callback(self._notice)
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"

    async def append(self, name: Producer, records: Sequence[EventRecord | PreferenceRecord]) -> tuple[Stored, int]:
        """Store what no node reported, by the same writer as what nodes do, and tell nodes what it changes.

        Returns what was stored, and how many events were known. Raises UnavailableError when nothing could be.
        """
        loop = asyncio.get_running_loop()
        with self._meters.store_seconds.time():
            stored, known = await loop.run_in_executor(
                self._writer, self._ledger.append, name, records, self._clock.now_ms()
            )
        for table, count in stored.counts.items():
            self._meters.ingested.labels(table).inc(count)
        self._profiles.stored(stored)
        return stored, known

    def trouble(self) -> str:
        """Why it does not serve, or ""."""
        if self._server is None:
            return "gRPC is not listening"
        return "a part of the hub has failed" if self._failed.is_set() else ""

    async def until_failed(self, stopping: asyncio.Event) -> None:
        """Wait for `stopping`. Raises UnavailableError when a part fails: half a hub is worse than a restart."""
        waiting = [asyncio.create_task(stopping.wait()), asyncio.create_task(self._failed.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if self._failed.is_set():
            raise UnavailableError(self._why)

    def fail(self, why: str) -> None:
        """Stop serving, because of something outside of this server."""
        self._log.error("the hub stops", reason=why)
        self._why = why
        self._failed.set()

    async def stop(self) -> None:
        """Answer what has come, end the streams, close the port; what had not been stored is sent again by its node."""
        if self._server is None:
            return
        await self._health.enter_graceful_shutdown()
        for service in (self._uplink, self._distribution, self._profiles):
            service.drain()
        await self._server.stop(self._settings.drain_timeout_ms / 1_000)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.fleet.flush()
        self._writer.shutdown()
        self._readers.shutdown()
        self._server = None

    def _notice(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a part of the hub has failed", task=repr(task.get_coro()), exc_info=error)
            self._failed.set()


def _options(settings: HubSettings) -> list[tuple[str, Any]]:
    return [
        # two hubs on one port would share its connections without a word
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
        # nodes ping every 30 s; the default allows one ping in 5 minutes and cuts the others off
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # and we ping them: a peer that vanished is found within 40 s
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # by itself the line above does nothing: an unanswered ping costs this, by default a minute
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.max_connection_age_ms", settings.connection_age_ms),
        ("grpc.max_connection_age_grace_ms", 10_000),
    ]
