"""Where the hub keeps what it imports, learns and releases: one folder, chosen in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

VARIABLE = "EDGEWISE_DATA_DIR"


def data_dir_of(environment: Mapping[str, str], home: Path) -> Path:
    """`$EDGEWISE_DATA_DIR`, else `edgewise/hub` under the XDG data home (freedesktop.org basedir-spec 0.8).

    A relative `$XDG_DATA_HOME` is ignored, as that specification demands. Nothing is created.
    """
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE]).expanduser()
    shared = Path(environment.get("XDG_DATA_HOME", ""))
    return (shared if shared.is_absolute() else home / ".local" / "share") / "edgewise" / "hub"


def default_data_dir() -> Path:
    """The data folder of this process's environment."""
    return data_dir_of(os.environ, Path.home())


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        default_factory=default_data_dir,
        show_default=f"${VARIABLE} or ~/.local/share/edgewise/hub",
        help="Folder that holds what is imported, learned and released.",
        file_okay=False,
    ),
]
"""The `--data-dir` of every hub command; a parameter of this type takes no default of its own."""
