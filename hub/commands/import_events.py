"""`edgewise import events FILE`: history in Segment's envelope, into the ledger and the visitors' profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.progress import progress_bar
from hub.data_dir import DataDir
from hub.imports.stated_consent import StatedConsent


def events(
    file: Annotated[Path, typer.Argument(help="Segment calls, one JSON object a line (.jsonl, also .gz).")],
    *,
    data_dir: DataDir,
    name: Annotated[str | None, typer.Option(help="What to call it; by default the file's name.")] = None,
    consent: Annotated[
        StatedConsent,
        typer.Option(
            help="What visitors agreed to where neither the event nor the visitor says: `granted` is your statement "
            "that they agreed to all purposes; `site-default` is what your site assumes. Stored denials always win."
        ),
    ] = StatedConsent.SITE_DEFAULT,
    site: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            exists=True,
            help="The site's folder, for the items' attributes and the default consent; by default the live release.",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import what visitors did before. A file that was imported already changes nothing."""
    from edgewise.clock import SystemClock
    from hub.imports.event_site import site_intake
    from hub.imports.events import import_events
    from hub.ledger.ledger import open_ledger

    terminal = Terminal(json=json, quiet=quiet)
    intake = site_intake(data_dir, consent, site)
    with open_ledger(data_dir) as ledger, progress_bar(terminal) as progress:
        imported = import_events(
            file, ledger, intake, data_dir=data_dir, clock=SystemClock(), name=name, progress=progress
        )
    if imported.without_consent:
        terminal.note(f"{imported.without_consent:,} events were not kept: nothing is granted for them (see --consent)")
    if imported.rejected:
        terminal.note(f"{imported.rejected:,} lines were refused: {imported.rejects_file}")
    columns = ["import", "lines", "stored", "known", "refused", "no consent", "erased", "profiles changed"]
    counts = (
        imported.lines,
        imported.stored,
        imported.known,
        imported.rejected,
        imported.without_consent,
        imported.erased,
        imported.profiles,
    )
    terminal.result(imported, table(columns, [[imported.name, *(f"{count:,}" for count in counts)]]))
