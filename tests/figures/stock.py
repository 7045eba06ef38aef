"""What the shop that is measured has in stock, what is known of an item, and who comes. Any size, no real data."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, content_sha256
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.consent import Grants
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.table import FeatureTable
from edgewise.ids import ItemId, Producer
from edgewise.profile.cart import Cart, CartOperation
from edgewise.profile.state import DAY_MS, LastTouch, Orders, Profile
from edgewise.request import Context, Device

FEATURES: Final = 40
NEIGHBOURS: Final = 50
GENRES: Final = [f"genre-{number}" for number in range(18)]
GRANTED: Final = Grants(personalisation=True, analytics=True, marketing=True)
NODE: Final = Producer("node-1/1/0")
CONTEXT: Final = Context(device=Device(type="mobile"), locale="en-GB")


def feature_table() -> FeatureTable:
    """Forty columns as a shop would have them."""
    features: list[declared.Feature] = [
        declared.NeighbourScore(name="alike", sentence="Because you looked at {item}"),
        declared.NeighbourScore(name="alike_last", last=10),
        declared.NeighbourMax(name="alike_max"),
        declared.Affinity(
            name="genre", dimension="category", half_life_days=30, sentence="Because you often choose {value}"
        ),
        declared.AffinityMatch(name="genre_best", dimension="category", half_life_days=30),
        declared.Affinity(name="genre_now", dimension="category", half_life_days=7),
        declared.DaysSinceItem(name="since_item"),
        declared.DaysSinceVisit(name="since_visit"),
        declared.HistoryLength(name="history"),
        declared.ContextIs(name="mobile", field="device.type", value="mobile"),
        declared.ContextIs(name="british", field="locale", value="en-GB"),
        declared.ContextValue(name="temperature", attribute="temperature"),
    ]
    for kind in (Kind.VIEW, Kind.CLICK, Kind.ORDER):
        features += [declared.WindowCount(name=f"{kind}_{days}d", kind=kind, days=days) for days in (1, 7, 30)]
    features += [
        declared.ItemAttribute(name=f"number_{n}", attribute=f"number_{n}", sentence="Rated {value}") for n in range(15)
    ]
    features += [declared.ItemIs(name=f"is_{n}", attribute="category", value=f"genre-{n}") for n in range(4)]
    assert len(features) == FEATURES
    return FeatureTable(features)


def film(number: int) -> ItemId:
    """The item of a number; leading ones are in the hero's collection."""
    return ItemId(f"film-{number}")


@cache
def catalogue(items: int) -> Catalogue:
    """Approved films with a title, a picture and 18 attributes."""
    draw = np.random.default_rng(7)
    numbers = draw.random((items, 16)).round(4).tolist()
    genres = draw.integers(len(GENRES), size=(items, 2)).tolist()
    made = []
    for number in range(items):
        content = {"title": f"Film {number}, a picture of its time", "image": f"/pictures/{number}.avif", "year": 1999}
        attributes: dict[str, AttributeValue] = {f"number_{n}": numbers[number][n] for n in range(15)}
        attributes |= {"category": sorted({GENRES[code] for code in genres[number]}), "popularity": numbers[number][15]}
        attributes["stock"] = 10.0
        made.append(Item(film(number), content, attributes, content_sha256(content), approved_by="figures"))
    return Catalogue(made)


@cache
def neighbours(items: int) -> bytes:
    """Fifty for each item."""
    draw = np.random.default_rng(11)
    films = [film(number) for number in range(items)]
    # distinct within a row: fifty steps onwards from a drawn place, each at least one item wide
    width = min(NEIGHBOURS, items - 1)
    steps = draw.integers(1, max(2, items // (width + 1)), size=(items, width)).cumsum(axis=1)
    indices = ((np.arange(items)[:, None] + steps) % items).astype(np.int32)
    return encode_neighbours(
        films,
        np.arange(0, width * items + 1, width, dtype=np.int32),
        indices.ravel(),
        draw.random(width * items, np.float32),
    )


def visitor(touched: int, days: int, items: int, now_ms: int, *, seed: int = 0) -> Profile:
    """Somebody who touched so many films on so many days."""
    draw = np.random.default_rng([touched, seed])
    today = now_ms // DAY_MS
    made = Profile(first_ms=now_ms - days * DAY_MS, last_ms=now_ms - 1_000, seen_ms=now_ms - 1_000)
    for number in draw.choice(items, touched, replace=False).tolist():
        time_ms = now_ms - int(draw.integers(1_000, days * DAY_MS))
        made.items[film(number)] = LastTouch(time_ms, Kind.VIEW)
        day = time_ms // DAY_MS
        for genre in {GENRES[number % 18], GENRES[number % 7]}:
            counts = dict(made.affinity.setdefault("category", {}).get(genre, []))
            counts[day] = counts.get(day, 0) + 1
            made.affinity["category"][genre] = sorted(counts.items())
    made.counts = {kind: [(today - back, 3) for back in reversed(range(days))] for kind in (Kind.VIEW, Kind.CLICK)}
    made.slots = [(today - back, 0b11 << int(draw.integers(12, 46))) for back in reversed(range(min(days, 90)))]
    made.price_bands = {kind: [0] * 9 + draw.integers(1, 2 + touched, 3).tolist() for kind in made.counts}
    made.orders = Orders(made.first_ms, now_ms - DAY_MS, 1 + touched // 10)
    made.cart = Cart((now_ms - DAY_MS, NODE, 7), [CartOperation(now_ms - 9_000, NODE, 9, 0, film(0), 1, 999)])
    return made
