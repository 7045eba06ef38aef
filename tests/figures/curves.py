"""How cost grows: by candidates, trees, profile and catalogue (one decision, without HTTP), by rate and connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from edge.scoring.scorer import OnnxScorer
from edgewise.admission.load import Bundle, load_bundle
from edgewise.clock import SystemClock
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.ids import DecisionId, PlacementName, ulid
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.request import PlacementRequest
from figures import floors, shop
from figures.figure import Curve, Measured, Point
from figures.floors import seconds_each
from figures.ground import Ground
from figures.shop import Shape
from figures.stage import on_core

CANDIDATES: Final = (10, 30, 100, 300, 1_000)
TREES: Final = (10, 30, 100, 300)
TOUCHED: Final = (0, 10, 30, 100, 300, 700)
ITEMS: Final = (1_000, 10_000, 100_000, 1_000_000)
QUICK_ITEMS: Final = 10_000
CONNECTIONS: Final = (1, 10, 100, 1_000, 10_000)
SHARES: Final = (0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 1.0, 1.1)
"""Of the knee."""
COST_S: Final = 0.6
DRAWS: Final = 64
WINDOW_S: Final = 3.0
US: Final = 1e6


def measure(ground: Ground) -> Measured:
    """All curves, cheap ones first."""
    costs = [_by_candidates, _by_trees, _by_profile, _by_catalogue]
    with on_core(ground.stage.cores.server):
        drawn = [cost(ground) for cost in costs]
    return Measured([], [*drawn, *_over_http(ground)])


class Decided:
    """One worker's work without HTTP, cache and spool: a question, a profile, a bundle."""

    def __init__(self, bundle: Bundle, profile: Profile, placement: PlacementName, now_ms: int) -> None:
        self._scorers = {name: OnnxScorer(model.onnx) for name, model in bundle.models.items()}
        self._bundle = bundle
        self._profile = profile
        self._now_ms = now_ms
        self._draws = [draw_from("salt", DecisionId(str(turn))) for turn in range(DRAWS)]
        self._question = Question(
            decision_id=DecisionId(ulid(now_ms, bytes(10))),
            unit="0f3a9c",
            placements=(PlacementRequest(placement),),
            context=shop.CONTEXT,
            grants=shop.GRANTED,
        )

    def __call__(self, turn: int) -> object:
        """Decide; another turn draws otherwise."""
        return decide(
            self._question,
            self._profile,
            bundle=self._bundle,
            score=lambda name, matrix: self._scorers[name].score(matrix),
            draw=self._draws[turn % DRAWS],
            now_ms=self._now_ms,
        )


def _loaded(shape: Shape) -> Bundle:
    built = shop.build(shape)
    return load_bundle(built.manifest, built.digest, built.resources)


def _cost_us(work: Callable[[int], object]) -> float:
    return seconds_each(work, COST_S) * US


def _decided(shape: Shape, *, touched: int = 20, placement: PlacementName = shop.HERO) -> Decided:
    now_ms = SystemClock().now_ms()
    profile = shop.visitor(touched, max(1, touched // 5), shop.TRAINING_ITEMS if shape.items > 1_000 else 500, now_ms)
    return Decided(_loaded(shape), profile, placement, now_ms)


def _by_candidates(ground: Ground) -> Curve:
    whole = [Point(count, _cost_us(_decided(Shape(candidates=count)))) for count in CANDIDATES]
    model = [Point(n, US * floors.model_floor_s(ground.stage, candidates=n, seconds=COST_S)) for n in CANDIDATES]
    lines = {"decision": whole, "of it the model": model}
    return Curve("Cost of a decision by candidates, 100 trees", "candidates", "us of one core", lines)


def _by_trees(ground: Ground) -> Curve:
    whole = [Point(trees, _cost_us(_decided(Shape(trees=trees)))) for trees in TREES]
    model = [Point(n, US * floors.model_floor_s(ground.stage, trees=n, seconds=COST_S)) for n in TREES]
    lines = {"decision": whole, "of it the model": model}
    return Curve("Cost of a decision by trees, 100 candidates", "trees", "us of one core", lines)


def _by_profile(_: Ground) -> Curve:
    bundle, now_ms = _loaded(shop.STANDARD), SystemClock().now_ms()
    profiles = {n: shop.visitor(n, max(1, n // 10), shop.TRAINING_ITEMS, now_ms) for n in TOUCHED}
    whole = [Point(n, _cost_us(Decided(bundle, profile, shop.HERO, now_ms))) for n, profile in profiles.items()]
    features = bundle.features
    rows = features.rows([shop.film(number) for number in range(100)])

    def computed(profile: Profile) -> float:
        def work(_: int) -> object:
            return features.matrix(features.view(profile, shop.CONTEXT, now_ms), rows, shop.GRANTED)

        return _cost_us(work)

    lines = {"decision": whole, "of it features": [Point(n, computed(profile)) for n, profile in profiles.items()]}
    return Curve("Cost of a decision by touched items of the profile", "touched items", "us of one core", lines)


def _by_catalogue(ground: Ground) -> Curve:
    most = QUICK_ITEMS if ground.stage.effort.is_quick else max(ITEMS)
    points = []
    for items in ITEMS:
        if items <= most:
            decided = _decided(Shape(items=items), placement=shop.WIDE)
            points.append(Point(items, _cost_us(decided)))
            shop.catalogue.cache_clear()  # a million items are gigabytes
            shop.neighbours.cache_clear()
    lines = {"retrieval and ranking": points}
    return Curve("Cost of a decision by catalogue, 100 retrieved", "items", "us of one core", lines)


def _over_http(ground: Ground) -> list[Curve]:
    stage, knee = ground.stage, ground.standing.knee
    window_s = 1.0 if stage.effort.is_quick else WINDOW_S
    with stage.node(bundle=ground.bundle) as node:
        by_rate = [
            stage.open_loop(node.url, share * knee, mix=ground.mix, seconds=window_s, connections=200)
            for share in SHARES
        ]
        by_connections = [
            stage.open_loop(node.url, 0.3 * knee, mix=ground.mix, seconds=window_s, connections=connections)
            for connections in CONNECTIONS
        ]
    return [
        _latencies("Latency by rate, open loop", "decisions a second", [each["rate"] for each in by_rate], by_rate),
        _latencies(
            "Latency by open connections, at 30 % of the knee",
            "connections",
            [each["connections"] for each in by_connections],
            by_connections,
        ),
    ]


def _latencies(title: str, x: str, xs: list[float], told: list[dict[str, Any]]) -> Curve:
    lines = {
        name: [
            Point(at, msgspec.convert(each["latency_ms"][name], float))
            for at, each in zip(xs, told, strict=True)
            if each["latency_ms"][name] is not None
        ]
        for name in ("p50", "p99", "p99.9")
    }
    return Curve(title, x, "ms from when due", lines)
