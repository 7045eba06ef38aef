"""Whether anything came at all: a model that is asked nothing, or learns of no outcome, does not drift, it is deaf."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hub.monitor.alarms import LEAST_PAST

HOUR_MS = 3_600_000


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How much came lately. Counts are those of whole stretches, the latest first."""

    decisions: list[int]
    """That the model made."""
    events: list[int]
    """Of all kinds, by when the hub got them."""
    newest_decision_age_hours: float | None
    """Of any decision; None: there is none."""
    newest_event_age_hours: float | None
    trained_through: str | None
    """The time of the last record that the model learned from, by its card."""
    trained_age_days: float | None
    alarms: list[str]
    """What is wrong, in sentences."""


def judge_freshness(
    *,
    decisions: Sequence[int],
    events: Sequence[int],
    newest_decision_ms: int | None,
    newest_event_ms: int | None,
    card: Mapping[str, Any],
    now_ms: int,
    hours: float,
) -> Freshness:
    """Judge counts of stretches of `hours` hours.

    An empty one after ones that were not is always an alarm; fewer than ever before is one as soon as there are 10 to
    compare with, which happens by chance as seldom as in `alarms`.
    """
    alarms = [
        alarm
        for what, counts in (("decision of this model", decisions), ("event", events))
        if (alarm := _alarm(what, counts, hours))
    ]
    through = trained_through(card)
    return Freshness(
        decisions=list(decisions),
        events=list(events),
        newest_decision_age_hours=_age_hours(newest_decision_ms, now_ms),
        newest_event_age_hours=_age_hours(newest_event_ms, now_ms),
        trained_through=None if through is None else through.isoformat(),
        trained_age_days=None if through is None else (now_ms / 1_000 - through.timestamp()) / 86_400,
        alarms=alarms,
    )


def trained_through(card: Mapping[str, Any]) -> dt.datetime | None:
    """When the last record that a model learned from happened, by its card; None where that does not say."""
    data = card.get("data")
    told = data.get("to") if isinstance(data, Mapping) else None
    try:
        moment = dt.datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _alarm(what: str, counts: Sequence[int], hours: float) -> str | None:
    if not counts or not any(counts[1:]):
        return None
    now, past = counts[0], [count for count in counts[1:] if count]
    if not now:
        return f"no {what} came in the last {hours:g} hours; in those before there were {past[0]:,}"
    if len(past) >= LEAST_PAST and now < min(past):
        return (
            f"{now:,} {what}s came in the last {hours:g} hours; fewer than in any of {len(past)} before ({min(past):,})"
        )
    return None


def _age_hours(moment_ms: int | None, now_ms: int) -> float | None:
    return None if moment_ms is None else max(0, now_ms - moment_ms) / HOUR_MS
