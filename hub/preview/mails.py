"""The mail of a journey as somebody would get it: decided, worded and composed as it is sent, but never sent.

Nothing is written, no code is promised (where a mail shows one, an example stands for it), and the reader's own links
are sealed with a key that no edge has.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgewise.admission.load import Bundle
from edgewise.codes.code import LETTERS, in_groups
from edgewise.decision import ChosenItem, Decision, PlacementDecision
from edgewise.ids import ArmName, ItemId, SubjectId
from edgewise.mail_links import MailSeal
from edgewise.profile.preferences import decode_preferences
from edgewise.profile.state import DAY_MS
from edgewise.promises import Promise, Promises
from edgewise.question import Force
from edgewise.records import EventRecord
from edgewise.rendering import Links
from edgewise.request import Context, PlacementRequest
from hub.journeys.carts import left_out, to_be_had
from hub.journeys.planning import placements_of_step
from hub.journeys.runs import runs_of
from hub.journeys.watching import history_ms
from hub.journeys.worded import Chosen, Voice, worded
from hub.journeys.writing import contact_of
from hub.ledger.ledger import Ledger
from hub.ledger.records import reading
from hub.ledger.watches import deeds_of
from hub.mail.composing import House, MessageComposer
from hub.mail.letters import Due, Letter
from hub.mail.permission import unwilling
from hub.preview.deciding import Run, decided
from hub.preview.visitors import Visitor
from hub.site.journey_file import JourneyFile, StepFile

_READER: Final = "reader@example.org"
_EXAMPLE: Final = "0" * LETTERS
_CODE_HOLDS_MS: Final = 7 * DAY_MS
UNKNOWN_HOUSE: Final = House("shop@example.org", "Shop", "https://edge.example.org")
"""Who writes where no settings say it."""


class Reader(NamedTuple):
    """Whom a mail is for, beside what `decide` knows of him."""

    cart: Sequence[ItemId] = ()
    contact: Mapping[str, Any] = {}
    """Fields of the vault."""
    against: str = ""
    """Why no mail is sent to him as things are; blank: nothing that is known here."""


class AskedMail(NamedTuple):
    """What a preview is of."""

    journey: str
    step: StepFile
    visitor: Visitor
    reader: Reader
    context: Context
    locale: str = ""
    site: str = ""
    """Where relative addresses lead (`mail_site`)."""
    arm: ArmName | None = None
    """Of the treatments, forced; None: the one that he would get."""


class SeenMail(NamedTuple):
    """What would be read, and why."""

    treatment: PlacementDecision
    products: PlacementDecision | None
    titles: dict[ItemId, str]
    cart: list[ItemId]
    """What of the cart can still be had: it comes first."""
    subject: str = ""
    """Blank, as is all that follows: nothing is sent."""
    text: str = ""
    html: str = ""
    trouble: str = ""

    @property
    def items(self) -> list[ChosenItem]:
        """All that was decided."""
        return [*self.treatment.items, *(() if self.products is None else self.products.items)]


def known_reader(ledger: Ledger, visitor: Visitor, journey: JourneyFile, now_ms: int) -> Reader:
    """The cart, the contact and the will of a person of the ledger."""
    person = SubjectId(visitor.unit)
    members = ledger.members_of(person)
    since_ms = now_ms - history_ms(journey)
    events: list[EventRecord] = reading(ledger.storage, lambda connection: deeds_of(connection, members, since_ms))
    runs = [] if journey.trigger is None else runs_of(events, journey.trigger)
    contact = contact_of(ledger, members)
    said = decode_preferences(ledger.person_profiles([person])[person].preferences)
    against = unwilling(said)
    reasons = [] if against is None else [f"{against.reason}: {against.words}"]
    reasons += ["no address of him is known"] if contact is None else []
    cart = runs[-1].items if runs and not runs[-1].ended else ()
    return Reader(cart, contact or {}, "; ".join(reasons))


def see_mail(bundle: Bundle, asked: AskedMail, house: House, run: Run, *, now_ms: int, entropy: bytes) -> SeenMail:
    """Decide, word and compose.

    Raises UnknownPlacement and InputError as `decide`, what `run` raises, and InputError for a mail that cannot be one.
    """
    step, cart = asked.step, asked.reader.cart
    without = left_out(step.products, cart)
    force: Force = {} if asked.arm is None else {step.treatments: asked.arm}
    placements = [PlacementRequest(name, exclude=without.get(name, [])) for name in placements_of_step(step)]
    outcome = decided(
        bundle, asked.visitor, placements, asked.context, force=force, run=run, now_ms=now_ms, entropy=entropy
    )
    decision = outcome.decision
    kept = (
        []
        if step.products is None
        else to_be_had(bundle, step.products, cart, mute=dict(asked.visitor.mute), now_ms=now_ms)
    )
    chosen = Chosen(bundle, decision, _examples(bundle, decision, now_ms), kept)
    seen = SeenMail(
        decision.placements[step.treatments],
        None if step.products is None else decision.placements[step.products],
        {item.id: bundle.items.title(item.id) for placed in decision.placements.values() for item in placed.items},
        [item.id for item in kept],
    )
    voice = Voice(Links(house.links), house.sender_name, house.imprint, asked.site)
    contact = {**asked.reader.contact, "locale": asked.locale}
    said = worded(chosen, step, journey=asked.journey, contact=contact, locale=asked.locale, voice=voice)
    if said is None:
        return seen
    letter = Letter(
        to=_READER,
        subject=said.subject,
        html=said.html,
        text=said.text,
        locale=asked.locale or "en",
        why=chosen.why(step),
    )
    due = Due(key="preview", journey=asked.journey, person=SubjectId("0" * 32), due_ms=now_ms, not_after_ms=now_ms)
    composer = MessageComposer(house, MailSeal(secrets.token_bytes(32)), secrets.token_bytes(32))
    mail = composer.compose(due, letter, "preview", now_ms)
    return seen._replace(subject=said.subject, text=mail.text, html=mail.html, trouble=said.trouble)


def _examples(bundle: Bundle, decision: Decision, now_ms: int) -> Promises:
    """A code that is none for each item that comes with one."""
    found: dict[ItemId, Promise] = {}
    for placed in decision.placements.values():
        for chosen in placed.items:
            item = bundle.item(chosen.id)
            if item is not None and item.promotion is not None:
                found[chosen.id] = Promise(item.promotion, 0, in_groups(_EXAMPLE), now_ms + _CODE_HOLDS_MS)
    return found
