"""`edgewise doctor`: what is wrong with the node here, and how to mend it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal

if TYPE_CHECKING:
    from edge.doctor import Finding

app = typer.Typer(help="Say what is wrong with the edge node here, and how to mend it.")


@app.command()
def doctor(
    *,
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder of the node.", show_default="$EDGEWISE_EDGE_DATA_DIR or ~/.local/state/edgewise/edge"
        ),
    ] = None,
    hub: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The hub that it should reach.")] = None,
    port: Annotated[int | None, typer.Option(help="The port that it should get.", show_default="8090")] = None,
    tls_certificate: Annotated[str | None, typer.Option(metavar="FILE", help="Its certificate.")] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="The certificate's key.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Its settings in TOML.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at a node's folder, keys, bundle, cache, spool, port, certificate, clock and hub. Nothing is changed.

    Exit 1 when something has failed; warnings alone exit 0.
    """
    from edge.doctor import examine
    from edge.settings import load_settings
    from edgewise.clock import SystemClock

    flags = {
        "data_dir": data_dir,
        "hub": hub,
        "port": port,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
    }
    settings = load_settings(config, os.environ, flags)
    findings = examine(settings, SystemClock())
    failed = [finding for finding in findings if finding.verdict == "failure"]
    terminal = Terminal(json=json, quiet=quiet)
    terminal.result({"ok": not failed, "findings": findings}, "\n".join(map(_in_words, findings)))
    if failed:
        if quiet:
            for finding in failed:
                terminal.error(f"{finding.check}: {finding.detail}; {finding.cure}")
        raise typer.Exit(1)


def _in_words(finding: Finding) -> str:
    said = f"{finding.verdict:8} {finding.check}: {finding.detail}"
    return f"{said}\n{'':9}-> {finding.cure}" if finding.cure else said
