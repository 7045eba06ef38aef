"""One consistent look at the profile cache: what a visitor has stated, then who he is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from edge.profiles.cache_file import REBUILT, UNRECALLED, CacheFile, Txn
from edge.profiles.rows import is_whole_row, last_use, profile_of, without_checksum
from edgewise.ids import SubjectId
from edgewise.profile.preferences import Preferences, decode_preferences
from edgewise.profile.state import Profile


class Reading:
    """To be closed soon: an open one keeps old pages from being used again."""

    def __init__(self, file: CacheFile, used: Callable[[SubjectId, int], None]) -> None:
        """`used` is told whose profile was read, and the minute of his last use as it is stored."""
        self._file = file
        self._used = used
        self._txn: Txn = file.env.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is not None:
            self._file.note(error)
        self._txn.abort()

    def preferences(self, subject: SubjectId) -> Preferences:
        """What the visitor has stated; the defaults where nothing is known.

        Raises:
            ValueError: what is stored cannot be read. Then nothing is known, and nothing may be granted.
        """
        found = self._txn.get(bytes.fromhex(subject), db=self._file.db["preferences"])
        return Preferences() if found is None else decode_preferences(without_checksum(found))

    def profile(self, subject: SubjectId) -> Profile | None:
        """The visitor's profile, the caller's to keep; None when nothing readable is cached: it should be wanted."""
        found = self._row(subject)
        if found is None:
            return None
        try:
            profile = profile_of(found)
        except (ValueError, struct.error):
            return None
        self._used(subject, last_use(found, 0))
        return profile

    def is_cached(self, subject: SubjectId) -> bool:
        """Whether the visitor has a row here, if only that he began here (`ProfileCache.begin`)."""
        return self._row(subject) is not None

    def is_followed(self, subject: SubjectId) -> bool:
        """Whether the hub was asked about the visitor, and tells of every change: his row is no mere begin."""
        return is_whole_row(self._row(subject) or b"")

    def consent_is_unknown(self, subject: SubjectId) -> bool:
        """Whether this cache was made anew and has not heard of the visitor since.

        He may have opted out before, so he is treated as if he had until the hub has answered.
        """
        if not (self.has_mark(REBUILT) or self.has_mark(UNRECALLED)):
            return False
        key = bytes.fromhex(subject)
        return all(self._txn.get(key, db=self._file.db[name]) is None for name in ("preferences", "profiles"))

    def has_mark(self, mark: bytes) -> bool:
        """Whether the file carries a mark (`edge.profiles.cache_file`)."""
        return self._txn.get(mark, db=self._file.db["marks"]) is not None

    def _row(self, subject: SubjectId) -> bytes | None:
        return self._txn.get(bytes.fromhex(subject), db=self._file.db["profiles"])
