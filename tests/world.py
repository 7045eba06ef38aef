"""One small shop for all tests: 24 films in 6 genres, neighbours, a champion by rule and a challenger by model.

Everything is built from plain values by the functions below, so that a test changes one thing and keeps the rest:
`bundle(policy=...)`, `question(dial=1)`, `profile(["film-3"])`. The model is arithmetic (`score`), not a graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import Catalogue, Item, content_sha256, encode_catalogue
from edgewise.bundle.experiments import Experiment
from edgewise.bundle.exploration import Exploration, Greedy, SquareCB
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    NEIGHBOURS,
    POLICY,
    Manifest,
    ModelEntry,
    Resource,
    encode_manifest,
)
from edgewise.bundle.needed import FIRST
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByModel,
    ByNeighbours,
    ByPriority,
    Cap,
    Placement,
    Policy,
    Site,
    encode_policy,
)
from edgewise.consent import Consent, ConsentState, Grants, Purpose
from edgewise.events import Kind, affinity_weight
from edgewise.features import table as declared
from edgewise.features.table import FeatureTable, encode_features
from edgewise.ids import (
    ArmName,
    BundleVersion,
    CollectionName,
    DecisionId,
    ExperimentKey,
    ItemId,
    ModelName,
    PlacementName,
    Producer,
    SiteName,
    ulid,
)
from edgewise.profile.state import DAY_MS, Impression, LastTouch, Profile
from edgewise.question import Question
from edgewise.request import Context, Device, Page, PlacementRequest

NOW_MS: Final = 1_760_000_000_000
SITE: Final = SiteName("film-shop")
GENRES: Final = ("drama", "comedy", "thriller", "western", "musical", "horror")
FILMS: Final = tuple(ItemId(f"film-{number}") for number in range(24))
RANKER: Final = ModelName("ranker")
HERO: Final = PlacementName("home_hero")
LIST: Final = PlacementName("home_list")
CHAMPION: Final = ArmName("champion")
CHALLENGER: Final = ArmName("challenger")
EXPERIMENT: Final = ExperimentKey("hero")
ALL: Final = CollectionName("all")
EVERYTHING_GRANTED: Final = Grants(personalisation=True, analytics=True, marketing=True)
DECISION: Final = DecisionId(ulid(NOW_MS, bytes(10)))

Matrix = NDArray[np.float32]


# --- catalogue -------------------------------------------------------------------------------------------------------
def genres_of(number: int) -> list[str]:
    """One or two genres a film."""
    first, second = number % len(GENRES), (number // 2) % len(GENRES)
    return [GENRES[first]] if first == second else [GENRES[first], GENRES[second]]


def item(number: int, **attributes: Any) -> Item:
    """Film `number`, approved. Popularity falls with the number."""
    content = {"title": f"Film {number}", "image": f"/films/{number}.jpg"}
    known = {"category": genres_of(number), "popularity": float(100 - number), "price": 5.0 + number % 4, **attributes}
    return Item(ItemId(f"film-{number}"), content, known, approved_sha256=content_sha256(content), approved_by="editor")


def catalogue(items: Sequence[Item] | None = None) -> Catalogue:
    """All films, or those given."""
    return Catalogue([item(number) for number in range(len(FILMS))] if items is None else list(items))


# --- neighbours ------------------------------------------------------------------------------------------------------
def neighbour_weight(speaker: int, other: int) -> float:
    """Films next to each other speak for each other; 0 beyond a distance of 3."""
    distance = abs(speaker - other)
    return 0.0 if distance == 0 or distance > 3 else 0.8 / distance


def neighbours_bytes(films: Sequence[ItemId] = FILMS) -> bytes:
    """The resource: a band matrix."""
    weights = np.array([[neighbour_weight(row, column) for column in range(len(films))] for row in range(len(films))])
    rows, columns = np.nonzero(weights)
    indptr = np.concatenate([[0], np.cumsum((weights != 0).sum(axis=1))])
    return encode_neighbours(
        list(films), indptr.astype(np.int32), columns.astype(np.int32), weights[rows, columns].astype(np.float32)
    )


# --- features and model ----------------------------------------------------------------------------------------------
def feature_table() -> FeatureTable:
    """One feature of every type."""
    return FeatureTable(
        [
            declared.NeighbourScore(name="liked_alike", sentence="Because you looked at {item}"),
            declared.NeighbourMax(name="last_alike", last=3, sentence="Because you just looked at {item}"),
            declared.Affinity(
                name="genre", dimension="category", half_life_days=30, sentence="Because you often choose {value}"
            ),
            declared.AffinityMatch(name="best_genre", dimension="category", half_life_days=7),
            declared.ItemAttribute(
                name="popularity", attribute="popularity", purpose=None, sentence="Popular right now"
            ),
            declared.ItemIs(name="is_drama", attribute="category", value="drama", purpose=None),
            declared.DaysSinceItem(name="days_since_item"),
            declared.DaysSinceVisit(name="days_since_visit"),
            declared.HistoryLength(name="history_length"),
            declared.WindowCount(
                name="views_7d", kind=Kind.VIEW, days=7, sentence="You looked at {value} films lately"
            ),
            declared.WindowCount(name="orders_30d", kind=Kind.ORDER, days=30, purpose=Purpose.MARKETING),
            declared.ContextIs(
                name="is_mobile", field="device.type", value="mobile", purpose=None, sentence="Good on a small screen"
            ),
            declared.ContextValue(name="temperature", attribute="temperature", purpose=None),
        ]
    )


def score(_model: ModelName, matrix: Matrix) -> Matrix:
    """The challenger: neighbours and genre count most, popularity decides the rest. Missing is 0."""
    known = np.nan_to_num(matrix, nan=0.0)
    return (2 * known[:, 0] + known[:, 2] + known[:, 4] / 1_000).astype(np.float32)


def attribute(_model: ModelName, matrix: Matrix) -> Matrix:
    """The exact contributions of `score`, with a bias of 0."""
    contributions = np.zeros((len(matrix), matrix.shape[1] + 1), np.float32)
    known = np.nan_to_num(matrix, nan=0.0)
    for column, weight in ((0, 2.0), (2, 1.0), (4, 1e-3)):
        contributions[:, column] = weight * known[:, column]
    return contributions


def golden(table: FeatureTable | None = None) -> Golden:
    """Three rows for the ranker."""
    width = len((table or feature_table()).features)
    matrix = np.arange(3 * width, dtype=np.float32).reshape(3, width)
    return Golden({RANKER: golden_rows(matrix, score(RANKER, matrix).astype(np.float64))})


# --- policy ----------------------------------------------------------------------------------------------------------
def placement(exploration: Exploration | None = None, **changes: Any) -> Placement:
    """The hero: most popular (champion) against the model (challenger)."""
    exploration = Greedy() if exploration is None else exploration
    known: dict[str, Any] = {
        "collection": ALL,
        "arms": {
            CHAMPION: Arm(ByAttribute("popularity"), exploration),
            CHALLENGER: Arm(ByModel(RANKER), exploration),
            ArmName("editors"): Arm(ByPriority()),
        },
        "arm": CHAMPION,
        "opted_out_arm": CHAMPION,
        "fallback": [FILMS[20], FILMS[21], FILMS[22]],
    }
    return Placement(**{**known, **changes})


def policy(placements: Mapping[PlacementName, Placement] | None = None, **site: Any) -> Policy:
    """A hero in an experiment, and a list of ten by the model that retrieves by neighbours and explores."""
    listed = placement(
        SquareCB(gamma=50.0, floor=0.02),
        arm=CHALLENGER,
        count=10,
        exclude_seen=True,
        cap=Cap(impressions=3, days=2),
        arms={
            CHAMPION: Arm(ByAttribute("popularity")),
            CHALLENGER: Arm(
                ByModel(RANKER), SquareCB(gamma=50.0, floor=0.02), ByNeighbours(fill_attribute="popularity", limit=16)
            ),
        },
    )
    known: dict[str, Any] = {
        "name": SITE,
        "salt": "salt-of-the-film-shop",
        "default_consent": Consent(ConsentState.GRANTED, ConsentState.GRANTED, ConsentState.PENDING),
        "write_key_sha256": [hashlib.sha256(b"demo").hexdigest()],
    }
    return Policy(
        site=Site(**{**known, **site}),
        placements=dict(placements) if placements else {HERO: placement(experiment=EXPERIMENT), LIST: listed},
        collections={ALL: list(FILMS)},
        experiments={EXPERIMENT: Experiment([CHAMPION, CHALLENGER], [0.5, 0.5], seed="hero-2025")},
    )


# --- bundle ----------------------------------------------------------------------------------------------------------
def resources(**changes: bytes) -> dict[str, bytes]:
    """All resources by path; `changes` are named by stem: `policy`, `features`, `catalogue`, `neighbours`, `golden`."""
    built = {
        POLICY: encode_policy(policy()),
        FEATURES: encode_features(feature_table()),
        CATALOGUE: encode_catalogue(catalogue()),
        NEIGHBOURS: neighbours_bytes(),
        GOLDEN: encode_golden(golden()),
        "models/ranker.onnx": b"the bytes of a graph",
        "models/ranker.attribution.onnx": b"the bytes of its twin",
    }
    stems = {path.partition(".")[0]: path for path in built}
    for stem, data in changes.items():
        built[stems[stem]] = data
    return built


def manifest(files: Mapping[str, bytes], **changes: Any) -> Manifest:
    """The manifest of these resources, version 7."""
    names = tuple(feature.name for feature in msgspec.json.decode(files[FEATURES], type=FeatureTable).features)
    known: dict[str, Any] = {
        "version": BundleVersion(7),
        "parent": BundleVersion(6),
        "site": SITE,
        "created_ms": NOW_MS - DAY_MS,
        "expires_ms": NOW_MS + 30 * DAY_MS,
        "protocol_version": FIRST,
        "resources": {path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()},
        "models": {RANKER: ModelEntry("models/ranker.onnx", names, "models/ranker.attribution.onnx")},
        "provenance": {"made_by": "tests"},
    }
    return Manifest(**{**known, **changes})


def bundle(**changes: Any) -> Bundle:
    """The loaded bundle. `changes`: `policy`, `features`, `catalogue`, `golden` as structs, `neighbours` as bytes."""
    encoders: dict[str, Callable[[Any], bytes]] = {
        "policy": encode_policy,
        "features": encode_features,
        "catalogue": encode_catalogue,
        "golden": encode_golden,
        "neighbours": bytes,
    }
    files = resources(**{stem: encoders[stem](value) for stem, value in changes.items()})
    made = manifest(files)
    return load_bundle(made, hashlib.sha256(encode_manifest(made)).hexdigest(), files)


# --- visitors --------------------------------------------------------------------------------------------------------
def profile(looked_at: Sequence[str] = (), *, now_ms: int = NOW_MS, gap_ms: int = 60_000) -> Profile:
    """Somebody who looked at these films, the last one a minute ago, `gap_ms` apart."""
    made = Profile()
    for position, film in enumerate(looked_at):
        time_ms = now_ms - 60_000 - gap_ms * (len(looked_at) - 1 - position)
        day = time_ms // DAY_MS
        made.items[ItemId(film)] = LastTouch(time_ms, Kind.VIEW)
        made.first_ms = made.first_ms or time_ms
        made.last_ms = time_ms
        _add(made.counts.setdefault(Kind.VIEW, []), day, 1)
        for genre in genres_of(int(film.removeprefix("film-"))):
            weight = affinity_weight(Kind.VIEW, None)
            _add(made.affinity.setdefault("category", {}).setdefault(genre, []), day, weight)
    return made


def shown(made: Profile, film: str, times: int, *, now_ms: int = NOW_MS) -> Profile:
    """The same visitor, to whom a film was shown `times` times just now; in place."""
    made.impressions = sorted(
        [*made.impressions, *(Impression(now_ms - 1_000, Producer("n/1/0"), seq, ItemId(film)) for seq in range(times))]
    )
    return made


def _add(buckets: list[tuple[int, int]], day: int, amount: int) -> None:
    if buckets and buckets[-1][0] == day:
        buckets[-1] = (day, buckets[-1][1] + amount)
    else:
        buckets.append((day, amount))


# --- questions -------------------------------------------------------------------------------------------------------
def question(*placements: PlacementRequest | PlacementName, **changes: Any) -> Question:
    """A question of a visitor who agreed to everything, about the hero unless told otherwise."""
    asked = tuple(
        entry if isinstance(entry, PlacementRequest) else PlacementRequest(entry) for entry in placements or (HERO,)
    )
    known: dict[str, Any] = {
        "decision_id": DECISION,
        "unit": "0f3a9c",
        "placements": asked,
        "context": Context(page=Page(path="/"), device=Device("mobile"), locale="en-GB"),
        "grants": EVERYTHING_GRANTED,
    }
    return Question(**{**known, **changes})
