"""Shops of any size for `make bench`: bundles, visitors and requests. Pure but for `write_bundle`.

    made = bench_bundle(100_000, retrieval="neighbours", candidates=100, trees=100)
    write_bundle(folder, made)            # `edgewise edge serve --bundle FOLDER`
    decide_body("a-1")                    # the request; `visit_bodies` are the clicks that come before it

The model is a real one: LightGBM on rows of these very columns, exported as the hub does it, with its attribution twin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, content_sha256, encode_catalogue
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    MANIFEST,
    NEIGHBOURS,
    POLICY,
    PROTOCOL_VERSION,
    VECTORS,
    Manifest,
    ModelEntry,
    Resource,
    decode_manifest,
    encode_manifest,
)
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByModel,
    ByNeighbours,
    ByVectors,
    Everything,
    Exploration,
    Greedy,
    Placement,
    Policy,
    Retrieval,
    Site,
    encode_policy,
)
from edgewise.bundle.vectors import encode_vectors, quantised
from edgewise.consent import Consent, ConsentState, Grants
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.table import FeatureTable, encode_features
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, PlacementName, SiteName
from edgewise.nearness import EXACT_ITEMS
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.request import Context, Device
from hub.content_vectors import in_lists
from hub.export import export_booster
from hub.export.attribution import export_attribution

NOW_MS: Final = 1_760_000_000_000
NEVER_MS: Final = 4_000_000_000_000
GRANTED: Final = Grants(personalisation=True, analytics=True, marketing=True)
HERO: Final = PlacementName("hero")
RANKER: Final = ModelName("ranker")
MODELLED: Final = ArmName("model")
RULED: Final = ArmName("rule")
GENRES: Final = tuple(f"genre-{number}" for number in range(18))
NUMBERS: Final = 15
FEW_NUMBERS: Final = 2
MANY_ITEMS: Final = 200_000
"""Beyond, items state only FEW_NUMBERS numbers, so that the catalogue stays below the largest resource."""

TOPICS: Final = 400
DIMENSIONS: Final = 32

RetrievalName = Literal["all", "neighbours", "vectors"]


class BenchBundle(NamedTuple):
    """A bundle's bytes."""

    manifest_bytes: bytes
    resources: dict[str, bytes]
    items: int

    @property
    def digest(self) -> str:
        """Names the bundle."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def model(self) -> bytes:
        """The ranker's graph, for the floor of the model alone."""
        return self.resources["models/ranker.onnx"]

    @property
    def attribution(self) -> bytes:
        """Its twin."""
        return self.resources["models/ranker.attribution.onnx"]


def film(number: int) -> ItemId:
    """The id of an item."""
    return ItemId(f"film-{number}")


def feature_table() -> FeatureTable:
    """Forty features as a shop would have them."""
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
        declared.ItemAttribute(name=f"number_{n}", attribute=f"number_{n}", sentence="Rated {value}")
        for n in range(NUMBERS)
    ]
    features += [declared.ItemIs(name=f"is_{n}", attribute="category", value=f"genre-{n}") for n in range(4)]
    return FeatureTable(features)


WIDTH: Final = len(feature_table().features)


