"""`edgewise keys`: the keys that sign a site's releases."""

from __future__ import annotations

import typer

from edgewise.errors import RefusedError
from edgewise.terminal import Json, Quiet, Terminal
from hub.data_dir import DataDir

app = typer.Typer(no_args_is_help=True, help="The keys that sign a site's releases.")


@app.callback()
def keys() -> None:
    """Signing roles of a site."""


@app.command()
def init(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """Make the signing keys and the secrets that nodes share; never replaces one that is there."""
    from hub.keys import make_keys

    made = make_keys(data_dir)
    folder = data_dir / "keys"
    if not made:
        raise RefusedError("keys-exist", f"all keys are in {folder} already; nothing was changed")
    Terminal(json=json, quiet=quiet).result(
        {"folder": str(folder), "made": made},
        f"made {', '.join(made)} in {folder}",
        "Keep copies of root.pem and targets.pem away from the hub: they approve, the others only select.",
    )
