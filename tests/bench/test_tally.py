"""What becomes of requests, counted: each due one ends once, and warm-up counts for nothing."""

from __future__ import annotations

import pytest
from bench_server import decision
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.answers import WrongAnswerError, detail_of, read_decision, read_success
from edge.bench.tally import Tally
from edgewise.reasons import Reason

ends = st.sampled_from(["right", "wrong", "broken", "in vain"])


@given(st.lists(st.tuples(st.floats(-2, 12), st.floats(0, 3), ends), max_size=60))
def test_each_due_request_ends_as_right_or_as_an_error(requests: list[tuple[float, float, str]]) -> None:
    tally = Tally(0.0, 10.0)
    for due_s, took_s, end in requests:
        tally.dispatch(due_s, due_s)
        if end == "right":
            tally.right("decide", due_s, due_s, due_s + took_s, read_decision(200, decision()))
        elif end == "in vain":
            tally.in_vain("no answer in time", due_s, due_s + took_s)
        else:
            tally.wrong("status 503", due_s, due_s + took_s, is_answer=end == "wrong")
    figures = tally.figures()
    inside = [(due_s, took_s, end) for due_s, took_s, end in requests if 0 <= due_s < 10]
    assert figures.requests == len(inside) == tally.right_count + figures.errors
    assert figures.errors == sum(figures.errors_by.values())
    answered = [due_s + took_s for due_s, took_s, end in requests if end in {"right", "wrong"}]
    assert figures.throughput == pytest.approx(sum(0 <= done_s < 10 for done_s in answered) / 10, abs=0.01)
    assert tally.latency.count == sum(end in {"right", "in vain"} for _, _, end in inside)
    assert sum(second.errors for second in tally.seconds()) == figures.errors


def test_a_silent_server_does_not_look_fast() -> None:
    tally = Tally(0.0, 1.0)
    for number in range(100):
        tally.dispatch(number / 100, number / 100)
        if number % 2:
            tally.right("decide", number / 100, number / 100, number / 100 + 0.001, None)
        else:
            tally.in_vain("no answer in time", number / 100, number / 100 + 5.0)
    p99 = tally.figures().latency_ms.p99
    assert p99 is not None
    assert p99 >= 5_000


def test_latency_counts_from_the_intended_moment_and_service_from_sending() -> None:
    tally = Tally(0.0, 1.0)
    tally.dispatch(0.1, 0.102)
    tally.right("decide", 0.1, 0.3, 0.35, read_decision(200, decision()))
    figures = tally.figures()
    assert figures.latency_ms.max == pytest.approx(250, rel=1e-3)
    assert figures.by_kind_ms == {"decide": figures.latency_ms}
    assert figures.service_ms.max == pytest.approx(50, rel=1e-3)
    assert figures.scheduling_lag_ms.max == pytest.approx(2, rel=1e-2)
    assert figures.node_ms.max == pytest.approx(0.25)


def test_fallbacks_are_right_answers_that_are_counted_apart() -> None:
    tally = Tally(0.0, 1.0)
    for reason in ("MODEL", "EXPLORE", "FALLBACK_OVERLOAD", "FALLBACK_DEADLINE"):
        tally.dispatch(0.5, 0.5)
        tally.right("decide", 0.5, 0.5, 0.6, read_decision(200, decision(reason)))
    figures = tally.figures()
    assert figures.errors == 0
    assert figures.fallback_share == 0.5
    assert figures.reasons == {"MODEL": 1, "EXPLORE": 1, "FALLBACK_OVERLOAD": 1, "FALLBACK_DEADLINE": 1}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_the_closed_list_is_right(reason: Reason) -> None:
    assert read_decision(200, decision(reason)).placements["home_hero"].reason is reason


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b"", "status 503"),
        (200, b"<html>", "not JSON"),
        (200, b"\xff", "not JSON"),
        (200, b"{}", r"malformed decision at \$"),
        (200, decision("BECAUSE"), "reason outside the closed list"),
        (200, decision().replace(b'"tookMs": 0.25', b'"tookMs": "quick"'), r"malformed decision at \$.tookMs"),
    ],
)
def test_a_wrong_decision_is_named_by_what_is_wrong(status: int, body: bytes, said: str) -> None:
    with pytest.raises(WrongAnswerError, match=said):
        read_decision(status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b""), (200, b"no"), (200, b'{"success":false}'), (200, b'{"success":true,"rejected":[{"index":0}]}')],
)
def test_an_event_that_was_not_taken_is_an_error(status: int, body: bytes) -> None:
    with pytest.raises(WrongAnswerError):
        read_success(status, body)


def test_a_nodes_own_words_are_kept() -> None:
    assert detail_of(b'{"title":"Gone","detail":"there is no placement"}') == "there is no placement"
    assert detail_of(b'{"title":"Gone"}') == "Gone"
    assert detail_of(b"<html>") == ""
