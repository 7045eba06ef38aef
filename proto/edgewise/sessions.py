"""Session nearest neighbours: visits of others that share the visitor's last clicks say what comes next.

VMIS-kNN (Kersbergen, Sprangers, Schelter 2022, "Serenade - Low-Latency Session-Based Recommendation in e-Commerce at
Scale", SIGMOD; after Ludewig & Jannach 2018). The last n items are walked from the newest to the oldest, each item
once; the one that lies b steps back adds (n - b) / n to each of the m most recent sequences that hold it. Of all that
were met the m most recent stay, and of these the k best speak, the more recent first among equals. A neighbour speaks
for each of its items with

    similarity x (1 - 0.1 x steps back to the newest item that it shares) x ln(sequences / sequences with the item)

Sums run in one defined order, so that a replay finds the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.sessions import Sessions, Walk
from edgewise.ids import ItemId
from edgewise.profile.state import Profile

_FADES: Final = 0.1
"""For each step back to the newest shared item."""
MINUTE_MS: Final = 60_000

Codes = NDArray[np.intp]
Scores = NDArray[np.float64]


class Heard(NamedTuple):
    """What the neighbours of a visit say. Codes are the sessions' own."""

    codes: Codes
    """Items that a neighbour holds, rising: the most recently touched first."""
    scores: Scores
    """Of each of them."""
    entries: Codes
    """Items of all neighbours, one neighbour behind the other, shape (entries,)."""
    loudness: Scores
    """How loud the neighbour is that an entry belongs to."""
    steps_back: Codes
    """How far back the newest item lies that this neighbour shares with the visitor."""


SILENCE: Final = Heard(np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.intp))
"""There is no visit, or nobody like it."""


class SessionIndex:
    """Sequences by their items, ready to be walked from a visit. Immutable, so that threads may share it."""

    __slots__ = ("_begins", "_holders", "_indptr", "_members", "_weights", "code_of", "size", "walk")

    def __init__(self, sessions: Sessions) -> None:
        """Keeps the `most_recent` sequences of each item."""
        self.size = len(sessions.items)
        self.code_of = sessions.code_of
        self.walk = sessions.walk
        self._weights = sessions.weights.astype(np.float64)
        self._members: Codes = sessions.members.astype(np.intp)
        self._indptr: Codes = sessions.indptr.astype(np.intp)
        sequence = np.arange(len(self._indptr) - 1).repeat(np.diff(self._indptr))
        by_item = self._members.argsort(kind="stable")
        # A stable sort leaves the sequences of an item in their order: the most recent first.
        self._holders: Codes = sequence[by_item]
        self._begins: Codes = self._members[by_item].searchsorted(np.arange(self.size + 1))

    def hear(self, latest: Sequence[ItemId]) -> Heard:
        """What is likely to come next. `latest` are items of one visit, latest first; only `walk.last` count.

        The item that the visitor is at is left out of the answer.
        """
        walk, begins = self.walk, self._begins
        latest = latest[: walk.last]
        found: list[Codes] = []
        backs: list[int] = []
        for steps_back, item in enumerate(latest):
            code = self.code_of.get(item)
            if code is not None and item not in latest[:steps_back]:
                found.append(self._holders[begins[code] : begins[code + 1]][: walk.most_recent])
                backs.append(steps_back)
        lengths = [len(holders) for holders in found]
        if not any(lengths):
            return SILENCE
        steps = np.array(backs, np.intp).repeat(lengths)
        met, first, place = np.unique(np.concatenate(found), return_index=True, return_inverse=True)
        similarity = np.bincount(place, (len(latest) - steps) / len(latest))[: walk.most_recent]
        nearest = (-similarity).argsort(kind="stable")[: walk.neighbours]
        # The newest shared item comes first in `found`, and so does its entry.
        back: Codes = steps[first[nearest]]
        loudness = (similarity[nearest] * (1.0 - _FADES * back)).astype(np.float64)
        return self._said(met[nearest], loudness, back, self.code_of.get(latest[0]))

    def _said(self, neighbours: Codes, loudness: Scores, back: Codes, current: int | None) -> Heard:
        starts = self._indptr[neighbours]
        lengths = self._indptr[neighbours + 1] - starts
        ends = lengths.cumsum()
        entries = self._members[(starts - ends + lengths).repeat(lengths) + np.arange(int(ends[-1]))]
        each = loudness.repeat(lengths)
        codes, place = np.unique(entries, return_inverse=True)
        scores = np.bincount(place, each) * self._weights[codes]
        if current is not None:
            is_other = codes != current
            codes, scores = codes[is_other], scores[is_other]
        return Heard(codes, scores, entries, each, back.repeat(lengths))


def scores_of(heard: Heard, codes: Codes) -> Scores:
    """The scores of some items by their codes, 0 for those that no neighbour holds; shape (n,)."""
    if not len(heard.codes):
        return np.zeros(len(codes))
    places = heard.codes.searchsorted(codes).clip(max=len(heard.codes) - 1)
    return np.where(heard.codes[places] == codes, heard.scores[places], 0.0)


def steps_to_speaker(heard: Heard, code: int) -> int | None:
    """How far back the item lies that speaks for `code`: the newest that its loudest neighbour shares.

    None where no neighbour holds it, or none says anything.
    """
    places = (heard.entries == code).nonzero()[0]
    if not len(places):
        return None
    best = places[heard.loudness[places].argmax()]
    return int(heard.steps_back[best]) if heard.loudness[best] > 0 else None


def visit_of(history: Sequence[ItemId], profile: Profile, walk: Walk) -> list[ItemId]:
    """The items of the visitor's latest visit, latest first, at most as many as count.

    `history` are items of the profile, latest first. A visit that is over still says what he came for, so that it is
    counted from its last touch and not from now.
    """
    pause_ms = walk.pause_minutes * MINUTE_MS
    visit: list[ItemId] = []
    for item in history[: walk.last]:
        if visit and profile.items[visit[-1]].time_ms - profile.items[item].time_ms >= pause_ms:
            break
        visit.append(item)
    return visit