def bench_rows(rows: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Float32 (rows, 40), as a model meets them: numbers in [0, 1], a tenth of them missing."""
    generator = np.random.default_rng(seed)
    matrix = generator.random((rows, WIDTH), np.float32)
    matrix[generator.random(matrix.shape, np.float32) < 0.1] = np.nan
    return matrix


@lru_cache(maxsize=8)
def bench_model(trees: int = 100, leaves: int = 31) -> tuple[bytes, bytes, bytes]:
    """A ranker of `trees` trees over the forty features: its graph, its attribution twin, its golden rows encoded."""
    rows = bench_rows(20_000, seed=trees)
    known = np.nan_to_num(rows).astype(np.float64)
    label = known @ np.random.default_rng(1).normal(size=WIDTH) + np.sin(9 * known[:, 0]) * known[:, 30]
    settings = {"num_leaves": leaves, "verbose": -1, "num_threads": 1, "deterministic": True, "seed": 0}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, label), num_boost_round=trees)
    names = [feature.name for feature in feature_table().features]
    model = export_booster(booster, feature_names=names, output="raw").SerializeToString(deterministic=True)
    attribution = export_attribution(booster, names).SerializeToString(deterministic=True)
    golden = rows[:64]
    scores = np.asarray(booster.predict(golden, raw_score=True, num_threads=1), np.float64)
    return model, attribution, encode_golden(Golden({RANKER: golden_rows(golden, scores)}))


def bench_catalogue(items: int) -> Catalogue:
    """Approved items of one to three genres, with a popularity and numbers."""
    generator = np.random.default_rng(7)
    kept = NUMBERS if items <= MANY_ITEMS else FEW_NUMBERS
    numbers = np.round(generator.random((items, kept)), 2).tolist()
    popularity = np.round(generator.random(items), 6).tolist()
    genres = generator.integers(0, len(GENRES), (items, 3)).tolist()
    made = []
    for number in range(items):
        content = {"title": f"Film {number}"}
        attributes: dict[str, AttributeValue] = {
            "category": [GENRES[code] for code in sorted(set(genres[number][: 1 + number % 3]))],
            "popularity": popularity[number],
            **{f"number_{n}": value for n, value in enumerate(numbers[number])},
        }
        made.append(Item(film(number), content, attributes, content_sha256(content)))
    return Catalogue(made)


def bench_neighbours(items: int) -> bytes:
    """Fifty neighbours an item; ten beyond MANY_ITEMS."""
    generator = np.random.default_rng(8)
    each = 50 if items <= MANY_ITEMS else 10
    indices = generator.integers(0, items, items * each, np.int32)
    weights = generator.random(items * each, np.float32)
    bounds = np.arange(0, items * each + 1, each, dtype=np.int32)
    return encode_neighbours([film(number) for number in range(items)], bounds, indices, weights)


def bench_vectors(items: int, *, exact_items: int = EXACT_ITEMS) -> bytes:
    """Content vectors around topics, in lists where there are more than `exact_items`."""
    generator = np.random.default_rng(9)
    topics = generator.normal(size=(TOPICS, DIMENSIONS))
    about = topics[generator.integers(0, TOPICS, items)]
    rows = quantised(about + 0.6 * generator.normal(size=(items, DIMENSIONS)))
    films = [film(number) for number in range(items)]
    if items <= exact_items:
        return encode_vectors(films, rows)
    order, centroids, bounds = in_lists(rows, seed=0)
    return encode_vectors([films[row] for row in order.tolist()], rows[order], centroids, bounds)


def bench_bundle(
    items: int,
    *,
    candidates: int = 100,
    trees: int = 100,
    leaves: int = 31,
    retrieval: RetrievalName = "neighbours",
    exploration: Exploration | None = None,
    count: int = 1,
) -> BenchBundle:
    """A shop of `items` films whose hero ranks `candidates` of them (at most 1,000) by a model.

    The arm `rule` (force it, or opt out) ranks by popularity alone: the same HTTP, without a model.
    """
    model, attribution, golden = bench_model(trees, leaves)
    films = [film(number) for number in range(items)]
    placement = Placement(
        collection=CollectionName("all"),
        arms={
            MODELLED: Arm(ByModel(RANKER), exploration or Greedy(), _retrieval(retrieval, candidates)),
            RULED: Arm(ByAttribute("popularity")),
        },
        arm=MODELLED,
        opted_out_arm=RULED,
        fallback=films[:3],
        count=count,
        exclude_seen=True,
    )
    granted = Consent(*[ConsentState.GRANTED] * 3)
    site = Site(SiteName("bench"), salt="bench", default_consent=granted, feature_sample_share=0.0)
    resources = {
        POLICY: encode_policy(Policy(site, {HERO: placement}, {CollectionName("all"): films})),
        FEATURES: encode_features(feature_table()),
        CATALOGUE: encode_catalogue(bench_catalogue(items)),
        NEIGHBOURS: bench_neighbours(items),
        GOLDEN: golden,
        "models/ranker.onnx": model,
        "models/ranker.attribution.onnx": attribution,
    }
    if retrieval == "vectors":
        resources[VECTORS] = bench_vectors(items)
    names = tuple(feature.name for feature in feature_table().features)
    manifest = Manifest(
        version=BundleVersion(1),
        parent=None,
        site=SiteName("bench"),
        created_ms=NOW_MS - DAY_MS,
        expires_ms=NEVER_MS,
        protocol_version=PROTOCOL_VERSION,
        resources={name: Resource(hashlib.sha256(data).hexdigest(), len(data)) for name, data in resources.items()},
        models={RANKER: ModelEntry("models/ranker.onnx", names, "models/ranker.attribution.onnx")},
        provenance={"made_by": "bench"},
    )
    return BenchBundle(encode_manifest(manifest), resources, items)


def _retrieval(name: RetrievalName, candidates: int) -> Retrieval:
    match name:
        case "all":
            return Everything(candidates)
        case "neighbours":
            return ByNeighbours("popularity", candidates)
        case "vectors":
            return ByVectors("popularity", candidates)


def loaded(made: BenchBundle) -> Bundle:
    """As a worker loads it."""
    return load_bundle(decode_manifest(made.manifest_bytes), made.digest, made.resources)


def write_bundle(folder: Path, made: BenchBundle) -> None:
    """Write it as a folder for `edgewise edge serve --bundle FOLDER`."""
    for name, data in {MANIFEST: made.manifest_bytes, **made.resources}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


# --- visitors --------------------------------------------------------------------------------------------------------
def touched_films(items: int, touched: int, *, seed: int = 0) -> list[int]:
    """Numbers of different films, the same for the same seed."""
    chosen: list[int] = np.random.default_rng(seed).choice(items, touched, replace=False).tolist()
    return chosen


def bench_profile(items: int, touched: int, days: int, *, seed: int = 0, now_ms: int = NOW_MS) -> Profile:
    """Somebody with this many films, spread over as many days."""
    generator = np.random.default_rng(seed)
    made = Profile(first_ms=now_ms - days * DAY_MS, last_ms=now_ms - 1_000)
    for number in touched_films(items, touched, seed=seed):
        time_ms = now_ms - int(generator.integers(1_000, days * DAY_MS))
        made.items[film(number)] = LastTouch(time_ms, Kind.VIEW)
        day = time_ms // DAY_MS
        for genre in {GENRES[number % 18], GENRES[number % 7]}:
            counts = dict(made.affinity.setdefault("category", {}).get(genre, []))
            counts[day] = counts.get(day, 0) + 1
            made.affinity["category"][genre] = sorted(counts.items())
    today = now_ms // DAY_MS
    made.counts = {kind: [(today - back, 3) for back in reversed(range(days))] for kind in (Kind.VIEW, Kind.CLICK)}
    return made


def decision_rows(
    bundle: Bundle, *, visitors: int, candidates: int = 100, touched: int = 30
) -> list[NDArray[np.float32]]:
    """The matrices that decisions for so many visitors hand to the model, for the floor of the model alone.

    Rows of one decision are alike, and a processor guesses their branches better than those of `bench_rows`; one
    matrix again and again it knows by heart. So the floor is to be measured on these, one after the other.
    """
    pool = bundle.placements[HERO].pool
    context = Context(device=Device("mobile"), locale="en-GB")
    made = []
    for visitor in range(visitors):
        view = bundle.features.view(bench_profile(len(pool), touched, 10, seed=visitor), context, NOW_MS)
        places = np.random.default_rng(visitor).choice(len(pool), min(candidates, len(pool)), replace=False)
        made.append(bundle.features.matrix(view, pool.rows.take(np.sort(places)), GRANTED))
    return made


def visit_bodies(visitor: str, items: int, touched: int, *, seed: int = 0, most: int = 100) -> Iterator[dict[str, Any]]:
    """Bodies for POST /v1/batch that make somebody of an anonymous id: he looks at `touched` films."""
    numbers = touched_films(items, touched, seed=seed)
    for start in range(0, len(numbers), most):
        calls = [
            {
                "type": "track",
                "event": "Product Viewed",
                "anonymousId": visitor,
                "properties": {"product_id": film(number), "category": GENRES[number % 18]},
            }
            for number in numbers[start : start + most]
        ]
        yield {"batch": calls}


def decide_body(
    visitor: str, *, count: int = 1, explain: bool = False, arm: ArmName | None = None, brought: int = 0
) -> dict[str, Any]:
    """A body for POST /v1/decide. `brought`: so many candidates come with it; `arm` needs an operator or loopback."""
    placement: dict[str, Any] = {"name": HERO, "count": count}
    if brought:
        placement["candidates"] = [{"id": film(number)} for number in range(brought)]
    options: dict[str, Any] = {"explain": explain, "deadlineMs": 1_000}
    if arm is not None:
        options["force"] = {HERO: arm}
    return {
        "anonymousId": visitor,
        "placements": [placement],
        "context": {"page": {"path": "/"}, "device": {"type": "mobile"}, "locale": "en-GB"},
        "options": options,
    }
