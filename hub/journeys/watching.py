"""One turn of the journeys: who began a run since the last one, and whose mail is due by now.

Everything is derived from stored events and from the outbox, so that a crash anywhere is made good by the next turn.
What fails for one person is tried again later, and holds up nobody else; what is missing for all, such as a release, is
said once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from edgewise.errors import UnavailableError
from edgewise.ids import SubjectId
from edgewise.records import EventRecord
from hub.journeys.planning import UNTOLD_MS, Plan, plan_of
from hub.journeys.runs import FORGOTTEN_MS
from hub.journeys.timing import HOUR_MS, MINUTE_MS, quiet_of, timezone_of
from hub.ledger.ledger import Ledger
from hub.ledger.links import members_of_all, people_among
from hub.ledger.records import reading
from hub.ledger.watches import Watch, deeds_of, due, find, look_later
from hub.log import Log, Once
from hub.mail.outbox import MailRow, Outbox
from hub.site.journey_file import JourneyFile

AT_ONCE: Final = 500
TOGETHER: Final = 50
"""People whose plans are written down in one transaction."""
_LONGEST_WAIT_MS: Final = 5 * MINUTE_MS
"""Short of every `within_minutes`: what failed for all, as a release that is missing, ends for all in time."""
_MOST_ROWS: Final = 1_000
"""Mails of one journey to one person that are looked at, the latest ones."""


class Champions(Protocol):
    """Says who gets the champion."""

    def is_champion(self, journey: JourneyFile, person: SubjectId, now_ms: int) -> bool:
        """Whether a person's first mail is the champion's: by the experiment, held out, opted out."""
        ...


class Watched(msgspec.Struct, frozen=True):
    """What a turn came to."""

    found: int = 0
    """Events that begin runs, read for the first time."""
    looked: int = 0
    put: int = 0
    """Mails that are new in the outbox."""
    failed: int = 0
    """People who could not be looked at."""
    damaged: int = 0
    """Of these, not because something is missing for all."""


class _Looked(NamedTuple):
    """What came of one watch."""

    watch: Watch
    person: SubjectId
    plan: Plan
    failed: bool = False
    damaged: bool = False


class Step(NamedTuple):
    """Called between two steps, for tests that die there."""

    at: Callable[[str], None] = lambda _: None


class Watcher:
    """Watches for one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        journeys: Callable[[], Mapping[str, JourneyFile]],
        champions: Champions,
        *,
        log: Log,
        step: Step = Step(),  # noqa: B008  # immutable
    ) -> None:
        """`journeys`: what the site says of each, whether enabled or not."""
        self._ledger = ledger
        self._journeys = journeys
        self._champions = champions
        self._log = log
        self._at = step.at
        self._missing: defaultdict[str, Once] = defaultdict(Once)
        """By journey."""

    def turn(self, now_ms: int, check: Callable[[], None] = lambda: None) -> Watched:
        """Go over every mail journey that is enabled. `check` is asked between people, and may raise."""
        enabled = self._ledger.enabled_journeys()
        told = Watched()
        for name, journey in sorted(self._journeys().items()):
            if journey.kind == "mail" and journey.trigger is not None and name in enabled:
                told = _sum(told, self._turn(name, journey, now_ms, check))
        return told

    def _turn(self, name: str, journey: JourneyFile, now_ms: int, check: Callable[[], None]) -> Watched:
        trigger = journey.trigger
        assert trigger is not None
        check()
        with self._ledger.storage.writing() as connection:
            found = find(connection, name, trigger.event, since_ms=now_ms - UNTOLD_MS, look_ms=now_ms)
        self._at("found")
        told = Watched(found=found)
        while True:
            with self._ledger.storage.reading() as connection:
                watches = due(connection, name, now_ms, most=AT_ONCE)
            for start in range(0, len(watches), TOGETHER):
                check()
                told = _sum(told, self._look(watches[start : start + TOGETHER], journey, now_ms))
            if len(watches) < AT_ONCE:
                return told

    def _look(self, watches: Sequence[Watch], journey: JourneyFile, now_ms: int) -> Watched:
        """Plan for some people, each by himself; then write all of it down at once."""
        looked = [self._looked_at(watch, journey, now_ms) for watch in watches]
        put = 0
        with self._ledger.storage.writing() as connection:
            for each in looked:
                for mail in each.plan.mails:
                    put += Outbox.put(
                        connection,
                        key=mail.key,
                        journey=each.watch.journey,
                        person=each.person,
                        due_ms=mail.window.due_ms,
                        not_after_ms=mail.window.not_after_ms,
                        payload=mail.payload,
                        now_ms=now_ms,
                    )
                # what is not to be looked at later than now would be looked at for ever within this turn
                look_ms = None if each.plan.look_ms is None else max(each.plan.look_ms, now_ms + 1)
                look_later(connection, each.watch, look_ms, tries=each.watch.tries + 1 if each.failed else 0)
        self._at("put")
        failed, damaged = sum(each.failed for each in looked), sum(each.damaged for each in looked)
        return Watched(looked=len(looked), put=put, failed=failed, damaged=damaged)

    def _looked_at(self, watch: Watch, journey: JourneyFile, now_ms: int) -> _Looked:
        try:
            person, plan = self._plan(watch, journey, now_ms)
        except UnavailableError as missing:
            if self._missing[watch.journey].is_new(str(missing)):
                self._log.error("no mail can be planned", journey=watch.journey, reason=str(missing))
            return _failed(watch, now_ms, damaged=False)
        except Exception:  # noqa: BLE001  # one damaged profile holds up nobody else
            self._log.exception("somebody could not be looked at", journey=watch.journey, subject=watch.subject)
            return _failed(watch, now_ms, damaged=True)
        self._at("planned")
        return _Looked(watch, person, plan)

    def _plan(self, watch: Watch, journey: JourneyFile, now_ms: int) -> tuple[SubjectId, Plan]:
        name, since_ms = watch.journey, now_ms - history_ms(journey)

        def read(connection: sa.Connection) -> tuple[SubjectId, list[EventRecord], list[MailRow]]:
            person = people_among(connection, [watch.subject]).get(watch.subject, watch.subject)
            members = members_of_all(connection, [watch.subject])
            rows = Outbox.rows(connection, journey=name, people=members, limit=_MOST_ROWS)
            return person, deeds_of(connection, members, since_ms), rows

        person, events, rows = reading(self._ledger.storage, read)
        quiet = quiet_of(journey, timezone_of(events, journey.timezone))

        def plan(*, is_champion: bool) -> Plan:
            return plan_of(name, journey, events, rows, quiet=quiet, is_champion=is_champion, now_ms=now_ms)

        soonest = plan(is_champion=False)
        # Who gets the champion matters only once a mail would be due, and asking for it is what costs.
        is_asked = bool(soonest.mails) or journey.champion.after_hours < min(
            (step.after_hours for step in journey.steps), default=0.0
        )
        if not is_asked:
            return person, soonest
        is_champion = self._champions.is_champion(journey, person, now_ms)
        self._missing[name].over()
        return person, plan(is_champion=True) if is_champion else soonest


def history_ms(journey: JourneyFile) -> int:
    """How far back events are read: a forgotten cart, and the last mail of a series."""
    latest = max([journey.champion.after_hours, *(step.after_hours for step in journey.steps)])
    return FORGOTTEN_MS + UNTOLD_MS + round(latest * HOUR_MS)


def _failed(watch: Watch, now_ms: int, *, damaged: bool) -> _Looked:
    wait_ms = min(MINUTE_MS << min(watch.tries, 10), _LONGEST_WAIT_MS)
    return _Looked(watch, watch.subject, Plan(look_ms=now_ms + wait_ms), failed=True, damaged=damaged)


def _sum(left: Watched, right: Watched) -> Watched:
    return Watched(
        *(mine + his for mine, his in zip(msgspec.structs.astuple(left), msgspec.structs.astuple(right), strict=True))
    )
