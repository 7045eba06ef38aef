"""`edgewise edge serve` runs an edge node, `edgewise edge script` prints what it sends to browsers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal

app = typer.Typer(help="Run an edge node; its scripts for browsers.", no_args_is_help=True)


@app.command()
def serve(
    *,
    port: Annotated[
        int | None, typer.Option(help="Port for visitors; 0 takes any free one.", show_default="8090")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", show_default="2")] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder of this node; one node a folder.",
            show_default="$EDGEWISE_EDGE_DATA_DIR or ~/.local/state/edgewise/edge",
        ),
    ] = None,
    hub: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where the hub is.")] = None,
    bundle: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A bundle to serve.", show_default="without a hub: the starter bundle"),
    ] = None,
    server: Annotated[str | None, typer.Option(help="edgewise or granian.", show_default="edgewise")] = None,
    trust: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The site's enrolment; needed for the first contact with a remote hub."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in TOML; `edgewise config schema` lists them.")
    ] = None,
    tls_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate (PEM): serve https; needs --tls-key.")
    ] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve visitors until SIGTERM or Ctrl-C; then finish what was begun, and exit with 0.

    Prints the URL once requests are answered. Settings come from --config, then EDGEWISE_EDGE_… variables, then
    these options. SIGHUP reads settings and certificate again, and replaces the workers one after the other.
    """
    from edge.settings import load_settings

    flags = {
        "port": port,
        "host": host,
        "workers": workers,
        "data_dir": data_dir,
        "hub": hub,
        "bundle": bundle,
        "server": server,
        "trust": trust,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
    }
    settings = load_settings(config, os.environ, flags)

    from edge.serve import serve_until_stopped

    terminal = Terminal(json=json, quiet=quiet)
    serve_until_stopped(
        settings,
        reread=lambda: load_settings(config, os.environ, flags),
        announce=lambda serving: terminal.result(
            serving._asdict(), f"edge node {serving.node} answers at {serving.url} (process {serving.pid})"
        ),
    )


@app.command()
def script(
    *,
    size: Annotated[bool, typer.Option("--size", help="Only say how large it is.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="The overlay for developers instead.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, for a web server that sends it itself.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print edgewise.js as nodes send it, or its size: `bytes`, `gzipBytes`, and the digest that names it for good."""
    from edge.browser.script import CLIENT, OVERLAY
    from edge.browser.script import script as sent

    made = sent(OVERLAY if debug else CLIENT)
    terminal = Terminal(json=json, quiet=quiet)
    if out is not None:
        out.write_bytes(made.small)
    if not (size or json or out):
        typer.echo(made.small.decode())
        return
    sizes = {"name": made.name, "bytes": len(made.small), "gzipBytes": len(made.packed), "digest": made.digest}
    terminal.result(
        sizes, f"{made.name}: {len(made.small):,} bytes, {len(made.packed):,} gzip; /{made.name}?v={made.digest}"
    )
