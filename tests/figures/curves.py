"""How cost grows: by candidates, trees, profile and catalogue (one decision, without HTTP), by rate and connections."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer
from edgewise.admission.acceptance import Limits
from edgewise.admission.load import Bundle, load_bundle
from edgewise.clock import SystemClock
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.ids import DecisionId, ModelName, PlacementName, ulid
from edgewise.profile.state import Profile
from edgewise.question import Question
from edgewise.request import PlacementRequest
from figures import shop, stock, trees
from figures.cores import on_core
from figures.figure import Curve, Measured, Point
from figures.floors import seconds_each
from figures.ground import Ground
from figures.shop import Shape

CANDIDATES: Final = (10, 30, 100, 300, 1_000)
TREES: Final = (10, 30, 100, 300)
TOUCHED: Final = (0, 10, 30, 100, 300, 700)
ITEMS: Final = (1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS: Final = (1, 10, 100, 1_000, 10_000)
QUICK_CONNECTIONS: Final = (1, 10_000)
SHARES: Final = (0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 1.0, 1.1)
"""Of the knee."""
QUICK_SHARES: Final = (0.5, 1.0)
GIANT: Final = 1_000_000
GIANT_BYTES: Final = 12 << 30
ROOMY: Final = Limits(resource_bytes=1 << 30, total_bytes=2 << 30, items=GIANT)
"""The last point is beyond what a node takes (500,000 items), to show where the cost goes."""
COST_S: Final = 0.6
DRAWS: Final = 64
VISITORS: Final = 16
"""By turns: of one alone the processor would learn every branch of every tree."""
TYPICAL: Final = 20
"""Touched items of a visitor, where the profile is not what grows."""
WINDOW_S: Final = 3.0
QUICK_WINDOW_S: Final = 1.0
US: Final = 1e6
Matrix = NDArray[np.float32]


def measure(ground: Ground) -> Measured:
    """All curves, cheap ones first."""
    costs = [_by_candidates, _by_trees, _by_profile, _by_catalogue]
    with on_core(ground.stage.cores.server):
        drawn = [cost(ground) for cost in costs]
    return Measured([], [*drawn, *_over_http(ground)])


class Decided:
    """One worker's work without HTTP, cache and spool: questions of several visitors, by turns."""

    def __init__(self, bundle: Bundle, profiles: Sequence[Profile], placement: PlacementName, now_ms: int) -> None:
        self._scorers = {name: OnnxScorer(model.onnx) for name, model in bundle.models.items()}
        self._bundle = bundle
        self._profiles = profiles
        self._now_ms = now_ms
        self._draws = [draw_from("salt", DecisionId(str(turn))) for turn in range(DRAWS)]
        self._question = Question(
            decision_id=DecisionId(ulid(now_ms, bytes(10))),
            unit="0f3a9c",
            placements=(PlacementRequest(placement),),
            context=stock.CONTEXT,
            grants=stock.GRANTED,
        )
        self._turns = 0
        self._scoring_s = 0.0

    def costs_us(self, seconds: float) -> tuple[float, float]:
        """A decision, and its model's part."""
        whole_us = seconds_each(self._decide, seconds) * US
        return whole_us, self._scoring_s / self._turns * US

    def _decide(self, turn: int) -> object:
        self._turns += 1
        return decide(
            self._question,
            self._profiles[turn % len(self._profiles)],
            bundle=self._bundle,
            score=self._score,
            draw=self._draws[turn % DRAWS],
            now_ms=self._now_ms,
        )

    def _score(self, name: ModelName, matrix: Matrix) -> Matrix:
        began_s = time.thread_time()
        scores = self._scorers[name].score(matrix)
        self._scoring_s += time.thread_time() - began_s
        return scores


def _loaded(shape: Shape) -> Bundle:
    built = shop.build(shape)
    return load_bundle(built.manifest, built.digest, built.resources, limits=ROOMY)


