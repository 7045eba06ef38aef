"""The feature table, read literally: one candidate, one feature at a time, over plain dicts. Slow on purpose."""

import contextlib
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgewise.bundle.vectors import Vectors
from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.ids import ItemId
from edgewise.nearness import taste
from edgewise.profile.cart import CartOperation
from edgewise.profile.read import decayed, history, shares, shares_of, window_count
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
    held: Mapping[ItemId, Mapping[str, Any]] | None = None,
    vectors: Mapping[ItemId, Sequence[int]] | None = None,
    heard: Mapping[ItemId, float] | None = None,
) -> np.float32:
    """One cell of the matrix; of a cross, `naive_cross` makes it. `held`: attributes of the catalogue's items."""
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
        case declared.SessionScore():
            value = (heard or {}).get(item, 0.0)
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
        case declared.Touched(days=days):
            touch = profile.items.get(item)
            age_days = math.nan if touch is None else max(0.0, (now_ms - touch.time_ms) / DAY_MS)
            value = touch is not None and (days == 0 or age_days <= days)
        case declared.Freshness(attribute=attribute, half_after_days=half_after_days):
            published = naive_published(attributes.get(attribute))
            age_days = max(0.0, now_ms / DAY_MS - float(np.float32(published)))
            value = math.nan if math.isnan(published) else 1 / (1 + age_days / half_after_days)
        case declared.ScoreMatch():
            value = math.nan  # whoever asks without scores
        case declared.DaysSinceVisit():
            value = max(0.0, (now_ms - profile.seen_ms) / DAY_MS) if profile.seen_ms else math.nan
        case declared.DaysSinceOrder():
            last_ms = profile.orders.last_ms
            value = max(0.0, (now_ms - last_ms) / DAY_MS) if last_ms else math.nan
        case declared.Spent(days=days):
            value = sum(paid for day, paid in profile.spent_minor if 0 <= now_ms // DAY_MS - day < days)
        case declared.Rate(kind=kind, per=per, days=days, prior_successes=prior, prior_trials=trials):
            tried = window_count(profile, Kind(per), now_ms, days) + trials
            value = (window_count(profile, Kind(kind), now_ms, days) + prior) / tried if tried else math.nan
        case declared.TimeShare(half_life_days=half_life_days):
            known = shares_of(profile.topic_ms, now_ms, half_life_days)
            of_each = [known.get(topic, 0.0) for topic in naive_values(attributes.get("topic"))] if known else []
            value = sum(of_each) / len(of_each) if of_each else math.nan
        case declared.PriceDistance(attribute=attribute, decimals=decimals):
            price = naive_number(attributes.get(attribute))
            octave = np.log2(np.float64(price) * 10**decimals) if price > 0 else math.nan
            return np.float32(abs(np.float32(octave) - np.float32(naive_octave(profile))))
        case declared.CartSize():
            value = sum(naive_cart(profile).values())
        case declared.CartValue():
            prices = {operation.item: operation.value_minor for operation in operations_of(profile)}
            value = sum(pieces * prices[each] for each, pieces in naive_cart(profile).items())
        case declared.OpenTickets():
            value = sum(ticket.is_open for ticket in profile.desk.tickets.values()) if profile.desk else 0
        case declared.TicketMood():
            value = profile.desk.mood.value if profile.desk and profile.desk.mood else math.nan
        case declared.DistinctCount(of=of):
            value = len(profile.items) if of == "items" else len(profile.affinity.get(of, {}))
        case declared.Visits(days=days):
            halves = [day * 48 + half for day, mask in profile.slots for half in range(48) if mask & 2**half]
            begun = [half // 48 for half in halves if half - 1 not in halves]
            value = sum(0 <= now_ms // DAY_MS - day < days for day in begun)
        case declared.ActiveDays(days=days):
            value = sum(0 <= now_ms // DAY_MS - day < days for day, _ in profile.slots)
        case declared.ValueShare(dimension=dimension, value=text, half_life_days=half_life_days):
            of_values = shares(profile, dimension, now_ms, half_life_days)
            value = of_values.get(text, 0.0) if of_values else math.nan
        case declared.RecentShare(dimension=dimension, value=text, last=last):
            told = [naive_values((held or {}).get(seen, {}).get(dimension)) for seen in history(profile, 0)]
            latest = [values for values in told if values][:last]
            value = sum(text in values for values in latest) / len(latest) if latest else math.nan
        case declared.TopicSeconds(topic=topic, days=days):
            spent = profile.topic_ms.get(topic, [])
            value = sum(ms for day, ms in spent if 0 <= now_ms // DAY_MS - day < days) / 1_000
        case declared.Score():
            value = math.nan  # whoever asks without scores
        case declared.HistoryLength():
            value = len(profile.items)
        case declared.ContextValue(attribute=attribute):
            value = naive_number(context.attributes.get(attribute))
        case declared.ContextIs(field=field, value=text):
            value = naive_is(naive_field(context, field), text)
        case declared.AffinitySum(dimension=dimension, half_life_days=half_life_days):
            named = naive_values(attributes.get(dimension))
            days_of = profile.affinity.get(dimension, {})
            weights_of = [decayed(days_of.get(each, []), now_ms, half_life_days) for each in named]
            value = sum(weights_of) if named else math.nan
        case declared.AffinityWindow(dimension=dimension, days=days):
            named = naive_values(attributes.get(dimension))
            value = sum(
                times
                for each in named
                for day, times in profile.affinity.get(dimension, {}).get(each, [])
                if 0 <= now_ms // DAY_MS - day < days
            )
            value = value if named else math.nan
        case declared.LastMatch(dimension=dimension, last=last):
            theirs = [naive_values((held or {}).get(each, {}).get(dimension)) for each in history(profile, last)]
            theirs = [each for each in theirs if each]
            named = naive_values(attributes.get(dimension))
            shared = sum(not set(each).isdisjoint(named) for each in theirs)
            value = shared / len(theirs) if theirs and named else math.nan
        case declared.ContentCosine():
            value = naive_cosine(feature, item, profile, now_ms, vectors or {})
        case declared.DecayedCount(kind=kind, half_life_days=half_life_days):
            value = decayed(profile.counts.get(Kind(kind), []), now_ms, half_life_days)
        case declared.LocalHour() | declared.LocalWeekday():
            if context.utc_offset_minutes is None:
                return np.float32(math.nan)
            zone = dt.timezone(dt.timedelta(minutes=context.utc_offset_minutes))
            local = dt.datetime.fromtimestamp(now_ms / 1_000, zone)
            value = local.hour if isinstance(feature, declared.LocalHour) else local.weekday()
        case declared.Code(of=path, values=values):
            codes = [values.index(text) for text in naive_texts(path, attributes, context, profile) if text in values]
            value = codes[0] if codes else math.nan
        case declared.Hash(of=path, buckets=buckets):
            texts = naive_texts(path, attributes, context, profile)
            value = naive_fnv1a32(texts[0]) % buckets if texts else math.nan
        case declared.TraitValue(trait=trait):
            value = naive_number(naive_trait(profile, trait))
        case declared.TraitIs(trait=trait, value=text):
            value = naive_is(naive_trait(profile, trait), text)
        case declared.Position(serve_as=serve_as):
            value = serve_as
        case declared.Cross():
            value = math.nan
    return np.float32(value)


def naive_cross(feature: declared.Cross, table: declared.FeatureTable, row: Sequence[np.float32]) -> np.float32:
    """A cross of cells of its row."""
    cells = {each.name: (each, cell) for each, cell in zip(table.features, row, strict=True)}
    (_, first), (other, second) = (cells[name] for name in feature.of)
    if feature.how == "product":
        product = float(first) * float(second)
        return np.float32(product if abs(product) <= float(np.finfo(np.float32).max) else math.nan)
    match other:
        case declared.Code(values=values):
            return np.float32(float(first) * len(values) + float(second))
        case declared.Hash(buckets=buckets):
            return np.float32(float(first) * buckets + float(second))
        case _:
            raise AssertionError("only codes make pairs")


def naive_cosine(
    feature: declared.ContentCosine,
    item: ItemId,
    profile: Profile,
    now_ms: int,
    vectors: Mapping[ItemId, Sequence[int]],
) -> float:
    """By fractions of nothing but whole numbers; the taste itself is `nearness.taste`'s, which has its own twin."""
    if not vectors:
        return math.nan
    rows = np.array([list(vectors[each]) for each in vectors], np.int8).reshape(len(vectors), -1)
    made = Vectors(
        list(vectors), {each: code for code, each in enumerate(vectors)}, rows, rows[:0], np.zeros(0, np.int32)
    )
    wanted = taste(history(profile, feature.last), profile, made, now_ms, feature.half_life_days) if vectors else None
    if wanted is None or item not in vectors:
        return math.nan
    theirs = vectors[item]
    liked = [int(each) for each in wanted.tolist()]
    length = math.sqrt(sum(each * each for each in theirs) * sum(each * each for each in liked))
    return sum(a * b for a, b in zip(theirs, liked, strict=True)) / length if length else math.nan


def naive_texts(path: str, attributes: Mapping[str, Any], context: Context, profile: Profile) -> list[str]:
    """What a code is made of, as it is written."""
    root, _, rest = path.partition(".")
    if root == "item":
        value = attributes.get(rest)
    elif root == "context":
        value = naive_field(context, rest)
    else:
        value = naive_trait(profile, rest.removeprefix("traits."))
    if isinstance(value, list):
        return [each for each in value if each]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, float) and value == int(value):
        return [str(int(value))]
    return [str(value)] if value not in {None, ""} else []


def naive_trait(profile: Profile, name: str) -> Any:
    return profile.traits[name].value if name in profile.traits else None


def naive_fnv1a32(text: str) -> int:
    value = 2_166_136_261
    for byte in text.encode():
        value = ((value ^ byte) * 16_777_619) % 2**32
    return value


def operations_of(profile: Profile) -> list[CartOperation]:
    return profile.cart.operations if profile.cart else []


def naive_cart(profile: Profile) -> dict[ItemId, int]:
    """Pieces of each item: what is taken out of an empty place stays out of the sum."""
    pieces: dict[ItemId, int] = {}
    for operation in operations_of(profile):
        pieces[operation.item] = max(0, pieces.get(operation.item, 0) + operation.quantity)
    return pieces


def naive_octave(profile: Profile) -> float:
    """Mean of the middles of the bands, one entry a touch and unit of taste."""
    weights = {Kind.VIEW: 1, Kind.CLICK: 2, Kind.ADD: 4, Kind.ORDER: 8, Kind.REVIEW: 1}
    middles = [
        band - 0.5
        for kind, bands in profile.price_bands.items()
        for band, times in enumerate(bands)
        for _ in range(times * weights[kind])
    ]
    return sum(middles) / len(middles) if middles else math.nan


def naive_values(stated: Any) -> list[str]:
    values = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    return list(dict.fromkeys(value for value in values if value))


def naive_number(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, (int, float)) or not abs(value) <= float(np.finfo(np.float32).max):
        return math.nan
    return float(value)


def naive_published(value: Any) -> float:
    """Days since 1970."""
    if not isinstance(value, str):
        return math.nan if isinstance(value, bool) else naive_number(value) / DAY_MS
    with contextlib.suppress(ValueError):
        moment = dt.datetime.fromisoformat(value)
        utc = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return (utc - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds() / 86_400
    return math.nan


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
    return [known.get(value, 0.0) for value in naive_values(attributes.get(dimension))] if known else []
