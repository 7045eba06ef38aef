"""Writes the mails of journeys: what each says is decided when it is sent, and whether it is still needed asked last.

The text comes from the treatment that was decided (`subject`, `title`, `text`, `link` of its content) and from the
products beside it; the HTML is what pages get of the same placements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from typing_extensions import override

from edgewise.admission.load import Bundle
from edgewise.decision import ChosenItem, PlacementDecision
from edgewise.ids import PlacementName, SubjectId
from edgewise.promises import Promises, promised_content
from edgewise.rendering import ShownItem, content_of, render_placement
from edgewise.request import Context
from hub.journeys.deciding import Decided, Decider
from hub.journeys.planning import BACK, base_ms, is_same, placements_of_step, run_of, step_of
from hub.journeys.runs import DONE, did_since, runs_of
from hub.journeys.timing import quiet_of, timezone_of, window
from hub.journeys.watching import history_ms
from hub.journeys.worded import Voice, Worded, worded
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
from hub.site.journey_file import JourneyFile, StepFile

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
        contact = self._contact(due.person)
        if contact is None:
            return Dropped(NO_ADDRESS)
        members = self._ledger.members_of(due.person)
        with self._ledger.storage.writing() as connection:  # what he unsubscribed from is read on the way
            identifier = address_hash(self._subject_key, str(contact[ADDRESS]))
            against = unwanted(connection, due, identifier, most_per_week=journey.caps.per_week, now_ms=now_ms)
        if against is not None:
            return against
        since_ms = now_ms - history_ms(journey)
        events = reading(self._ledger.storage, lambda connection: deeds_of(connection, members, since_ms))
        timezone = timezone_of(events, journey.timezone)
        placements = placements_of_step(step.of)
        locale = str(contact.get(LOCALE) or "")
        made = self._decider.decide(
            due.person,
            placements,
            key=f"{due.key}/{due.tries}",
            now_ms=now_ms,
            context=Context(locale=locale, timezone=timezone),
        )
        offered = made.outcome.decision.placements[step.of.treatments]
        promises = self._decider.promises(made, due.person, now_ms)
        shown = {name: _shown(made, name, promises) for name in placements}
        if not shown[step.of.treatments]:
            self._note_nothing(made, now_ms)
            return Dropped(NOTHING, f"{offered.policy}: {offered.reason}")
        said = self._worded(made, step.of, shown, contact, locale) or Worded(
            _subject(shown[step.of.treatments], due.journey),
            _text([item for name in placements for item in shown[name]]),
            "".join(self._html(made, name, shown[name], locale) for name in placements),
        )
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
            why=_why(made, placements),
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

    def _contact(self, person: SubjectId) -> dict[str, Any] | None:
        """The newest contact of a person that has an address."""
        found = self._ledger.contacts_of(self._ledger.members_of(person))
        return next((row.fields for row in found if row.fields.get(ADDRESS)), None)

    def _note_nothing(self, made: Decided, now_ms: int) -> None:
        """To send nothing is a decision as any other, which is learned from."""
        with self._ledger.storage.writing() as connection:
            append_decisions(connection, PRODUCER, [msgspec.structs.replace(made.record, deferred=False)], now_ms)

    def _worded(
        self,
        made: Decided,
        step: StepFile,
        shown: Mapping[PlacementName, Sequence[ShownItem]],
        contact: Mapping[str, Any],
        locale: str,
    ) -> Worded | None:
        """By the template that the step names; None: it names none, or what was decided does not fit it."""
        if not step.template:
            return None
        decision = made.outcome.decision
        products = () if step.products is None else shown[step.products]
        listed = () if step.products is None else decision.placements[step.products].items
        whys = {item.id: next((why.text for why in item.why), "") for item in listed}
        return worded(
            made.bundle,
            step.template,
            locale,
            shown[step.treatments][0],
            [(item, whys.get(item.id, "")) for item in products],
            contact=contact,
            decision_id=decision.decision_id,
            voice=self._voice,
        )

    def _html(self, made: Decided, name: PlacementName, items: Sequence[ShownItem], locale: str) -> str:
        return render_placement(
            made.bundle,
            name,
            items,
            locale=locale,
            decision_id=made.outcome.decision.decision_id,
            deferred=False,
            links=self._voice.links,
        )


def _why(made: Decided, placements: Sequence[PlacementName]) -> tuple[str, ...]:
    """The sentences behind what is shown, each once: the mail brings them with it, as no edge knows its decision."""
    decided = (made.outcome.decision.placements[name] for name in placements)
    return tuple(dict.fromkeys(why.text for each in decided for item in each.items for why in item.why))


def _shown(made: Decided, name: PlacementName, promises: Promises) -> list[ShownItem]:
    decided: PlacementDecision = made.outcome.decision.placements[name]
    return [
        ShownItem(item.id, item.rank, item.reason, _content(made.bundle, name, item, promises))
        for item in decided.items
    ]


def _content(bundle: Bundle, name: PlacementName, item: ChosenItem, promises: Promises) -> Mapping[str, Any] | None:
    variant = item.variant if isinstance(item.variant, str) else ""
    content = content_of(bundle, item.id, variant, bundle.policy.placements[name].format)
    promise = promises.get(item.id)
    if content is None or promise is None:
        return content
    return promised_content(content, promise, bundle.policy.offers[promise.promotion], bundle.policy.site.currency)


def _subject(items: Sequence[ShownItem], journey: str) -> str:
    content = items[0].content or {}
    return next((_word(content, key) for key in ("subject", "title") if _word(content, key)), journey)


def _text(items: Sequence[ShownItem]) -> str:
    """The plain part: title, text, code and link of each, a blank line between."""
    keys = ("title", "text", "code", "link")
    parts = ([_word(item.content, key) for key in keys] for item in items if item.content is not None)
    return "\n\n".join("\n".join(line for line in lines if line) for lines in parts if any(lines))


def _word(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key, "")
    return value if isinstance(value, str) else ""
