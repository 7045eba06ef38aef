"""The shop that is measured: forty features, a hundred candidates, trees as they are trained; any size, no real data.

The model is trained on rows that the serving code computed for simulated visitors, so that a row's way through the
trees is as hard to guess for a processor as in production: branch misses are most of what a tree costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, content_sha256
from edgewise.bundle.golden import golden_rows
from edgewise.bundle.items import ItemTable
from edgewise.bundle.neighbours import decode_neighbours, encode_neighbours
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByModel,
    ByNeighbours,
    Compare,
    Everything,
    Exploration,
    Greedy,
    Placement,
    Policy,
    Site,
    SquareCB,
)
from edgewise.clock import SystemClock
from edgewise.consent import Consent, ConsentState, Grants
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.compile import CompiledFeatures
from edgewise.features.table import FeatureTable
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, PlacementName, SiteName
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.request import Context, Device
from hub.artefacts import Artefacts
from hub.release.bundle import BuiltBundle, build_bundle
from hub.site.files import ModelUse
from hub.site.loading import SiteContents

if TYPE_CHECKING:
    import lightgbm

SITE: Final = SiteName("figures")
WRITE_KEY: Final = "figures"
MODEL: Final = ModelName("ranker")
HERO: Final = PlacementName("home_hero")
"""Ranks its whole collection, `Shape.candidates` items."""
WIDE: Final = PlacementName("home_wide")
"""Retrieves `Shape.candidates` items from the whole catalogue, then ranks them."""
UNSEEN: Final = PlacementName("home_unseen")
"""Ranks as the hero does, explores nothing, and leaves out what its visitor has touched."""
SHOWN: Final = 3
"""Items of an answer: with their contents about 900 bytes."""
LEAVES: Final = 31
FEATURES: Final = 40
NEIGHBOURS: Final = 50
GENRES: Final = [f"genre-{number}" for number in range(18)]
GRANTED: Final = Grants(personalisation=True, analytics=True, marketing=True)
CONTEXT: Final = Context(device=Device(type="mobile"), locale="en-GB")
TRAINING_ITEMS: Final = 1_682
TRAINING_VISITORS: Final = 150
ROWS_A_VISITOR: Final = 160


class Shape(NamedTuple):
    """How large the shop is."""

    items: int = 1_682
    """As MovieLens 100k."""
    candidates: int = 100
    trees: int = 100


STANDARD: Final = Shape()


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
    made = Profile(first_ms=now_ms - days * DAY_MS, last_ms=now_ms - 1_000)
    for number in draw.choice(items, touched, replace=False).tolist():
        time_ms = now_ms - int(draw.integers(1_000, days * DAY_MS))
        made.items[film(number)] = LastTouch(time_ms, Kind.VIEW)
        day = time_ms // DAY_MS
        for genre in {GENRES[number % 18], GENRES[number % 7]}:
            counts = dict(made.affinity.setdefault("category", {}).get(genre, []))
            counts[day] = counts.get(day, 0) + 1
            made.affinity["category"][genre] = sorted(counts.items())
    made.counts = {kind: [(today - back, 3) for back in reversed(range(days))] for kind in (Kind.VIEW, Kind.CLICK)}
    return made


class Training(NamedTuple):
    """What the trees were grown from."""

    matrix: NDArray[np.float32]
    """(rows, 40), NaN where a feature is absent."""
    clicked: NDArray[np.float64]
    """(rows,), 0 or 1."""


@cache
def training() -> Training:
    """Rows that the serving code computes for simulated visitors."""
    draw = np.random.default_rng(23)
    now_ms = SystemClock().now_ms()
    features = CompiledFeatures(
        feature_table(), ItemTable(catalogue(TRAINING_ITEMS)), decode_neighbours(neighbours(TRAINING_ITEMS))
    )
    parts = []
    for number in range(TRAINING_VISITORS):
        profile = visitor(number % 60, 1 + number % 30, TRAINING_ITEMS, now_ms, seed=number)
        shown = [film(each) for each in draw.choice(TRAINING_ITEMS, ROWS_A_VISITOR, replace=False).tolist()]
        parts.append(features.compute(profile, CONTEXT, GRANTED, now_ms, shown))
    matrix = np.concatenate(parts)
    known = np.nan_to_num(matrix)
    wish = known @ draw.normal(size=FEATURES) * 0.5 + known[:, 0] * known[:, 25] + draw.normal(size=len(matrix))
    return Training(matrix, (wish > np.median(wish)).astype(np.float64))


@cache
def booster(trees: int) -> lightgbm.Booster:
    """A binary model of `trees` trees with 31 leaves each."""
    import lightgbm

    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "deterministic": True, "verbosity": -1}
    data = training()
    return lightgbm.train(settings, lightgbm.Dataset(data.matrix, data.clicked), num_boost_round=trees)


@cache
def model(trees: int) -> Artefacts:
    """The booster as `edgewise train ranker` exports one, with its attribution model; without neighbours."""
    from hub.export import export_booster
    from hub.export.attribution import export_attribution

    trained, table = booster(trees), feature_table()
    names = [feature.name for feature in table.features]
    rows = training().matrix[:64]
    return Artefacts(
        features=table,
        model=export_booster(trained, feature_names=names, output="raw").SerializeToString(deterministic=True),
        attribution=export_attribution(trained, names).SerializeToString(deterministic=True),
        golden=golden_rows(rows, np.asarray(trained.predict(rows, raw_score=True), np.float64)),
    )


def policy(shape: Shape) -> Policy:
    """A hero that ranks its collection, and a wide placement that retrieves first. What is sold out is not shown."""
    curious = SquareCB(gamma=200.0, floor=0.01)

    def placed(
        collection: str,
        retrieval: Everything | ByNeighbours,
        exploration: Exploration = curious,
        *,
        exclude_seen: bool = False,
    ) -> Placement:
        arms = {
            ArmName("model"): Arm(ByModel(MODEL), exploration, retrieval),
            ArmName("popular"): Arm(ByAttribute("popularity")),
        }
        return Placement(
            collection=CollectionName(collection),
            arms=arms,
            arm=ArmName("model"),
            opted_out_arm=ArmName("popular"),
            fallback=[film(number) for number in range(SHOWN)],
            count=SHOWN,
            eligibility=[Compare(of="item.stock", op="gt", to=0.0)],
            exclude_seen=exclude_seen,
        )

    return Policy(
        site=Site(
            name=SITE,
            salt="salt of the figures",
            default_consent=Consent(*[ConsentState.GRANTED] * 3),
            write_key_sha256=[hashlib.sha256(WRITE_KEY.encode()).hexdigest()],
        ),
        placements={
            HERO: placed("few", Everything(limit=1_000)),
            UNSEEN: placed("few", Everything(limit=1_000), Greedy(), exclude_seen=True),
            WIDE: placed("all", ByNeighbours("popularity", shape.candidates)),
        },
        collections={
            CollectionName("few"): [film(number) for number in range(shape.candidates)],
            CollectionName("all"): [film(number) for number in range(shape.items)],
        },
    )


def build(shape: Shape = STANDARD, *, version: int = 1) -> BuiltBundle:
    """A bundle of the shop, as the hub builds one."""
    made = model(shape.trees)
    contents = SiteContents(
        policy(shape), catalogue(shape.items), feature_table(), {MODEL: ModelUse(MODEL, "champion")}
    )
    artefacts = Artefacts(
        features=made.features,
        model=made.model,
        attribution=made.attribution,
        golden=made.golden,
        neighbours=neighbours(shape.items),
    )
    return build_bundle(
        contents,
        {MODEL: artefacts},
        version=BundleVersion(version),
        parent=None if version == 1 else BundleVersion(version - 1),
        created_ms=SystemClock().now_ms(),
    )


def write_mix(folder: Path, name: str, **fields: Any) -> Path:
    """A profile file for `edgewise bench` that asks the hero; `fields` replace visitors and requests."""
    items: Sequence[str] = fields.get("items", [film(number) for number in range(200)])
    known = {"new": 0.2, "returning": 500, "history": 20, **fields.get("visitors", {})}
    lines = [f"items = {list(items)!r}", "[visitors]", *(f"{key} = {value}" for key, value in known.items())]
    for request in fields.get("requests", [hero()]):
        lines += ["[[requests]]", *request]
    for share, factor in fields.get("shape", []):
        lines += ["[[shape]]", f"share = {share}", f"factor = {factor}"]
    file = folder / f"{name}.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def hero(placement: PlacementName = HERO, *, explain: bool = False, share: int = 1) -> list[str]:
    """A request of a mix that decides one placement."""
    return [
        'ask = "decide"',
        f"share = {share}",
        f"explain = {str(explain).lower()}",
        f'placements = [{{ name = "{placement}" }}]',
    ]
