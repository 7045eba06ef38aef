"""Releases travel to nodes: who may join, what is offered, and the bytes behind it (after Envoy's delta xDS).

An offer has no authority. It only says that signed metadata changed; a node believes the metadata, never the hub.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from typing import Final, Protocol

import grpc
from typing_extensions import override

from edgewise.bundle.assignment import Assignment
from edgewise.errors import EdgewiseError, InputError
from edgewise.ids import BundleVersion, NodeId
from edgewise.reasons import State
from edgewise.v1 import distribution_pb2 as pb
from edgewise.v1.distribution_pb2_grpc import DistributionServicer
from hub.enrolment import Enrolment
from hub.log import Log
from hub.meters import Meters
from hub.release.repository import Standing
from hub.rpc.fleet import Condition, Fleet
from hub.rpc.guard import Context, Streams, node_of, refuse

CHUNK_BYTES: Final = 1 << 20
TIMESTAMP: Final = "timestamp.json"
NO_RELEASE: Final = BundleVersion(-1)
MOST_COUNT: Final = 2**62
"""The ledger's integers have a sign, the protocol's have none."""
_PATH: Final = re.compile(r"(metadata|targets|blobs)/([A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)")


class Published(Protocol):
    """The part of the signed repository that is handed out."""

    def metadata(self, name: str) -> bytes | None:
        """A metadata file by name: `timestamp.json`, `9.snapshot.json`."""
        ...

    def target(self, path: str) -> bytes | None:
        """A target by path: `releases/42/SHA256.manifest.json`."""
        ...

    def blob(self, sha256: str) -> bytes | None:
        """A resource of a bundle by its digest."""
        ...

    def assignment(self) -> Assignment | None:
        """Which node is to run which release; None before the first promotion."""
        ...

    def standing(self) -> Standing:
        """What is published now."""
        ...


class Announcer:
    """Notices that signed metadata changed, also when another process signed it."""

    def __init__(self, published: Published, poll_ms: int, log: Log) -> None:
        self.generation = 0
        """Grows with every change of what nodes are to run; 0: nothing was published yet."""
        self.facts_generation = 0
        """Grows with every change of the live facts; 0: there are none."""
        self.facts_version = 0
        self._published = published
        self._poll_s = poll_ms / 1_000
        self._log = log
        self._seen: bytes | None = None
        self._standing: Standing | None = None
        self._assignment: Assignment | None = None
        self._unread = False
        """Whether the assignment could not be read when it should have been."""
        self._watching: dict[asyncio.Event, None] = {}
        """In the order in which they came, as all who are told of something: a set's would be another one each time."""

    def version_for(self, node: NodeId) -> BundleVersion:
        """The release that a node is to run, for logs."""
        return NO_RELEASE if self._assignment is None else self._assignment.of(node)

    def watch(self, wake: asyncio.Event) -> None:
        """Have an event set at every change."""
        self._watching[wake] = None

    def unwatch(self, wake: asyncio.Event) -> None:
        """Leave."""
        self._watching.pop(wake, None)

    def look(self) -> None:
        """Compare with what was seen last; a file of some hundred bytes is read faster than a thread is asked."""
        found = self._published.metadata(TIMESTAMP)
        if found is None or found == self._seen:
            return
        self._seen = found
        if self._tell_apart() or self._unread:
            self._assign_anew()
        for wake in self._watching:
            wake.set()

    def _tell_apart(self) -> bool:
        """What changed: prices that move every second must not have nodes look for a new release every second.

        Returns whether releases did, or may have.
        """
        try:
            standing = self._published.standing()
        except EdgewiseError as unreadable:
            self._log.error("signed metadata cannot be read", reason=str(unreadable))
            self.generation += 1
            return True
        before, self._standing = self._standing, standing
        moved = before is None or standing.releases != before.releases
        self.generation += moved
        if standing.facts and (before is None or standing[1:] != before[1:]):
            self.facts_generation += 1
            self.facts_version = standing.facts
        return moved

    def _assign_anew(self) -> None:
        """Read only where it may have changed: it costs the whole chain again, on the thread that serves all nodes."""
        try:
            self._assignment, self._unread = self._published.assignment(), False
        except EdgewiseError as unreadable:
            self._unread = True
            self._log.error("assignment cannot be read", reason=str(unreadable))

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                self.look()
            except (EdgewiseError, OSError) as unreadable:
                self._log.error("metadata cannot be read", reason=str(unreadable))
            await asyncio.sleep(self._poll_s)


