"""A bench's figures in words, for a terminal and for a page."""

from __future__ import annotations

import datetime as dt
from typing import Final

from edge.bench.machine import Machine
from edge.bench.session import Outcome
from edge.bench.tally import Latency
from edge.bench.threshold import Judged
from edge.bench.watched import Offers
from edgewise.clock import utc_minute

COLUMNS: Final = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")
"""Of `latencies_in_rows`, in milliseconds, behind the name."""


def heading(outcome: Outcome) -> str:
    """What was done."""
    order = outcome.order
    how = {"rate": order.arrivals.value, "knee": f"looking for the knee, {order.arrivals.value}", "replay": "a log"}
    at = f"at the knee, {outcome.rate:,.0f}/s" if outcome.knee is not None else f"{outcome.rate:,.0f}/s"
    return (
        f"{order.url}: {at} ({how[order.mode]}), {outcome.measured_s:g} s after {order.warm_up_s:g} s of warm-up, "
        f"{order.connections:,} connections, profile {order.profile}"
    )


def latencies_in_rows(outcome: Outcome) -> list[list[str]]:
    """A row for each kind of latency."""
    figures = outcome.measured.figures
    rows = [
        ["from when due", *_row(figures.latency_ms)],
        *([f"- {kind}", *_row(latency)] for kind, latency in figures.by_kind_ms.items()),
        ["from when sent", *_row(figures.service_ms)],
        ["inside the node", *_row(figures.node_ms)],
        ["generator's lag", *_row(figures.scheduling_lag_ms)],
    ]
    return [row for row in rows if row[1] != "-"]


def figures_in_words(outcome: Outcome) -> list[str]:
    """Counts and rates, a line each."""
    figures, own = outcome.measured.figures, outcome.measured.own
    wrong = ", ".join(f"{count:,} x {kind}" for kind, count in figures.errors_by.items())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in figures.reasons.items())
    rates = f"{figures.offered:,.1f}/s due, {figures.throughput:,.1f}/s answered, {figures.goodput:,.1f}/s rightly"
    return [
        f"{figures.requests:,} requests, {rates}",
        f"errors {figures.errors:,} ({figures.error_share:.2%})" + (f": {wrong}" if wrong else ""),
        f"placements by reason: {reasons or 'none'}; fallbacks {figures.fallback_share:.2%}",
        f"the generator used {own.cpu_share:.0%} of a core, {own.cpu_us:.0f} us a request; it could make "
        f"{own.ceiling:,.0f}/s here" + (": it is the bottleneck" if own.is_busy else ""),
        *([_watched(outcome.watched)] if outcome.watched is not None else []),
    ]


def knee_in_words(outcome: Outcome) -> str:
    """Where it breaks."""
    knee = outcome.knee
    assert knee is not None
    if knee.rate is None:
        return f"knee: below {knee.broke_at or 0:,.0f}/s ({knee.broken_by})"
    if knee.broke_at is None:
        return f"knee: above {knee.rate:,.0f}/s; nothing broke"
    return f"knee: {knee.rate:,.0f}/s held; at {knee.broke_at:,.0f}/s {knee.broken_by}"


def in_words(judged: Judged) -> str:
    """A threshold and what came of it."""
    measured = "nothing could be measured" if judged.measured is None else _value(judged)
    return f"{judged.condition}: {measured}, {'crossed' if judged.crossed else 'kept'}"


def where(outcome: Outcome) -> str:
    """Machine, commit and versions, and the node's own."""
    node, asked = outcome.node, ""
    if node is not None:
        asked = f"node {node.node}: {node.state}, bundle {node.bundle.get('version')}, {len(node.workers)} workers\n"
    return f"{asked}{machine_in_words(outcome.machine)}; seed {outcome.order.seed}"


def machine_in_words(machine: Machine) -> str:
    """Processor, system, versions, commit and when."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    commit = f", commit {machine.commit}" if machine.commit else ""
    day = utc_minute(machine.measured_ms)
    return (
        f"{machine.cpu}, {machine.cores} cores, load {machine.load_1min} before; {machine.kernel}; "
        f"{machine.python}; {versions}{commit}; {day}"
    )


def _watched(offers: Offers) -> str:
    if offers.last_ms is None:
        return f"{offers.item} was never offered"
    last = dt.datetime.fromtimestamp(offers.last_ms / 1_000, dt.UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"{offers.item} was offered {offers.offers:,} times, last at {last} UTC"


def _row(latency: Latency) -> list[str]:
    shown = (
        latency.p50,
        latency.p90,
        latency.p95,
        latency.p99,
        latency.p99_9,
        latency.max,
        latency.mean,
    )
    return ["-" if value is None else f"{value:.2f}" for value in shown]


def _value(judged: Judged) -> str:
    value = judged.measured or 0.0
    if judged.condition.startswith(("errors", "fallback")):
        return f"{value:.2%}"
    if judged.condition.startswith(("throughput", "goodput", "knee")):
        return f"{value:,.1f}/s"
    return f"{value:.2f} ms"
