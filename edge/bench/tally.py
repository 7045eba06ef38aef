"""Counts what became of each request that was due inside a window of time."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import msgspec

from edge.bench.answers import FALLBACKS, HURRIED, Decided
from edge.bench.histogram import Histogram

US: Final = 1_000_000


class Latency(msgspec.Struct, frozen=True, rename={"p99_9": "p99.9", "p99_99": "p99.99"}):
    """Milliseconds; None of nothing."""

    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None
    p99_99: float | None
    max: float | None
    mean: float | None


class Second(msgspec.Struct, frozen=True):
    """One second of the run, by intended time."""

    at_s: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None


class Figures(msgspec.Struct, frozen=True):
    """What a run shows. Every request that was due ends as right, or as one of `errors_by`."""

    requests: int
    """Due inside the window."""
    offered: float
    """Requests due, a second."""
    throughput: float
    """Answers of any kind that came inside the window, a second."""
    goodput: float
    """Right answers that came inside the window, a second."""
    errors: int
    error_share: float
    errors_by: dict[str, int]
    retries: int
    """Sent once more, because the node closed the connection without a word; they count from the first time."""
    reasons: dict[str, int]
    """Placements answered, by reason."""
    fallback_share: float
    """Of placements answered."""
    hurried_share: float
    """Of placements answered: fallbacks because the node had too much to do."""
    latency_ms: Latency
    """From the intended moment to the whole answer: right answers, and what was waited for in vain."""
    service_ms: Latency
    """From sending; what a closed loop would report. Right answers only."""
    by_kind_ms: dict[str, Latency]
    """As `latency_ms`, right answers only, by kind of request: a decision is waited for, an event is not."""
    node_ms: Latency
    """Inside the node, as decisions say themselves."""
    scheduling_lag_ms: Latency
    """How late the generator itself was."""


class Tally:
    """Counts between two moments (seconds of the same clock); what is due outside is not looked at."""

    def __init__(self, begins_s: float, ends_s: float) -> None:
        self.begins_s = begins_s
        self.ends_s = ends_s
        self.latency = Histogram()
        self.service = Histogram()
        self.node = Histogram()
        self.by_kind: dict[str, Histogram] = {}
        self.lag = Histogram()
        self.due = 0
        self.right_count = 0
        self.retries = 0
        self.errors: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._completed = 0
        self._completed_right = 0
        self._seconds: dict[int, tuple[Histogram, list[int]]] = {}

    def dispatch(self, intended_s: float, now_s: float) -> None:
        """A request has become due, and the generator has noticed at `now_s`."""
        if self._counts(intended_s):
            self.due += 1
            self.lag.record(int((now_s - intended_s) * US))

    def retry(self, intended_s: float) -> None:
        """A connection was closed before anything was answered; the request is sent once more."""
        if self._counts(intended_s):
            self.retries += 1

    def right(self, kind: str, intended_s: float, sent_s: float, done_s: float, decided: Decided | None) -> None:
        """A right answer has come to a request of some kind."""
        if self.begins_s <= done_s < self.ends_s:
            self._completed += 1
            self._completed_right += 1
        if not self._counts(intended_s):
            return
        self.right_count += 1
        latency_us = int((done_s - intended_s) * US)
        self.latency.record(latency_us)
        self.by_kind.setdefault(kind, Histogram()).record(latency_us)
        self.service.record(int((done_s - sent_s) * US))
        self._second(intended_s)[0].record(latency_us)
        if decided is not None:
            self.node.record(int(decided.took_ms * 1_000))
            for placed in decided.placements.values():
                self.reasons[placed.reason] += 1

    def wrong(self, kind: str, intended_s: float, done_s: float, *, is_answer: bool) -> None:
        """An answer that is not right, or none because the connection broke: soon known, so no latency."""
        if is_answer and self.begins_s <= done_s < self.ends_s:
            self._completed += 1
        if self._counts(intended_s):
            self.errors[kind] += 1
            self._second(intended_s)[1][0] += 1

    def in_vain(self, kind: str, intended_s: float, now_s: float) -> None:
        """Nobody waits any longer. The time waited counts as latency: a server must not look faster for silence."""
        if self._counts(intended_s):
            self.errors[kind] += 1
            waited_us = int((now_s - intended_s) * US)
            self.latency.record(waited_us)
            histogram, errors = self._second(intended_s)
            histogram.record(waited_us)
            errors[0] += 1

    @property
    def error_count(self) -> int:
        """How many went wrong."""
        return self.errors.total()

    def figures(self) -> Figures:
        """What was counted so far."""
        length_s = self.ends_s - self.begins_s
        placements = self.reasons.total()
        return Figures(
            requests=self.due,
            offered=round(self.due / length_s, 2),
            throughput=round(self._completed / length_s, 2),
            goodput=round(self._completed_right / length_s, 2),
            errors=self.error_count,
            error_share=self.error_count / self.due if self.due else 0.0,
            errors_by=dict(self.errors.most_common()),
            retries=self.retries,
            reasons={str(reason): count for reason, count in self.reasons.most_common()},
            fallback_share=sum(self.reasons[reason] for reason in FALLBACKS) / placements if placements else 0.0,
            hurried_share=sum(self.reasons[reason] for reason in HURRIED) / placements if placements else 0.0,
            latency_ms=latency_of(self.latency),
            service_ms=latency_of(self.service),
            by_kind_ms={kind: latency_of(histogram) for kind, histogram in sorted(self.by_kind.items())},
            node_ms=latency_of(self.node),
            scheduling_lag_ms=latency_of(self.lag),
        )

    def seconds(self) -> list[Second]:
        """The course of the run."""
        return [
            Second(at_s, errors[0], _ms(latency.quantile_us(0.5)), _ms(latency.quantile_us(0.99)))
            for at_s, (latency, errors) in sorted(self._seconds.items())
        ]

    def _counts(self, intended_s: float) -> bool:
        return self.begins_s <= intended_s < self.ends_s

    def _second(self, intended_s: float) -> tuple[Histogram, list[int]]:
        return self._seconds.setdefault(int(intended_s - self.begins_s), (Histogram(), [0]))


def latency_of(histogram: Histogram) -> Latency:
    """The usual percentiles."""
    shares = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
    p50, p75, p90, p95, p99, p99_9, p99_99 = (_ms(histogram.quantile_us(share)) for share in shares)
    maximum = histogram.max_us / 1_000 if histogram.count else None
    return Latency(p50, p75, p90, p95, p99, p99_9, p99_99, maximum, _ms(histogram.mean_us))


def _ms(value_us: float) -> float | None:
    return None if math.isnan(value_us) else round(value_us / 1_000, 4)
