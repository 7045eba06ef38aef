"""The starter bundle's model: LightGBM on simulated visitors of the invented shop, the same bytes on every machine.

For that the simulation uses uniform draws and plain arithmetic only, and the model fits squared error, whose
gradients need no `exp`: library functions differ in the last bit from processor to processor, additions do not.
The visitors' profiles are folded and their features computed by the code that serves.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.catalogue import Item
from edgewise.bundle.golden import golden_rows
from edgewise.bundle.items import ItemTable
from edgewise.bundle.vectors import decode_vectors
from edgewise.consent import Grants
from edgewise.features.compile import CompiledFeatures
from edgewise.ids import MessageId, Producer, SubjectId
from edgewise.profile.reduce import apply
from edgewise.profile.state import DAY_MS, Profile
from edgewise.records import EventRecord, Touch
from edgewise.request import Context, Device
from hub.artefacts import Artefacts
from hub.content_vectors import vectors_of
from hub.site.loading import SiteContents

NOW_MS: Final = 1_793_491_200_000
"""2026-11-01 00:00 UTC: when the simulated visitors come."""
SEED: Final = 20_261_101
VISITORS: Final = 1_500
MOST_EVENTS: Final = 12
DAYS: Final = 60
GOLDEN_ROWS: Final = 64

_EVERYTHING: Final = Grants(personalisation=True, analytics=True, marketing=True)
_TRAINING: Final[dict[str, Any]] = {
    "objective": "regression",
    "num_leaves": 8,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
ROUNDS: Final = 40


def train_starter_model(contents: SiteContents) -> Artefacts:
    """Train and export; always the same for the same site."""
    import lightgbm

    from hub.export import export_booster
    from hub.export.attribution import export_attribution

    matrix, clicked = simulate(contents)
    booster = lightgbm.train(_TRAINING, lightgbm.Dataset(matrix, clicked), num_boost_round=ROUNDS)
    names = [feature.name for feature in contents.features.features]
    rows = matrix[:: len(matrix) // GOLDEN_ROWS][:GOLDEN_ROWS]
    return Artefacts(
        features=contents.features,
        model=export_booster(booster, feature_names=names, output="response").SerializeToString(deterministic=True),
        attribution=export_attribution(booster, names).SerializeToString(deterministic=True),
        golden=golden_rows(rows, np.asarray(booster.predict(rows), np.float64)),
    )


def simulate(contents: SiteContents) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Every visitor is shown every item once: features float32 (n, F), and 1 where the visitor clicked, else 0."""
    draw = np.random.default_rng(SEED)
    items = contents.catalogue.items
    made = vectors_of(contents.policy, contents.features, contents.catalogue, contents.vectors)
    vectors = None if made is None else decode_vectors(made)
    features = CompiledFeatures(
        contents.features, ItemTable(contents.catalogue, contents.policy.site.zones), vectors=vectors
    )
    parts, clicks = [], []
    for visitor in range(VISITORS):
        taste = _Taste(draw, items)
        profile = _profile(visitor, taste, draw, items)
        device = "mobile" if draw.random() < 0.5 else "desktop"  # noqa: PLR2004  # half
        context = Context(device=Device(type=device))
        parts.append(features.compute(profile, context, _EVERYTHING, NOW_MS, [item.id for item in items]))
        wanted = np.array([taste.click_probability(item, on_mobile=device == "mobile") for item in items])
        clicks.append(draw.random(len(items)) < wanted)
    return np.concatenate(parts), np.concatenate(clicks).astype(np.float64)


class _Taste:
    """What a simulated visitor likes: one category, and the topics of one item of it."""

    def __init__(self, draw: np.random.Generator, items: list[Item]) -> None:
        favourite = items[int(draw.integers(len(items)))]
        self.category = _texts(favourite, "category")
        self.topics = _texts(favourite, "topic")

    def likes(self, item: Item) -> int:
        """0 to 3: how well an item fits."""
        return 2 * bool(self.category & _texts(item, "category")) + bool(self.topics & _texts(item, "topic"))

    def click_probability(self, item: Item, *, on_mobile: bool) -> float:
        """By taste first, then by what is popular, new, and cheap enough for a phone."""
        popularity, price = _number(item, "popularity"), _number(item, "price")
        chance = 0.01 + 0.06 * self.likes(item) + 0.0006 * popularity
        chance += 0.02 if item.attributes.get("new") is True else 0.0
        chance -= 0.03 if on_mobile and price > 30 else 0.0  # noqa: PLR2004  # the shop's currency
        return max(0.0, chance)


def _profile(visitor: int, taste: _Taste, draw: np.random.Generator, items: list[Item]) -> Profile:
    """A third of the visitors are new; the others looked at, and now and then bought, mostly what they like."""
    profile = Profile()
    events = 0 if draw.random() < 1 / 3 else int(draw.integers(1, MOST_EVENTS + 1))
    times_ms = np.sort(NOW_MS - draw.integers(1, DAYS * DAY_MS, size=events))
    weights = np.array([1 + 4 * taste.likes(item) for item in items])
    edges = np.cumsum(weights)
    for seq, time_ms in enumerate(times_ms.tolist()):
        item = items[int(np.searchsorted(edges, draw.integers(int(edges[-1])), side="right"))]
        name = "Order Completed" if draw.random() < 0.1 else "Product Viewed"  # noqa: PLR2004  # a tenth buys
        apply(profile, _event(visitor, seq, time_ms, name, item))
    return profile


def _event(visitor: int, seq: int, time_ms: int, name: str, item: Item) -> EventRecord:
    return EventRecord(
        producer=Producer(f"simulated/{visitor}"),
        seq=seq,
        subject=SubjectId(f"{visitor:032x}"),
        message_id=MessageId(f"{visitor}-{seq}"),
        type="track",
        name=name,
        time_ms=time_ms,
        received_ms=time_ms,
        grants=_EVERYTHING,
        touches=(Touch(item.id, dimensions={key: tuple(sorted(_texts(item, key))) for key in ("category", "topic")}),),
    )


def _texts(item: Item, attribute: str) -> set[str]:
    value = item.attributes.get(attribute)
    return set(value) if isinstance(value, list) else set()


def _number(item: Item, attribute: str) -> float:
    value = item.attributes.get(attribute)
    return float(value) if isinstance(value, (int, float)) else 0.0
