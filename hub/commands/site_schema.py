"""`edgewise site schema`: what may be written in a site's files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal


def schema(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="A folder of a site, or `site`.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write all of them there.", file_okay=False)] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the JSON Schema of a kind of files, or write those of all kinds into a folder.

    Editors find it by the first line that `edgewise site init` writes into each file:
    `# yaml-language-server: $schema=../.schema/placements.json`.
    """
    from rich.text import Text

    from hub.site.schemas import FOLDER, KINDS, encoded, schema_of, write_schemas

    terminal = Terminal(json=json, quiet=quiet)
    if out is not None:
        written = write_schemas(out)
        terminal.result({"folder": str(out), "written": written}, Text(f"wrote {', '.join(written)} into {out}"))
    elif kind is None:
        told = f"kinds: {', '.join(KINDS)}\nall of them for editors: edgewise site schema --out DIR/{FOLDER}"
        terminal.result({"kinds": list(KINDS)}, Text(told))
    else:
        terminal.result(schema_of(kind), Text(encoded(kind).decode().rstrip()))
