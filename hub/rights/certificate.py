"""What an erasure removed, and where: for the person who asked, and for whoever must show that it was done.

A certificate names nobody: keyed hashes, counts, nodes. It is written when the hub is done and completed as nodes
confirm. `sha256` is over everything else in it, in the canonical order of `msgspec`, and stands in the hub's audit as
well, so that neither can be changed unnoticed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED, EdgewiseError, InputError, UnavailableError
from edgewise.ids import NodeId, SubjectId
from hub.durable import replace_file
from hub.ledger.erasing import NodeErasures

FORMAT: Final = "edgewise-erasure/1"
FOLDER: Final = "certificates"
_ID: Final = re.compile(r"[0-9A-Z]{26}")
NOTES: Final = (
    "Released bundles hold models, statistics and neighbour lists over many people; they were searched for subjects.",
    "A record of this person that a node still has in its spool is dropped when it arrives, unless it happened later.",
    "Keyed hashes stay in the list of who was erased, so that no backup and no import brings the person back.",
)
INTERRUPTED: Final = "The erasure was interrupted and finished later; what had gone before is not counted here."
UNKNOWN: Final = "unknown"
"""Who asked, where the hub died before it could write it down."""


class StoreLine(msgspec.Struct, frozen=True):
    """What was removed from one place."""

    store: str
    """`ledger: TABLE`, or the name of a place beside it."""
    rows: int = 0
    bytes: int = 0
    files: int = 0


class NodeLine(msgspec.Struct, frozen=True):
    """Whether a node has forgotten the person."""

    node: NodeId
    confirmed_ms: int | None = None
    """None: it has not said so yet."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure."""

    format: str = FORMAT
    id: str
    request: str = ""
    """Id that a node gave the visitor; empty where somebody asked at the hub."""
    asked_by: str
    asked_ms: int
    erased_ms: int | None = None
    """When the hub had emptied all that it has; None: that was begun, and whoever looks after the hub next goes on."""
    list: str
    number: int
    """Its place in the list of who was erased."""
    forever: bool
    """Whether the person may not come back either."""
    subjects: tuple[SubjectId, ...]
    stores: tuple[StoreLine, ...] = ()
    released_files: int = 0
    """Files of released bundles that were searched."""
    released_hits: int = 0
    """How many of them name a subject: 0, or something is wrong with what was released."""
    compacted_ms: int | None = None
    """When the ledger's files were written anew without what was deleted."""
    nodes: tuple[NodeLine, ...] = ()
    complete: bool = False
    """The ledger is compacted, and every node has confirmed."""
    notes: tuple[str, ...] = NOTES
    sha256: str = ""

    @property
    def waiting_for(self) -> tuple[NodeId, ...]:
        """Nodes that have not confirmed."""
        return tuple(line.node for line in self.nodes if line.confirmed_ms is None)


def sealed(certificate: Certificate) -> Certificate:
    """With `complete` as it follows from the rest, and its digest."""
    is_done = certificate.erased_ms is not None and certificate.compacted_ms is not None
    is_complete = is_done and not certificate.waiting_for
    return msgspec.structs.replace(
        certificate, complete=is_complete, sha256=_digest(msgspec.structs.replace(certificate, complete=is_complete))
    )


def confirmed(certificate: Certificate, said: Sequence[NodeErasures]) -> Certificate:
    """With what nodes have confirmed by now."""
    done = {
        one.node: one.updated_ms for one in said if one.list == certificate.list and one.through >= certificate.number
    }
    nodes = tuple(
        line if line.confirmed_ms is not None else NodeLine(line.node, done.get(line.node))
        for line in certificate.nodes
    )
    return sealed(msgspec.structs.replace(certificate, nodes=nodes))


class Certificates:
    """`<data-dir>/certificates/erasure-ID.json`."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FOLDER

    def file_of(self, certificate_id: str) -> Path:
        """Where it lies. Raises InputError for what is no id of a certificate."""
        if not _ID.fullmatch(certificate_id):
            raise InputError(f"{certificate_id!r} is no certificate; expected 26 letters and digits")
        return self.path / f"erasure-{certificate_id}.json"

    def save(self, certificate: Certificate) -> None:
        """Write it; on disk when this returns. Raises UnavailableError when the disk refuses."""
        data = msgspec.json.format(msgspec.json.encode(certificate)) + b"\n"
        try:
            replace_file(self.file_of(certificate.id), data, mode=0o600)
        except OSError as refused:
            raise UnavailableError(f"{self.path}: cannot be written: {refused.strerror}") from None

    def load(self, certificate_id: str) -> Certificate:
        """Raises InputError when there is none, UnavailableError when it is not as it was written."""
        path = self.file_of(certificate_id)
        try:
            certificate = msgspec.json.decode(path.read_bytes(), type=Certificate)
        except FileNotFoundError:
            raise InputError(f"no certificate {certificate_id} in {self.path}") from None
        except MALFORMED as wrong:
            raise UnavailableError(f"{path} is damaged: {wrong}") from None
        if certificate.sha256 != _digest(certificate):
            raise UnavailableError(f"{path} was changed: its digest is another one")
        return certificate

    def readable(self) -> Iterator[Certificate]:
        """Every certificate that is as it was written, oldest first: a damaged one must not hold up the others."""
        for path in sorted(self.path.glob("erasure-*.json")):
            try:
                yield self.load(path.stem.removeprefix("erasure-"))
            except EdgewiseError:
                continue


def _digest(certificate: Certificate) -> str:
    unsigned = msgspec.structs.replace(certificate, sha256="")
    return hashlib.sha256(msgspec.json.encode(unsigned, order="deterministic")).hexdigest()
