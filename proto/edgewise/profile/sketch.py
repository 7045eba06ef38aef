"""Bounded choices that only depend on the set of what was seen: those with the smallest hash.

Keeping the latest or the heaviest keys instead would lose what an evicted key had counted, so that the result would
depend on the order of arrival. The k smallest of n hashes also tell n: a KMV sketch (Bar-Yossef et al., "Counting
distinct elements in a data stream", 2002), read by the unbiased estimator of Beyer et al. ("On synopses for
distinct-value estimation under multiset operations", SIGMOD 2007). Its standard error is about 1 / sqrt(k - 2).
HyperLogLog is smaller for the same error, but no library's bytes are canonical, and it is not exact below its size.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

SKETCH_SIZE: Final = 256
"""Hashes that a sketch of its own keeps: a standard error of 6 %."""
_HASHES: Final = 2**64

Sketch = list[int]
"""Different 64-bit hashes, sorted; the SKETCH_SIZE smallest of all."""


@functools.lru_cache(1 << 14)
def hash64(text: str) -> int:
    """64 bits of BLAKE2b, equal everywhere. Remembered: who is asked for one is soon asked again."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _rank(key: str) -> tuple[int, str]:
    return hash64(key), key


def smallest_hashes(keys: Iterable[str], most: int) -> list[str]:
    """The `most` keys with the smallest hash, smallest first."""
    return sorted(keys, key=_rank)[:most]


def has_place(bars: dict[str, str], name: str, kept: dict[str, Any], key: str, most: int) -> bool:
    """Whether a new `key` is among the `most` keys of `kept` with the smallest hash; the one it displaces is dropped.

    `bars[name]` is the kept key with the largest hash, and is there if and only if `kept` is full. So what has no
    place costs one hash, and not a look at all that is kept. The caller puts the key in.
    """
    bar = bars.get(name)
    if bar is None:
        if len(kept) + 1 >= most:
            bars[name] = max([*kept, key], key=_rank)
        return True
    if _rank(key) > _rank(bar):
        return False
    del kept[bar]
    bars[name] = max([*kept, key], key=_rank)
    return True


def keep_smallest(bars: dict[str, str], name: str, kept: dict[str, Any], most: int) -> None:
    """Bring a union of two sides, or an older format, back to its bound; in place."""
    if len(kept) < most:
        return
    ranked = sorted(kept, key=_rank)
    for key in ranked[most:]:
        del kept[key]
    bars[name] = ranked[most - 1]


def distinct_keys(kept: Mapping[str, Any], bar: str | None, most: int) -> float:
    """How many different keys there ever were: exact below `most`, estimated by the smallest hashes from there on."""
    return float(len(kept)) if bar is None else (most - 1) * _HASHES / max(1, hash64(bar))


def add_hash(sketch: Sketch, hashed: int, most: int = SKETCH_SIZE) -> None:
    """Count one hash; in place. To count it again changes nothing."""
    if len(sketch) >= most and hashed >= sketch[-1]:
        return
    position = bisect.bisect_left(sketch, hashed)
    if position == len(sketch) or sketch[position] != hashed:
        sketch.insert(position, hashed)
        del sketch[most:]


def estimate(sketch: Sketch, most: int = SKETCH_SIZE) -> float:
    """How many different hashes were counted: exact below `most`."""
    return float(len(sketch)) if len(sketch) < most else (most - 1) * _HASHES / max(1, sketch[-1])
