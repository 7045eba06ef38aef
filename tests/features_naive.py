"""The feature table, read literally: one candidate, one feature at a time, over plain dicts. Slow on purpose."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.ids import ItemId
from edgewise.profile.read import history, shares, window_count
from edgewise.profile.state import DAY_MS, Profile
from edgewise.request import Context

Weights = Mapping[ItemId, Mapping[ItemId, float]]
"""Speaker -> whom it speaks for -> weight."""


def naive_feature(  # noqa: C901, PLR0912  # one branch a type of feature, as the table lists them
    feature: declared.Feature,
    *,
    item: ItemId,
    attributes: Mapping[str, Any],
    profile: Profile,
    context: Context,
    grants: Grants,
    now_ms: int,
    weights: Weights,
) -> np.float32:
    """One cell of the matrix."""
    if feature.purpose is not None and not grants.allows(feature.purpose):
        return np.float32(math.nan)
    value: float
    match feature:
        case declared.NeighbourScore(last=last):
            value = 0.0
            for speaker in history(profile, last):
                value += weights.get(speaker, {}).get(item, 0.0)
        case declared.NeighbourMax(last=last):
            value = max([0.0, *(weights.get(speaker, {}).get(item, 0.0) for speaker in history(profile, last))])
        case declared.ItemAttribute(attribute=attribute):
            value = naive_number(attributes.get(attribute))
        case declared.ItemIs(attribute=attribute, value=text):
            value = naive_is(attributes.get(attribute), text)
        case declared.Affinity(dimension=dimension, half_life_days=half_life_days):
            of_each = naive_shares(profile, dimension, now_ms, half_life_days, attributes)
            value = sum(of_each) / len(of_each) if of_each else math.nan
        case declared.AffinityMatch(dimension=dimension, half_life_days=half_life_days):
            value = max(naive_shares(profile, dimension, now_ms, half_life_days, attributes), default=math.nan)
        case declared.WindowCount(kind=kind, days=days):
            value = window_count(profile, Kind(kind), now_ms, days)
        case declared.DaysSinceItem():
            touch = profile.items.get(item)
            value = math.nan if touch is None else max(0.0, (now_ms - touch.time_ms) / DAY_MS)
        case declared.DaysSinceVisit():
            value = max(0.0, (now_ms - profile.last_ms) / DAY_MS) if profile.last_ms else math.nan
        case declared.HistoryLength():
            value = len(profile.items)
        case declared.ContextValue(attribute=attribute):
            value = naive_number(context.attributes.get(attribute))
        case declared.ContextIs(field=field, value=text):
            value = naive_is(naive_field(context, field), text)
    return np.float32(value)


def naive_number(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, (int, float)) or not abs(value) <= float(np.finfo(np.float32).max):
        return math.nan
    return float(value)


def naive_is(value: Any, text: str) -> float:
    if isinstance(value, list):
        return float(text in value)
    if isinstance(value, bool):
        return float(text == str(value).lower())
    if isinstance(value, (int, float)):
        try:
            return float(float(text) == value)
        except ValueError:
            return 0.0
    return float(value == text)


def naive_field(context: Context, field: str) -> Any:
    head, _, rest = field.partition(".")
    if head == "attributes":
        return context.attributes.get(rest)
    value = getattr(context, head)
    value = getattr(value, rest) if rest else value
    return value or None


def naive_shares(
    profile: Profile, dimension: str, now_ms: int, half_life_days: float, attributes: Mapping[str, Any]
) -> list[float]:
    """The share of each different value of the candidate; nothing without history or without values."""
    known = shares(profile, dimension, now_ms, half_life_days)
    stated = attributes.get(dimension)
    values = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    different = list(dict.fromkeys(value for value in values if value))
    return [known.get(value, 0.0) for value in different] if known else []
