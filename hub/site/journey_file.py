"""`journeys/NAME.yaml`: what a journey needs to know, what it changes, when it begins, and what it sends.

A page journey changes placements of pages; it is a name for them, so that a person enables it as a whole. A mail
journey watches what people do, and has a mail written for each who did its `trigger` and then went away.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.bundle.share import Share
from edgewise.ids import ArmName, ModelName, PlacementName, TemplateName

DataKind = Literal["event", "trait", "identifier", "contact", "item"]
EventName = Annotated[str, Meta(min_length=1, max_length=200)]
Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Local time of day, HH:MM."""
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
"""A name of the IANA time zone database."""
Minutes = Annotated[int, Meta(ge=1, le=60 * 24 * 30)]
Hours = Annotated[float, Meta(ge=0, le=24 * 400)]
ADDED: Final = "Product Added"
CART_ENDS: Final = "Order Completed"


class Need(msgspec.Struct, frozen=True):
    """A data point that a journey works with."""

    kind: DataKind
    """event: something they did; trait: said of them by `identify` or an import; identifier: how they are known;
    contact: a field of the vault; item: an attribute of what can be shown."""
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    worth: Share
    """The share of the journey's effect that hangs on it: a judgement of whoever wrote the journey, no measurement."""
    why: Annotated[str, Meta(max_length=300)] = ""


class Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What begins a run of a mail journey for one person."""

    event: EventName
    """Its name to the letter."""
    per: Literal["cart", "event"] | None = None
    """cart: one run a cart, from its first piece until it is ordered or emptied; event: one run each time. Where it is
    not said, `Product Added` begins carts, and everything else runs of its own."""
    unless: list[EventName] = []
    """Done after the trigger, each ends the run; a cart ends with `Order Completed` in any case."""
    quiet_minutes: Minutes = 60
    """A cart is abandoned once its visitor has done nothing for so long; other runs begin at once."""
    within_minutes: Minutes = 60
    """A mail that cannot be handed over so soon after it was due is not sent any more."""
    after_quiet_minutes: Minutes = 15
    """The same, where it was due in quiet hours: from their end on."""

    @property
    def is_of_carts(self) -> bool:
        """Whether a run is a cart's."""
        return self.per == "cart" or (self.per is None and self.event == ADDED)


class StepFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mail of a journey."""

    treatments: PlacementName
    """The placement that decides, when the mail is sent, what is offered: its first item, or nothing."""
    products: PlacementName | None = None
    """The placement that fills the list of products."""
    template: TemplateName = TemplateName("")
    """The template of kind mail that words it; blank: it is composed of what was decided."""
    after_hours: Hours = 0.0
    """How long after the run began (a cart: after it was abandoned)."""
    unless: list[EventName] = []
    """Done since the run began, each keeps this mail from being sent."""


class Champion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done before there was a journey; who takes part in no experiment, or is held out, gets it too."""

    arm: ArmName | None = None
    """Of the placements. Where it is not said: the control of the experiment that a placement runs, else the arm that
    serves who opted out."""
    after_hours: Hours = 24.0
    """How long a mail of the champion waits."""


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    """Time of day, where the visitor is, at which nothing is sent; `from` is quiet, `to` is not."""

    begin: Clock
    end: Clock


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one person is written to."""

    per_week: Annotated[int, Meta(ge=1, le=100)] = 3
    """Mails of all journeys in seven days."""


class JourneyFile(msgspec.Struct, frozen=True):
    """A journey; one that says only what it needs is audited, and changes nothing."""

    needs: list[Need] = []
    """What it needs to know; `edgewise data audit` says whether it is there. Journeys that come with Edgewise have some
    of their own, which these replace."""
    least_known: Share = 0.5
    """Share of what it needs that must be known before a person may enable it as the first one."""
    kind: Literal["page", "mail"] = "page"
    placements: list[PlacementName] = []
    """Of a page journey: what it changes. They serve the champion until it is enabled."""
    champion: Champion = Champion()
    trigger: Trigger | None = None
    steps: list[StepFile] = []
    reasons: ModelName | None = None
    """A score of visitors that tells why they left; rules of the treatments ask it (`profile.score.NAME.CLASS`), and
    what it said of each is in his decision."""
    quiet_hours: QuietHours | None = None
    timezone: Zone = "UTC"
    """Of visitors who never said theirs."""
    caps: Caps = Caps()
    consent: Literal["marketing"] = "marketing"
    """What a person must have granted to be written to."""
