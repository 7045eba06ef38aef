"""What `decide` costs beside the model, printed by `make bench`: microseconds, best of many short runs."""

import time
from collections.abc import Callable

import bench_world
import numpy as np
import pytest
import world
from bench_world import GRANTED, bench_bundle, bench_profile, decision_rows, film, loaded
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer
from edgewise.admission.load import Bundle
from edgewise.bundle.policy import EpsilonGreedy, Exploration, Greedy, SquareCB
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.explain import Attribute
from edgewise.ids import ModelName
from edgewise.policy import slate
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.ranking import Score
from edgewise.request import PlacementRequest

pytestmark = pytest.mark.bench

ITEMS = 1_682
CANDIDATES = 100
HERO = PlacementRequest(bench_world.HERO)


def microseconds(work: Callable[[], object]) -> float:
    """The best of 60 runs of 20: what it costs when nothing else takes the machine."""
    best = float("inf")
    for _ in range(60):
        started = time.perf_counter_ns()
        for _ in range(20):
            work()
        best = min(best, (time.perf_counter_ns() - started) / 20)
    return best / 1_000


def milliseconds(work: Callable[[], object], share: float) -> float:
    """The quantile `share` of 400 runs."""
    taken = []
    for _ in range(400):
        started = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return float(np.quantile(taken, share))


def free(_model: ModelName, matrix: world.Matrix) -> NDArray[np.float32]:
    """A model that costs next to nothing."""
    return matrix[:, 0]


def deciding(
    bundle: Bundle, question: Question, profile: Profile, score: Score = free, attribute: Attribute | None = None
) -> Callable[[], object]:
    draw = draw_from("salt", question.decision_id)
    return lambda: decide(
        question, profile, bundle=bundle, score=score, attribute=attribute, draw=draw, now_ms=bench_world.NOW_MS
    )


@pytest.mark.parametrize(("touched", "days"), [(0, 1), (10, 2), (30, 5), (100, 10), (700, 60)])
def test_decide(touched: int, days: int) -> None:
    bundle = loaded(bench_bundle(ITEMS, retrieval="neighbours"))
    profile = bench_profile(ITEMS, touched, days)
    for title, arm in (("model", bench_world.MODELLED), ("rule", bench_world.RULED)):
        cost = microseconds(deciding(bundle, world.question(HERO, force={bench_world.HERO: arm}), profile))
        print(f"\ndecide, {CANDIDATES} candidates x 40, {touched:>3} touched, by {title}: {cost:.1f} us", end="")
    features, rows = bundle.features, bundle.features.rows([film(number) for number in range(CANDIDATES)])
    question = world.question()

    def compute() -> object:
        view = features.view(profile, question.context, bench_world.NOW_MS)
        return features.matrix(view, rows, GRANTED)

    print(f"\n  features alone: {microseconds(compute):.1f} us", end="")


@pytest.mark.parametrize("exploration", [Greedy(), SquareCB(50.0, 0.02), EpsilonGreedy(0.1)])
def test_slates(exploration: Exploration) -> None:
    scores = np.random.default_rng(1).random(CANDIDATES)
    draw = draw_from("salt", world.DECISION)
    cost = microseconds(lambda: slate(scores, 10, exploration, lambda slot: draw(world.HERO, slot)))
    print(f"\nslate of 10 from {CANDIDATES}, {type(exploration).__name__}: {cost:.1f} us", end="")


def test_the_model_beside_what_is_around_it() -> None:
    """One decision after the other for 50 visitors, with and without an explanation, and the model on their rows."""
    made = bench_bundle(ITEMS, retrieval="all")
    bundle, scorer = loaded(made), OnnxScorer(made.model)
    attributor = OnnxScorer(made.attribution)
    turn = 0

    def next_rows() -> object:
        nonlocal turn
        turn += 1
        return scorer.score(rows[turn % len(rows)])

    rows = decision_rows(bundle, visitors=50)
    print(f"\nmodel alone, on the rows of decisions: {microseconds(next_rows):.1f} us", end="")
    profile = bench_profile(ITEMS, 30, 5)
    for explain in (False, True):
        work = deciding(
            bundle,
            world.question(HERO, explain=explain),
            profile,
            lambda _model, matrix: scorer.score(matrix),
            lambda _model, matrix: attributor.attribute(matrix),
        )
        print(f"\ndecide with its model, explanation {'on' if explain else 'off'}: {microseconds(work):.1f} us", end="")


@pytest.mark.parametrize("retrieval", ["all", "neighbours", "vectors"])
@pytest.mark.parametrize("items", [100_000])
def test_catalogue(items: int, retrieval: bench_world.RetrievalName) -> None:
    made = bench_bundle(items, retrieval=retrieval)
    bundle, scorer = loaded(made), OnnxScorer(made.model)
    for touched in (0, 30, 300):
        profile = bench_profile(items, touched, 10)
        work = deciding(bundle, world.question(HERO), profile, lambda _model, matrix: scorer.score(matrix))
        print(
            f"\n{items:>7} items by {retrieval}, {touched:>3} touched: "
            f"p50 {milliseconds(work, 0.5):.2f} ms, p99 {milliseconds(work, 0.99):.2f} ms",
            end="",
        )
