"""`edgewise data audit`: a journey's needs against what is there, and what to mend first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal

import msgspec

from edgewise.bundle.catalogue import Catalogue
from edgewise.ids import SubjectId
from hub.data_audit.holdings import Holdings, holdings_of
from hub.data_audit.joins import JoinFault, join_faults
from hub.data_audit.people import People, active, coverage, duplicates, join_rates, pair_rates
from hub.data_audit.rhythm import DAY_MS, Rhythm, rhythm_of
from hub.ledger.ledger import Ledger
from hub.ledger.suggestions import SuggestionState
from hub.site.journey_file import Need

FIXES: Final = 3
STALE_COUNTS: Final = 0.5
"""How much a data point counts that only stale sources deliver: half, since old interest is not none."""
CATALOGUE: Final = "catalogue"
ESTIMATE: Final = (
    "Worth is what the journey itself says hangs on a data point; what is lost is worth x (1 - coverage), and a point "
    "that only stale sources deliver counts half. An estimate to order the work by, no measurement."
)


class Point(msgspec.Struct, frozen=True):
    """A data point of the journey. Shares are 0 to 1."""

    kind: str
    name: str
    why: str
    worth: float
    sources: dict[str, float]
    """Source -> the share of the active people (or items) who have it from there."""
    coverage: float
    """From any source."""
    stale: bool
    """Whether only stale sources deliver it."""
    lost: float
    """Estimate of the share of the journey's effect that is lost for want of it."""


class Source(msgspec.Struct, frozen=True):
    """One source of data."""

    name: str
    people: int
    join_rate: float
    """Share of its people who are found in another source, too."""
    joined_with: dict[str, float]
    duplicates: int
    """Records of its vault beyond the first of a person."""
    rhythm: Rhythm


class Fix(msgspec.Struct, frozen=True):
    """Something to mend."""

    kind: Literal["join", "stale", "duplicates", "absent"]
    about: str
    effect: float
    """Estimate: the share of the journey's effect that mending it brings."""
    people: int
    """Whom it concerns."""
    sentence: str
    join_rate_of: str | None = None
    """The source whose join rate rises most."""
    join_rate_before: float | None = None
    join_rate_after: float | None = None