def _visitors(items: int, touched: int, now_ms: int) -> list[Profile]:
    return [stock.visitor(touched, max(1, touched // 5), items, now_ms, seed=seed) for seed in range(VISITORS)]


def _costs(ground: Ground, shape: Shape, *, placement: PlacementName = shop.HERO) -> tuple[float, float]:
    now_ms = SystemClock().now_ms()
    visitors = _visitors(min(shape.items, trees.TRAINING_ITEMS), TYPICAL, now_ms)
    return Decided(_loaded(shape), visitors, placement, now_ms).costs_us(_seconds(ground))


def _some(ground: Ground, steps: Sequence[int]) -> Sequence[int]:
    """All steps of a curve; of a quick run the first and the third, because large ones take long to build."""
    return steps[:3:2] if ground.stage.effort.is_quick else steps


def _seconds(ground: Ground) -> float:
    return COST_S / 3 if ground.stage.effort.is_quick else COST_S


def _grown(title: str, x: str, costs: dict[int, tuple[float, float]]) -> Curve:
    lines = {
        "decision": [Point(at, whole_us) for at, (whole_us, _) in costs.items()],
        "of it the model": [Point(at, model_us) for at, (_, model_us) in costs.items()],
    }
    return Curve(title, x, "us of one core", lines)


def _by_candidates(ground: Ground) -> Curve:
    costs = {count: _costs(ground, Shape(candidates=count)) for count in _some(ground, CANDIDATES)}
    return _grown("Cost of a decision by candidates, 100 trees", "candidates", costs)


def _by_trees(ground: Ground) -> Curve:
    costs = {trees: _costs(ground, Shape(trees=trees)) for trees in _some(ground, TREES)}
    return _grown("Cost of a decision by trees, 100 candidates", "trees", costs)


def _by_profile(ground: Ground) -> Curve:
    bundle, now_ms, seconds = _loaded(shop.STANDARD), SystemClock().now_ms(), _seconds(ground)
    visitors = {touched: _visitors(trees.TRAINING_ITEMS, touched, now_ms) for touched in _some(ground, TOUCHED)}
    costs = {n: Decided(bundle, each, shop.HERO, now_ms).costs_us(seconds) for n, each in visitors.items()}
    drawn = _grown("Cost of a decision by touched items of the profile", "touched items", costs)
    features, rows = bundle.features, bundle.features.rows([stock.film(number) for number in range(100)])

    def compute(profile: Profile) -> object:
        return features.matrix(features.view(profile, stock.CONTEXT, now_ms), rows, stock.GRANTED)

    computed = {
        n: seconds_each(lambda turn, each=each: compute(each[turn % VISITORS]), seconds) * US  # type: ignore[misc]
        for n, each in visitors.items()
    }
    drawn.lines["of it features"] = [Point(n, cost_us) for n, cost_us in computed.items()]
    return drawn


def _by_catalogue(ground: Ground) -> Curve:
    costs = {}
    for items in _some(ground, ITEMS):
        if items >= GIANT and available_bytes() < GIANT_BYTES:
            ground.terminal.note(
                f"a catalogue of {items:,} items is left out: it takes {GIANT_BYTES >> 30} GiB of memory"
            )
            continue
        costs[items] = _costs(ground, Shape(items=items), placement=shop.WIDE)
        stock.catalogue.cache_clear()  # a million items are gigabytes
        stock.neighbours.cache_clear()
    return _grown("Cost of a decision by catalogue, 100 retrieved by neighbours", "items", costs)


def _over_http(ground: Ground) -> list[Curve]:
    stage, knee, is_quick = ground.stage, ground.standing.knee, ground.stage.effort.is_quick
    window_s = QUICK_WINDOW_S if is_quick else WINDOW_S
    shares = list(QUICK_SHARES if is_quick else SHARES)
    every = list(QUICK_CONNECTIONS if is_quick else CONNECTIONS)
    with stage.node(bundle=ground.bundle) as node:
        by_rate = [
            stage.open_loop(node.url, share * knee, mix=ground.mix, seconds=window_s, connections=200)
            for share in shares
        ]
        by_connections = [
            stage.open_loop(node.url, 0.3 * knee, mix=ground.mix, seconds=window_s, connections=connections)
            for connections in every
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


def available_bytes() -> int:
    """Of memory, without swapping, as the kernel reckons (proc(5), MemAvailable)."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    return 1_024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


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
