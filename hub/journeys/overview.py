"""The journeys of a site at a glance: what each is, who enabled it, and whether that is in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgewise.ids import PlacementName
from hub.ledger.journeys import JourneySwitch
from hub.ledger.rows import ReleaseRow
from hub.ledger.watches import watched
from hub.mail.outbox import Outbox
from hub.mail.states import MailState
from hub.site.journey_file import JourneyFile

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger


class ListedJourney(msgspec.Struct, frozen=True, kw_only=True):
    """One journey."""

    name: str
    kind: str
    """`page` or `mail`; `audit` for one that says only what it needs."""
    state: str
    """`enabled`, `paused`, or `off`: nobody has said anything of it."""
    who: str = ""
    """Who said so last."""
    since_ms: int | None = None
    reason: str = ""
    placements: tuple[PlacementName, ...] = ()
    watched: int = 0
    """People who are looked at again: somebody who left a cart, or waits for the next mail of a series."""
    mails: dict[str, int] = {}
    """State of the outbox -> mails; `uncertain` are those of which nobody knows whether they left."""
    unsent: dict[str, int] = {}
    """Why mails were not sent -> how many."""
    is_in_force: bool
    """Whether visitors get what its state says: a page journey needs a live release that was built since."""


class Counts(NamedTuple):
    """What the ledger has of all journeys."""

    watched: Mapping[str, int]
    mails: Mapping[tuple[str, MailState, str], int]
    """(journey, state, reason) -> how many."""


class Journeys(msgspec.Struct, frozen=True):
    """`GET /api/v1/journeys` and `edgewise journey list --json`."""

    journeys: list[ListedJourney]


def placements_of(journey: JourneyFile) -> tuple[PlacementName, ...]:
    """Every placement that a journey asks, of pages or for its mails."""
    of_steps = (name for step in journey.steps for name in (step.treatments, step.products) if name is not None)
    return tuple(dict.fromkeys([*journey.placements, *of_steps]))


def listed(
    journeys: Mapping[str, JourneyFile],
    states: Mapping[str, JourneySwitch],
    live: ReleaseRow | None,
    counts: Counts | None = None,
) -> Journeys:
    """Every journey, sorted by name; `live` is the release that serves."""
    known = counts or Counts({}, {})
    return Journeys(
        [_listed(name, journey, states.get(name), live, known) for name, journey in sorted(journeys.items())]
    )


def counts_of(ledger: Ledger) -> Counts:
    """What journeys have come to, of all of them."""
    with ledger.storage.reading() as connection:
        return Counts(watched(connection), Outbox.counts(connection))


def _listed(
    name: str, journey: JourneyFile, said: JourneySwitch | None, live: ReleaseRow | None, counts: Counts
) -> ListedJourney:
    mails: Counter[str] = Counter()
    unsent: Counter[str] = Counter()
    for (of, state, reason), count in counts.mails.items():
        if of == name:
            mails[state.value] += count
            if reason and state is not MailState.SENT:
                unsent[reason] += count
    placements = placements_of(journey)
    waits = said is not None and journey.kind == "page" and (live is None or live.created_ms < said.time_ms)
    return ListedJourney(
        name=name,
        kind=journey.kind if placements else "audit",
        state="off" if said is None else said.state.value,
        who="" if said is None else said.who,
        since_ms=None if said is None else said.time_ms,
        reason="" if said is None else said.reason,
        placements=placements,
        watched=counts.watched.get(name, 0),
        mails=dict(sorted(mails.items())),
        unsent=dict(sorted(unsent.items())),
        is_in_force=not waits,
    )
