"""Keeps the node's profile cache current: says whom it caches, takes the hub's snapshots.

Nothing on the request path ever waits for it.

LMDB calls run in a thread of their own: a worker that was stopped in the middle of a write holds the file's lock, and
must not hold up the agent's heartbeats as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from edge.agent.link import Line
from edge.agent.state import AgentState
from edge.log import Log
from edge.node.doorbell import next_ring
from edge.profiles.cache import ProfileCache
from edge.profiles.forgetting import Confirmed
from edgewise.errors import MALFORMED, UnavailableError
from edgewise.ids import NodeId, Producer, SubjectId
from edgewise.seal import is_whole
from edgewise.v1.profiles_pb2 import Erasure, SyncRequest, SyncResponse
from edgewise.v1.profiles_pb2_grpc import ProfilesStub

SUBJECTS_A_REQUEST: Final = 1_000


class ProfileSync:
    """One node's interest, and the answers to it. Belongs to the agent's event loop."""

    def __init__(self, cache: ProfileCache, node: NodeId, *, bell: asyncio.Event, state: AgentState, log: Log) -> None:
        """`bell` is set whenever a worker wants a profile that is not cached."""
        self._cache = cache
        self._node = node
        self._bell = bell
        self._state = state
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="profiles")
        self._asked: dict[SubjectId, None] = {}
        """Wanted, and not answered yet: asked again on the next stream."""
        self._carried_out: Confirmed | None = None
        """How far erasures were carried out, where bytes may be left of them."""
        self._confirmed: Confirmed | None = None
        """How far they were carried out to the last byte, where the hub has not been told."""
        self._finishing = False

    async def mend(self) -> None:
        """Follow the workers, who may have left a damaged cache behind for a new one; to be called now and then.

        Then make sure that not a byte is left of who was erased, and tell the hub so.
        """
        in_thread = asyncio.get_running_loop().run_in_executor
        try:
            await in_thread(self._thread, self._cache.file.mend)
        except UnavailableError as failed:
            self._log.error("the profile cache cannot be opened anew", detail=str(failed))
            return
        try:
            await in_thread(self._thread, self._scrub)
        except UnavailableError as failed:
            self._log.error("the profile cache cannot be scrubbed", detail=str(failed))
        if self._confirmed is not None:
            self._bell.set()

    def finish(self) -> None:
        """End the stream by its last message."""
        self._finishing = True
        self._bell.set()

    async def session(self, line: Line, heard: Callable[[], None]) -> None:
        """One stream, until the hub or `finish` ends it."""
        stub = ProfilesStub(line.channel)  # type: ignore[no-untyped-call]  # generated
        ended = asyncio.Event()
        call: grpc.aio.StreamStreamCall[SyncRequest, SyncResponse] = stub.Sync(
            self._requests(ended), metadata=line.metadata
        )
        in_thread = asyncio.get_running_loop().run_in_executor
        try:
            async for news in call:
                if not is_whole(news):
                    # What it is about is asked again on the next stream.
                    self._log.warning("a profile has changed on its way")
                    call.cancel()
                    break
                heard()
                was_asked = SubjectId(news.subject) in self._asked
                self._asked.pop(SubjectId(news.subject), None)
                if not await in_thread(self._thread, self._take, news, was_asked):
                    call.cancel()
                    break
        finally:
            # gRPC goes on asking for requests of a stream that has failed; it must not get what the next one is to ask.
            ended.set()
            self._bell.set()

    async def _requests(self, ended: asyncio.Event) -> AsyncIterator[SyncRequest]:
        in_thread = asyncio.get_running_loop().run_in_executor
        done = await in_thread(self._thread, self._erased)
        yield SyncRequest(
            node_id=self._node, add=list(self._asked), erasure_list=done.list, erased_through=done.through
        )
        cached = self._cached()
        while not ended.is_set() and (part := await in_thread(self._thread, self._next_of, cached)):
            yield SyncRequest(add=part)
        while not self._finishing and not ended.is_set():
            wanted, evicted = await in_thread(self._thread, self._changes)
            # Who is being asked for is in the cache again with the answer, so he stays followed.
            evicted = [subject for subject in evicted if subject not in self._asked]
            self._asked.update(dict.fromkeys(wanted))
            if evicted:
                yield SyncRequest(remove=evicted)
            if wanted:
                yield SyncRequest(add=wanted)
            news, self._confirmed = self._confirmed, None
            if news is not None:
                yield SyncRequest(erasure_list=news.list, erased_through=news.through)
            if not (wanted or evicted) and news is None:
                await next_ring(self._bell)

    def _changes(self) -> tuple[list[SubjectId], list[SubjectId]]:
        """Who is wanted, and who was evicted; nobody is both."""
        try:
            # In this order: who is wanted again after the first was taken is no longer among the second.
            return self._cache.take_wanted(), self._cache.take_evicted()
        except UnavailableError as failed:
            # An exception must not leave a request iterator: gRPC swallows it and cancels the stream.
            self._log.error("the profile cache cannot be asked", detail=str(failed))
            return [], []

    def _erased(self) -> Confirmed:
        """Nothing where the cache cannot be asked: erasures that were carried out are told of once more."""
        try:
            return self._cache.erased_through()
        except UnavailableError as failed:
            self._log.error("the profile cache cannot be asked", detail=str(failed))
            return Confirmed()

    def _next_of(self, cached: Iterator[list[SubjectId]]) -> list[SubjectId] | None:
        """None also where the cache cannot be asked: who is not told of now is asked for when he comes back."""
        try:
            return next(cached, None)
        except UnavailableError as failed:
            self._log.error("the profile cache cannot be asked", detail=str(failed))
            return None

    def _cached(self) -> Iterator[list[SubjectId]]:
        part: list[SubjectId] = []
        for subject in self._cache.subjects():
            part.append(subject)
            if len(part) == SUBJECTS_A_REQUEST:
                yield part
                part = []
        if part:
            yield part

    def _take(self, news: SyncResponse, was_asked: bool) -> bool:  # noqa: FBT001  # positional for a thread
        """False when an erasure could not be carried out: a later one would confirm it as well.

        The next stream begins behind the last that was confirmed.
        """
        subject = SubjectId(news.subject)
        try:
            match news.WhichOneof("news"):
                case "snapshot":
                    self._cache.snapshot(subject, news.snapshot.profile, news.snapshot.preferences, is_asked=was_asked)
                    self._state.profiles_synced += 1
                case "erasure":
                    self._erase(subject, news.erasure)
                    if was_asked:
                        # He has come back since: the hub knows nothing more, and he begins anew.
                        self._cache.unknown(subject)
                case "unknown":
                    self._cache.unknown(subject)
                case _:
                    self._log.warning("news of a kind that this node does not know", subject=subject)
        except (UnavailableError, *MALFORMED) as failed:
            # It comes again with the next change; until then the node decides with what it has.
            self._log.warning("a profile from the hub was not taken over", subject=subject, detail=str(failed))
            return not (isinstance(failed, UnavailableError) and news.WhichOneof("news") == "erasure")
        return True

    def _erase(self, subject: SubjectId, erasure: Erasure) -> None:
        # Out of a list it is about a moment; else it is the hub's word of now, that there is nothing of him.
        stored = None if erasure.list else {Producer(mark.producer): mark.stored_seq for mark in erasure.stored}
        self._cache.erase(subject, until_ms=erasure.time_ms, stored=stored)
        if erasure.number:
            self._carried_out = Confirmed(erasure.list, erasure.number)

    def _scrub(self) -> None:
        done = self._carried_out
        if self._cache.scrub() and done is not None and done == self._carried_out:
            self._cache.confirm(done)
            self._carried_out, self._confirmed = None, done
