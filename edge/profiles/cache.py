"""The node's profile cache: what the hub knows of a visitor, and what happened here that the hub's word misses.

    profile = last snapshot + local records that the snapshot does not contain, each applied once

A click is committed here before it is acknowledged, so the next request on any worker of the node reads it. The hub's
snapshot then replaces the base: records that it contains are forgotten, the rest is applied to it again. Preferences
are kept apart (`edge.profiles.statements`), because they are read first and decide whether the profile may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from edge.profiles.cache_file import REBUILT, UNRECALLED, CacheFile, Txn, bytes_of, keys_after
from edge.profiles.eviction import MOST_ASKED, evict
from edge.profiles.forgetting import (
    ERASED_THROUGH,
    UNSCRUBBED,
    Confirmed,
    Unstored,
    cleanse,
    erased_through,
    scrub,
)
from edge.profiles.promised import PromisedCodes
from edge.profiles.reading import Reading
from edge.profiles.recent import RecentDecisions
from edge.profiles.rows import (
    MAX_PENDING,
    ProfileRow,
    ProfileRows,
    is_whole_row,
)
from edge.profiles.statements import Statements
from edgewise.clock import Clock, SystemClock
from edgewise.ids import Producer, SubjectId
from edgewise.profile.preferences import Preferences, decode_preferences
from edgewise.profile.reduce import apply, touches_profile
from edgewise.profile.state import Profile, copy_profile, decode_profile
from edgewise.records import ANONYMOUS, DecisionRecord, EventRecord, PreferenceRecord

MAP_BYTES: Final = 1 << 30
LIVE_SHARE: Final = 0.6
"""Of the map. Above, profiles are evicted: every change takes new pages before it frees old ones, and a reader that
looks for long keeps freed ones from being used."""
CHECKED_EVERY: Final = 64
"""Changes between two looks at that share."""
MINUTE_MS: Final = 60_000
USE_MINUTES: Final = 10
"""A visitor's last use is written down again after so long."""
MOST_USES: Final = 20_000
"""Visitors whose use waits to be written down; who does not fit is noted when he comes again."""
RECALLED_AT_ONCE: Final = 200
CLEANSED_AFTER_MS: Final = 1_500
"""By then every process of the node has overwritten its buffers: they look four times a second."""

T = TypeVar("T")


