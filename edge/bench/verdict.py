"""What a bench tells: its figures as one object, and which thresholds were crossed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from edge.bench.session import Outcome
from edge.bench.threshold import Judged, Threshold


def judge_all(outcome: Outcome, thresholds: Sequence[Threshold]) -> list[Judged]:
    """Each threshold, judged on the measured window."""
    return [threshold.judge(_measured(outcome, threshold)) for threshold in thresholds]


def has_failed(outcome: Outcome, judged: Sequence[Judged]) -> bool:
    """A threshold was crossed, or the generator did not keep up: then nothing is known of the node."""
    return any(each.crossed for each in judged) or not outcome.measured.own.kept_up


def _measured(outcome: Outcome, threshold: Threshold) -> float:
    figures, latency = outcome.measured.figures, outcome.measured.tally.latency
    if threshold.quantile is not None:
        return latency.quantile_us(threshold.quantile) / 1_000
    knee = None if outcome.knee is None else outcome.knee.rate
    return {
        "mean": latency.mean_us / 1_000,
        "max": latency.max_us / 1_000 if latency.count else math.nan,
        "errors": figures.error_share,
        "fallback": figures.fallback_share,
        "throughput": figures.throughput,
        "goodput": figures.goodput,
        "knee": math.nan if knee is None else knee,
    }[threshold.metric]


def as_object(outcome: Outcome, judged: Sequence[Judged]) -> dict[str, Any]:
    """The object that `--json` prints. Latencies in ms, shares in 0..1, rates a second."""
    order = outcome.order
    return {
        "url": order.url,
        "mode": order.mode,
        "rate": round(outcome.rate, 2),
        "duration_s": round(outcome.measured_s, 3),
        "warm_up_s": order.warm_up_s,
        "connections": order.connections,
        "profile": order.profile,
        "arrivals": "log" if order.replay is not None else order.arrivals.value,
        "seed": order.seed,
        **msgspec.to_builtins(outcome.measured.figures),
        "generator": outcome.measured.own,
        "knee": outcome.knee,
        "steps": outcome.steps,
        "thresholds": judged,
        "watched": outcome.watched,
        "failed": has_failed(outcome, judged),
        "warnings": outcome.warnings,
        "node": outcome.node,
        "machine": outcome.machine,
        "seconds": outcome.measured.tally.seconds(),
    }
