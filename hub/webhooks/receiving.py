"""One delivery from its bytes to its answer: proved, translated, stored for good, counted.

What is answered decides whether a vendor sends again, and whether it switches the webhook off after too many failures.
So a delivery that is truly the source's own is answered well as soon as its records are durable, also where rows of it
cannot be used: those are kept aside with the reason and counted. Only what another attempt may mend is refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgewise.clock import Clock
from edgewise.errors import InputError, RefusedError
from edgewise.ids import Producer
from edgewise.records import EventRecord, PreferenceRecord
from hub.facts.board import FactsBoard
from hub.imports.events import Intake
from hub.ledger.ledger import Ledger
from hub.ledger.writing import Stored
from hub.log import Log
from hub.meters import Meters
from hub.sources.document import SourceDocument, SourceName
from hub.sources.kept import KeptSources
from hub.topics.tickets import Topics
from hub.webhooks.bodies import rows_in
from hub.webhooks.facts import Numbers, put_facts
from hub.webhooks.rejects import HookRejects, Refused
from hub.webhooks.secrets import WebhookSecrets
from hub.webhooks.signatures import Delivery, fault_of, is_ping
from hub.webhooks.translating import Translated, translate

UNPROVEN: Final = 401
UNREADY: Final = 503

Append = Callable[[Producer, Sequence[EventRecord | PreferenceRecord]], Awaitable[tuple[Stored, int]]]
"""Stores records for good, in the ledger's one writer, and tells nodes: (what was stored, how many were known)."""
IntakeOf = Callable[[SourceDocument], Intake]
"""How a source's calls are read now. May read the release that is live."""


