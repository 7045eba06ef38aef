"""Whose profile goes when the cache is full: of a sample of visitors those who were not here for the longest.

Exact order of use would take a write at every read. Keys are hashes, so whoever follows a random one is a random
sample; of `SAMPLED` times as many as must go, those with the oldest minute go. Where at most half of all rows are in
use, fewer than n of 5 n sampled rows are out of use with probability at most exp(-2 * 5 n * 0.3^2) (Hoeffding 1963,
theorem 1): 10^-25 for the usual n = 64. The idea is Redis's (redis.io/docs/reference/eviction, "approximated LRU").

Who has stated anything keeps that: statements are not evicted, and take about a hundred bytes. The hub, where there is
one, is told whom it need not follow any more.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

import lmdb

from edge.profiles.cache_file import CacheFile, Txn
from edge.profiles.rows import ProfileRows, is_whole_row, last_use

EVICTED_AT_ONCE: Final = 64
"""In a full map a transaction must stay small: every change takes new pages before it frees old ones."""
SAMPLED: Final = 5
MOST_ASKED: Final = 100_000
"""Subjects that wait to be told to the hub, of each kind. Who does not fit is asked for when he comes back."""


def evict(file: CacheFile, rows: ProfileRows, *, has_hub: bool) -> int:
    """Drop some profiles, and say how many; 0 when there is none, or not even room to drop one."""
    for most in (EVICTED_AT_ONCE, EVICTED_AT_ONCE // 8, 1):
        with contextlib.suppress(lmdb.MapFullError), file.env.begin(write=True) as txn:
            oldest = sorted(_sample(txn, file, SAMPLED * most))[:most]
            for _, key, is_whole in oldest:
                rows.drop(txn, key)
                if has_hub and is_whole:
                    _tell(txn, file, key)
            return len(oldest)
    return 0


def _sample(txn: Txn, file: CacheFile, most: int) -> list[tuple[int, bytes, bool]]:
    """Minute of the last use, key, and whether it is more than a begin, from a random place on and around the end."""
    cursor = txn.cursor(db=file.db["profiles"])
    start = os.urandom(16)
    found: dict[bytes, tuple[int, bytes, bool]] = {}
    there = cursor.set_range(start) or cursor.first()
    while there and len(found) < most and cursor.key() not in found:
        row = cursor.value()
        found[cursor.key()] = last_use(row, 0), cursor.key(), is_whole_row(row)
        there = cursor.next() or cursor.first()
    return list(found.values())


def _tell(txn: Txn, file: CacheFile, key: bytes) -> None:
    """Let the hub know, unless it is to be asked about him anyhow, or must go on telling what he states elsewhere."""
    known = any(txn.get(key, db=file.db[name]) is not None for name in ("preferences", "wanted"))
    if not known and txn.stat(file.db["evicted"])["entries"] < MOST_ASKED:
        txn.put(key, b"", db=file.db["evicted"])
