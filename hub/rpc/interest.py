"""Which node follows which profiles, and whose news it has not been told yet.

A slow node gets no queue: news of a subject is a mark, and what is sent is the state when its turn comes. So what is
held per node is bounded by what it follows, however long it does not listen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from edgewise.ids import NodeId, SubjectId
from hub.meters import Meters


class Confirmation(NamedTuple):
    """A node has carried out the erasures of a list up to a number."""

    list: str
    through: int


class Follower:
    """One open stream: what it follows (oldest first), and what it is to be told."""

    def __init__(self) -> None:
        self.node: NodeId | None = None
        """Whose stream it is; None until it has said so."""
        self.subjects: dict[SubjectId, None] = {}
        self.news: dict[SubjectId, None] = {}
        self.wake = asyncio.Event()
        self.ended = False
        self.erased_through: int | None = None
        """Up to which number the node was told of erasures; None where it has not said that it counts them."""
        self.confirmed: Confirmation | None = None
        """What the node has said last on this stream of how far it has carried them out."""

    def take(self, most: int) -> list[SubjectId]:
        """Up to `most` subjects with news, oldest news first; they count as told."""
        taken = [subject for subject, _ in zip(self.news, range(most), strict=False)]
        for subject in taken:
            del self.news[subject]
        return taken


class Interest:
    """All followers. Belongs to one event loop."""

    def __init__(self, most_per_follower: int, meters: Meters) -> None:
        self._most = most_per_follower
        self._meters = meters
        self._followers: dict[SubjectId, dict[Follower, None]] = {}
        """In the order in which they came: sets of objects would make every simulated history another one."""
        self._followed = 0
        self.open: dict[Follower, None] = {}

    def enter(self) -> Follower:
        """A stream opened."""
        follower = Follower()
        self.open[follower] = None
        return follower

    def leave(self, follower: Follower) -> None:
        """A stream ended."""
        self.open.pop(follower, None)
        self.unfollow(follower, list(follower.subjects))

    def follow(self, follower: Follower, subjects: Iterable[SubjectId]) -> None:
        """Tell of these subjects now, and whenever they change.

        Beyond the bound the oldest are let go: whoever just arrived is looked at, whoever left an hour ago is not.
        """
        for subject in subjects:
            self._followed += subject not in follower.subjects
            follower.subjects.pop(subject, None)
            follower.subjects[subject] = None
            follower.news[subject] = None
            self._followers.setdefault(subject, {})[follower] = None
        excess = len(follower.subjects) - self._most
        if excess > 0:
            self._meters.interest_dropped.inc(excess)
            self.unfollow(follower, [subject for subject, _ in zip(follower.subjects, range(excess), strict=False)])
        follower.wake.set()
        self._meters.interest.set(self._followed)

    def unfollow(self, follower: Follower, subjects: Iterable[SubjectId]) -> None:
        """Tell no more of these subjects."""
        for subject in subjects:
            if subject not in follower.subjects:
                continue
            self._followed -= 1
            del follower.subjects[subject]
            follower.news.pop(subject, None)
            followers = self._followers[subject]
            followers.pop(follower, None)
            if not followers:
                del self._followers[subject]
        self._meters.interest.set(self._followed)

    def changed(self, subjects: Iterable[SubjectId]) -> None:
        """Mark news for everybody who follows."""
        for subject in subjects:
            for follower in self._followers.get(subject, ()):
                follower.news[subject] = None
                follower.wake.set()
