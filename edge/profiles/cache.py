"""The node's profile cache: what the hub knows of a visitor, and what happened here that the hub's word misses.

    profile = last snapshot + local records that the snapshot does not contain, each applied once

A click is committed here before it is acknowledged, so the next request on any worker of the node reads it. The hub's
snapshot then replaces the base: records that it contains are forgotten, the rest is applied to it again. Preferences
are kept apart, because they are read first and decide whether the profile may be read at all.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import lmdb

from edge.profiles.cache_file import REBUILT, CacheFile, Txn, keys_after
from edge.profiles.recent import RecentDecisions
from edge.profiles.rows import MAX_PENDING, ProfileRow, ProfileRows, profile_of
from edgewise.ids import SubjectId
from edgewise.profile.preferences import (
    Preferences,
    decode_preferences,
    encode_preferences,
    merge_preferences,
    state,
)
from edgewise.profile.reduce import apply, touches_profile
from edgewise.profile.state import Profile, copy_profile, decode_profile
from edgewise.records import ANONYMOUS, DecisionRecord, EventRecord, PreferenceRecord

MAP_BYTES: Final = 1 << 30
LIVE_SHARE: Final = 0.6
"""Of the map. Above, profiles are evicted: every change takes new pages before it frees old ones, and a reader that
looks for long keeps freed ones from being used."""
CHECKED_EVERY: Final = 64
"""Changes between two looks at that share."""
EVICTED_AT_ONCE: Final = 64
"""For the same reason, a transaction in a full map must stay small."""

T = TypeVar("T")


class Reading:
    """One consistent look at the cache, to be closed soon: an open one keeps old pages from being used again."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._txn: Txn = file.env.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._txn.abort()

    def preferences(self, subject: SubjectId) -> Preferences:
        """What the visitor has stated; the defaults where nothing is known.

        Raises:
            ValueError: what is stored cannot be read. Then nothing is known, and nothing may be granted.
        """
        found = self._txn.get(bytes.fromhex(subject), db=self._file.db["preferences"])
        return Preferences() if found is None else decode_preferences(found)

    def profile(self, subject: SubjectId) -> Profile | None:
        """The visitor's profile, the caller's to keep; None when nothing readable is cached: it should be wanted."""
        found = self._txn.get(bytes.fromhex(subject), db=self._file.db["profiles"])
        if found is None:
            return None
        try:
            return profile_of(found)
        except (ValueError, struct.error):
            return None

    def is_cached(self, subject: SubjectId) -> bool:
        """Whether the visitor has a row here, if only that he began here (`ProfileCache.begin`)."""
        return self._txn.get(bytes.fromhex(subject), db=self._file.db["profiles"]) is not None

    def is_followed(self, subject: SubjectId) -> bool:
        """Whether the hub was asked about the visitor, and tells of every change: his row is no mere begin."""
        return bool(self._txn.get(bytes.fromhex(subject), db=self._file.db["profiles"]))

    def consent_is_unknown(self, subject: SubjectId) -> bool:
        """Whether this cache was rebuilt and has not heard of the visitor since.

        He may have opted out before, so he is treated as if he had until the hub has answered.
        """
        if self._txn.get(REBUILT, db=self._file.db["marks"]) is None:
            return False
        key = bytes.fromhex(subject)
        return all(self._txn.get(key, db=self._file.db[name]) is None for name in ("preferences", "profiles"))


