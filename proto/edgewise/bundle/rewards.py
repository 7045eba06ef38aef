"""What it is worth that something came of what was shown, and of whom that is not learned."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.ids import SubjectId

Hours = Annotated[float, Meta(gt=0, le=24 * 400)]
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Worth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one outcome is worth: `each` + `per_minor` * the money of the item, in minor units of the site's currency.

    A review with fewer than `at_least` stars, or none, is worth nothing.
    """

    each: Finite = 0.0
    per_minor: Finite = 0.0
    at_least: Annotated[float, Meta(ge=0, le=5)] | None = None


class RewardDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """How outcomes become one number a shown item: `events: {click: 1, order: {per_minor: 0.01}, refund: -10}`.

    It travels with the bundle, so that it has a version, and a decision can tell which one was in force.
    """

    events: Annotated[dict[str, Finite | Worth], Meta(min_length=1)]
    """A kind of event (`edgewise.events.Kind`) or an event's own name -> what one is worth; the name is looked up
    first. A number alone is `each`."""
    wait_hours: Hours = 24.0
    """So long after it was shown something counts. What comes later is kept, and not learned from."""
    default: Finite = 0.0
    """Where nothing came."""
    aggregate: Literal["sum", "earliest", "latest", "max", "mean"] = "sum"
    """Of several outcomes of one shown item."""
    window_hours: Hours = 24.0
    """An outcome that names no decision belongs to the last time that the item was shown to the visitor, in whichever
    placement, or in the one that it names, if that was at most so long ago."""


class TrafficRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is no visitor: neither learned from nor counted in a lift."""

    most_per_minute: Annotated[int, Meta(ge=1)] = 240
    """Whoever asks for more decisions, or does more, in one minute is a bot."""
    internal_subjects: list[SubjectId] = []
    """Staff and testers, as `edgewise profile show` names them, with all their other subjects."""
    internal_traits: list[str] = []
    """Whoever states one of these traits as true is internal."""


EVERYBODY: Final = TrafficRules()
"""Where a site says nothing. One object, so that policies leave it out."""
