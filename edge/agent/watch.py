"""Listens for releases: says what this node has, takes offers, answers ACK or NACK with the offer's nonce.

An offer carries no authority and no contents; it only says that the signed metadata is worth a look. So an offer that
is lost costs time, not correctness: the metadata is looked at every few minutes as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import grpc

from edge.agent.facts_feed import FactsFeed
from edge.agent.install import RETRY_MOST_MS, Installed, Installer
from edge.agent.link import Line
from edge.agent.state import AgentState
from edge.backoff import Backoff, Draw, either
from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.status import Nacked, worker_statuses
from edge.node.trust import metadata_expires_ms
from edge.settings import EdgeSettings
from edgewise.bundle.manifest import PROTOCOL_VERSION
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, RefusedError, UnavailableError
from edgewise.ids import BundleVersion, NodeId
from edgewise.trust import state_of
from edgewise.v1.distribution_pb2 import Ack, FactsAnswer, Heartbeat, Hello, Nack, WatchRequest, WatchResponse
from edgewise.v1.distribution_pb2_grpc import DistributionStub

NO_BUNDLE: Final = BundleVersion(-1)
"""What a node names while nothing but the built-in fallback serves."""
DETAIL_MOST: Final = 2_000


class _Answered(NamedTuple):
    """The last ACK: what was accepted may still turn out to crash workers."""

    nonce: str
    installed: Installed


class Watch:
    """One node's watch, and the installation that follows an offer. Belongs to the agent's event loop."""

    def __init__(
        self,
        settings: EdgeSettings,
        node: NodeId,
        installer: Installer,
        facts: FactsFeed,
        *,
        state: AgentState,
        clock: Clock,
        draw: Draw,
        log: Log,
    ) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._store = BundleStore(self._paths)
        self._node = node
        self._installer = installer
        self._facts = facts
        self._state = state
        self._clock = clock
        self._log = log
        self._retry = Backoff(settings.refused_retry_ms, RETRY_MOST_MS, draw)
        self._look = asyncio.Event()
        self._nonce = ""
        self._incarnation = ""
        self._said: asyncio.Queue[WatchRequest | None] = asyncio.Queue()
        self._answered: _Answered | None = None
        self._is_damaged = False

    # --- the stream --------------------------------------------------------------------------------------------------
    async def session(self, line: Line, heard: Callable[[], None]) -> None:
        """One stream, until the hub or `finish` ends it."""
        said: asyncio.Queue[WatchRequest | None] = asyncio.Queue()
        self._said = said
        self._nonce = ""
        self._say(WatchRequest(hello=self._hello()))
        stub = DistributionStub(line.channel)  # type: ignore[no-untyped-call]  # generated
        call: grpc.aio.StreamStreamCall[WatchRequest, WatchResponse] = stub.Watch(
            self._statements(said), metadata=line.metadata
        )
        heartbeats = asyncio.create_task(self._beat())
        try:
            async for answer in call:
                heard()
                if not self._state.connected:
                    self._state.connected = True
                    self._state.write()
                self._incarnation = answer.hub_incarnation
                if answer.HasField("offer"):
                    self._nonce = answer.offer.nonce
                    self._look.set()
                    self._facts.wake()
                if answer.HasField("facts"):
                    self._facts.wake(self._tell_facts)
        finally:
            self._state.connected = False
            self._state.write()
            heartbeats.cancel()
            said.put_nowait(None)

    def finish(self) -> None:
        """End the stream by its last message."""
        self._said.put_nowait(None)

    @staticmethod
    async def _statements(said: asyncio.Queue[WatchRequest | None]) -> AsyncIterator[WatchRequest]:
        while (statement := await said.get()) is not None:
            yield statement

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_ms / 1_000)
            self._take_back()
            was_damaged, self._is_damaged = self._is_damaged, self._installer.is_damaged()
            if self._is_damaged and not was_damaged:  # afterwards it is tried again as every installation is
                self._look.set()
            self._say(WatchRequest(heartbeat=self._heartbeat()))

    # --- the installation --------------------------------------------------------------------------------------------
    async def install_offers(self, stopping: asyncio.Event) -> None:
        """Follow offers until `stopping` is set; the last one counts."""
        while not stopping.is_set():
            self._look.clear()
            wait_ms = await self._install()
            await either(stopping, self._look, wait_ms)

    async def _install(self) -> float:
        """One look at the signed metadata; returns after how long to look again unasked."""
        nonce = self._nonce
        if not nonce and not self._state.connected:
            return self._settings.metadata_refresh_ms
        try:
            installed = await self._installer.install()
        except RefusedError as refused:
            self._refuse(nonce, refused)
            again_ms = self._installer.retry_ms
            return self._retry.next_ms() if again_ms is None else again_ms
        except (UnavailableError, OSError) as failed:
            self._state.trouble(str(failed))
            self._log.warning("the offer cannot be followed now", detail=str(failed))
            return self._retry.next_ms()
        except Exception as unforeseen:  # noqa: BLE001  # a mistake of ours must not end what ships the records, too
            self._log.error("following the offer failed", exc_info=unforeseen)
            self._refuse(nonce, BundleRefused("internal", f"{type(unforeseen).__name__}: {unforeseen}"))
            return self._retry.next_ms()
        finally:
            self._state.metadata_expires_ms = metadata_expires_ms(self._paths)
            self._state.write()
        self._retry.reset()
        if installed is not None:
            self._state.assigned_version = installed.version
            self._answered = _Answered(nonce, installed)
            ack = Ack(nonce=nonce, bundle_version=installed.version, bundle_digest=installed.digest)
            self._say(WatchRequest(ack=ack))
        return self._settings.metadata_refresh_ms

    def _refuse(self, nonce: str, refused: RefusedError) -> None:
        self._log.error("the offer is refused", code=refused.code, detail=refused.message)
        self._state.last_nack = Nacked(self._clock.now_ms(), refused.code, refused.message)
        still = self._installer.serving()
        nack = Nack(
            nonce=nonce,
            code=refused.code,
            detail=refused.message[:DETAIL_MOST],
            still_version=still.version if still else NO_BUNDLE,
        )
        self._say(WatchRequest(nack=nack))

    def _take_back(self) -> None:
        """Say NACK after an ACK when the supervisor has reverted the bundle since, because it crashes workers."""
        if self._answered is None or self._store.current() == self._answered.installed.digest:
            return
        nonce, installed = self._answered
        quarantined = self._store.quarantined(installed.digest)
        self._answered = None
        if quarantined is not None:
            self._refuse(nonce, BundleRefused(quarantined.code, quarantined.message))

    # --- what is said ------------------------------------------------------------------------------------------------
    def _say(self, statement: WatchRequest) -> None:
        self._said.put_nowait(statement)

    def _tell_facts(self, version: int, code: str, detail: str) -> None:
        self._say(WatchRequest(facts=FactsAnswer(version=version, code=code, detail=detail[:DETAIL_MOST])))

    def _hello(self) -> Hello:
        serving = self._installer.serving()
        return Hello(
            node_id=self._node,
            protocol_version=PROTOCOL_VERSION,
            bundle_version=serving.version if serving else NO_BUNDLE,
            bundle_digest=serving.digest if serving else "",
            hub_incarnation=self._incarnation,
        )

    def _heartbeat(self) -> Heartbeat:
        serving = self._installer.serving()
        statuses = worker_statuses(self._paths, self._settings.workers)
        state = state_of(
            has_bundle=serving is not None,
            now_ms=self._clock.now_ms(),
            hub_last_seen_ms=self._state.last_seen_ms,
            metadata_expires_ms=self._state.metadata_expires_ms,
        )
        return Heartbeat(
            state=state,
            bundle_version=serving.version if serving else NO_BUNDLE,
            bundle_digest=serving.digest if serving else "",
            spool_bytes=self._state.spool_bytes,
            decisions=sum(status.decisions for status in statuses if status),
        )
