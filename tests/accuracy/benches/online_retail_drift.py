"""Alarms of drift on a wholesaler's days: how often nothing is wrong, and how often a planted change is found."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accuracy.claim import Claim
from accuracy.ground import Ground
from hub.monitor.alarms import judge
from hub.monitor.distances import ks, plain_psi, psi
from hub.monitor.windows import sizes

PAST: Final = 28
FOLKLORE: Final = 0.25
"""Index above which tables call a change large."""
SHIFTS: Final = (1.3, 2.0, 10.0)
"""What a day's values are multiplied by: 10 is a price list in another currency."""
PROTOCOL: Final = (
    "Online Retail, invoices of a value above 0 with a CustomerID; five columns (value, lines, mean price, hour, UK or "
    f"not); every trading day with {PAST} before it is looked at against those; planted: that day's values multiplied"
)


class Invoices(NamedTuple):
    """One row each."""

    columns: NDArray[np.float64]
    """(invoices, 5); the first is the value."""
    day: NDArray[np.int64]
    """Trading days, from 0."""


class Looks(NamedTuple):
    """What came of looking at every day."""

    alarms: int
    folklore: int
    looks: int


def measure(ground: Ground) -> list[Claim]:
    """False alarms and found changes, beside those of the customary threshold."""
    invoices = _invoices(ground)
    shuffled = invoices._replace(day=np.random.default_rng(0).permutation(invoices.day))
    as_they_are, alike = _looks(invoices), _looks(shuffled)
    promised = 1 / (PAST + 1)
    spread = 4 * math.sqrt(promised * (1 - promised) / alike.looks)
    return [
        _claim("false alarms, days made alike by shuffling", alike.alarms, alike, at_most=promised + spread),
        _claim(f"index above {FOLKLORE:g} in some column, days made alike", alike.folklore, alike),
        _claim("alarms, days as they were", as_they_are.alarms, as_they_are),
        _claim(f"index above {FOLKLORE:g} in some column, days as they were", as_they_are.folklore, as_they_are),
        *(
            _claim(f"a change planted and found, values times {shift:g}", planted.alarms, planted)
            for shift in SHIFTS
            for planted in [_looks(invoices, shift)]
        ),
    ]


def _claim(what: str, found: int, looks: Looks, *, at_most: float | None = None) -> Claim:
    share = found / looks.looks
    half = 1.96 * math.sqrt(share * (1 - share) / looks.looks)
    return Claim(
        what=f"share of {looks.looks} looks: {what}",
        value=share,
        low=max(0.0, share - half),
        high=min(1.0, share + half),
        at_most=at_most,
        source="1 in 29, and 4 standard deviations" if at_most is not None else "",
        protocol=PROTOCOL,
    )


def _looks(invoices: Invoices, shift: float = 1.0) -> Looks:
    alarms = folklore = count = 0
    for day in range(PAST, int(invoices.day.max()) + 1):
        window = day - invoices.day
        near = (window >= 0) & (window <= PAST)
        columns = invoices.columns[near].copy()
        columns[window[near] == 0, 0] *= shift
        at = window[near]
        distances = [each for column in columns.T for each in (psi(column, at, PAST + 1), ks(column, at, PAST + 1))]
        judged = judge(np.array(distances).T, present=(sizes(at, PAST + 1) > 0).tolist())
        alarms += judged.is_alarm
        folklore += any(plain_psi(column, at, PAST + 1) > FOLKLORE for column in columns.T)
        count += 1
    return Looks(alarms, folklore, count)


def _invoices(ground: Ground) -> Invoices:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lines = pq.read_table(ground.shared("online_retail/online_retail.parquet"))
    value = pc.multiply(lines["Quantity"].cast(pa.float64()), lines["UnitPrice"])
    kept = pc.and_(pc.is_valid(lines["CustomerID"]), pc.greater(value, 0.0))
    lines = lines.append_column("value", value).filter(kept)
    found = (
        lines.group_by("InvoiceNo")
        .aggregate(
            [("value", "sum"), ("value", "count"), ("UnitPrice", "mean"), ("InvoiceDate", "min"), ("Country", "min")]
        )
        .sort_by("InvoiceDate_min")
    )
    moment = found["InvoiceDate_min"]
    date = pc.cast(pc.floor_temporal(moment, unit="day"), pa.timestamp("s")).cast(pa.int64()).to_numpy()
    british = np.array([country == "United Kingdom" for country in found["Country_min"].to_pylist()], np.float64)
    columns = [found["value_sum"], found["value_count"], found["UnitPrice_mean"], pc.hour(moment)]
    numbers = [np.asarray(column.cast(pa.float64()).to_numpy(), np.float64) for column in columns]
    return Invoices(np.column_stack([*numbers, british]), np.unique(date, return_inverse=True)[1].astype(np.int64))
