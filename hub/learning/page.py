"""What was learned over time, as a page with plots."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgewise.clock import utc_minute
from edgewise.profile.state import DAY_MS
from hub.learning.people import halted_words
from hub.learning.story import Day, FastLoop, Story, Told, is_by_clock
from hub.ledger.learning import StepName
from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences


def learning_page(told: Story) -> str:
    """HTML 5, to be encoded as UTF-8."""
    parts = [
        sentence(f"Told {utc_minute(told.now_ms)}: {len(told.turns)} turns, the latest first."),
        *([sentence(halted_words(told.switch), is_warning=True)] if told.switch.halted else []),
        heading("What came of decisions"),
        *(_days(str(placement), days) for placement, days in told.days.items()),
        heading("What challengers would have earned"),
        _lifts(told.turns),
        heading("Turns"),
        *_turns(told.turns),
        heading("The fast loop"),
        *_fast(told.fast),
    ]
    return page("What was learned", *parts)


def _days(placement: str, days: Sequence[Day]) -> str:
    """One line a release: reward of a decision by day."""
    if not days:
        return sentence(f"{placement}: nothing was decided yet.")
    last = max(day.day for day in days)
    releases = sorted({day.release for day in days})
    drawn = [
        Line(
            f"release {release}",
            [(float(day.day - last), day.reward / day.decisions) for day in days if day.release == release],
        )
        for release in releases
    ]
    columns = ["release", "from", "to", "decisions", "reward of a decision"]
    rows = []
    for release in releases:
        own = [day for day in days if day.release == release]
        count = sum(day.decisions for day in own)
        reward = sum(day.reward for day in own) / count
        rows.append([str(release), _day(own[0].day), _day(own[-1].day), f"{count:,}", f"{reward:.4g}"])
    said = f"reward of a decision in {placement}, by day and release"
    return "".join(
        [
            sentence(f"{placement}: days of different releases differ in more than the release; no proof of lift."),
            lines(said, f"days before {_day(last)}", "reward of a decision", drawn),
            in_table(columns, rows),
        ]
    )


def _lifts(turns: Sequence[Told]) -> str:
    """Lift of each judged challenger by the log, as part of what its champion earned."""
    drawn = []
    for each in reversed(turns):
        log = each.result(StepName.EVALUATE).get("off_policy")
        if not isinstance(log, Mapping):
            continue
        champion, lift = log.get("champion"), log.get("lift")
        if champion and isinstance(lift, Mapping):
            estimate, low, high = (_number(lift.get(end)) / champion for end in ("estimate", "low", "high"))
            drawn.append(Bar(f"turn {each.turn.number}, {each.turn.model}", 100 * estimate, 100 * low, 100 * high))
    if not drawn:
        return sentence("No challenger could be judged by a log yet.")
    said = "lift of each challenger against its champion in per cent, by decisions that it has not learned from"
    return sentence(f"In per cent of the champion's reward: {said}.") + bars(said, drawn)


def _turns(turns: Sequence[Told]) -> list[str]:
    columns = ["turn", "model", "began", "new", "version", "release", "state", "why"]
    rows = [
        [
            str(each.turn.number),
            each.turn.model,
            utc_minute(each.turn.began_ms),
            str(each.result(StepName.DATA).get("new", "-")),
            "-" if each.turn.version is None else str(each.turn.version),
            "-" if each.turn.release is None else str(each.turn.release),
            each.turn.state.value,
            each.turn.reason or "-",
        ]
        for each in turns
    ]
    if not rows:
        return [sentence("None has begun yet.")]
    parts = [in_table(columns, rows)]
    for each in turns:
        verdict = each.result(StepName.JUDGE)
        against = verdict.get("against") or []
        if against:
            parts += [sentence(f"Against the challenger of turn {each.turn.number}:"), sentences(against)]
    return parts


def _fast(fast: FastLoop) -> list[str]:
    if not fast.facts:
        return [sentence("The site lets no number change between releases.")]
    state = "halted" if fast.halted else "in force"
    who = "counted by the hub" if is_by_clock(fast) else f"made by {fast.by}"
    version = (
        "no version was ever published"
        if fast.version is None or fast.issued_ms is None
        else f"version {fast.version} with {fast.numbers:,} numbers, {who}, {utc_minute(fast.issued_ms)}"
    )
    loose = [fact.name for fact in fast.facts if fact.counted and not fact.bound]
    rows = [[fact.name, "hub" if fact.counted else "people", fact.bound or "no bound"] for fact in fast.facts]
    warning = f"Counted from what visitors do, and nothing bounds them: {', '.join(loose)}."
    return [
        sentence(
            f"Live facts are {state}: {version}. `edgewise facts halt` stops them at once.", is_warning=fast.halted
        ),
        *([sentence(warning, is_warning=True)] if loose else []),
        in_table(["name", "by", "how far"], rows),
        sentences(fast.switched),
    ]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _day(day: int) -> str:
    return dt.datetime.fromtimestamp(day * DAY_MS / 1_000, dt.UTC).strftime("%Y-%m-%d")