class ProfileCache:
    """Shared by all processes of a node; each opens it once, after it was spawned."""

    def __init__(
        self, file: CacheFile, *, most_pending: int = MAX_PENDING, has_hub: bool = True, clock: Clock | None = None
    ) -> None:
        self.file = file
        self._db = file.db
        self._rows = ProfileRows(file.db, most_pending=most_pending)
        self._statements = Statements(file.db)
        self._has_hub = has_hub
        self._clock = SystemClock() if clock is None else clock
        self._uses: dict[SubjectId, None] = {}
        self._changes = 0
        self._cleansed = b""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        map_bytes: int = MAP_BYTES,
        most_pending: int = MAX_PENDING,
        has_hub: bool = True,
        clock: Clock | None = None,
    ) -> Self:
        """Open the cache in the folder `path`, or make it; the first process to open it chooses the map's size.

        Without a hub nobody is there to be asked for profiles, or told that one was evicted.

        Raises:
            UnavailableError: it cannot be opened, or this process has it open already.
        """
        file = CacheFile(path, map_bytes=map_bytes)
        return cls(file, most_pending=most_pending, has_hub=has_hub, clock=clock)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    # --- reading ------------------------------------------------------------------------------------------------------
    def reading(self) -> Reading:
        """A look at the cache; use it in a `with`."""
        return Reading(self.file, self._used)

    def preferences(self, subject: SubjectId) -> Preferences:
        """As `Reading.preferences`, in a transaction of its own."""
        with self.reading() as reading:
            return reading.preferences(subject)

    def profile(self, subject: SubjectId) -> Profile | None:
        """As `Reading.profile`, in a transaction of its own."""
        with self.reading() as reading:
            return reading.profile(subject)

    def subjects(self) -> Iterator[SubjectId]:
        """All that is cached, in short transactions: what the node tells the hub after a reconnect.

        Raises:
            CacheError: as `apply`.
        """
        for name in ("profiles", "preferences"):
            after = b""
            while True:
                with self.file.asked(), self.file.env.begin() as txn:
                    keys = keys_after(txn, self._db[name], after, most=1_000)
                    # Who has a profile is named in the first round; who has but begun here is not followed yet.
                    fresh = [key for key in keys if self._is_followed(txn, key) is (name == "profiles")]
                yield from (SubjectId(key.hex()) for key in fresh)
                if not keys:
                    break
                after = keys[-1]

    def _is_followed(self, txn: Txn, key: bytes) -> bool:
        return is_whole_row(txn.get(key, db=self._db["profiles"]) or b"")

    def figures(self) -> tuple[int, int]:
        """Profiles cached, and bytes of their pages."""
        with self.file.env.begin() as txn:
            stat = txn.stat(self._db["profiles"])
        return stat["entries"], bytes_of(stat)

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
            self.want_in(txn, [subject])
        for record in touching:
            if apply(row.profile, record):
                self._rows.add_pending(txn, key, row, record)
        self._rows.put(txn, key, row, self._minute())

    def begin(self, subject: SubjectId) -> None:
        """A visitor begins here, under an id that was made a moment ago: nobody can know more of him than this node.

        Only the minute is written, which is no row to be read: so the hub is asked once he comes back, and is not
        troubled for those who never do.

        Raises:
            CacheError: as `apply`.
        """
        self.write(lambda txn: self._rows.begin(txn, bytes.fromhex(subject), self._minute()))

    def state(self, subject: SubjectId, record: PreferenceRecord) -> None:
        """Let a visitor's statement hold from the next request on, on every worker.

        Raises:
            CacheError: as `apply`; then it must not be acknowledged.
        """
        self.write(lambda txn: self._statements.state(txn, bytes.fromhex(subject), record))

    # --- what the hub says --------------------------------------------------------------------------------------------
    def snapshot(
        self, subject: SubjectId, profile_bytes: bytes, preferences_bytes: bytes, *, is_asked: bool = True
    ) -> bool:
        """Take over the hub's word; False when the profile must wait until the hub knows more of what happened here.

        What was not asked for is news of somebody who is cached. Who was evicted while it was on its way is not cached
        again by it: the hub will have been told that it need not follow him any more.

        Preferences are taken in any case: the hub's word replaces its last one, under what was stated here and it does
        not contain yet.

        Raises:
            msgspec.DecodeError: the bytes are no profile or preferences; nothing was changed.
            CacheError: as `apply`.
        """
        base = decode_profile(profile_bytes)
        stated = decode_preferences(preferences_bytes)
        return self.write(lambda txn: self._take(txn, bytes.fromhex(subject), base, stated, is_asked))

    def _take(self, txn: Txn, key: bytes, base: Profile, stated: Preferences, is_asked: bool) -> bool:  # noqa: FBT001
        row = self._rows.get(txn, key)
        if row is None and not is_asked and not self._statements.holds(txn, key):
            return False
        self._statements.take(txn, key, stated)
        if row is None and not is_asked:
            return False
        if row is not None and any(base.applied.get(producer, -1) < seq for producer, seq in row.given_up.items()):
            return False
        # On a copy: the transaction may have to be run again from the start.
        taken = ProfileRow(profile=copy_profile(base))
        for pending_key, record in self._rows.pending_of(txn, key):
            if apply(taken.profile, record):
                taken.pending += 1
            else:
                txn.delete(pending_key, db=self._db["pending"])
        self._rows.put(txn, key, taken, self._minute(), is_use=False)
        return True

    def unknown(self, subject: SubjectId) -> None:
        """The hub knows nothing of this subject: remember that, so that it is not asked again."""

        def change(txn: Txn) -> None:
            key = bytes.fromhex(subject)
            if self._rows.get(txn, key) is None:
                self._rows.put(txn, key, ProfileRow(), self._minute(), is_use=False)

        self.write(change)

    def erase(self, subject: SubjectId, *, until_ms: int = 0, stored: Mapping[Producer, int] | None = None) -> None:
        """Forget a subject: profile, preferences, decisions, and all that waits for a snapshot.

        `until_ms`: where all of it is later, the visitor has come back and keeps it, but for decisions of before, and
        in any case what he has stated later; 0: everything goes.

        `stored`: the hub holds nothing of him, and has stored each producer of this node so far. Then its word goes
        whenever it was about, because the clock of the node may have been ahead; what stays is later, and not stored.

        Raises:
            CacheError: as `apply`; nothing was forgotten.
        """

        def change(txn: Txn) -> None:
            key = bytes.fromhex(subject)
            if until_ms and stored is None and self._is_later(txn, key, until_ms):
                known = [RecentDecisions(self.file).forget(txn, subject, Unstored(until_ms, {}))]
            else:
                left = Unstored(until_ms, stored) if until_ms and stored is not None else None
                known = [
                    self._rows.forget(txn, key, self._minute(), left),
                    self._statements.forget(txn, key, until_ms or None, stored),
                ]
                for name in ("wanted", "evicted"):
                    txn.delete(key, db=self._db[name])
                known.append(RecentDecisions(self.file).forget(txn, subject, left))
                known.append(PromisedCodes(self.file).forget(txn, subject))
            if any(known):
                txn.put(UNSCRUBBED, self._clock.now_ms().to_bytes(8), db=self._db["marks"])

        self.write(change)

    def _is_later(self, txn: Txn, key: bytes, until_ms: int) -> bool:
        return self._rows.is_later(txn, key, until_ms) and self._statements.are_later(txn, key, until_ms)

    def cleanse(self) -> None:
        """Overwrite what this process's memory has of who was forgotten since the last call; to be called often.

        Raises:
            CacheError: as `apply`.
        """
        unscrubbed = self._mark(UNSCRUBBED)
        if unscrubbed is not None and unscrubbed != self._cleansed:
            cleanse(self.file)
            self._cleansed = unscrubbed

    def scrub(self) -> bool:
        """Overwrite what the file has of who was forgotten, once all processes have cleansed; True: nothing is left.

        To be called now and then by one process.

        Raises:
            CacheError: as `apply`.
        """
        unscrubbed = self._mark(UNSCRUBBED)
        if unscrubbed is None:
            return True
        if 0 <= self._clock.now_ms() - int.from_bytes(unscrubbed) < CLEANSED_AFTER_MS:
            return False
        scrub(self.file)

        def finish(txn: Txn) -> bool:
            is_last = txn.get(UNSCRUBBED, db=self._db["marks"]) == unscrubbed
            if is_last:
                txn.delete(UNSCRUBBED, db=self._db["marks"])
            return is_last

        return self.write(finish)

    def confirm(self, done: Confirmed) -> None:
        """Remember how far the hub's erasures were carried out.

        Raises:
            CacheError: as `apply`.
        """
        self.write(lambda txn: txn.put(ERASED_THROUGH, msgspec.msgpack.encode(done), db=self._db["marks"]))

    def erased_through(self) -> Confirmed:
        """How far the hub's erasures were carried out here.

        Raises:
            CacheError: as `apply`.
        """
        with self.file.asked(), self.file.env.begin() as txn:
            return erased_through(txn, self._db["marks"])

    def _mark(self, mark: bytes) -> bytes | None:
        with self.file.asked(), self.file.env.begin() as txn:
            return txn.get(mark, db=self._db["marks"])

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
        """As `want`, as a part of the caller's transaction. Who does not fit any more is wanted when he comes again."""
        if not self._has_hub:
            return
        room = MOST_ASKED - txn.stat(self._db["wanted"])["entries"]
        for subject, _ in zip(subjects, range(max(0, room)), strict=False):
            key = bytes.fromhex(subject)
            txn.put(key, b"", db=self._db["wanted"])
            txn.delete(key, db=self._db["evicted"])

    def take_wanted(self, most: int = 1_000) -> list[SubjectId]:
        """Subjects that were wanted since the last call, at most `most`; for the agent."""
        return self._take_all("wanted", most)

    def take_evicted(self, most: int = 1_000) -> list[SubjectId]:
        """Subjects that were evicted since the last call and not wanted again, at most `most`; for the agent."""
        return self._take_all("evicted", most)

    def _take_all(self, name: str, most: int) -> list[SubjectId]:
        def change(txn: Txn) -> list[SubjectId]:
            keys = keys_after(txn, self._db[name], b"", most=most)
            for key in keys:
                txn.delete(key, db=self._db[name])
            return [SubjectId(key.hex()) for key in keys]

        with self.file.asked(), self.file.env.begin() as txn:
            if not txn.stat(self._db[name])["entries"]:
                return []
        return self.write(change)

    # --- use ----------------------------------------------------------------------------------------------------------
    def _minute(self) -> int:
        return self._clock.now_ms() // MINUTE_MS

    def _used(self, subject: SubjectId, minute: int) -> None:
        if self._minute() - minute >= USE_MINUTES and len(self._uses) < MOST_USES:
            self._uses[subject] = None

    @property
    def has_uses(self) -> bool:
        """Whether somebody's use waits for `stamp_in`."""
        return bool(self._uses)

    def stamp_in(self, txn: Txn) -> None:
        """Write down who was here; to be called now and then, in a transaction whose commit `forget_uses` follows."""
        for subject in self._uses:
            self._rows.stamp(txn, bytes.fromhex(subject), self._minute())

    def forget_uses(self) -> None:
        """What `stamp_in` has written is committed."""
        self._uses = {}

    # --- after the file was lost --------------------------------------------------------------------------------------
    def is_unrecalled(self) -> bool:
        """Whether the file is a new one, and what the spool knows of statements is to be taken in by `recall`."""
        with self.reading() as reading:
            return reading.has_mark(UNRECALLED)

    def recall(self, statements: Iterable[PreferenceRecord], *, is_all: bool) -> None:
        """Take statements in again that were read back from elsewhere; doing so twice changes nothing.

        `is_all`: nobody has ever stated anything else, so that who is not among them is no unknown any more.

        Raises:
            CacheError: as `apply`; what was taken in stays.
        """
        part: list[PreferenceRecord] = []

        def take(txn: Txn) -> None:
            for record in part:
                self._statements.state(txn, bytes.fromhex(record.subject), record)

        for record in statements:
            part.append(record)
            if len(part) == RECALLED_AT_ONCE:
                self.write(take)
                part.clear()
        self.write(take)

        def finish(txn: Txn) -> None:
            for mark in (UNRECALLED, REBUILT) if is_all else (UNRECALLED,):
                txn.delete(mark, db=self._db["marks"])

        self.write(finish)

    # --- transactions -------------------------------------------------------------------------------------------------
    def write(self, change: Callable[[Txn], T]) -> T:
        """Run `change` in one write transaction; again from the start after room was made in a full map.

        Raises:
            CacheError: no room can be made, or the file is damaged.
        """
        self._changes += 1
        if self._changes % CHECKED_EVERY == 0:
            self._keep_to_share()
        return self.file.write(change, self._evict)

    def _keep_to_share(self) -> None:
        with self.file.asked():
            while self.file.live_share() > LIVE_SHARE and self._evict():
                pass

    def _evict(self) -> int:
        return evict(self.file, self._rows, has_hub=self._has_hub)
