"""At which moments of a past a score is asked for, and what came of each: the labels of training.

A moment knows all deeds up to and including its own, as a node does that applies a page's events before it decides.
What is told lies strictly behind it. A moment is chosen by its own past alone: to look at a visitor because he buys a
minute later would tell the model that he does. A moment whose answer the history's end cuts off is left out, not taken
for a no.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from edgewise.events import DONE_TO, TOUCHING, Kind
from edgewise.profile.read import SESSION_GAP_MS
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord
from hub.site.score_recipe import Calendar, Churn, NextCategory, Purchase, ScoreRecipe, TraitScore
from hub.train.history import History, kind_of_event

MINUTE_MS: Final = 60_000
YES: Final = "yes"
NO: Final = "no"
Asked = tuple[int, int]
"""A deed, and a time: the last one that is known, and when it is asked; or an order, and when it came."""


TraitValue = str | int | float | bool


class Moment(NamedTuple):
    """One time at which a visitor's score would have been asked for, with the answer."""

    deed: int
    """The last deed of the visitor that is known then: a number in the history."""
    visitor: int
    now_ms: int
    known_ms: int
    """When the answer was known: what is judged on something earlier may not learn from it."""
    answer: str
    """A class; YES or NO of a score that says one probability."""
    last: str = ""
    """Of the next category: what was touched last, which a model has to beat."""
    page: int | None = None
    """The deed on whose page it is asked; None: nobody is there, and nothing is known of a page."""


class Visit(NamedTuple):
    """What a visitor did himself without a pause of half an hour, as numbers of deeds."""

    deeds: list[int]
    first_ms: int
    last_ms: int


def moments_of(history: History, recipe: ScoreRecipe, *, seed: int) -> list[Moment]:
    """Every moment with its answer, oldest first. Carts that were left are found by `hub.train.scores.carts`."""
    found: list[Moment] = []
    for visitor, own in enumerate(history.by_visitor()):
        visits = visits_of(history, own)
        if visits:
            of = _Visitor(history, visitor, own, visits, np.random.default_rng([seed, visitor]))
            found += _of_visitor(of, recipe)
    return in_order(found)


def in_order(moments: Sequence[Moment]) -> list[Moment]:
    """Oldest first; moments of one time by visitor."""
    return sorted(moments, key=lambda moment: (moment.now_ms, moment.visitor, moment.deed))


def visits_of(history: History, own: Sequence[int]) -> list[Visit]:
    """The visits of the visitor whose deeds have the numbers `own`, oldest first."""
    visits: list[Visit] = []
    for number in own:
        moment_ms, _, record = history.deeds[number]
        if not isinstance(record, EventRecord) or kind_of_event(record) in DONE_TO:
            continue
        if visits and moment_ms - visits[-1].last_ms <= SESSION_GAP_MS:
            visits[-1].deeds.append(number)
            visits[-1] = visits[-1]._replace(last_ms=moment_ms)
        else:
            visits.append(Visit([number], moment_ms, moment_ms))
    return visits


class _Visitor(NamedTuple):
    history: History
    number: int
    own: list[int]
    visits: list[Visit]
    draw: np.random.Generator


def _of_visitor(of: _Visitor, recipe: ScoreRecipe) -> Iterator[Moment]:
    match recipe.predicts:
        case NextCategory() as told:
            yield from _next_values(of, told) if told.next == "touch" else _next_visits(of, told)
        case TraitScore() as trait:
            answer = _stated(of, trait)
            if answer is not None:
                for number, now_ms in _in_visits(of, of.visits[-trait.moments :]):
                    yield Moment(number, of.number, now_ms, now_ms, answer, page=number)
        case Purchase() | Churn() as within:
            orders = _orders(of) if isinstance(within, Purchase) else []
            asked = _in_visits(of, of.visits) if recipe.calendar is None else _on_days(of, recipe.calendar)
            for number, now_ms in asked:
                known_ms = now_ms + within.days * DAY_MS
                if known_ms <= of.history.deeds[-1].moment_ms:
                    is_so = (
                        any(number < order and at_ms <= known_ms for order, at_ms in orders)
                        if isinstance(within, Purchase)
                        else not any(now_ms < visit.first_ms <= known_ms for visit in of.visits)
                    )
                    page = number if recipe.calendar is None else None
                    yield Moment(number, of.number, now_ms, known_ms, YES if is_so else NO, page=page)
        case _:
            raise TypeError(f"{type(recipe.predicts).__name__}: carts that were left are found by `carts`")


