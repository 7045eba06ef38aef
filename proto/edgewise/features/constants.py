"""Features that are the same for every candidate: each a number of the visitor, his page and the moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from edgewise.attributes import context_field, is_or_contains, number_of
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.coding import coder_of, item_attribute, source, trait
from edgewise.features.encodings import is_source
from edgewise.features.recent import recent_share
from edgewise.features.view import Measure, View
from edgewise.profile.buckets import total_since
from edgewise.profile.cart import lines_of, value_minor_of
from edgewise.profile.habits import active_days, distinct, visits
from edgewise.profile.rates import Rate, rate_of
from edgewise.profile.read import decayed
from edgewise.profile.state import DAY_MS
from edgewise.profile.tickets import open_tickets

_SECOND_MS: Final = 1_000
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_WEEKDAY_OF_DAY_0: Final = 3
"""1 January 1970 was a Thursday."""

Constant = Callable[[View], float]
"""A feature that is the same for every candidate."""


def constant_of(feature: declared.Feature) -> Constant:
    """How to compute it. Raises ValueError for an event kind that does not exist, or what is not the same for all."""
    if isinstance(feature, _OF_DAYS):
        return _of_days(feature)
    if isinstance(feature, declared.ContextValue | declared.ContextIs):
        return _of_context(feature)
    if isinstance(feature, declared.Code | declared.Hash | declared.TraitIs | declared.TraitValue):
        return _of_text(feature)
    if isinstance(feature, _OF_VALUES):
        return _of_values(feature)
    if isinstance(feature, declared.Position | declared.Score):
        return _of_elsewhere(feature)
    made = _OF_STATE.get(type(feature))
    if made is None:
        raise ValueError(f"feature {feature.name!r} is not the same for every candidate")
    return made


def is_constant(feature: declared.Feature) -> bool:
    """Whether a feature that can be computed is the same for every candidate."""
    try:
        constant_of(feature)
    except ValueError:
        return False
    return True


def _of_elsewhere(feature: declared.Position | declared.Score) -> Constant:
    if isinstance(feature, declared.Position):
        serve_as = feature.serve_as
        return lambda _view: serve_as
    model, of_class = feature.model, feature.of_class
    return lambda view: view.scores.value(model, of_class)


def _of_context(feature: declared.ContextValue | declared.ContextIs) -> Constant:
    if isinstance(feature, declared.ContextIs):
        field, value = feature.field, feature.value
        return lambda view: float(is_or_contains(context_field(view.context, field), value))
    attribute = feature.attribute
    return lambda view: number_of(view.context.attributes.get(attribute))


def _of_text(feature: declared.Code | declared.Hash | declared.TraitIs | declared.TraitValue) -> Constant:
    match feature:
        case declared.TraitValue(trait=name):
            return lambda view: number_of(trait(view, name))
        case declared.TraitIs(trait=name, value=value):
            return lambda view: float(is_or_contains(trait(view, name), value))
        case declared.Code(of=path) | declared.Hash(of=path):
            if not is_source(path) or item_attribute(feature) is not None:
                raise ValueError(f"feature {feature.name!r} is not the same for every candidate")
            code = coder_of(feature)
            return lambda view: code(source(view, path))


def _of_values(
    feature: declared.DistinctCount | declared.ValueShare | declared.RecentShare | declared.TopicSeconds,
) -> Constant:
    match feature:
        case declared.DistinctCount(of=of):
            return lambda view: distinct(view.profile, of)
        case declared.RecentShare(dimension=dimension, value=value, last=last):
            return lambda view: recent_share(view, dimension, value, last)
        case declared.ValueShare(value=value):
            measure = Measure("share", feature.dimension, feature.half_life_days)
            return lambda view: shares.get(value, 0.0) if (shares := view.measured(measure)) else np.nan
        case declared.TopicSeconds(topic=topic, days=days):
            return lambda view: (
                total_since(view.profile.topic_ms.get(topic, []), view.now_ms // DAY_MS, days) / _SECOND_MS
            )


def _of_days(
    feature: declared.WindowCount
    | declared.Rate
    | declared.Spent
    | declared.Visits
    | declared.ActiveDays
    | declared.DecayedCount,
) -> Constant:
    if isinstance(feature, declared.DecayedCount):
        faded, half_life_days = Kind(feature.kind), feature.half_life_days
        return lambda view: decayed(view.profile.counts.get(faded, []), view.now_ms, half_life_days)
    days = feature.days
    match feature:
        case declared.WindowCount(kind=kind):
            counted = Kind(kind)
            return lambda view: float(total_since(view.profile.counts.get(counted, []), view.now_ms // DAY_MS, days))
        case declared.Rate(kind=kind, per=per):
            asked = Rate(Kind(kind), Kind(per), days, feature.prior_successes, feature.prior_trials)
            return lambda view: rate_of(view.profile.counts, asked, view.now_ms)
        case declared.Spent():
            return lambda view: float(total_since(view.profile.spent_minor, view.now_ms // DAY_MS, days))
        case declared.Visits():
            return lambda view: float(visits(view.profile, view.now_ms, days))
        case declared.ActiveDays():
            return lambda view: float(active_days(view.profile, view.now_ms, days))


def _days_since(then_ms: int, now_ms: int) -> float:
    return max(0.0, (now_ms - then_ms) / DAY_MS) if then_ms else np.nan


def _local(view: View) -> tuple[float, float]:
    """Hour and weekday where the visitor is; by arithmetic, because what a database of zones says changes with it."""
    offset_minutes = view.context.utc_offset_minutes
    if offset_minutes is None:
        return np.nan, np.nan
    hours = (view.now_ms + offset_minutes * _MINUTE_MS) // _HOUR_MS
    return float(hours % 24), float((hours // 24 + _WEEKDAY_OF_DAY_0) % 7)


def _mood(view: View) -> float:
    desk = view.profile.desk
    return np.nan if desk is None or desk.mood is None else desk.mood.value


_OF_VALUES: Final = (declared.DistinctCount, declared.ValueShare, declared.RecentShare, declared.TopicSeconds)
_OF_DAYS: Final = (
    declared.WindowCount,
    declared.Rate,
    declared.Spent,
    declared.Visits,
    declared.ActiveDays,
    declared.DecayedCount,
)
_OF_STATE: Final[dict[type, Constant]] = {
    declared.DaysSinceVisit: lambda view: _days_since(view.profile.seen_ms, view.now_ms),
    declared.DaysSinceOrder: lambda view: _days_since(view.profile.orders.last_ms, view.now_ms),
    declared.HistoryLength: lambda view: float(len(view.profile.items)),
    declared.CartSize: lambda view: float(sum(line.quantity for line in lines_of(view.profile.cart).values())),
    declared.CartValue: lambda view: float(value_minor_of(view.profile.cart)),
    declared.OpenTickets: lambda view: float(len(open_tickets(view.profile.desk))),
    declared.TicketMood: _mood,
    declared.LocalHour: lambda view: _local(view)[0],
    declared.LocalWeekday: lambda view: _local(view)[1],
}
