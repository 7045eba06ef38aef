"""What one graph for two models would save: the call that is not made. Decision 0033 rests on this figure."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnx
import onnx.compose
from boosters import booster, names, rows

from accuracy.claim import Claim
from edge.scoring.scorer import OnnxScorer, open_session, run_session
from hub.export import export_booster

CANDIDATES = 30
ALTERNATIONS = 60
CALLS = 50
PROTOCOL = (
    "a visitor score of one row and 12 columns beside a ranker of 30 candidates and 24 columns, 100 trees of 31 leaves "
    "each; the shortest mean of 50 calls over 60 alternating repetitions, one thread, through the edge's scorer"
)


def composition_claims() -> list[Claim]:
    """Microseconds of a decision, apart and as one graph; shown, no bound."""
    visitor, candidates = (
        rows(np.random.default_rng(seed), 3_000, numbers=width) for seed, width in ((0, 12), (1, 24))
    )
    score, ranker = (booster(table, "binary", rounds=100) for table in (visitor, candidates))
    graphs = [
        export_booster(score, feature_names=names(score), output="probability"),
        export_booster(ranker, feature_names=names(ranker), output="raw"),
    ]
    apart = [OnnxScorer(graph.SerializeToString()) for graph in graphs]
    whole = open_session(_composed(graphs).SerializeToString())
    one, many = visitor[:1].copy(), candidates[:CANDIDATES].copy()

    def in_two_calls() -> None:
        apart[0].score(one)
        apart[1].score(many)

    def in_one_call() -> None:
        run_session(whole, ["a_score", "b_score"], {"a_x": one, "b_x": many})

    composed = run_session(whole, ["a_score", "b_score"], {"a_x": one, "b_x": many})
    assert np.array_equal(composed[0], apart[0].score(one))
    assert np.array_equal(composed[1], apart[1].score(many))
    two_us, one_us = _shortest_us(in_two_calls, in_one_call)
    return [
        Claim(what="microseconds of a decision, two models in two calls", value=two_us, protocol=PROTOCOL),
        Claim(
            what="microseconds of a decision, the same models composed into one graph",
            value=one_us,
            source="0033: they stay apart",
            protocol=PROTOCOL,
        ),
    ]


def _composed(graphs: list[onnx.ModelProto]) -> onnx.ModelProto:
    parts = []
    for graph, prefix in zip(graphs, ("a_", "b_"), strict=True):
        bare = onnx.ModelProto()
        bare.CopyFrom(graph)
        del bare.metadata_props[:]
        parts.append(onnx.compose.add_prefix(bare, prefix))
    composed: onnx.ModelProto = onnx.compose.merge_models(parts[0], parts[1], io_map=[])
    return composed


def _shortest_us(*calls: Callable[[], None]) -> list[float]:
    """Of each, alternating, so that what else the machine does meets them alike."""
    shortest = [float("inf")] * len(calls)
    for _ in range(ALTERNATIONS):
        for number, call in enumerate(calls):
            began_s = time.perf_counter()
            for _ in range(CALLS):
                call()
            shortest[number] = min(shortest[number], (time.perf_counter() - began_s) / CALLS * 1e6)
    return shortest