class Audit(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    journey: str
    as_of_ms: int
    active_days: int
    active_people: int
    events: int
    points: list[Point]
    """The one with most to win first."""
    sources: list[Source]
    join_rate: float
    """Share of all people who are known to two sources or more."""
    fixes: list[Fix]
    """What is broken before what is absent, since mending takes hours and a new source takes months."""
    first: list[Fix]
    """The three with most effect, of `fixes`."""
    estimate: str
    """How worth is estimated."""
    others: list[Audit] = []
    """Of the site's further journeys, where none was named."""


def audit(
    ledger: Ledger,
    journey: str,
    needs: Sequence[Need],
    *,
    subject_key: bytes,
    now_ms: int,
    active_days: int,
    catalogue: Catalogue | None,
    working: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Audit a journey's data as it was at a time. `catalogue`: the site's items; None where there is no site."""
    working("reading the ledger")
    holdings = holdings_of(ledger, needs, now_ms=now_ms)
    known = {subject for names in holdings.names.values() for subject in names}
    working("finding out who is who")
    people = People({subject: members[0] for subject, members in ledger.people_of(known).items()})
    suggested = [(each.left_subject, each.right_subject) for each in ledger.suggestions(SuggestionState.OPEN)]
    working("looking for keys that nearly meet")
    faults = join_faults(holdings, {subject: people.of(subject) for subject in known}, subject_key)
    return _Audit(holdings, people, needs, now_ms, active_days, catalogue).told(journey, faults, suggested)


class _Audit:
    def __init__(  # noqa: PLR0917  # made in one place
        self,
        holdings: Holdings,
        people: People,
        needs: Sequence[Need],
        now_ms: int,
        active_days: int,
        catalogue: Catalogue | None,
    ) -> None:
        self._holdings = holdings
        self._people = people
        self._needs = needs
        self._now_ms = now_ms
        self._active_days = active_days
        self._items = catalogue.items if catalogue is not None else []
        self._since_ms = now_ms - active_days * DAY_MS
        self._rhythms = {
            source: rhythm_of(days, holdings.newest_ms[source], now_ms) for source, days in holdings.days.items()
        }
        self._active = active(holdings, people, self._since_ms)

    def told(
        self, journey: str, faults: Sequence[JoinFault], suggested: Sequence[tuple[SubjectId, SubjectId]]
    ) -> Audit:
        points = sorted((self._point(need) for need in self._needs), key=lambda point: (-point.lost, point.name))
        mending = [
            *(self._join(fault) for fault in faults),
            *(self._stale(source) for source, rhythm in self._rhythms.items() if rhythm.stale),
            *self._duplicates(suggested),
        ]
        absent = [self._absent(point) for point in points if point.lost > 0]
        fixes = [
            *sorted(mending, key=lambda fix: (-fix.effect, -fix.people, fix.about)),
            *sorted(absent, key=lambda fix: (-fix.effect, fix.about)),
        ]
        return Audit(
            journey=journey,
            as_of_ms=self._now_ms,
            active_days=self._active_days,
            active_people=len(self._active),
            events=self._holdings.events,
            points=points,
            sources=self._sources(),
            join_rate=_joined(self._holdings, self._people),
            fixes=fixes,
            first=fixes[:FIXES],
            estimate=ESTIMATE,
        )

    def _point(self, need: Need) -> Point:
        if need.kind == "item":
            having = sum(bool(item.attributes.get(need.name)) for item in self._items)
            share = having / len(self._items) if self._items else 0.0
            return _point(need, {CATALOGUE: share} if having else {}, share, stale=False)
        sources = {
            source: len(self._people.among(subjects) & self._active) / len(self._active) if self._active else 0.0
            for source, subjects in sorted(self._holdings.holders[need].items())
        }
        stale = bool(sources) and all(self._rhythms[source].stale for source in sources)
        return _point(need, sources, coverage(self._holdings, need, self._people, self._active), stale=stale)

    def _effect(self, people: People) -> float:
        """What coverage would bring more, if people were joined in another way."""
        whose = active(self._holdings, people, self._since_ms)
        return sum(
            need.worth
            * (
                coverage(self._holdings, need, people, whose)
                - coverage(self._holdings, need, self._people, self._active)
            )
            for need in self._needs
            if need.kind != "item"
        )

    def _join(self, fault: JoinFault) -> Fix:
        after = self._people.joined(fault.pairs)
        before_rates, after_rates = join_rates(self._holdings, self._people), join_rates(self._holdings, after)
        # of the two the one that mending helps most
        risen = max((fault.source, fault.other), key=lambda source: after_rates[source] - before_rates[source])
        effect = max(0.0, self._effect(after))
        count = len(fault.pairs)
        return Fix(
            "join",
            f"{fault.source} and {fault.other}",
            effect,
            count,
            f"Make {fault.source} and {fault.other} write {fault.kind} alike: {count:,} people are apart because "
            f"{fault.field!r} of {fault.source} differs in {fault.difference}; mended, "
            f"{after_rates[risen]:.0%} instead of {before_rates[risen]:.0%} of the people of {risen} are found "
            "elsewhere.",
            risen,
            before_rates[risen],
            after_rates[risen],
        )

    def _stale(self, source: str) -> Fix:
        rhythm = self._rhythms[source]
        lost = 0.0
        for need in self._needs:
            holders = self._holdings.holders[need]
            if source in holders and all(self._rhythms[each].stale for each in holders):
                mine = self._people.among(holders[source])
                lost += (
                    need.worth
                    * (1 - STALE_COUNTS)
                    * (len(mine & self._active) / len(self._active) if self._active else 0.0)
                )
        concerned = len(self._people.among(self._holdings.subjects[source]))
        return Fix(
            "stale",
            source,
            lost,
            concerned,
            f"Let {source} deliver again: its newest data is {_days(rhythm.silent_days)} old, and it usually brings "
            f"some every {_days(rhythm.usual_days or 0).removeprefix('1 ')}; {concerned:,} people are known from it.",
        )

    def _duplicates(self, suggested: Collection[tuple[SubjectId, SubjectId]]) -> list[Fix]:
        apart = [pair for pair in suggested if self._people.of(pair[0]) != self._people.of(pair[1])]
        if not apart:
            return []
        effect = max(0.0, self._effect(self._people.joined(apart)))
        return [
            Fix(
                "duplicates",
                "suggested merges",
                effect,
                len(apart),
                f"Decide {len(apart):,} suggested merges (`edgewise profile suggestions`): records that are probably "
                "one person stand as two.",
            )
        ]

    def _absent(self, point: Point) -> Fix:
        share = f"{point.coverage:.0%} of the {'items' if point.kind == 'item' else 'active people'} have it"
        where = f"only from {', '.join(point.sources)}" if point.sources else "no source has it"
        why = f": {point.why}" if point.why else ""
        return Fix(
            "absent",
            f"{point.kind} {point.name}",
            point.lost,
            round((1 - point.coverage) * (len(self._items) if point.kind == "item" else len(self._active))),
            f"Bring in {point.kind} {point.name!r}{why}; {share}, {where}{', which is stale' if point.stale else ''}.",
        )

    def _sources(self) -> list[Source]:
        rates, pairs = join_rates(self._holdings, self._people), pair_rates(self._holdings, self._people)
        twice = duplicates(self._holdings, self._people)
        return [
            Source(
                source,
                len(self._people.among(self._holdings.subjects.get(source, ()))),
                rates.get(source, 0.0),
                pairs.get(source, {}),
                twice.get(source, 0),
                self._rhythms[source],
            )
            for source in sorted(self._rhythms)
        ]


def _point(need: Need, sources: dict[str, float], covered: float, *, stale: bool) -> Point:
    counts = covered * (STALE_COUNTS if stale else 1.0)
    return Point(need.kind, need.name, need.why, need.worth, sources, covered, stale, need.worth * (1 - counts))


def _joined(holdings: Holdings, people: People) -> float:
    of_source = [people.among(subjects) for subjects in holdings.subjects.values()]
    everybody = set().union(*of_source)
    known_twice = sum(sum(person in persons for persons in of_source) > 1 for person in everybody)
    return known_twice / len(everybody) if everybody else 0.0


def _days(days: float) -> str:
    return f"{days:,.0f} days" if round(days) != 1 else "1 day"
