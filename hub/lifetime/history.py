"""What was known of each customer at a moment: how often, how recently, for how long, how much. Pure.

The counts of Fader, Hardie, Lee 2005, "Counting Your Customers" the Easy Way, Marketing Science 24(2): the clock of a
customer starts with the first purchase, which is itself not counted; everything after it is a repeat purchase.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Unit(StrEnum):
    """What time is counted in."""

    DAY = "day"
    WEEK = "week"

    @property
    def days(self) -> int:
        """How many days one is."""
        return 1 if self is Unit.DAY else 7


class Purchases(NamedTuple):
    """One row per customer and day with a purchase, ordered by customer, then by day; all arrays (rows,)."""

    names: tuple[str, ...]
    """Of the customers, as the file writes them."""
    customer: Ints
    """Index into `names`."""
    day: Ints
    """Days since 1970-01-01."""
    value: Floats
    """What was spent that day, 0 or more."""

    @property
    def first_day(self) -> int:
        """The earliest."""
        return int(self.day.min())

    @property
    def last_day(self) -> int:
        """The latest."""
        return int(self.day.max())


class History(NamedTuple):
    """What was known at the end of one day; arrays (customers,), of those who had bought by then."""

    customer: Ints
    """Index into the names of the purchases."""
    frequency: Floats
    """x: repeat purchases, on different days."""
    recency: Floats
    """t_x: from the first purchase to the last, in units; 0 without a repeat."""
    age: Floats
    """T: from the first purchase to the moment, in units; not below `recency`."""
    mean_value: Floats
    """Of a repeat purchase; NaN without one."""
    first_value: Floats
    """Of the first purchase."""

    @property
    def size(self) -> int:
        """How many customers."""
        return len(self.customer)


class Future(NamedTuple):
    """What the customers of a history bought after its moment; arrays (customers,)."""

    purchases: Floats
    """Days with a purchase."""
    value: Floats


def history(purchases: Purchases, end_day: int, unit: Unit) -> History:
    """What was known at the end of `end_day`."""
    known = purchases.day <= end_day
    customer, day, value = purchases.customer[known], purchases.day[known], purchases.value[known]
    who, first = np.unique(customer, return_index=True)
    bought = np.diff(np.append(first, len(customer)))
    last = first + bought - 1
    spent = np.add.reduceat(value, first) if len(first) else np.empty(0)
    repeats = bought - 1
    mean = np.full(len(who), np.nan)
    np.divide(spent - value[first], repeats, out=mean, where=repeats > 0)
    return History(
        customer=who.astype(np.int64),
        frequency=repeats.astype(np.float64),
        recency=(day[last] - day[first]) / unit.days,
        age=(end_day - day[first]) / unit.days,
        # a difference of sums may end a hair below what was really spent, which is never negative
        mean_value=np.where(repeats > 0, np.maximum(mean, 0.0), np.nan),
        first_value=value[first],
    )


def future(purchases: Purchases, known: History, after_day: int, until_day: int) -> Future:
    """What those customers bought in the days after `after_day`, up to the end of `until_day`."""
    within = (purchases.day > after_day) & (purchases.day <= until_day)
    customer, value = purchases.customer[within], purchases.value[within]
    size = len(purchases.names)
    return Future(
        purchases=np.bincount(customer, minlength=size).astype(np.float64)[known.customer],
        value=np.bincount(customer, weights=value, minlength=size).astype(np.float64)[known.customer],
    )
