"""The journeys of a site at a glance: what each is, who enabled it, and whether that is in force."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgewise.ids import PlacementName
from hub.ledger.journeys import JourneySwitch
from hub.ledger.rows import ReleaseRow
from hub.site.journey_file import JourneyFile


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
    is_in_force: bool
    """Whether visitors get what its state says: a page journey needs a live release that was built since."""


class Journeys(msgspec.Struct, frozen=True):
    """`GET /api/v1/journeys` and `edgewise journey list --json`."""

    journeys: list[ListedJourney]


def placements_of(journey: JourneyFile) -> tuple[PlacementName, ...]:
    """Every placement that a journey asks, of pages or for its mails."""
    of_steps = (name for step in journey.steps for name in (step.treatments, step.products) if name is not None)
    return tuple(dict.fromkeys([*journey.placements, *of_steps]))


def listed(
    journeys: Mapping[str, JourneyFile], states: Mapping[str, JourneySwitch], live: ReleaseRow | None
) -> Journeys:
    """Every journey, sorted by name; `live` is the release that serves."""
    return Journeys([_listed(name, journey, states.get(name), live) for name, journey in sorted(journeys.items())])


def _listed(name: str, journey: JourneyFile, said: JourneySwitch | None, live: ReleaseRow | None) -> ListedJourney:
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
        is_in_force=not waits,
    )
