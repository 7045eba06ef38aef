"""`edgewise data retain`: delete what is too old to be kept."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir


def retain(
    data_dir: DataDir,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Delete what is older than the site and its sources allow; a running hub does so once a day.

    What the site says (retention.yaml, `retention` of sources) counts from the latest `edgewise site apply` on.
    Profiles are folded anew from what remains. Without anything said only refused rows (30 days) and records that
    could not be used (90 days) are ever too old.
    """
    import msgspec

    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.ledger.ledger import open_ledger
    from hub.rights.keeping import note_retained
    from hub.rights.retaining import Retained, steps
    from hub.rights.retention import in_force

    who, now_ms = person(by, os.environ), SystemClock().now_ms()
    terminal = Terminal(json=json, quiet=quiet)
    retention = in_force(data_dir)
    retained = Retained()
    with open_ledger(data_dir) as ledger, terminal.working("looking for what is too old"):
        for _ in steps(ledger, retention, data_dir, retained, now_ms=now_ms, dry_run=dry_run):
            pass
        if not dry_run:
            note_retained(ledger, who, retained, now_ms)
    counts = msgspec.structs.asdict(retained)
    rows = [[name.replace("_", " "), f"{count:,}"] for name, count in counts.items()]
    terminal.result(
        {**counts, "dry_run": dry_run, "retention": retention},
        table(["what", "would go" if dry_run else "went"], rows),
    )
