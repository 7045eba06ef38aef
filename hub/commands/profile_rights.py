"""`edgewise profile export ID`, `edgewise profile erase ID`: what a person may ask for."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.commands.profile_identity import Visitor
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.rights.certificate import Certificate, StoreLine


def export(
    visitor: Visitor,
    *,
    data_dir: DataDir,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; readable by its owner only.")
    ] = None,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Everything that is known of a person, machine-readable: into a file, or without one on standard output.

    The file begins with the JSON Schema of the rest. What it was asked for by whom stands in the audit.
    """
    from edgewise.clock import SystemClock
    from hub.audit import person as asker
    from hub.audit import write_down
    from hub.durable import replace_file
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.rights.export import encoded, export_of
    from hub.rights.person import person_named

    who, now_ms = asker(by, os.environ), SystemClock().now_ms()
    subject_key = KeyFolder(data_dir).secrets().subject_key
    with open_ledger(data_dir) as ledger:
        person = person_named(ledger, subject_key, visitor)
        exported = export_of(ledger, person, data_dir=data_dir, now_ms=now_ms)
        write_down(ledger, who, "profile export", person.subjects[0], now_ms=now_ms)
    if out is not None:
        replace_file(out, encoded(exported), mode=0o600)
        said = {"file": str(out), "subjects": len(exported.subjects), "events": len(exported.events)}
        Terminal(json=json, quiet=quiet).result(
            said, f"wrote {len(exported.events):,} events of {len(exported.subjects)} identifiers into {out}"
        )
    else:
        sys.stdout.write(encoded(exported).decode())


def erase(
    visitor: Visitor = "",
    *,
    data_dir: DataDir,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    forever: Annotated[
        bool, typer.Option("--forever", help="Keep nothing of this person either that happens from now on.")
    ] = False,
    status: Annotated[
        str, typer.Option("--status", metavar="CERT", help="Show a certificate, and which nodes have confirmed by now.")
    ] = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forget a person everywhere, for good, and write a certificate of what was removed where.

    First shows what would go. Nodes are told at once, those that are away when they come back; the certificate names
    those that have not confirmed. Without --forever somebody who comes back by himself begins anew.
    """
    from edgewise.clock import SystemClock
    from edgewise.errors import InputError, RefusedError
    from hub.audit import person as asker
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.rights.erasure import Asked, Eraser
    from hub.rights.person import person_named

    terminal, clock = Terminal(json=json, quiet=quiet), SystemClock()
    if bool(visitor) == bool(status):
        raise InputError("expected an ID, or --status CERT")
    with open_ledger(data_dir) as ledger:
        eraser = Eraser(data_dir, ledger, now_ms=clock.now_ms, entropy=os.urandom)
        if status:
            _tell(terminal, eraser.status(status))
            return
        who = asker(by, os.environ)
        subject_key = KeyFolder(data_dir).secrets().subject_key
        person = person_named(ledger, subject_key, visitor, may_be_unknown=forever)
        if not yes:
            lines = eraser.preview(person)
            terminal.print(f"{len(person.subjects)} identifiers of one person; this would be removed:", _table(lines))
            if json or not sys.stdin.isatty():
                rows = sum(line.rows for line in lines)
                raise RefusedError("unconfirmed", f"nothing was erased ({rows:,} rows would be); say --yes to do it")
            typer.confirm("Erase all of it, for good?", abort=True)
        asked_ms = clock.now_ms()
        with terminal.working("erasing"):
            certificate = eraser.erase(Asked(person, who, asked_ms, forever=forever))
            compacted = eraser.compact()
        certificate = next((one for one in compacted if one.id == certificate.id), certificate)
        _tell(terminal, certificate)


def _tell(terminal: Terminal, certificate: Certificate) -> None:
    waiting = certificate.waiting_for
    facts: list[list[Any]] = [
        ["certificate", certificate.id],
        ["asked by", f"{certificate.asked_by}, {_time(certificate.asked_ms)}"],
        ["erased", "not yet" if certificate.erased_ms is None else _time(certificate.erased_ms)],
        ["identifiers", f"{len(certificate.subjects)}{', for ever' if certificate.forever else ''}"],
        ["compacted", "not yet" if certificate.compacted_ms is None else _time(certificate.compacted_ms)],
        ["releases", f"{certificate.released_files:,} files searched, {certificate.released_hits} name the person"],
        ["nodes", f"{len(certificate.nodes) - len(waiting)} of {len(certificate.nodes)} have confirmed"],
        *([["waiting for", ", ".join(waiting)]] if waiting else []),
        ["sha256", certificate.sha256],
    ]
    terminal.result(certificate, table(["what", ""], facts), _table(certificate.stores))


def _table(lines: list[StoreLine] | tuple[StoreLine, ...]) -> Any:
    rows = [[line.store, f"{line.rows:,}", f"{line.bytes:,}", f"{line.files:,}"] for line in lines]
    return table(["\nremoved from", "\nrows", "\nbytes", "\nfiles"], rows)


def _time(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
