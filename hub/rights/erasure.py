"""Erasing people: the list of who was erased first, then the ledger, every other store, and the bytes themselves.

A crash at any point leaves a person half erased for as long as nobody opens the ledger: the list is on disk before
anything is deleted, and whoever opens the ledger next goes on (`Ledger.follow`, `follow_up`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgewise.ids import ulid
from hub.audit import write_down
from hub.durable import locked
from hub.ledger.forgetting import Removed
from hub.ledger.ledger import Ledger
from hub.ledger.suppression import SuppressionList
from hub.rights.certificate import Certificate, Certificates, NodeLine, StoreLine, confirmed
from hub.rights.decision_files import DecisionFiles
from hub.rights.person import Person
from hub.rights.released import search_released
from hub.rights.stores import stores

VISITOR: Final = "visitor"
"""Who asked, where the person did so himself at a node."""


class Asked(NamedTuple):
    """One request to erase somebody."""

    person: Person
    who: str
    asked_ms: int
    forever: bool = False
    request: str = ""
    """Of a visitor, who may have come back since: what he did after `asked_ms` stays."""


class Eraser:
    """Carries out requests on one hub's data. Safe among processes: one at a time."""

    def __init__(
        self, data_dir: Path, ledger: Ledger, *, now_ms: Callable[[], int], entropy: Callable[[int], bytes]
    ) -> None:
        """`entropy` names certificates."""
        self._data_dir = data_dir
        self._ledger = ledger
        self._now_ms = now_ms
        self._entropy = entropy
        self._listed = SuppressionList(data_dir)
        self.certificates = Certificates(data_dir)

    def preview(self, person: Person) -> list[StoreLine]:
        """What would be removed now; changes nothing."""
        found = [_line(f"ledger: {table}", gone) for table, gone in self._ledger.erasable(person.subjects).items()]
        places = stores(self._data_dir, now_ms=self._now_ms())
        return [*found, *(_line(store.name, gone) for store in places if (gone := store.count(person)) != Removed())]

    def erase(self, asked: Asked) -> Certificate:
        """Forget one person on this hub; nodes follow, and are waited for by the certificate.

        The bytes may still be in the ledger's free pages until `compact`.

        Raises:
            UnavailableError: something cannot be written. What was begun is finished by asking again, or by the next
                opening of the ledger.
        """
        person = asked.person
        with locked(self._data_dir / "rights.lock"):
            entry = self._listed.append(
                person.subjects,
                time_ms=asked.asked_ms,
                forever=asked.forever,
                keeps_later=bool(asked.request),
                pseudonyms=DecisionFiles(self._data_dir).pseudonyms(person),
            )
            done = self._ledger.follow(self._listed)
            lines = [_line(f"ledger: {table}", gone) for table, gone in done.get(entry.number, {}).items()]
            lines += [_line(store.name, store.erase(person)) for store in stores(self._data_dir, now_ms=self._now_ms())]
            released = search_released(self._data_dir, person.subjects)
            now_ms = self._now_ms()
            certificate = Certificate(
                id=ulid(now_ms, self._entropy(10)),
                request=asked.request,
                asked_by=asked.who,
                asked_ms=asked.asked_ms,
                erased_ms=now_ms,
                list=self._listed.listed().name,
                number=entry.number,
                forever=asked.forever,
                subjects=entry.subjects,
                stores=tuple(lines),
                released_files=released.files,
                released_hits=released.hits,
                nodes=tuple(NodeLine(node.node) for node in self._ledger.nodes()),
            )
            return self._kept(certificate, asked.who, "profile erase")

    def compact(self) -> list[Certificate]:
        """Rewrite the ledger's files; returns the certificates that waited for it."""
        with locked(self._data_dir / "rights.lock"):
            waiting = [one for one in self.certificates.all() if one.compacted_ms is None]
            self._ledger.scrub()
            now_ms = self._now_ms()
            return [
                self._kept(msgspec.structs.replace(one, compacted_ms=now_ms), one.asked_by, "profile erase compacted")
                for one in waiting
            ]

    def status(self, certificate_id: str) -> Certificate:
        """A certificate with what nodes have confirmed by now; it is written down when that is news."""
        certificate = self.certificates.load(certificate_id)
        current = confirmed(certificate, self._ledger.node_erasures())
        if current == certificate:
            return certificate
        with locked(self._data_dir / "rights.lock"):
            return self._kept(current, current.asked_by, "profile erase confirmed")

    def _kept(self, certificate: Certificate, who: str, deed: str) -> Certificate:
        whole = confirmed(certificate, self._ledger.node_erasures())
        self.certificates.save(whole)
        detail = {"sha256": whole.sha256, "subjects": len(whole.subjects), "complete": whole.complete}
        write_down(self._ledger, who, deed, whole.id, now_ms=self._now_ms(), detail=detail)
        return whole


def follow_up(data_dir: Path, ledger: Ledger, *, now_ms: int) -> int:
    """Erase again what a restored backup has brought back; returns how many erasures that were.

    To be called before anybody is served. Raises UnavailableError as `Eraser.erase`.
    """
    listed = SuppressionList(data_dir)
    with locked(data_dir / "rights.lock"):
        done = ledger.follow(listed)
        if not done:
            return 0
        for entry in listed.listed().entries:
            if entry.number in done:
                person = Person(entry.subjects, frozenset())
                for store in stores(data_dir, now_ms=now_ms):
                    store.erase(person)
                DecisionFiles(data_dir).erase_pseudonyms(entry.pseudonyms)
        ledger.scrub()
    return len(done)


def _line(name: str, gone: Removed) -> StoreLine:
    return StoreLine(name, gone.rows, gone.bytes, gone.files)