class Received(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a delivery; the counts of rows are of this delivery alone."""

    rows: int = 0
    stored: int = 0
    """Events that are new."""
    known: int = 0
    """Events that were stored before: the delivery is a repetition, or an import was first."""
    passed_over: int = 0
    rejected: int = 0
    """Rows that cannot be used; kept aside at the hub."""
    facts: int = 0
    """Items of which live facts were set."""


class Refusal(NamedTuple):
    """What is not taken, and why."""

    status: int
    detail: str


class Hooks:
    """Takes deliveries of the sources that a site applied. Belongs to one event loop."""

    def __init__(
        self,
        sources: KeptSources,
        secrets: WebhookSecrets,
        ledger: Ledger,
        board: FactsBoard,
        *,
        data_dir: Path,
        intake_of: IntakeOf,
        append: Append,
        clock: Clock,
        meters: Meters,
        log: Log,
    ) -> None:
        self._sources = sources
        self._secrets = secrets
        self._ledger = ledger
        self._board = board
        self._data_dir = data_dir
        self._intake_of = intake_of
        self._append = append
        self._clock = clock
        self._meters = meters
        self._log = log
        self._topics = Topics(data_dir)
        self._rejects: dict[str, HookRejects] = {}
        self._facts_mutex = threading.Lock()  # of two deliveries at once the newer one holds
        self._said: set[tuple[str, str]] = set()

    def close(self) -> None:
        """End what reads tickets."""
        self._topics.close()

    def source(self, name: str) -> SourceDocument | None:
        """The document of a source that takes deliveries; None where there is none of that name."""
        document = self._sources.documents().get(SourceName(name))
        return None if document is None or document.webhook is None else document

    def fault(self, name: str, document: SourceDocument, delivery: Delivery) -> Refusal | None:
        """Why a delivery is not taken; None when it is its source's own."""
        assert document.webhook is not None
        secrets = self._secrets.of(name)
        if not secrets:
            where = f"{self._secrets.variable(name)} or {self._secrets.path(name).name} in the hub's keys"
            self._say(name, f"a webhook has no secret; put it into {where}")
            self._count(name, "refused")
            return Refusal(UNREADY, "this hub does not hold the secret of this webhook yet")
        fault = fault_of(document.webhook, secrets, delivery)
        if fault:
            self._count(name, "unproven")
            return Refusal(UNPROVEN, fault)
        return None

    async def take(self, name: str, document: SourceDocument, delivery: Delivery) -> Received | Refusal:
        """Everything after the head: the answer to give.

        Raises:
            UnavailableError: the ledger or the rejects cannot be written; the vendor has to send again.
        """
        assert document.webhook is not None
        if is_ping(document.webhook, delivery):
            self._count(name, "ping")
            return Received()
        if (refusal := self.fault(name, document, delivery)) is not None:
            return refusal
        try:
            rows, translated = await asyncio.to_thread(self._translated, name, document, delivery)
        except InputError as wrong:
            body = delivery.body.decode("utf-8", "backslashreplace")
            unread = Refused(0, "", "", "unreadable", str(wrong), body)
            rows, translated = 0, Translated([], [unread], [], {}, 0, "")
        return await self._stored(name, rows, translated)

    async def _stored(self, name: str, rows: int, translated: Translated) -> Received:
        events = sum(isinstance(record, EventRecord) for record in translated.records)
        known = 0
        if translated.records:
            _, known = await self._append(Producer(f"hook/{name}"), translated.records)
        if translated.contacts:
            await asyncio.to_thread(self._ledger.keep_contacts, translated.contacts)
        facts = await asyncio.to_thread(self._put_facts, name, translated.facts) if translated.facts else 0
        if translated.refused:
            now_ms = self._clock.now_ms()
            await asyncio.to_thread(self._rejects_of(name).add, translated.refused, now_ms)
            self._say(name, f"rows of a webhook cannot be used; {self._rejects_of(name).path} says why")
        if translated.trouble:
            self._say(name, translated.trouble)
        received = Received(
            rows=rows,
            stored=events - known,
            known=known,
            passed_over=translated.passed_over,
            rejected=len(translated.refused),
            facts=facts,
        )
        for outcome, count in msgspec.structs.asdict(received).items():
            if outcome != "rows" and count:
                self._meters.hook_rows.labels(name, outcome).inc(count)
        self._count(name, "taken" if not translated.refused else "taken_in_part" if rows else "unreadable")
        return received

    def _translated(self, name: str, document: SourceDocument, delivery: Delivery) -> tuple[int, Translated]:
        assert document.webhook is not None
        rows = rows_in(document.webhook, document, delivery.body)
        translated = translate(
            name,
            document,
            rows,
            ledger=self._ledger,
            intake=self._intake_of(document),
            topics=self._topics,
            now_ms=delivery.received_ms,
        )
        return len(rows), translated

    def _put_facts(self, name: str, said: dict[str, Numbers]) -> int:
        try:
            with self._facts_mutex:
                return put_facts(self._board, self._ledger, name, said, now_ms=self._clock.now_ms())
        except RefusedError as refused:  # sent again it would be refused again
            self._say(name, f"live facts of a webhook: {refused}")
            return 0

    def _rejects_of(self, name: str) -> HookRejects:
        return self._rejects.setdefault(name, HookRejects(self._data_dir, name))

    def _count(self, name: str, outcome: str) -> None:
        self._meters.hook_deliveries.labels(name, outcome).inc()

    def _say(self, name: str, what: str) -> None:
        """Once: a vendor sends thousands of what went wrong once."""
        if (name, what) not in self._said:
            self._said.add((name, what))
            self._log.warning(what, source=name)


class LiveIntake:
    """How sources' calls are read: by the release that is live, read again when another one is."""

    def __init__(self, live: Callable[[], int | None], read: Callable[[SourceDocument], Intake]) -> None:
        self._live = live
        self._read = read
        self._known: dict[str, tuple[int | None, Intake]] = {}

    def __call__(self, document: SourceDocument) -> Intake:
        """The intake of a source now. Raises UnavailableError when the release cannot be read."""
        stated = document.consent if isinstance(document.consent, str) else ""
        version = self._live()
        held = self._known.get(stated)
        if held is None or held[0] != version:
            held = self._known[stated] = (version, self._read(document))
        return held[1]
