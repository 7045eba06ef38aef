"""Canonical profiles are pushed to the nodes that cache them, as soon as the commit that changed them is through.

Nodes know nothing of people: whichever of his subjects a node follows, it gets the whole person's profile, and a change
of any part of him, or of who belongs to him, is news for all of his subjects.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from typing import Final, ParamSpec, TypeVar

from typing_extensions import override

from edgewise.errors import EdgewiseError, InputError
from edgewise.ids import NodeId, SubjectId
from edgewise.profile.preferences import Preferences, encode_preferences
from edgewise.profile.state import Profile, encode_profile
from edgewise.seal import sealed
from edgewise.v1 import profiles_pb2 as pb
from edgewise.v1.profiles_pb2_grpc import ProfilesServicer
from hub.ledger.batch import MOST_ID_CHARACTERS
from hub.ledger.ledger import Ledger
from hub.ledger.rows import Change
from hub.ledger.writing import Stored
from hub.log import Log
from hub.meters import Meters
from hub.rpc.erasure_feed import ErasureFeed
from hub.rpc.guard import Context, Streams, node_of, refuse
from hub.rpc.interest import Follower, Interest

AT_ONCE: Final = 256
"""Profiles read in one go; a profile has some kilobytes."""
_AFTER_ALL: Final = SubjectId("\U0010ffff")
_REMEMBERED: Final = 10_000
P = ParamSpec("P")
T = TypeVar("T")
_NOTHING: Final = pb.Snapshot(profile=encode_profile(Profile()), preferences=encode_preferences(Preferences()))


class Profiles(ProfilesServicer):
    """Sync."""

    def __init__(
        self,
        ledger: Ledger,
        interest: Interest,
        reader: Executor,
        feed: ErasureFeed | None = None,
        *,
        writer: Executor,
        streams: Streams,
        meters: Meters,
        log: Log,
    ) -> None:
        """`writer` is the one thread that writes the ledger.

        Without a `feed` erasures are told to the nodes that cache the person, and to no others.
        """
        self._ledger = ledger
        self._interest = interest
        self._reader = reader
        self._feed = feed
        self._writer = writer
        self._streams = streams
        self._meters = meters
        self._log = log
        self._told: deque[int] = deque(maxlen=_REMEMBERED)
        """Revisions of this process's own, whose news is out."""
        self._draining = False

    @override
    async def Sync(
        self, request_iterator: AsyncIterator[pb.SyncRequest], context: Context
    ) -> AsyncIterator[pb.SyncResponse]:
        async with self._streams.one(context, "sync"):
            follower = self._interest.enter()
            listening = asyncio.create_task(self._listen(request_iterator, follower))
            try:
                while not follower.ended and not self._draining:
                    follower.wake.clear()
                    while subjects := follower.take(AT_ONCE):
                        for news in await self._in_reader(self._read, subjects, follower.node):
                            yield news
                    while self._feed is not None and self._feed.is_due(follower):
                        for erasure in await self._in_reader(self._feed.due, follower):
                            yield erasure
                    if not follower.wake.is_set():
                        await follower.wake.wait()
            except EdgewiseError as unreadable:
                await refuse(context, unreadable)
            finally:
                listening.cancel()
                self._interest.leave(follower)
            if listening.done() and not listening.cancelled() and (wrong := listening.result()) is not None:
                await refuse(context, wrong)

    def drain(self) -> None:
        """End every stream with a good status."""
        self._draining = True
        for follower in self._interest.open:
            follower.wake.set()

    def stored(self, stored: Stored) -> None:
        """A transaction of this process is through."""
        if stored.changed:
            self._told.append(stored.revision)
            self._interest.changed(sorted(stored.changed))

    async def run(self, poll_ms: int) -> None:
        """Find what other processes changed (an import, an erasure), until cancelled."""
        loop = asyncio.get_running_loop()
        seen = Change(await loop.run_in_executor(self._reader, self._ledger.revision), _AFTER_ALL)
        while True:
            await asyncio.sleep(poll_ms / 1_000)
            try:
                while changes := await loop.run_in_executor(self._reader, self._ledger.changed_since, seen):
                    # Whatever of our own was among them has been told once its writer is free: nothing is said twice.
                    await loop.run_in_executor(self._writer, _nothing_more)
                    told = set(self._told)
                    news = [change.subject for change in changes if change.revision not in told]
                    people = await loop.run_in_executor(self._reader, self._ledger.people_of, news)
                    self._interest.changed(sorted({each for members in people.values() for each in members}))
                    seen = changes[-1]
                if self._feed is not None and await self._in_reader(self._feed.has_grown):
                    for follower in self._interest.open:
                        follower.wake.set()
            except EdgewiseError as unreadable:
                self._log.error("changed profiles cannot be read", reason=str(unreadable))

    async def _in_reader(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        call = functools.partial(work, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._reader, call)

    def _read(self, subjects: Sequence[SubjectId], node: NodeId | None = None) -> list[pb.SyncResponse]:
        known = self._ledger.person_profiles(subjects)
        unknown = [subject for subject in subjects if subject not in known]
        erased, left = self._ledger.erased(unknown), self._ledger.once_joined(unknown)
        stored: list[pb.Mark] = []
        if erased and node is not None:
            stored = [pb.Mark(producer=row.producer, stored_seq=row.stored_seq) for row in self._ledger.producers(node)]
            # Once more behind the marks: who has come back with what they count is known now.
            known |= self._ledger.person_profiles(list(erased))
        news = []
        for subject in subjects:
            row = known.get(subject)
            if row is not None:
                snapshot = pb.Snapshot(profile=row.profile, preferences=row.preferences)
                news.append(pb.SyncResponse(subject=subject, snapshot=snapshot))
            elif subject in erased:
                # with its time: he may have come back, and have stated something that is on its way here
                erasure = pb.Erasure(time_ms=erased[subject], stored=stored)
                news.append(pb.SyncResponse(subject=subject, erasure=erasure))
            elif subject in left:
                # a node may hold the profile of a person that this subject belongs to no more
                news.append(pb.SyncResponse(subject=subject, snapshot=_NOTHING))
            else:
                news.append(pb.SyncResponse(subject=subject, unknown=pb.Unknown()))
        for one in news:
            self._meters.pushed.labels(one.WhichOneof("news")).inc()
        return [sealed(one) for one in news]

    async def _listen(self, requests: AsyncIterator[pb.SyncRequest], follower: Follower) -> EdgewiseError | None:
        """Take what the node follows until it ends, says what makes no sense, or the ledger cannot be asked."""
        node: NodeId | None = None
        try:
            async for request in requests:
                node = follower.node = node_of(request.node_id) if node is None else node
                if self._feed is not None and request.HasField("erased_through"):
                    await self._heard(self._feed, follower, node, request)
                self._interest.unfollow(follower, map(_subject, request.remove))
                self._interest.follow(follower, map(_subject, request.add))
        except EdgewiseError as wrong:
            return wrong
        finally:
            follower.ended = True
            follower.wake.set()
        return None

    async def _heard(self, feed: ErasureFeed, follower: Follower, node: NodeId, request: pb.SyncRequest) -> None:
        said = await self._in_reader(feed.heard, follower, request)
        if said is not None and not await self._in_reader(feed.is_written, node, said):
            await asyncio.get_running_loop().run_in_executor(self._writer, feed.confirm, node, said)


def _nothing_more() -> None:
    """The last of a queue."""


def _subject(text: str) -> SubjectId:
    if not 0 < len(text) <= MOST_ID_CHARACTERS or "\0" in text:
        raise InputError(f"subject {text[:80]!r}; expected 1 to {MOST_ID_CHARACTERS} characters")
    return SubjectId(text)
