"""The search for the knee, on simulated servers whose knee is known: a queue in front of a hard capacity."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.arrivals import Arrivals, scheduled
from edge.bench.knee import KneeSearch, Limits, Step, judge
from edge.bench.session import step_of
from edge.bench.tally import Tally
from edge.bench.window import Measured, Own

GENERATOR = Own(0.1, is_busy=False, is_late=False, reopened_connections=0, cpu_us=50.0, ceiling=20_000.0, kept_up=True)
HELD = Step(rate=100, offered=100, goodput=100, p99_ms=5, error_share=0)


def queue(rate: float, capacity: float, kind: Arrivals, *, seconds: float = 4.0, most_s: float = 1.0) -> Measured:
    """One server that takes 1 / capacity for each, first come first served, in simulated time."""
    tally, free_s = Tally(0.0, seconds), 0.0
    for due_s in scheduled(kind, rate, seconds, np.random.default_rng(3)):
        tally.dispatch(due_s, due_s)
        starts_s = max(due_s, free_s)
        free_s = starts_s + 1 / capacity
        if free_s > seconds + most_s:
            tally.in_vain("no answer in time", due_s, seconds + most_s)
        else:
            tally.right("decide", due_s, starts_s, free_s, None)
    return Measured(tally, tally.figures(), GENERATOR)


def searched(measure: Callable[[float], Step], *, start: float = 100, most: float = 100_000) -> KneeSearch:
    search = KneeSearch(start, most)
    while (rate := search.next_rate) is not None:
        search.tell(measure(rate))
        assert len(search.steps) < 100
    return search


@given(st.floats(150, 1_200))
def test_the_knee_of_a_metronome_is_the_capacity(capacity: float) -> None:
    knee = searched(lambda rate: step_of(rate, queue(rate, capacity, Arrivals.CONSTANT, seconds=0.5))).knee
    assert knee.rate is not None
    assert knee.broke_at is not None
    assert knee.rate <= capacity * 1.03  # a queue that grows by 2 % stays below 10 ms for half a second
    assert knee.broke_at >= capacity
    assert knee.broke_at <= knee.rate * 1.1


def test_strangers_break_a_server_before_its_capacity() -> None:
    """Waiting in a queue with random arrivals grows as 1 / (1 - load): p99 breaks first."""
    search = searched(lambda rate: step_of(rate, queue(rate, 1_000, Arrivals.POISSON)))
    assert search.knee.rate is not None
    assert 600 <= search.knee.rate < 1_000
    assert search.knee.broken_by is not None
    assert "p99" in search.knee.broken_by


def test_overload_breaks_goodput_and_says_so() -> None:
    measured = queue(2_000, 1_000, Arrivals.CONSTANT)
    step = judge(step_of(2_000, measured), Limits(p99_ms=1e9, error_share=1))
    assert not step.held
    assert step.broken_by == "goodput 1,000/s < 95% of 2,000/s"
    assert measured.figures.requests == measured.tally.right_count + measured.figures.errors


def test_coordinated_omission_is_what_only_an_open_loop_sees() -> None:
    """A server that stops once for 200 ms: everybody who came meanwhile waits; a closed loop sends one and waits."""
    rate, stop_s, resume_s = 1_000.0, 0.5, 0.7
    tally = Tally(0.0, 1.0)
    closed: list[float] = []
    for due_s in scheduled(Arrivals.CONSTANT, rate, 1.0, np.random.default_rng(1)):
        done_s = resume_s if stop_s <= due_s < resume_s else due_s
        tally.dispatch(due_s, due_s)
        tally.right("decide", due_s, due_s, done_s + 0.0005, None)
        if not closed or (due_s >= stop_s and max(closed) < 0.1) or not stop_s <= due_s < resume_s:
            closed.append(done_s - due_s)
    figures = tally.figures()
    assert figures.latency_ms.p99 == pytest.approx(190.5, rel=0.01)
    assert figures.latency_ms.p90 == pytest.approx(100.5, rel=0.01)
    assert np.quantile(closed, 0.99) < 0.001


def test_one_hiccup_is_not_a_knee() -> None:
    calls: list[float] = []

    def hiccup(rate: float) -> Step:
        calls.append(rate)
        p99_ms = 500.0 if len(calls) == 2 or rate > 1_000 else 1.0
        return msgspec.structs.replace(HELD, rate=rate, offered=rate, goodput=rate, p99_ms=p99_ms)

    knee = searched(hiccup).knee
    assert calls[1] == calls[2]
    assert knee.rate is not None
    assert 1_000 / 1.1 <= knee.rate <= 1_000


def test_a_server_that_holds_nothing_has_no_knee_and_one_that_holds_all_no_break() -> None:
    broken = searched(lambda rate: msgspec.structs.replace(HELD, rate=rate, offered=rate, goodput=0)).knee
    assert broken.rate is None
    assert broken.broke_at is not None
    assert broken.broke_at < 2
    held = searched(lambda rate: msgspec.structs.replace(HELD, rate=rate, offered=rate, goodput=rate), most=5_000).knee
    assert (held.rate, held.broke_at, held.broken_by) == (5_000, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error_share": 0.02}, "errors 2.0% > 1.0%"),
        ({"goodput": 94}, "goodput 94/s < 95% of 100/s"),
        ({"p99_ms": 10.5}, "p99 10.5 ms > 10 ms"),
        ({"p99_ms": math.nan}, "p99 nan ms > 10 ms"),
    ],
)
def test_what_broke_is_said(change: dict[str, float], said: str) -> None:
    step = judge(msgspec.structs.replace(HELD, **change), Limits())
    assert not step.held
    assert step.broken_by == said


def test_a_break_that_may_be_the_generators_own_is_told() -> None:
    knee = searched(
        lambda rate: msgspec.structs.replace(
            HELD, rate=rate, offered=rate, goodput=rate, p99_ms=rate / 50, is_own_fault=rate > 400
        )
    ).knee
    assert knee.is_own_fault


def test_a_node_that_sheds_work_is_past_its_knee_however_quick_it_answers() -> None:
    quick = msgspec.structs.replace(HELD, hurried_share=0.2)
    assert judge(HELD, Limits()).held
    judged = judge(quick, Limits())
    assert not judged.held
    assert judged.broken_by == "hurried answers 20.0% > 1.0%"


def test_nothing_is_tried_below_the_least_rate() -> None:
    """A server that holds nothing: looking ends where the one who asks would not believe it anyway."""
    search = KneeSearch(400, 1_000, least=90)
    tried = []
    while (rate := search.next_rate) is not None:
        tried.append(rate)
        search.tell(msgspec.structs.replace(HELD, rate=rate, error_share=1.0))
    assert tried == [400, 400, 200, 200, 100, 100]
    assert search.knee.rate is None
    assert search.knee.broke_at == 100
