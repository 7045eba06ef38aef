"""Schedules that a person wrote: zones and days that exist, hours that open, and what clocks make of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from edgewise.bundle.clocks import DAY_S, LocalClock, local_seconds, seconds_of
from edgewise.bundle.schedules import WEEKDAYS, Schedule, Zone
from edgewise.errors import Problem
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.reading import Files, Place
from hub.site.zones import known_zones, zone_table

_MANY: Final = 200
"""Characters of a sentence: beyond, a list of names is no help."""


def schedules_of(files: Files) -> Iterator[tuple[Schedule, Place]]:
    """Every schedule of a site, with the place of the item or placement that has it."""
    for item, place in files.items.values():
        if item.schedule is not None:
            yield item.schedule, place
    for placement, place in files.placements.values():
        if placement.schedule is not None:
            yield placement.schedule, place


def check_schedules(files: Files) -> Iterator[Problem]:
    """Everything that is wrong with schedules."""
    for schedule, place in schedules_of(files):
        yield from _check(schedule, ("schedule",), place.problem)


def clock_notes(files: Files) -> list[str]:
    """What clocks make of times that do not exist or come twice; for people to read, nothing is wrong with it."""
    notes: dict[str, None] = {}
    for schedule, place in schedules_of(files):
        for note in _notes(schedule, zone_table(schedule.timezone)):
            notes[f"{place.document.file}:{place.document.line((*place.path, 'schedule'))}: {note}"] = None
    return list(notes)


def _check(schedule: Schedule, path: Steps, say: Say) -> Iterator[Problem]:
    if schedule.timezone not in known_zones():
        said = did_you_mean(schedule.timezone, known_zones())
        cure = said if len(said) < _MANY else "write it as Europe/Berlin"
        yield say((*path, "timezone"), f"no time zone {schedule.timezone!r}; {cure}")
    if schedule.from_ == "24:00":
        yield say((*path, "from"), "a day ends at 24:00; open at 00:00 of the day after")
    elif schedule.from_ == schedule.to:
        yield say((*path, "to"), f"it closes at {schedule.to}, when it opens; leave both away to open the whole day")
    yield from _check_moments(schedule, path, say)
    is_closed = set(schedule.except_)
    if schedule.dates and not schedule.days and is_closed.issuperset(schedule.dates):
        yield say((*path, "except"), "it never opens: every date is excepted; remove some")


def _check_moments(schedule: Schedule, path: Steps, say: Say) -> Iterator[Problem]:
    moments: dict[str, int] = {}
    for key, moment in (("starts", schedule.starts), ("ends", schedule.ends)):
        if moment is None:
            continue
        try:
            moments[key] = local_seconds(moment)
        except ValueError:
            yield say((*path, key), f"there is no day {moment[:10]}; look at a calendar")
    if len(moments) == 2 and moments["ends"] <= moments["starts"]:  # noqa: PLR2004  # both
        yield say((*path, "ends"), f"ends {schedule.ends}, before it starts ({schedule.starts}); exchange them")


def _notes(schedule: Schedule, zone: Zone) -> Iterator[str]:
    for moment in (schedule.starts, schedule.ends):
        if moment is not None:
            yield from _note_of(moment.replace("T", " "), local_seconds(moment), schedule, zone, once=True)
    for time in dict.fromkeys((schedule.from_, schedule.to)):
        yield from _weekly(schedule, zone, time)


def _weekly(schedule: Schedule, zone: Zone, time: str) -> Iterator[str]:
    """The first day on which clocks change over this time, of the days on which it counts."""
    days = schedule.days or ([] if schedule.dates else list(WEEKDAYS))
    for (_, before), (since, after) in pairwise(zone):
        day = (since + min(before, after)) // DAY_S
        local = day * DAY_S + seconds_of(time)
        low, high = sorted((since + before, since + after))
        date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
        if low <= local < high and (WEEKDAYS[date.weekday()] in days or date in schedule.dates):
            yield from _note_of(f"{date} {time}", local, schedule, zone, once=False)
            return


def _note_of(written: str, local: int, schedule: Schedule, zone: Zone, *, once: bool) -> Iterator[str]:
    clock = LocalClock(zone)
    shown = clock.local(clock.utc(local))
    also = "" if once else ", and so on other days on which clocks change"
    if shown != local:
        yield f"{written} does not exist in {schedule.timezone}: {_time(shown)} is taken{also}"
    elif any(since + after <= local < since + before for (_, before), (since, after) in pairwise(zone)):
        yield f"{written} comes twice in {schedule.timezone}: the first is taken{also}"


def _time(local: int) -> str:
    minutes = local % DAY_S // 60
    return f"{minutes // 60:02}:{minutes % 60:02}"
