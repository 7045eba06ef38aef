"""Latencies counted in HdrHistogram's buckets: any value to three digits, in memory that does not grow with requests.

The layout is that of Gil Tene's HdrHistogram (http://hdrhistogram.org) with unit 1 us and three significant digits:
2,048 buckets of one unit, then 1,024 buckets for each further power of two, so that a bucket is never wider than
1/1024 of its values. It is written here because the library of that name asks for setuptools and pbr at run time,
which an edge would have to carry; buckets are kept sparsely, so that one histogram a second costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

SUB_BITS: Final = 11
"""2**11 = 2,048 > 2 * 10**3, as three significant digits need."""
HALF_BITS: Final = SUB_BITS - 1


def bucket_of(value_us: int) -> int:
    """The bucket of a value of at least 0."""
    shift = value_us.bit_length() - SUB_BITS
    return value_us if shift <= 0 else (shift << HALF_BITS) + (value_us >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The least and the greatest value of a bucket, both included."""
    shift = (bucket >> HALF_BITS) - 1
    if shift <= 0:
        return bucket, bucket
    least = (bucket - (shift << HALF_BITS)) << shift
    return least, least + (1 << shift) - 1


class Percentile(NamedTuple):
    """One point of the curve: `share` of all values are at most `value_us`."""

    share: float
    value_us: int
    rank: int
    """How many values that are."""


class Histogram:
    """Counts of latencies in microseconds."""

    __slots__ = ("_counts", "_total_us", "count", "max_us")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total_us = 0
        self.count = 0
        self.max_us = 0
        """Exact."""

    def record(self, value_us: int) -> None:
        """Count one value; what is below 0 counts as 0."""
        value_us = max(value_us, 0)
        shift = value_us.bit_length() - SUB_BITS
        bucket = value_us if shift <= 0 else (shift << HALF_BITS) + (value_us >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._total_us += value_us
        self.count += 1
        self.max_us = max(self.max_us, value_us)

    def merge(self, other: Histogram) -> None:
        """Count everything that another has counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self._total_us += other._total_us
        self.count += other.count
        self.max_us = max(self.max_us, other.max_us)

    @property
    def mean_us(self) -> float:
        """NaN of nothing."""
        return self._total_us / self.count if self.count else math.nan

    def quantile_us(self, share: float) -> float:
        """The least value that `share` (0..1) of all values do not exceed, up to its bucket's width; NaN of nothing."""
        if not self.count:
            return math.nan
        # shares come from decimals: 0.07 * 100 must be 7, not 8 for the last bit of a product
        rank = max(1, math.ceil(round(share * self.count, 6)))
        for point in self.curve():
            if point.rank >= rank:
                return point.value_us
        return self.max_us

    def curve(self) -> Iterator[Percentile]:
        """A point for each bucket that holds something, in ascending order."""
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            yield Percentile(seen / self.count, min(bounds_of(bucket)[1], self.max_us), seen)