def _in_visits(of: _Visitor, visits: list[Visit]) -> Iterator[Asked]:
    """One deed of each visit, each of its deeds alike: a page asks while somebody is there."""
    for visit in visits:
        number = visit.deeds[int(of.draw.integers(len(visit.deeds)))]
        yield number, of.history.deeds[number].moment_ms


def _on_days(of: _Visitor, calendar: Calendar) -> Iterator[Asked]:
    """Midnights, so many days apart since the history began, at which the visitor had been seen lately."""
    step_ms, deeds = calendar.every_days * DAY_MS, of.history.deeds
    times = np.array([deeds[number].moment_ms for number in of.own])
    seen = np.array([visit.last_ms for visit in of.visits])
    first_ms = deeds[0].moment_ms // DAY_MS * DAY_MS
    for now_ms in range(first_ms + step_ms, deeds[-1].moment_ms, step_ms):
        before = int(np.searchsorted(seen, now_ms))
        if before and now_ms - int(seen[before - 1]) <= calendar.active_days * DAY_MS:
            yield of.own[int(np.searchsorted(times, now_ms)) - 1], now_ms


def _orders(of: _Visitor) -> list[Asked]:
    """The visitor's orders, by number and time: deeds of one second have an order, too."""
    deeds = of.history.deeds
    return [
        (number, deeds[number].moment_ms)
        for number in of.own
        if isinstance(record := deeds[number].record, EventRecord) and kind_of_event(record) is Kind.ORDER
    ]


def _next_values(of: _Visitor, told: NextCategory) -> Iterator[Moment]:
    """Every touch that another one follows in time."""
    before: tuple[int, int, str] | None = None
    for number in (number for visit in of.visits for number in visit.deeds):
        moment_ms, _, record = of.history.deeds[number]
        value = _value(record, told.dimension)
        if value is None:
            continue
        if before is not None and moment_ms - before[1] <= told.minutes * MINUTE_MS:
            yield Moment(before[0], of.number, before[1], moment_ms, value, before[2], before[0])
        before = (number, moment_ms, value)


def _next_visits(of: _Visitor, told: NextCategory) -> Iterator[Moment]:
    """Every arrival after a visit with a touch: nothing of the visit that begins is known yet."""
    last: str | None = None
    for before, visit in pairwise(of.visits):
        last = next(
            (value for number in reversed(before.deeds) if (value := _value_of(of, number, told)) is not None), last
        )
        counted = Counter(value for number in visit.deeds if (value := _value_of(of, number, told)) is not None)
        if last is not None and counted:
            # `most_common` keeps the order in which they came where they are equal.
            answer = counted.most_common(1)[0][0]
            yield Moment(before.deeds[-1], of.number, visit.first_ms, visit.last_ms, answer, last, visit.deeds[0])


def _value_of(of: _Visitor, number: int, told: NextCategory) -> str | None:
    return _value(of.history.deeds[number].record, told.dimension)


def _value(record: object, dimension: str) -> str | None:
    """The first value of the first touched item that has one; None for what is no touch."""
    if not isinstance(record, EventRecord) or kind_of_event(record) not in TOUCHING:
        return None
    return next((touch.dimensions[dimension][0] for touch in record.touches if touch.dimensions.get(dimension)), None)


def _stated(of: _Visitor, trait: TraitScore) -> str | None:
    """What the visitor's trait was last said to be; None where nobody said."""
    said: str | None = None
    for number in of.own:
        record = of.history.deeds[number].record
        if isinstance(record, EventRecord) and trait.trait in record.traits:
            value = record.traits[trait.trait]
            said = None if value is None else text_of(value)
    if said is None or trait.value is None:
        return said
    return YES if said == trait.value else NO


def text_of(value: TraitValue) -> str:
    """A trait's value as sites write it: `true`, `3`, `student`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
