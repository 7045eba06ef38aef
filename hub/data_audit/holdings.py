"""What each source holds of whom: one pass over the ledger's events and the vault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from edgewise.identifiers import base_kind
from edgewise.ids import SubjectId
from edgewise.records import ANONYMOUS, EventRecord
from hub.data_audit.rhythm import DAY_MS
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ContactRow
from hub.linkage.roles import recognised
from hub.site.journey_file import Need

WEB = "web"
"""Everything that nodes report: the visitors' own browsers and apps."""


class Holdings:
    """Subjects, data points, days and identifiers, each with the sources that have them."""

    def __init__(self, needs: Sequence[Need]) -> None:
        self._needs: dict[tuple[str, str], Need] = {(need.kind, need.name): need for need in needs}
        self.subjects: dict[str, set[SubjectId]] = defaultdict(set)
        """Source -> subjects it has records of."""
        self.last_ms: dict[SubjectId, int] = {}
        """When each was last active: events only."""
        self.holders: dict[Need, dict[str, set[SubjectId]]] = {need: defaultdict(set) for need in needs}
        """Data point -> source -> subjects that have it from there."""
        self.days: dict[str, set[int]] = defaultdict(set)
        self.newest_ms: dict[str, int] = defaultdict(int)
        self.names: dict[str, set[SubjectId]] = defaultdict(set)
        """Source -> hashes of every identifier that it named, subjects included."""
        self.kinds: set[str] = set()
        """Kinds of identifier that occur."""
        self.contacts: list[ContactRow] = []
        self.events = 0

    def take_event(self, event: EventRecord) -> None:
        """Count an event in. Those of nobody hold nothing of anybody."""
        self.events += 1
        source = source_of(event.producer)
        self.days[source].add(event.time_ms // DAY_MS)
        self.newest_ms[source] = max(self.newest_ms[source], event.time_ms)
        if event.subject == ANONYMOUS:
            return
        subject = event.subject
        self.subjects[source].add(subject)
        self.last_ms[subject] = max(self.last_ms.get(subject, 0), event.time_ms)
        self.names[source].add(subject)
        self._hold("event", event.name if event.type == "track" else event.type, source, subject)
        for trait in event.traits:
            self._hold("trait", trait, source, subject)
        for name, identifier in event.identifiers.items():
            kind = base_kind(name)
            self.kinds.add(kind)
            self.names[source].add(identifier)
            self._hold("identifier", kind, source, subject)

    def take_contact(self, contact: ContactRow) -> None:
        """Count a record of the vault in."""
        self.contacts.append(contact)
        self.subjects[contact.source].add(contact.subject)
        self.names[contact.source].add(contact.subject)
        self.days[contact.source].add(contact.time_ms // DAY_MS)
        self.newest_ms[contact.source] = max(self.newest_ms[contact.source], contact.time_ms)
        filled = [name for name, value in contact.fields.items() if value not in (None, "")]
        for name in {*filled, *(role.value for role in recognised(filled))}:
            self._hold("contact", name, contact.source, contact.subject)

    def _hold(self, kind: str, name: str, source: str, subject: SubjectId) -> None:
        need = self._needs.get((kind, name))
        if need is not None:
            self.holders[need][source].add(subject)


def holdings_of(ledger: Ledger, needs: Sequence[Need], *, now_ms: int) -> Holdings:
    """Read the whole ledger up to a time. Memory grows with people, not with events."""
    found = Holdings(needs)
    for _, event in ledger.events():
        if event.time_ms <= now_ms:
            found.take_event(event)
    for contact in ledger.contacts():
        if contact.time_ms <= now_ms:
            found.take_contact(contact)
    return found


def source_of(producer: str) -> str:
    """What a producer is called here: `import/crm` and `hook/crm` are both `crm`."""
    kind, slash, name = producer.partition("/")
    return name if slash and kind in {"import", "hook"} else WEB
