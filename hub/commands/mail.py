"""`edgewise mail`: what waits and what became of it, who is not written to, how mails look, and whether they arrive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.clock import utc_minute
from edgewise.errors import InputError
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.mail_preview import preview
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.mail.overview import MailCount, ShownMail

app = typer.Typer(no_args_is_help=True, help="Mail: the outbox, who is not written to, a preview, a test.")
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The hub's settings in TOML.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="NAME@DOMAIN, or the 32 digits of its keyed hash.")]
_SHOWN = 200
_HASH_DIGITS = 32


@app.callback()
def mail() -> None:
    """Mail: the outbox, who is not written to, a preview, a test."""


@app.command()
def outbox(
    data_dir: DataDir,
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="due, writing, handing, sent, uncertain, refused, dropped or expired.")
    ] = None,
    journey: Annotated[str | None, typer.Option(help="Only mails of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = _SHOWN,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what waits, what was sent, and what was not and why; what is uncertain is never sent again."""
    from hub.ledger.ledger import open_ledger
    from hub.mail.outbox import Outbox
    from hub.mail.overview import counts, shown
    from hub.mail.states import MailState

    try:
        states = tuple(MailState(each) for each in state or MailState)
    except ValueError as unknown:
        raise InputError(f"{unknown}; expected one of {', '.join(MailState)}") from unknown
    with open_ledger(data_dir) as ledger, ledger.storage.reading() as connection:
        counted = counts(connection)
        rows = [shown(row) for row in Outbox.rows(connection, states, journey=journey, limit=limit)]
    Terminal(json=json, quiet=quiet).result({"counts": counted, "mails": rows}, *_outbox(counted, rows))


@app.command()
def suppressed(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """Show who is not written to, by keyed hash, and why: bounces, complaints, who unsubscribed, who asked."""
    from hub.ledger.ledger import open_ledger
    from hub.mail.suppressed import all_suppressed, read_events

    with open_ledger(data_dir) as ledger, ledger.storage.writing() as connection:
        read_events(connection)
        found = all_suppressed(connection)
    rows = [[each.subject, each.reason, each.source, utc_minute(each.time_ms)] for each in found]
    shown = table(["who", "reason", "by", "since"], rows[:_SHOWN]) if rows else "everybody may be written to who agreed"
    Terminal(json=json, quiet=quiet).result(found, shown)


@app.command()
def suppress(address: Address, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Write to an address no more, whatever else is stored; kept when its person is erased."""
    _change(address, data_dir, by=by, is_to_be=True, terminal=Terminal(json=json, quiet=quiet))


@app.command()
def unsuppress(address: Address, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Take that back: the address may be written to again, as far as its person agrees."""
    _change(address, data_dir, by=by, is_to_be=False, terminal=Terminal(json=json, quiet=quiet))


@app.command()
def bounces(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)],
    data_dir: DataDir,
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read bounces and complaints that came back as mail (one message a file, or an mbox)."""
    from edgewise.clock import SystemClock
    from hub.ledger.ledger import open_ledger
    from hub.mail.bounces import messages_in, take_message

    now_ms = SystemClock().now_ms()
    read = found = suppressed_now = 0
    with open_ledger(data_dir) as ledger:
        for path in files:
            for data in messages_in(path):
                report = take_message(ledger, data, now_ms=now_ms)
                read += 1
                found += report is not None
                suppressed_now += report is not None and report.reason is not None
    said = f"{read} messages: {found} reports on mails of this hub, {suppressed_now} of them end them for their reader"
    told = {"messages": read, "reports": found, "suppressed": suppressed_now}
    Terminal(json=json, quiet=quiet).result(told, said)


app.command()(preview)


@app.command("send-test")
def send_test(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Yours.")],
    data_dir: DataDir,
    *,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send one mail past the outbox, as mails of journeys are sent: do they arrive, signed, with their links?"""
    from edgewise.clock import SystemClock
    from edgewise.errors import UnavailableError
    from hub.mail.configured import post_office
    from hub.mail.trial import trial_letter
    from hub.mail.ways import Handed
    from hub.settings import load_settings

    clock = SystemClock()
    office = post_office(load_settings(config, os.environ), data_dir, os.environ)
    now_ms = clock.now_ms()
    due, letter, message_id = trial_letter(address, office.subject_key, os.urandom(8), now_ms)
    prepared = office.composer.compose(due, letter, message_id, now_ms)
    answer = office.way.hand(prepared, now_ms)
    words = getattr(answer, "words", "")
    if not isinstance(answer, Handed):
        raise UnavailableError(f"it was not taken: {type(answer).__name__} {words}")
    told = {"to": prepared.to, "messageId": message_id, "answer": words}
    Terminal(json=json, quiet=quiet).result(told, f"taken for {prepared.to}: {words}", prepared.text)


def _change(address: str, data_dir: Path, *, by: str | None, is_to_be: bool, terminal: Terminal) -> None:
    from edgewise.clock import SystemClock
    from edgewise.ids import SubjectId
    from hub.audit import person, write_down
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.mail.headers import address as checked
    from hub.mail.sending import address_hash
    from hub.mail.suppressed import STATED, suppress, unsuppress

    who, now_ms = person(by, os.environ), SystemClock().now_ms()
    if "@" in address:
        subject = address_hash(KeyFolder(data_dir).secrets().subject_key, checked(address))
    elif len(address) == _HASH_DIGITS:
        subject = SubjectId(address)
    else:
        raise InputError(f"{address!r}: expected NAME@DOMAIN, or the 32 digits that `edgewise mail suppressed` shows")
    with open_ledger(data_dir) as ledger:
        with ledger.storage.writing() as connection:
            if is_to_be:
                changed = suppress(connection, subject, STATED, who, now_ms)
            else:
                changed = unsuppress(connection, subject)
        deed = "mail suppress" if is_to_be else "mail unsuppress"
        if changed:
            write_down(ledger, who, deed, subject, now_ms=now_ms)
    is_now = "is not written to" if is_to_be else "may be written to"
    told = {"subject": subject, "changed": changed}
    terminal.result(told, f"{subject} {is_now}{'' if changed else ', as before'}")


def _outbox(counted: list[MailCount], rows: list[ShownMail]) -> list[Any]:
    if not counted:
        return ["no mail was ever put here; enabled journeys of the kind `mail` do that"]
    by_state = [[each.journey, each.state.value, each.reason, f"{each.mails:,}"] for each in counted]
    listed = [
        [each.key, each.state.value, each.reason, utc_minute(each.due_ms), each.tries, each.words[:60]] for each in rows
    ]
    return [
        table(["journey", "state", "why", "mails"], by_state),
        table(["mail", "state", "why", "due", "tries", "said"], listed[:_SHOWN]),
    ]