class _Watcher:
    """One open watch: what is to be said next."""

    def __init__(self, node: NodeId) -> None:
        self.node = node
        self.wake = asyncio.Event()
        self.offered = 0
        """Generation of the last offer."""
        self.told_facts = 0
        """Generation of the last notice of live facts."""
        self.nonce = ""
        self.alive_due = True
        self.ended = False


class Distribution(DistributionServicer):
    """Enrol, Watch, Fetch."""

    def __init__(
        self,
        published: Published,
        announcer: Announcer,
        enrolment: Enrolment,
        fleet: Fleet,
        *,
        incarnation: str,
        streams: Streams,
        meters: Meters,
        log: Log,
    ) -> None:
        self._published = published
        self._announcer = announcer
        self._enrolment = enrolment
        self._fleet = fleet
        self._incarnation = incarnation
        self._streams = streams
        self._meters = meters
        self._log = log
        self._nonces = itertools.count(1)
        self._watchers: dict[_Watcher, None] = {}
        self._draining = False

    @override
    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolResponse:
        try:
            node = node_of(request.node_id)
            anchor = await asyncio.to_thread(self._enrolment.anchor)
        except EdgewiseError as refused:
            self._log.warning("enrolment refused", node=request.node_id[:80], peer=context.peer(), reason=str(refused))
            await refuse(context, refused)
        self._log.info("enrolled", node=node, site=anchor.site)
        return pb.EnrolResponse(
            site=anchor.site,
            root=anchor.root,
            subject_key=anchor.secrets.subject_key,
            visitor_key=anchor.secrets.visitor_key,
        )

    @override
    async def Watch(
        self, request_iterator: AsyncIterator[pb.WatchRequest], context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        async with self._streams.one(context, "watch"):
            first = await anext(request_iterator, None)
            try:
                watcher, hello = _greet(first)
            except InputError as wrong:
                await refuse(context, wrong)
            self._fleet.connect(watcher.node, hello.bundle_version, hello.bundle_digest, hello.protocol_version)
            self._watchers[watcher] = None
            self._announcer.watch(watcher.wake)
            listening = asyncio.create_task(self._listen(request_iterator, watcher))
            try:
                while not watcher.ended and not self._draining:
                    watcher.wake.clear()
                    if watcher.offered < self._announcer.generation:
                        yield self._offer(watcher)
                    elif watcher.told_facts < self._announcer.facts_generation:
                        watcher.told_facts = self._announcer.facts_generation
                        notice = pb.FactsNotice(version=self._announcer.facts_version)
                        yield pb.WatchResponse(hub_incarnation=self._incarnation, facts=notice)
                    elif watcher.alive_due:
                        watcher.alive_due = False
                        yield pb.WatchResponse(hub_incarnation=self._incarnation)
                    else:
                        await watcher.wake.wait()
            finally:
                listening.cancel()
                self._announcer.unwatch(watcher.wake)
                self._watchers.pop(watcher, None)
                self._fleet.disconnect(watcher.node)
            if listening.done() and not listening.cancelled() and (fault := listening.result()) is not None:
                await refuse(context, fault)

    @override
    async def Fetch(self, request: pb.FetchRequest, context: Context) -> AsyncIterator[pb.FetchResponse]:
        async with self._streams.one(context, "fetch"):
            data = await asyncio.to_thread(self._find, request.path)
            if data is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is published as {request.path[:300]!r}")
            assert data is not None
            if request.offset > len(data):
                await context.abort(
                    grpc.StatusCode.OUT_OF_RANGE, f"offset {request.offset}; {request.path} has {len(data)} bytes"
                )
            for start in range(request.offset, max(len(data), request.offset + 1), CHUNK_BYTES):
                yield pb.FetchResponse(data=data[start : start + CHUNK_BYTES], total_bytes=len(data))

    def drain(self) -> None:
        """End every watch with a good status: nodes connect anew, elsewhere or later."""
        self._draining = True
        for watcher in self._watchers:
            watcher.wake.set()

    def _offer(self, watcher: _Watcher) -> pb.WatchResponse:
        watcher.offered = self._announcer.generation
        watcher.nonce = f"{watcher.offered}-{next(self._nonces)}"
        watcher.alive_due = False
        self._meters.offers.inc()
        return pb.WatchResponse(
            hub_incarnation=self._incarnation,
            offer=pb.Offer(nonce=watcher.nonce, bundle_version=self._announcer.version_for(watcher.node)),
        )

    async def _listen(self, statements: AsyncIterator[pb.WatchRequest], watcher: _Watcher) -> InputError | None:
        """Take what the node says until it ends, or says what makes no sense."""
        try:
            async for statement in statements:
                self._hear(statement, watcher)
        except InputError as wrong:
            return wrong
        finally:
            watcher.ended = True
            watcher.wake.set()
        return None

    def _hear(self, statement: pb.WatchRequest, watcher: _Watcher) -> None:
        match statement.WhichOneof("statement"):
            case "ack":
                ack = statement.ack
                if self._answers(ack.nonce, watcher, "ack"):
                    self._fleet.accepted(watcher.node, ack.bundle_version, ack.bundle_digest)
            case "nack":
                nack = statement.nack
                if self._answers(nack.nonce, watcher, "nack"):
                    self._fleet.refused(watcher.node, nack.code, nack.detail, nack.still_version)
            case "facts":
                self._fleet.answered_facts(
                    watcher.node, statement.facts.version, statement.facts.code, statement.facts.detail
                )
            case "heartbeat":
                beat = statement.heartbeat
                if beat.state not in set(State):
                    raise InputError(f"state {beat.state[:40]!r}; expected {', '.join(State)}")
                self._fleet.heard(
                    watcher.node,
                    Condition(
                        state=State(beat.state),
                        bundle_version=BundleVersion(beat.bundle_version),
                        bundle_digest=beat.bundle_digest,
                        spool_bytes=min(beat.spool_bytes, MOST_COUNT),
                        decisions=min(beat.decisions, MOST_COUNT),
                    ),
                )
                watcher.alive_due = True
                watcher.wake.set()
            case _:
                raise InputError("expected an ack, a nack or a heartbeat after the hello")

    def _answers(self, nonce: str, watcher: _Watcher, answer: str) -> bool:
        """Whether this answers the last offer; an answer to an older one says nothing any more."""
        current = nonce == watcher.nonce
        self._meters.answers.labels(answer if current else "outdated").inc()
        return current

    def _find(self, path: str) -> bytes | None:
        named = _PATH.fullmatch(path)
        match "" if named is None else named[1]:
            case "metadata":
                return self._published.metadata(path.removeprefix("metadata/"))
            case "targets":
                return self._published.target(path.removeprefix("targets/"))
            case "blobs":
                return self._published.blob(path.removeprefix("blobs/"))
            case _:
                return None


def _greet(first: pb.WatchRequest | None) -> tuple[_Watcher, pb.Hello]:
    if first is None or first.WhichOneof("statement") != "hello":
        raise InputError("expected a hello as the first statement")
    return _Watcher(node_of(first.hello.node_id)), first.hello
