"""What a worker counts: plain integers while it serves, Prometheus text when somebody asks.

Each worker counts for itself and writes its counters down with its status (`edge.node.status`); whoever is asked adds
them up. A worker that is started again goes on from its predecessor's last figures, so sums never fall.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from edge.worker.outcome import Outcome
from edgewise.bundle.promotions import PromotionName
from edgewise.ids import PlacementName
from edgewise.reasons import Reason

EDGES_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.010, 0.025, 0.050)
NO_PLACEMENT: Final = PlacementName("")
"""Counts for whatever name was asked for where no bundle says which names there are: labels must stay few."""

K = TypeVar("K", bound=str)
L = TypeVar("L", bound=str)


class Counts(msgspec.Struct):
    """Counters of one process, or of several added up."""

    decisions: dict[PlacementName, dict[Reason, int]] = {}
    decision_buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES_SECONDS) + 1))
    """How many decisions took at most each edge and more than the one before; the last bucket has no edge."""
    decision_seconds: float = 0.0
    events: dict[str, dict[str, int]] = {}
    """Type -> outcome (`edge.worker.outcome.Outcome`) -> count."""
    unkept: dict[str, int] = {}
    """Why events that were taken move no profile (`edge.worker.outcome.Reason`) -> count."""
    cache_hits: int = 0
    cache_misses: int = 0
    shed: dict[str, int] = {}
    """Stage of shedding -> requests."""
    failures: dict[str, int] = {}
    """What went wrong without a request failing: `scorer`, `cache`, `exposure_dropped`."""

    fallbacks: dict[str, int] = {}
    """Why a fragment was its placement's fallback that nobody decided -> requests."""

    codes: dict[PromotionName, dict[str, int]] = {}
    """Promotion -> `promised`: fresh codes; `out`: requests for which there was no number."""

    def coded(self, promotion: PromotionName, outcome: str) -> None:
        """Count a code that was promised, or could not be."""
        outcomes = self.codes.setdefault(promotion, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def decided(self, placement: PlacementName, reason: Reason) -> None:
        """Count one placement's answer."""
        reasons = self.decisions.setdefault(placement, {})
        reasons[reason] = reasons.get(reason, 0) + 1

    def took(self, seconds: float) -> None:
        """Count one decision's time."""
        self.decision_buckets[bisect.bisect_left(EDGES_SECONDS, seconds)] += 1
        self.decision_seconds += seconds

    def event(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count events of one type."""
        outcomes = self.events.setdefault(kind, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + count

    def unkept_for(self, reason: str) -> None:
        """Count an event that moves no profile."""
        self.unkept[reason] = self.unkept.get(reason, 0) + 1

    def failed(self, what: str) -> None:
        """Count a degradation."""
        self.failures[what] = self.failures.get(what, 0) + 1

    def fell_back(self, why: str) -> None:
        """Count a fragment that was refused, so that its page got the fallback."""
        self.fallbacks[why] = self.fallbacks.get(why, 0) + 1

    def shed_at(self, stage: str) -> None:
        """Count a request that overload made cheaper, or refused."""
        self.shed[stage] = self.shed.get(stage, 0) + 1

    @property
    def decisions_made(self) -> int:
        """Requests decided."""
        return sum(self.decision_buckets)


def add_up(counts: Iterable[Counts]) -> Counts:
    """The sum of several processes' counters."""
    total = Counts()
    for each in counts:
        _add_nested(total.decisions, each.decisions)
        _add_nested(total.events, each.events)
        _add_nested(total.codes, each.codes)
        _add(total.unkept, each.unkept)
        _add(total.shed, each.shed)
        _add(total.failures, each.failures)
        _add(total.fallbacks, each.fallbacks)
        total.decision_buckets = [a + b for a, b in zip(total.decision_buckets, each.decision_buckets, strict=True)]
        total.decision_seconds += each.decision_seconds
        total.cache_hits += each.cache_hits
        total.cache_misses += each.cache_misses
    return total


class Gauges(msgspec.Struct, frozen=True):
    """The node's condition at this moment."""

    bundle_version: int
    bundle_age_seconds: float
    spool_bytes: int
    hub_connected: bool
    workers: int
    facts_version: int = 0
    dropped_by_lane: dict[str, int] = {}
    """Records that were numbered and dropped, since the node's folder was made."""


def exposition(counts: Counts, gauges: Gauges) -> bytes:
    """The text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Node(counts, gauges))
    return generate_latest(registry)


class _Node(Collector):
    def __init__(self, counts: Counts, gauges: Gauges) -> None:
        self._counts = counts
        self._gauges = gauges

    @override
    def collect(self) -> Iterator[Metric]:
        counts, gauges = self._counts, self._gauges
        yield _counter("edgewise_decisions", "Placements answered.", ("placement", "reason"), _pairs(counts.decisions))
        yield _histogram(counts)
        yield _counter("edgewise_events", "Events received.", ("type", "outcome"), _pairs(_taken(counts.events)))
        unkept = _singles(counts.unkept)
        yield _counter("edgewise_events_without_profile", "Events taken that move no profile.", ("reason",), unkept)
        for name, text, value in (
            ("edgewise_profile_cache_hits", "Decisions whose profile was cached.", counts.cache_hits),
            ("edgewise_profile_cache_misses", "Decisions whose profile was not.", counts.cache_misses),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield _counter(
            "edgewise_shed", "Requests made cheaper, or refused, by overload.", ("stage",), _singles(counts.shed)
        )
        yield _counter("edgewise_failures", "What failed inside.", ("what",), _singles(counts.failures))
        yield _counter(
            "edgewise_fragment_fallbacks", "Fragments that nobody decided.", ("why",), _singles(counts.fallbacks)
        )
        codes = _pairs(counts.codes)
        yield _counter("edgewise_codes_promised", "Codes promised, or out of.", ("promotion", "outcome"), codes)
        dropped = _singles(gauges.dropped_by_lane)
        yield _counter("edgewise_spool_dropped", "Records dropped and declared.", ("lane",), dropped)
        for name, text, gauge in (
            ("edgewise_bundle_version", "Version of the bundle that serves.", gauges.bundle_version),
            ("edgewise_bundle_age_seconds", "Time since it was released.", gauges.bundle_age_seconds),
            ("edgewise_live_facts_version", "Live facts that decisions are made with.", gauges.facts_version),
            ("edgewise_spool_bytes", "Records on disk that wait for the hub.", gauges.spool_bytes),
            ("edgewise_hub_connected", "1 while the hub is heard.", int(gauges.hub_connected)),
            ("edgewise_workers", "Worker processes that answer requests.", gauges.workers),
        ):
            yield GaugeMetricFamily(name, text, value=gauge)


def _counter(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _histogram(counts: Counts) -> HistogramMetricFamily:
    family = HistogramMetricFamily("edgewise_decision_seconds", "Time from the request's body to the answer's.")
    upto, buckets = 0, []
    for edge, count in zip((*map(str, EDGES_SECONDS), "+Inf"), counts.decision_buckets, strict=True):
        upto += count
        buckets.append((edge, float(upto)))
    family.add_metric([], buckets=buckets, sum_value=counts.decision_seconds)
    return family


def _pairs(nested: Mapping[K, Mapping[L, int]]) -> list[tuple[tuple[str, ...], int]]:
    return [((outer, inner), value) for outer, values in nested.items() for inner, value in values.items()]


def _taken(events: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Whatever was taken is `accepted`, as it was before consent was told apart: dashboards count on it."""
    told: dict[str, dict[str, int]] = {}
    for kind, outcomes in events.items():
        for outcome, count in outcomes.items():
            name = outcome if outcome in (Outcome.DUPLICATE, Outcome.REJECTED) else Outcome.ACCEPTED
            _add(told.setdefault(kind, {}), {str(name): count})
    return told


def _singles(values: dict[str, int]) -> list[tuple[tuple[str, ...], int]]:
    return [((name,), value) for name, value in values.items()]


def _add(into: dict[K, int], values: dict[K, int]) -> None:
    for key, value in values.items():
        into[key] = into.get(key, 0) + value


def _add_nested(into: dict[K, dict[L, int]], values: dict[K, dict[L, int]]) -> None:
    for key, inner in values.items():
        _add(into.setdefault(key, {}), inner)