class ProfileCache:
    """Shared by all processes of a node; each opens it once, after it was spawned."""

    def __init__(self, file: CacheFile, *, most_pending: int = MAX_PENDING) -> None:
        self.file = file
        self._db = file.db
        self._rows = ProfileRows(file.db, most_pending=most_pending)
        self._changes = 0

    @classmethod
    def open(cls, path: Path, *, map_bytes: int = MAP_BYTES, most_pending: int = MAX_PENDING) -> Self:
        """Open the cache in the folder `path`, or make it; the first process to open it chooses the map's size.

        Raises:
            UnavailableError: it cannot be opened, or this process has it open already.
        """
        return cls(CacheFile(path, map_bytes=map_bytes), most_pending=most_pending)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    # --- reading ------------------------------------------------------------------------------------------------------
    def reading(self) -> Reading:
        """A look at the cache; use it in a `with`."""
        return Reading(self.file)

    def preferences(self, subject: SubjectId) -> Preferences:
        """As `Reading.preferences`, in a transaction of its own."""
        with self.reading() as reading:
            return reading.preferences(subject)

    def profile(self, subject: SubjectId) -> Profile | None:
        """As `Reading.profile`, in a transaction of its own."""
        with self.reading() as reading:
            return reading.profile(subject)

    def subjects(self) -> Iterator[SubjectId]:
        """All that is cached, in short transactions: what the node tells the hub after a reconnect."""
        for name in ("profiles", "preferences"):
            after = b""
            while True:
                with self.file.env.begin() as txn:
                    keys = keys_after(txn, self._db[name], after, most=1_000)
                    # Who has a profile is named in the first round; who has but begun here is not followed yet.
                    fresh = [key for key in keys if bool(txn.get(key, db=self._db["profiles"])) is (name == "profiles")]
                yield from (SubjectId(key.hex()) for key in fresh)
                if not keys:
                    break
                after = keys[-1]

    def figures(self) -> tuple[int, int]:
        """Profiles cached, and bytes of their pages."""
        with self.file.env.begin() as txn:
            stat = txn.stat(self._db["profiles"])
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return stat["entries"], pages * stat["psize"]

    # --- what happens here --------------------------------------------------------------------------------------------
    def apply(self, subject: SubjectId, records: Sequence[EventRecord | DecisionRecord]) -> None:
        """Fold records into a profile, in one transaction. What may not be tied to a person is passed over.

        Raises:
            CacheError: the map is full, or damaged. The records are in the spool and come back by the hub.
        """
        self.write(lambda txn: self.apply_in(txn, subject, records))

    def apply_in(self, txn: Txn, subject: SubjectId, records: Iterable[EventRecord | DecisionRecord]) -> None:
        """As `apply`, as a part of the caller's transaction."""
        touching = [record for record in records if touches_profile(record)]
        if subject == ANONYMOUS or not touching:
            return
        key = bytes.fromhex(subject)
        row = self._rows.get(txn, key)
        if row is None:
            row = ProfileRow()
            txn.put(key, b"", db=self._db["wanted"])
        for record in touching:
            if apply(row.profile, record):
                self._rows.add_pending(txn, key, row, record)
        self._rows.put(txn, key, row)

    def begin(self, subject: SubjectId) -> None:
        """A visitor begins here, under an id that was made a moment ago: nobody can know more of him than this node.

        An empty value is written, which is no row to be read: so the hub is asked once he comes back, and is not
        troubled for those who never do.

        Raises:
            CacheError: as `apply`.
        """
        self.write(lambda txn: txn.put(bytes.fromhex(subject), b"", db=self._db["profiles"], overwrite=False))

    def state(self, subject: SubjectId, record: PreferenceRecord) -> None:
        """Let a visitor's statement hold from the next request on, on every worker.

        Raises:
            CacheError: as `apply`; then it must not be acknowledged.
        """

        def change(txn: Txn) -> None:
            key = bytes.fromhex(subject)
            preferences = self._stated(txn, key) or Preferences()
            state(preferences, record)
            txn.put(key, encode_preferences(preferences), db=self._db["preferences"])

        self.write(change)

    # --- what the hub says --------------------------------------------------------------------------------------------
    def snapshot(self, subject: SubjectId, profile_bytes: bytes, preferences_bytes: bytes) -> bool:
        """Take over the hub's word; False when the profile must wait until the hub knows more of what happened here.

        Preferences are merged in any case: the latest statement holds, whoever heard it.

        Raises:
            msgspec.DecodeError: the bytes are no profile or preferences; nothing was changed.
            CacheError: as `apply`.
        """
        base = decode_profile(profile_bytes)
        stated = decode_preferences(preferences_bytes)
        return self.write(lambda txn: self._take(txn, bytes.fromhex(subject), base, stated))

    def _take(self, txn: Txn, key: bytes, base: Profile, stated: Preferences) -> bool:
        known = self._stated(txn, key)
        if known is not None:
            stated = merge_preferences(known, stated)
        txn.put(key, encode_preferences(stated), db=self._db["preferences"])
        row = self._rows.get(txn, key)
        if row is not None and any(base.applied.get(producer, -1) < seq for producer, seq in row.given_up.items()):
            return False
        # On a copy: the transaction may have to be run again from the start.
        taken = ProfileRow(profile=copy_profile(base))
        for pending_key, record in self._rows.pending_of(txn, key):
            if apply(taken.profile, record):
                taken.pending += 1
            else:
                txn.delete(pending_key, db=self._db["pending"])
        self._rows.put(txn, key, taken)
        return True

    def _stated(self, txn: Txn, key: bytes) -> Preferences | None:
        """None where nothing is stored, or nothing that can be read: the hub, and the visitor, say it again."""
        found = txn.get(key, db=self._db["preferences"])
        try:
            return None if found is None else decode_preferences(found)
        except ValueError:
            return None

    def unknown(self, subject: SubjectId) -> None:
        """The hub knows nothing of this subject: remember that, so that it is not asked again."""

        def change(txn: Txn) -> None:
            key = bytes.fromhex(subject)
            if self._rows.get(txn, key) is None:
                self._rows.put(txn, key, ProfileRow())

        self.write(change)

    def erase(self, subject: SubjectId) -> None:
        """Forget a subject: profile, preferences, decisions, and all that waits for a snapshot."""

        def change(txn: Txn) -> None:
            key = bytes.fromhex(subject)
            self._rows.drop(txn, key)
            for name in ("preferences", "wanted"):
                txn.delete(key, db=self._db[name])
            RecentDecisions(self.file).forget(txn, subject)

        self.write(change)

    def clear(self) -> None:
        """Forget everything: the subjects' key has changed, so that nothing here belongs to anybody any more."""

        def change(txn: Txn) -> None:
            for database in self._db.values():
                txn.drop(database, delete=False)

        self.write(change)

    # --- what is asked of the hub -------------------------------------------------------------------------------------
    def want(self, subjects: Iterable[SubjectId]) -> None:
        """Ask the agent for profiles that are not cached."""
        self.write(lambda txn: self.want_in(txn, subjects))

    def want_in(self, txn: Txn, subjects: Iterable[SubjectId]) -> None:
        """As `want`, as a part of the caller's transaction."""
        for subject in subjects:
            txn.put(bytes.fromhex(subject), b"", db=self._db["wanted"])

    def take_wanted(self, most: int = 1_000) -> list[SubjectId]:
        """Subjects that were wanted since the last call, at most `most`; for the agent."""

        def change(txn: Txn) -> list[SubjectId]:
            keys = keys_after(txn, self._db["wanted"], b"", most=most)
            for key in keys:
                txn.delete(key, db=self._db["wanted"])
            return [SubjectId(key.hex()) for key in keys]

        with self.file.env.begin() as txn:
            if not txn.stat(self._db["wanted"])["entries"]:
                return []
        return self.write(change)

    # --- transactions -------------------------------------------------------------------------------------------------
    def write(self, change: Callable[[Txn], T]) -> T:
        """Run `change` in one write transaction; again from the start after room was made in a full map.

        Raises:
            CacheError: no room can be made, or the file is damaged.
        """
        self._changes += 1
        if self._changes % CHECKED_EVERY == 0:
            while self.file.live_share() > LIVE_SHARE and self._evict():
                pass
        return self.file.write(change, self._evict)

    def _evict(self) -> int:
        """Drop some profiles, and say how many.

        Keys are hashes, so whoever follows a random one is a random choice; who comes back is fetched again.
        """
        for most in (EVICTED_AT_ONCE, EVICTED_AT_ONCE // 8, 1):
            with contextlib.suppress(lmdb.MapFullError), self.file.env.begin(write=True) as txn:
                keys = keys_after(txn, self._db["profiles"], os.urandom(16), most=most)
                keys = keys or keys_after(txn, self._db["profiles"], b"", most=most)
                for key in keys:
                    self._rows.drop(txn, key)
                return len(keys)
        return 0
