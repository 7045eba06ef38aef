"""`edgewise hub serve`: run a hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal
from hub.commands.hub_learn import learn
from hub.commands.hub_rewards import rewards
from hub.commands.options import usage
from hub.data_dir import DataDir

app = typer.Typer(no_args_is_help=True, help="Run a hub.")
app.command()(rewards)
app.command()(learn)


@app.command()
def serve(
    data_dir: DataDir,
    *,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings in TOML.")] = None,
    grpc: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where nodes connect; port 0 takes any.", show_default="127.0.0.1:8091"),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Admin API and metrics; port 0 takes any.", show_default="127.0.0.1:8092"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve nodes and people until SIGTERM or Ctrl-C; then finish what was begun, and exit with 0.

    Prints both addresses once they answer. Settings come from --config, then EDGEWISE_HUB_… variables, then these
    options.
    """
    from hub.settings import host_port, load_settings

    for option, address in (("--grpc", grpc), ("--admin", admin)):
        if address is not None:
            with usage(option):
                host_port(address)
    settings = load_settings(config, os.environ, {"grpc": grpc, "admin": admin})

    from hub.serve import serve_until_stopped

    terminal = Terminal(json=json, quiet=quiet)
    serve_until_stopped(
        data_dir,
        settings,
        announce=lambda serving: terminal.result(
            serving._asdict(),
            f"hub answers nodes at {serving.hub} and people at {serving.admin} (process {serving.pid})",
        ),
    )


@app.command()
def trust(
    data_dir: DataDir,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it; readable by its owner only.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the file that a node on another machine needs: `edgewise edge serve --hub HOST:PORT --trust FILE`.

    It holds the site's root, its keys, and a new token that the node shows at every call: hand it over as one hands
    over a password. A hub that other machines can reach admits the node once the token's SHA-256, which is printed,
    stands in its setting enrol_tokens_sha256. A node's own setting enrol_token wins over the file.
    """
    from edgewise.clock import SystemClock
    from edgewise.errors import UnavailableError
    from hub.durable import replace_file
    from hub.enrolment import Anchor, enrolment_file, new_token
    from hub.keys import KeyFolder
    from hub.release.repository import Repository

    repository = Repository(data_dir, SystemClock())
    if not repository.exists:
        raise UnavailableError(
            f"{data_dir} has nothing signed yet; run `edgewise site apply DIR --data-dir {data_dir}`"
        )
    anchor = Anchor(repository.site, repository.trust_anchor(), KeyFolder(data_dir).secrets())
    token = new_token()
    replace_file(out, enrolment_file(anchor, token), mode=0o600)
    Terminal(json=json, quiet=quiet).result(
        {"site": anchor.site, "file": str(out), "token_sha256": token.sha256},
        f"wrote the enrolment of {anchor.site} into {out}; keep it secret\n"
        f"a hub that other machines can reach needs this in enrol_tokens_sha256: {token.sha256}",
    )
