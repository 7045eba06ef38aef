"""Writes the mails of journeys: what each says is decided when it is sent, and whether it is still needed asked last.

The text comes from the treatment that was decided (`subject`, `title`, `text`, `link` of its content), from what its
reader left in the cart and from the products beside it; the HTML is what pages get of the same placements.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from typing_extensions import override

from edgewise.ids import SubjectId
from edgewise.request import Context
from hub.journeys.carts import in_cart, left_out
from hub.journeys.deciding import Decided, Decider
from hub.journeys.planning import BACK, base_ms, is_same, placements_of_step, run_of, step_of
from hub.journeys.runs import DONE, did_since, runs_of
from hub.journeys.timing import quiet_of, timezone_of, window
from hub.journeys.watching import history_ms
from hub.journeys.worded import Chosen, Voice, worded
from hub.ledger.journeys import JourneyState
from hub.ledger.ledger import Ledger
from hub.ledger.links import members_of_all
from hub.ledger.records import reading
from hub.ledger.storing import append_decisions
from hub.ledger.watches import deeds_of
from hub.mail.letters import Dropped, Due, Later, Letter, Limits, Writer
from hub.mail.outbox import Outbox
from hub.mail.permission import unwanted
from hub.mail.sending import address_hash
from hub.mail.shown import PRODUCER
from hub.mail.states import WENT
from hub.site.journey_file import JourneyFile

ADDRESS: Final = "email"
"""Field of the vault."""
LOCALE: Final = "locale"
OFF: Final = "off"
NO_ADDRESS: Final = "no-address"
NOTHING: Final = "nothing"
GONE: Final = "gone"
TWICE: Final = "twice"


class JourneyWriter(Writer):
    """Writes for one hub."""

    def __init__(
        self,
        ledger: Ledger,
        journeys: Callable[[], Mapping[str, JourneyFile]],
        decider: Decider,
        *,
        subject_key: bytes,
        voice: Voice = Voice(),  # noqa: B008  # immutable
    ) -> None:
        """`subject_key`: what addresses are hashed with.

        `voice`: who writes, and where links lead, an edge that readers can reach.
        """
        self._ledger = ledger
        self._journeys = journeys
        self._decider = decider
        self._subject_key = subject_key
        self._voice = voice

    @override
    def write(self, due: Due, now_ms: int) -> Letter | Dropped | Later:
        """As `Writer`. Raises UnavailableError while no live release has the placements."""
        journey = self._journey(due)
        step = None if journey is None else step_of(due.payload, journey)
        if journey is None or step is None:
            return Dropped(OFF, f"the journey {due.journey} is not enabled, or has no such mail any more")
        members = self._ledger.members_of(due.person)
        contact = contact_of(self._ledger, members)
        if contact is None:
            return Dropped(NO_ADDRESS)
        with self._ledger.storage.writing() as connection:  # what he unsubscribed from is read on the way
            identifier = address_hash(self._subject_key, str(contact[ADDRESS]))
            against = unwanted(connection, due, identifier, most_per_week=journey.caps.per_week, now_ms=now_ms)
        if against is not None:
            return against
        since_ms = now_ms - history_ms(journey)
        events = reading(self._ledger.storage, lambda connection: deeds_of(connection, members, since_ms))
        timezone = timezone_of(events, journey.timezone)
        cart = in_cart(due.payload, events, journey)
        locale = str(contact.get(LOCALE) or "")
        made = self._decider.decide(
            due.person,
            placements_of_step(step.of),
            key=f"{due.key}/{due.tries}",
            mail=due.key,
            now_ms=now_ms,
            context=Context(locale=locale, timezone=timezone),
            left_out=left_out(step.of.products, cart),
        )
        promises = self._decider.promises(made, due.person, due.key, now_ms)
        decision = made.outcome.decision
        chosen = Chosen(made.bundle, decision, promises, self._decider.cart(made, step.of.products, cart, now_ms))
        said = worded(chosen, step.of, journey=due.journey, contact=contact, locale=locale, voice=self._voice)
        if said is None:
            self._note_nothing(made, now_ms)
            offered = decision.placements[step.of.treatments]
            return Dropped(NOTHING, f"{offered.policy}: {offered.reason}")
        return Letter(
            to=str(contact[ADDRESS]),
            subject=said.subject,
            html=said.html,
            text=said.text,
            locale=locale or "en",
            decisions=(
                msgspec.structs.replace(
                    made.record, promised={promise.promotion: promise.number for promise in promises.values()}
                ),
            ),
            why=chosen.why(step.of),
            trouble=said.trouble,
            limits=Limits(journey.caps.per_week, quiet_of(journey, timezone)),
        )

    @override
    def still(self, connection: sa.Connection, due: Due, now_ms: int) -> Dropped | Later | None:
        """As `Writer`: the run as it stands by everything that is stored now."""
        journey = self._journey(due)
        step = None if journey is None else step_of(due.payload, journey)
        if journey is None or journey.trigger is None or step is None:
            return Dropped(OFF)
        members = members_of_all(connection, [due.person])
        events = deeds_of(connection, members, now_ms - history_ms(journey))
        run = run_of(due.payload, runs_of(events, journey.trigger))
        if run is None:
            return Dropped(GONE, "what began it was erased, or is too old")
        if run.ended or did_since(events, step.of.unless, run.began_ms):
            return Dropped(run.ended or DONE)
        went = Outbox.rows(connection, WENT, journey=due.journey, people=members)
        others = (row for row in went if row.key != due.key and row.payload.get("step") == step.number)
        if any(is_same(row.payload, run) for row in others):
            return Dropped(TWICE, "somebody who has turned out to be the same person got it")
        quiet = quiet_of(journey, timezone_of(events, journey.timezone))
        is_back = window(base_ms(run, journey) + step.after_ms, journey.trigger, quiet).due_ms > now_ms
        return Dropped(BACK, "its reader came back; it is planned anew once he has gone") if is_back else None

    def _journey(self, due: Due) -> JourneyFile | None:
        """Its journey, if it may send."""
        said = self._ledger.journey_states().get(due.journey)
        if said is None or said.state is not JourneyState.ENABLED:
            return None
        journey = self._journeys().get(due.journey)
        return journey if journey is not None and journey.kind == "mail" and journey.trigger is not None else None

    def _note_nothing(self, made: Decided, now_ms: int) -> None:
        """To send nothing is a decision as any other, which is learned from."""
        with self._ledger.storage.writing() as connection:
            append_decisions(connection, PRODUCER, [msgspec.structs.replace(made.record, deferred=False)], now_ms)


def contact_of(ledger: Ledger, members: Collection[SubjectId]) -> dict[str, Any] | None:
    """The newest contact of a person, by all of his subjects, that has an address."""
    return next((row.fields for row in ledger.contacts_of(members) if row.fields.get(ADDRESS)), None)
