"""An empty day is always an alarm, a thin one only against a past."""

from __future__ import annotations

from typing import Any

import pytest

from hub.monitor.freshness import HOUR_MS, Freshness, judge_freshness

NOW_MS = 1_700_000_000_000


def judged(decisions: list[int], events: list[int] | None = None, card: dict[str, Any] | None = None) -> Freshness:
    return judge_freshness(
        decisions=decisions,
        events=[5] * len(decisions) if events is None else events,
        newest_decision_ms=NOW_MS - 3 * HOUR_MS,
        newest_event_ms=None,
        card=card or {},
        now_ms=NOW_MS,
        hours=24,
    )


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ([0, 40, 38], "no decision of this model came in the last 24 hours; in those before there were 40"),
        ([0, 0, 0, 7], "in those before there were 7"),
        ([3, *range(10, 20)], "fewer than in any of 10 before (10)"),
    ],
)
def test_what_is_missing_is_said(decisions: list[int], said: str) -> None:
    (alarm,) = judged(decisions).alarms
    assert said in alarm


@pytest.mark.parametrize("decisions", [[0, 0, 0], [], [3, 10, 11], [10, *range(10, 20)]])
def test_nothing_that_was_ever_there_is_missing(decisions: list[int]) -> None:
    assert judged(decisions).alarms == []


def test_no_event_is_said_beside_decisions() -> None:
    (alarm,) = judged([5, 5], [0, 9]).alarms
    assert alarm.startswith("no event came in the last 24 hours")


def test_ages() -> None:
    found = judged([1], card={"data": {"to": "2023-11-04T22:13:20"}})
    assert (found.newest_decision_age_hours, found.newest_event_age_hours) == (3.0, None)
    assert found.trained_age_days == 10.0
    assert judged([1], card={"data": {"to": "long ago"}}).trained_through is None
