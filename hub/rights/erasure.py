"""Erasing people: the list of who was erased first, then the ledger, every other store, and the bytes themselves.

A crash at any point leaves a person half erased for as long as nobody looks: the list is on disk before anything is
deleted. Whoever opens the ledger next goes on with the ledger (`Ledger.follow`); the hub, and whoever erases next, with
the other stores, the certificate and the bytes. Counters in the ledger say how far each has come, so a ledger that was
restored from a backup does all of it again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgewise.errors import EdgewiseError, UnavailableError
from edgewise.ids import ulid
from hub.audit import write_down
from hub.durable import locked
from hub.ledger.forgetting import Removed
from hub.ledger.ledger import RIGHTS_LOCK, Ledger
from hub.ledger.suppression import Suppression, SuppressionList
from hub.rights.certificate import (
    INTERRUPTED,
    UNKNOWN,
    Certificate,
    Certificates,
    NodeLine,
    StoreLine,
    confirmed,
    sealed,
)
from hub.rights.decision_files import DecisionFiles
from hub.rights.person import Person
from hub.rights.released import ReleasedSearch
from hub.rights.stores import stores

VISITOR: Final = "visitor"
"""Who asked, where the person did so himself at a node."""
FINISHED: Final = "finished"
"""Counter of erasures that all stores and the certificate have followed."""
COMPACTED: Final = "compacted"
"""Counter of those whose bytes are gone."""


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
        self._released = ReleasedSearch(data_dir)
        self.certificates = Certificates(data_dir)

    def preview(self, person: Person) -> list[StoreLine]:
        """What would be removed now; changes nothing."""
        found = [_line(f"ledger: {table}", gone) for table, gone in self._ledger.erasable(person.subjects).items()]
        places = stores(self._data_dir, now_ms=self._now_ms())
        return [*found, *(_line(store.name, gone) for store in places if (gone := store.count(person)) != Removed())]

    def erase(self, asked: Asked) -> Certificate:
        """Forget one person on this hub; nodes follow, and are waited for by the certificate.

        The bytes may still be in the ledger's free pages until `compact`. A request that was tried before goes on.

        Raises:
            UnavailableError: something cannot be written. What was begun is finished by `finish`.
        """
        person = asked.person
        with locked(self._data_dir / RIGHTS_LOCK):
            entry = self._listed.append(
                person.subjects,
                time_ms=asked.asked_ms,
                forever=asked.forever,
                keeps_later=bool(asked.request),
                request=asked.request,
                pseudonyms=DecisionFiles(self._data_dir).pseudonyms(person),
            )
            begun = self._begun()
            if entry.number not in begun:
                begun[entry.number] = self._stub(entry, asked.who)
                self.certificates.save(sealed(begun[entry.number]))
            done, failed = self._go_on(begun)
            if entry.number in failed:
                raise failed[entry.number]
            return done.get(entry.number) or self._finished(entry, begun[entry.number], None)

    def finish(self) -> list[Certificate]:
        """Go on with what was begun and not finished, or came back with a backup; returns what is finished now.

        Nothing to do is found out by one look at a counter. Raises what the first that failed raised, after all others.
        """
        name, entries = self._listed.listed()
        if self._ledger.erased_through(FINISHED, name) >= len(entries):
            return []
        with locked(self._data_dir / RIGHTS_LOCK):
            done, failed = self._go_on(self._begun())
        for error in failed.values():
            raise error
        return list(done.values())

    @property
    def is_uncompacted(self) -> bool:
        """Whether something was erased since the ledger's files were written anew."""
        name = self._listed.listed().name
        return self._ledger.erased_through(COMPACTED, name) < self._ledger.erased_through(FINISHED, name)

    def compact(self) -> list[Certificate]:
        """Rewrite the ledger's files; returns the certificates that waited for it."""
        with locked(self._data_dir / RIGHTS_LOCK):
            name = self._listed.listed().name
            through = self._ledger.erased_through(FINISHED, name)
            waiting = [
                one for one in self.certificates.readable() if one.erased_ms is not None and one.compacted_ms is None
            ]
            self._ledger.scrub()
            now_ms = self._now_ms()
            kept = [
                self._kept(msgspec.structs.replace(one, compacted_ms=now_ms), one.asked_by, "profile erase compacted")
                for one in waiting
            ]
            self._ledger.note_erased(COMPACTED, name, through)
            return kept

    def _begun(self) -> dict[int, Certificate]:
        """Number -> certificate, of this list."""
        name = self._listed.listed().name
        return {one.number: one for one in self.certificates.readable() if one.list == name}

    def _go_on(self, begun: dict[int, Certificate]) -> tuple[dict[int, Certificate], dict[int, EdgewiseError]]:
        """Every erasure that is not finished: by number its certificate, or why it could not be.

        One holds up no other; the counter waits for the first that failed, and what is done twice removes nothing.
        """
        name, entries = self._listed.listed()
        gone = self._ledger.follow(self._listed)
        done: dict[int, Certificate] = {}
        failed: dict[int, EdgewiseError] = {}
        for entry in entries[self._ledger.erased_through(FINISHED, name) :]:
            try:
                done[entry.number] = self._finished(entry, begun.get(entry.number), gone.get(entry.number))
            except EdgewiseError as refused:
                failed[entry.number] = refused
            if not failed:
                self._ledger.note_erased(FINISHED, name, entry.number)
        return done, failed

    def _finished(
        self, entry: Suppression, begun: Certificate | None, in_ledger: dict[str, Removed] | None
    ) -> Certificate:
        lines = [_line(f"ledger: {table}", gone) for table, gone in (in_ledger or {}).items()]
        lines += self._emptied(entry)
        if begun is not None and begun.erased_ms is not None:
            return begun  # a backup had brought it back
        released = self._released.search(entry.subjects)
        certificate = begun or self._stub(entry, UNKNOWN)
        whole = msgspec.structs.replace(
            certificate,
            erased_ms=self._now_ms(),
            stores=tuple(lines),
            released_files=released.files,
            released_hits=released.hits,
            nodes=tuple(NodeLine(node.node) for node in self._ledger.nodes()),
            notes=certificate.notes if in_ledger is not None else (*certificate.notes, INTERRUPTED),
        )
        return self._kept(whole, whole.asked_by, "profile erase")

    def _emptied(self, entry: Suppression) -> list[StoreLine]:
        """Empty every store of a person; raises for the first that refuses, after all others."""
        person = Person(entry.subjects, frozenset())
        lines: list[StoreLine] = []
        refusals: list[EdgewiseError] = []
        for store in stores(self._data_dir, now_ms=self._now_ms()):
            try:
                if isinstance(store, DecisionFiles):
                    gone = store.erase_pseudonyms(entry.pseudonyms)
                else:
                    gone = store.erase(person)
                lines.append(_line(store.name, gone))
            except EdgewiseError as refused:
                refusals.append(refused)
            except OSError as refused:
                refusals.append(UnavailableError(f"{store.name}: {refused}"))
        for refusal in refusals:
            raise refusal
        return lines

    def _stub(self, entry: Suppression, who: str) -> Certificate:
        """What is known before anything is deleted."""
        return Certificate(
            id=ulid(self._now_ms(), self._entropy(10)),
            request=entry.request,
            asked_by=who,
            asked_ms=entry.time_ms,
            list=self._listed.listed().name,
            number=entry.number,
            forever=entry.forever,
            subjects=entry.subjects,
        )

    def status(self, certificate_id: str) -> Certificate:
        """A certificate with what nodes have confirmed by now; it is written down when that is news."""
        certificate = self.certificates.load(certificate_id)
        current = confirmed(certificate, self._ledger.node_erasures())
        if current == certificate:
            return certificate
        with locked(self._data_dir / RIGHTS_LOCK):
            return self._kept(current, current.asked_by, "profile erase confirmed")

    def _kept(self, certificate: Certificate, who: str, deed: str) -> Certificate:
        whole = confirmed(certificate, self._ledger.node_erasures())
        self.certificates.save(whole)
        detail = {"sha256": whole.sha256, "subjects": len(whole.subjects), "complete": whole.complete}
        write_down(self._ledger, who, deed, whole.id, now_ms=self._now_ms(), detail=detail)
        return whole


def _line(name: str, gone: Removed) -> StoreLine:
    return StoreLine(name, gone.rows, gone.bytes, gone.files)
