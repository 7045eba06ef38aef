"""From events to one number a person and metric: within the metric's window behind the first exposure, and before it.

A window that is still open says nothing yet: who ordered on the first day would count, and who will order on the last
would not. So a person has a value once his window has closed, and those who wait are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.experiments import Metric
from edgewise.events import kind_of
from edgewise.ids import SubjectId
from edgewise.records import EventRecord
from hub.experiments.exposed import Person
from hub.rewards.attribution import HOUR_MS, PersonOf
from hub.rewards.exposures import SLACK_MS
from hub.site.checking_experiments import is_business
from hub.statistics.compare import Kind
from hub.statistics.metrics import Measured, Role
from hub.statistics.summary import Floats
from hub.statistics.units import Values

DAY_MS: Final = 24 * HOUR_MS
Ints = NDArray[np.int64]


class Deeds(NamedTuple):
    """What people did that a metric counts, each (events,)."""

    person: Ints
    """Index of the person."""
    since_ms: Ints
    """Since his first exposure; below 0 before it."""
    amount: Floats
    """1 each, or money in minor units."""

    def sums(self, people: int, from_ms: float, until_ms: float) -> Floats:
        """(people,) amounts of `from_ms <= since_ms < until_ms`."""
        inside = (self.since_ms >= from_ms) & (self.since_ms < until_ms)
        return np.bincount(self.person[inside], self.amount[inside], minlength=people).astype(np.float64)


class Measures:
    """Every metric of some people. The events may be anybody's, in any order, and each comes once."""

    def __init__(
        self,
        people: Sequence[Person],
        events: Iterable[EventRecord],
        metrics: Sequence[Metric],
        *,
        now_ms: int,
        person_of: PersonOf,
    ) -> None:
        self.people = people
        self.future = 0
        """Events later than now: left out."""
        self._exposed_ms = np.array([of.exposed_ms for of in people], np.int64)
        self._now_ms = now_ms
        index = {of.person: at for at, of in enumerate(people)}
        found: dict[tuple[str, bool], list[tuple[int, int, float]]] = {}
        wanted = _wanted(metrics)
        for event in events:
            at = index.get(person_of(event.subject))
            sides = wanted.get(event.name, []) + wanted.get(kind_of(event.type, event.name).value, [])
            if at is None or not sides:
                continue
            if event.time_ms > now_ms + SLACK_MS:
                self.future += 1
                continue
            for metric, is_below in dict.fromkeys(sides):
                is_money = metric.value == "revenue" and not is_below
                row = (at, event.time_ms - people[at].exposed_ms, _money(event) if is_money else 1.0)
                found.setdefault((metric.name, is_below), []).append(row)
        self._deeds = {key: _deeds(rows) for key, rows in found.items()}

    def is_open(self, metric: Metric) -> NDArray[np.bool_]:
        """(people,) whose window has not closed yet."""
        return self._exposed_ms + _window_ms(metric) > self._now_ms

    def values(self, metric: Metric) -> Values:
        """NaN for whose window is open; the same metric of an equally long time before exposure is the covariate."""
        window_ms = _window_ms(metric)
        value, below = self._between(metric, 0, window_ms)
        before, before_below = self._between(metric, -window_ms, 0)
        value[self.is_open(metric)] = np.nan
        return Values(value, below, before, before_below)

    def on_day(self, metric: Metric, day: int) -> Values:
        """Of the 24 hours from `day` days after the exposure; NaN for who was exposed too late to have had them."""
        value, below = self._between(metric, day * DAY_MS, (day + 1) * DAY_MS)
        value[self._exposed_ms + (day + 1) * DAY_MS > self._now_ms] = np.nan
        return Values(value, below)

    def _between(self, metric: Metric, from_ms: float, until_ms: float) -> tuple[Floats, Floats | None]:
        count = len(self.people)
        value = self._deeds.get((metric.name, False), _NONE).sums(count, from_ms, until_ms)
        if metric.value == "any":
            value = np.minimum(value, 1.0)
        if metric.value != "ratio":
            return value, None
        return value, self._deeds.get((metric.name, True), _NONE).sums(count, from_ms, until_ms)


def measured(metric: Metric, role: Role) -> Measured:
    """As `hub.statistics` reads it."""
    is_ratio = metric.value == "ratio"
    return Measured(
        name=metric.name,
        column=metric.name,
        kind=_KINDS[metric.value],
        denominator=metric.denominator if is_ratio else None,
        role=role,
        higher_is_better=metric.better == "higher",
        tolerated=metric.threshold,
        business=is_business(metric),
    )


def names_of(metrics: Iterable[Metric]) -> set[str]:
    """Kinds and names of events that the metrics are made of."""
    return {name for metric in metrics for name in (metric.event, metric.denominator) if name}


_KINDS: Final = {"any": Kind.BINARY, "count": Kind.MEAN, "revenue": Kind.MEAN, "ratio": Kind.RATIO}


def _wanted(metrics: Sequence[Metric]) -> Mapping[str, list[tuple[Metric, bool]]]:
    """Kind or name of an event -> metrics that it counts for, and whether below the line."""
    found: dict[str, list[tuple[Metric, bool]]] = {}
    for metric in metrics:
        found.setdefault(metric.event, []).append((metric, False))
        if metric.denominator:
            found.setdefault(metric.denominator, []).append((metric, True))
    return found


def _deeds(rows: list[tuple[int, int, float]]) -> Deeds:
    person, since_ms, amount = zip(*rows, strict=True)
    return Deeds(np.array(person, np.int64), np.array(since_ms, np.int64), np.array(amount, np.float64))


_NONE: Final = Deeds(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _window_ms(metric: Metric) -> int:
    return round(metric.window_hours * HOUR_MS)


def _money(event: EventRecord) -> float:
    """In minor units of the site's currency; what was paid in another is not added."""
    return 0.0 if event.currency else float(sum(touch.value_minor * touch.quantity for touch in event.touches))


def person_among(members: Mapping[SubjectId, tuple[SubjectId, ...]]) -> PersonOf:
    """Any subject of these people -> the first of his subjects; anybody else is himself."""
    first = {each: of[0] for of in members.values() for each in of}
    return lambda subject: first.get(subject, subject)
