"""Counts by day, the one form of every sum in a profile: integers, so that no order of adding changes them."""

from __future__ import annotations

import bisect
from typing import Final

Buckets = list[tuple[int, int]]
"""(Day number since the epoch in UTC, count), sorted by day, one entry a day.

A list and not a dict: nearly every event falls on the last day, and the codec sorts text keys only.
"""

Tally = list[int]
"""Counts by a small number: `tally[n]` is that of n. No zero at its end."""

_TOP: Final = 2**63


def add_to_day(buckets: Buckets, day: int, amount: int) -> None:
    """Add to one day's count, keeping the buckets sorted; in place.

    A sum beyond 64 bits, which only a forged history reaches, wraps. To stop at a bound would depend on the order in
    which purchases and refunds arrive; wrapped sums are as absurd, and equal everywhere.
    """
    if not buckets or (last := buckets[-1])[0] < day:
        buckets.append((day, amount if -_TOP <= amount < _TOP else _in_64_bits(amount)))
        return
    if last[0] == day:
        total = last[1] + amount
        buckets[-1] = (day, total if -_TOP <= total < _TOP else _in_64_bits(total))
        return
    position = bisect.bisect_left(buckets, (day,))
    if position < len(buckets) and buckets[position][0] == day:
        buckets[position] = (day, _in_64_bits(buckets[position][1] + amount))
    else:
        buckets.insert(position, (day, _in_64_bits(amount)))


def add_all(into: Buckets, buckets: Buckets) -> None:
    """Add every day's count; in place."""
    for day, amount in buckets:
        add_to_day(into, day, amount)


def mark_in_day(buckets: Buckets, day: int, bits: int) -> None:
    """Set bits in one day's number; in place. To set them again changes nothing."""
    if not buckets or (last := buckets[-1])[0] < day:
        buckets.append((day, bits))
        return
    if last[0] == day:
        if last[1] | bits != last[1]:
            buckets[-1] = (day, last[1] | bits)
        return
    position = bisect.bisect_left(buckets, (day,))
    if position < len(buckets) and buckets[position][0] == day:
        buckets[position] = (day, buckets[position][1] | bits)
    else:
        buckets.insert(position, (day, bits))


def add_to_tally(tally: Tally, number: int, amount: int) -> None:
    """Add to the count of one number; in place. `amount` is above 0."""
    if number >= len(tally):
        tally.extend([0] * (number + 1 - len(tally)))
    tally[number] += amount


def drop_until(buckets: Buckets, oldest: int) -> None:
    """Forget the days up to and with `oldest`; in place."""
    if buckets and buckets[0][0] <= oldest:
        del buckets[: bisect.bisect_left(buckets, (oldest + 1,))]


def total_since(buckets: Buckets, today: int, days: int) -> int:
    """The sum of the last `days` days, `today` included; what lies after today (another node's clock) is left out."""
    total = 0
    for day, amount in reversed(buckets):
        if day <= today - days:
            break
        if day <= today:
            total += amount
    return total


def _in_64_bits(total: int) -> int:
    return total if -_TOP <= total < _TOP else (total + _TOP) % (2 * _TOP) - _TOP
