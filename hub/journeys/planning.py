"""Which mails of a journey a person is to get now, and when he is looked at again. Pure: the same rows, the same plan.

A mail is named by what it is about: journey, the event that began the run, the step. The outbox takes each name once,
so that to plan twice, or after a crash, is to plan the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from edgewise.ids import PlacementName
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord
from hub.journeys.runs import Run, did_since, runs_of
from hub.journeys.timing import HOUR_MS, MINUTE_MS, Window, window
from hub.mail.outbox import MailRow
from hub.mail.quiet import Quiet
from hub.mail.states import OPEN, MailState
from hub.site.journey_file import JourneyFile, StepFile

BACK: Final = "back"
"""Reason of a mail that was dropped because its reader came back: it is planned anew once he has gone again."""
UNTOLD_MS: Final = 2 * DAY_MS
"""What is late by more than that is history that was brought in, and is not even counted as late."""
LOOK_AGAIN_MS: Final = 5 * MINUTE_MS
"""How long the outbox is given before a run whose mail still waits there is looked at again."""
CHAMPION: Final = "champion"


class Planned(NamedTuple):
    """One mail for the outbox."""

    key: str
    window: Window
    payload: dict[str, Any]


class Plan(NamedTuple):
    """What is to be done about one person."""

    mails: tuple[Planned, ...] = ()
    look_ms: int | None = None
    """None: nothing is to come of what he did so far."""


class Step(NamedTuple):
    """One mail of a run."""

    number: int
    after_ms: int
    of: StepFile


def steps_of(journey: JourneyFile, *, is_champion: bool) -> Iterator[Step]:
    """The champion sends the first mail, at its own time, and nothing more."""
    for number, step in enumerate(journey.steps):
        hours = journey.champion.after_hours if is_champion else step.after_hours
        yield Step(number, round(hours * HOUR_MS), step)
        if is_champion:
            return


def plan_of(
    name: str,
    journey: JourneyFile,
    events: Sequence[EventRecord],
    rows: Sequence[MailRow],
    *,
    quiet: Quiet,
    is_champion: bool,
    now_ms: int,
) -> Plan:
    """What comes of a person's events; `rows` are the mails of this journey that the outbox has for him."""
    trigger = journey.trigger
    assert trigger is not None, "a mail journey has one (`site check`)"
    mails: list[Planned] = []
    looks: list[int] = []
    for run in runs_of(events, trigger):
        if run.ended:
            continue
        own = [row for row in rows if is_same(row.payload, run)]
        for step in steps_of(journey, is_champion=is_champion):
            if did_since(events, step.of.unless, run.began_ms):
                continue
            tried = [row for row in own if row.payload.get("step") == step.number]
            standing = [row for row in tried if not _came_back(row)]
            if standing:
                looks += [now_ms + LOOK_AGAIN_MS for row in standing if row.state in OPEN]
                continue
            when = window(base_ms(run, journey) + step.after_ms, trigger, quiet)
            if when.due_ms > now_ms:
                looks.append(when.due_ms)
                break
            if when.not_after_ms < now_ms - UNTOLD_MS:
                continue
            mails.append(_planned(name, run, step, when, attempt=len(tried), is_champion=is_champion))
            looks.append(now_ms + LOOK_AGAIN_MS)
    return Plan(tuple(mails), min(looks, default=None))


def base_ms(run: Run, journey: JourneyFile) -> int:
    """From which moment the mails of a run are counted: a cart's from when it was abandoned."""
    trigger = journey.trigger
    assert trigger is not None
    return run.last_ms + trigger.quiet_minutes * MINUTE_MS if trigger.is_of_carts else run.began_ms


def run_of(payload: dict[str, Any], runs: Sequence[Run]) -> Run | None:
    """The run that a mail is about, as it stands now; None: nothing is left of it."""
    return next((run for run in runs if payload.get("anchor") in run.anchors), None)


def is_same(payload: dict[str, Any], run: Run) -> bool:
    """Whether a mail was about this run: by an event that could have begun it, or by its time.

    By its time: of two carts of one person that overlap, one is what only the other did not know yet.
    """
    if payload.get("anchor") in run.anchors:
        return True
    began, last = payload.get("began_ms"), payload.get("last_ms")
    return bool(began is not None and last is not None and began < last >= run.began_ms and began <= run.last_ms)


def step_of(payload: dict[str, Any], journey: JourneyFile) -> Step | None:
    """The step that a mail was planned for; None where the journey has it no more."""
    steps = steps_of(journey, is_champion=bool(payload.get(CHAMPION)))
    return next((step for step in steps if step.number == payload.get("step")), None)


def placements_of_step(step: StepFile) -> tuple[PlacementName, ...]:
    """What is asked for one mail: what is offered, then the products."""
    return (step.treatments,) if step.products is None else (step.treatments, step.products)


def _came_back(row: MailRow) -> bool:
    return row.state is MailState.DROPPED and row.reason == BACK


def _planned(name: str, run: Run, step: Step, when: Window, *, attempt: int, is_champion: bool) -> Planned:
    key = f"{name}/{run.anchor}/{step.number}"
    payload = {
        "anchor": run.anchor,
        "began_ms": run.began_ms,
        "last_ms": run.last_ms,
        "step": step.number,
        CHAMPION: is_champion,
    }
    return Planned(f"{key}/{attempt}" if attempt else key, when, payload)
