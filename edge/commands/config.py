"""`edgewise config`: the settings of a node or a hub, as they would be used, and whether a file of them is right.

Edge and hub never import each other, so the hub registers the module of its settings in the entry-point group
`edgewise.settings`: `load_settings(file, environment)`, `schema()`, `FIELDS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import msgspec
import typer

from edgewise.errors import InputError
from edgewise.terminal import Json, Quiet, Terminal, table

GROUP = "edgewise.settings"
HIDDEN = "(hidden)"

app = typer.Typer(no_args_is_help=True, help="Settings of an edge node or a hub: show, check, schema.")

Of = Annotated[str, typer.Option("--of", metavar="edge|hub", help="Whose settings.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")]


class Settings(Protocol):
    """What a module of settings offers."""

    FIELDS: tuple[str, ...]

    def load_settings(self, file: Path | None, environment: Mapping[str, str]) -> msgspec.Struct:
        """The settings in force. Raises InputError."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the file."""
        ...


@app.command()
def show(*, config: ConfigFile = None, of: Of = "edge", json: Json = False, quiet: Quiet = False) -> None:
    """Show every setting as it would be used, and where it comes from: the file, the environment, or the default."""
    settings = settings_of(of)
    shown = explained(settings, config, os.environ)
    rows = [[name, msgspec.json.encode(value).decode(), source] for name, value, source in shown]
    terminal = Terminal(json=json, quiet=quiet)
    terminal.result(
        {name: {"value": value, "source": source} for name, value, source in shown},
        table(["setting", "value", "from"], rows),
    )


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Settings in TOML.")],
    *,
    of: Of = "edge",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a file of settings; exit 1 and say where it is wrong, if it is."""
    settings_of(of).load_settings(file, {})
    Terminal(json=json, quiet=quiet).result({"ok": True, "file": str(file)}, f"{file} is right")


@app.command()
def schema(*, of: Of = "edge", json: Json = False, quiet: Quiet = False) -> None:
    """Print the JSON Schema of the file, for editors."""
    described = settings_of(of).schema()
    text = msgspec.json.format(msgspec.json.encode(described), indent=2).decode()
    Terminal(json=json, quiet=quiet).result(described, text)


def settings_of(side: str) -> Settings:
    """The module of a side's settings.

    Raises:
        typer.BadParameter: there is no such side.
        InputError: it is not installed.
    """
    known = {"edge": EntryPoint("edge", "edge.settings", GROUP)} | {
        point.name: point for point in entry_points(group=GROUP)
    }
    if side not in known:
        raise typer.BadParameter(f"{side!r}, expected {' or '.join(sorted(known))}", param_hint="--of")
    try:
        return cast("Settings", known[side].load())
    except ModuleNotFoundError as missing:
        raise InputError(f"--of {side} needs {missing.name}: pip install 'edgewise[{side}]'") from missing


def explained(settings: Settings, file: Path | None, environment: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    """Name, value and source of every setting, in the order of the struct.

    Raises:
        InputError: a source is wrong.
    """
    plain = settings.load_settings(None, {})
    with_file = settings.load_settings(file, {})
    whole = settings.load_settings(file, environment)
    rows = []
    for name in settings.FIELDS:
        value = getattr(whole, name)
        if value != getattr(with_file, name):
            source = "environment"
        elif value != getattr(plain, name):
            source = str(file)
        else:
            source = "default"
        rows.append((name, _without_secrets(name, value), source))
    return rows


def _without_secrets(name: str, value: object) -> object:
    """What may be shown of a setting: no token, and no password inside a URL."""
    if value and name.endswith("_token"):
        return HIDDEN
    if isinstance(value, str) and "://" in value:
        return re.sub(r"(?<=[?&]password=)[^&]*", HIDDEN, re.sub(r"(?<=:)[^:/@]+(?=@)", HIDDEN, value))
    return value
