"""What `decide` costs beside the model, printed by `make bench`: microseconds, best of many short runs."""

import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import world
from numpy.typing import NDArray

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, content_sha256
from edgewise.bundle.golden import Golden, golden_rows
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.bundle.policy import (
    Arm,
    ByAttribute,
    ByModel,
    ByNeighbours,
    EpsilonGreedy,
    Everything,
    Exploration,
    Greedy,
    SquareCB,
)
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.events import Kind
from edgewise.features import table as declared
from edgewise.features.table import FeatureTable
from edgewise.ids import ArmName, ItemId, ModelName
from edgewise.policy import slate
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.question import Question
from edgewise.request import PlacementRequest

pytestmark = pytest.mark.bench

ITEMS = 1_682
CANDIDATES = 100
GENRES = [f"genre-{number}" for number in range(18)]


def table() -> FeatureTable:
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
        declared.ItemAttribute(name=f"number_{n}", attribute=f"number_{n}", sentence="Rated {value}") for n in range(15)
    ]
    features += [declared.ItemIs(name=f"is_{n}", attribute="category", value=f"genre-{n}") for n in range(4)]
    return FeatureTable(features)


def shop(exploration: Exploration, limit: int, count: int) -> Bundle:
    """A catalogue of the size of MovieLens 100k, fifty neighbours an item."""
    generator = np.random.default_rng(7)
    items = []
    for number in range(ITEMS):
        genres = [GENRES[code] for code in generator.choice(18, generator.integers(1, 4), replace=False)]
        numbers = {f"number_{n}": float(generator.random()) for n in range(15)}
        content = {"title": f"Film {number}"}
        attributes: dict[str, AttributeValue] = {"category": genres, "popularity": float(generator.random()), **numbers}
        items.append(Item(ItemId(f"film-{number}"), content, attributes, content_sha256(content)))
    films = [item.id for item in items]
    indices = np.concatenate([generator.choice(ITEMS, 50, replace=False) for _ in range(ITEMS)]).astype(np.int32)
    neighbours = encode_neighbours(
        films, np.arange(0, 50 * ITEMS + 1, 50, dtype=np.int32), indices, generator.random(50 * ITEMS, np.float32)
    )
    placement = world.placement(
        arms={
            world.CHAMPION: Arm(ByAttribute("popularity")),
            world.CHALLENGER: Arm(ByModel(world.RANKER), exploration, ByNeighbours("popularity", limit)),
            ArmName("whole"): Arm(ByModel(world.RANKER), exploration, Everything(limit)),
        },
        arm=world.CHALLENGER,
        fallback=films[:3],
        count=count,
        exclude_seen=True,
    )
    policy = msgspec.structs.replace(
        world.policy({world.HERO: placement}), experiments={}, collections={world.ALL: films}
    )
    width = len(table().features)
    rows = golden_rows(np.zeros((1, width), np.float32), np.zeros(1))
    return world.bundle(
        policy=policy,
        features=table(),
        catalogue=Catalogue(items),
        neighbours=neighbours,
        golden=Golden({world.RANKER: rows}),
    )


def visitor(touched: int, days: int) -> Profile:
    """Somebody with this many films, spread over as many days."""
    generator = np.random.default_rng(touched)
    today = world.NOW_MS // DAY_MS
    made = Profile(first_ms=world.NOW_MS - days * DAY_MS, last_ms=world.NOW_MS - 1_000)
    for film in generator.choice(ITEMS, touched, replace=False).tolist():
        time_ms = world.NOW_MS - int(generator.integers(1_000, days * DAY_MS))
        made.items[ItemId(f"film-{film}")] = LastTouch(time_ms, Kind.VIEW)
        day = time_ms // DAY_MS
        for genre in {GENRES[film % 18], GENRES[film % 7]}:
            counts = dict(made.affinity.setdefault("category", {}).get(genre, []))
            counts[day] = counts.get(day, 0) + 1
            made.affinity["category"][genre] = sorted(counts.items())
    made.counts = {kind: [(today - back, 3) for back in reversed(range(days))] for kind in (Kind.VIEW, Kind.CLICK)}
    return made


def microseconds(work: Callable[[], object]) -> float:
    """The best of 60 runs of 20: what it costs when nothing else takes the machine."""
    best = float("inf")
    for _ in range(60):
        started = time.perf_counter_ns()
        for _ in range(20):
            work()
        best = min(best, (time.perf_counter_ns() - started) / 20)
    return best / 1_000


def free(_model: ModelName, matrix: world.Matrix) -> NDArray[np.float32]:
    """A model that costs next to nothing."""
    return matrix[:, 0]


@pytest.mark.parametrize(("touched", "days"), [(0, 1), (10, 2), (30, 5), (100, 10), (700, 60)])
def test_decide(touched: int, days: int) -> None:
    bundle, profile = shop(Greedy(), CANDIDATES, 1), visitor(touched, days)
    request = PlacementRequest(world.HERO)
    for title, arm in (("neighbours", "challenger"), ("whole collection", "whole"), ("rule", "champion")):
        question = world.question(request, force={world.HERO: arm})
        draw = draw_from("salt", question.decision_id)

        def run(question: Question = question, draw: object = draw) -> object:
            return decide(question, profile, bundle=bundle, score=free, draw=draw, now_ms=world.NOW_MS)  # type: ignore[arg-type]

        print(
            f"\ndecide, {CANDIDATES} candidates x 40, {touched:>3} touched, by {title}: {microseconds(run):.1f} us",
            end="",
        )
    features, rows = bundle.features, bundle.features.rows([ItemId(f"film-{n}") for n in range(CANDIDATES)])
    question = world.question()

    def compute() -> object:
        view = features.view(profile, question.context, world.NOW_MS)
        return features.matrix(view, rows, question.grants)

    print(f"\n  features alone: {microseconds(compute):.1f} us", end="")


@pytest.mark.parametrize("exploration", [Greedy(), SquareCB(50.0, 0.02), EpsilonGreedy(0.1)])
def test_slates(exploration: Exploration) -> None:
    scores = np.random.default_rng(1).random(CANDIDATES)
    draw = draw_from("salt", world.DECISION)
    cost = microseconds(lambda: slate(scores, 10, exploration, lambda slot: draw(world.HERO, slot)))
    print(f"\nslate of 10 from {CANDIDATES}, {type(exploration).__name__}: {cost:.1f} us", end="")


def test_explanation() -> None:
    bundle, profile = shop(Greedy(), CANDIDATES, 1), visitor(30, 5)

    contributions = np.arange(len(table().features) + 1, 0, -1, dtype=np.float32)[None, :]
    for explain in (False, True):
        question = world.question(explain=explain)
        draw = draw_from("salt", question.decision_id)

        def run(question: Question = question, draw: object = draw) -> object:
            return decide(
                question,
                profile,
                bundle=bundle,
                score=free,
                attribute=lambda _model, _matrix: contributions,
                draw=draw,  # type: ignore[arg-type]
                now_ms=world.NOW_MS,
            )

        print(f"\nexplanation {'on' if explain else 'off'}: {microseconds(run):.1f} us", end="")
