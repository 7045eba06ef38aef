"""`edgewise model`: trained models, who approved them, and which one the next release takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from edgewise.errors import InputError
from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.model_skew import skew
from hub.commands.model_watch import watch
from hub.commands.options import By, demand_folders, put, usage
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.registry import ModelRegistry
    from hub.site.files import Alias

app = typer.Typer(no_args_is_help=True, help="Trained models: registered, approved, promoted, rolled back.")
app.command("skew")(skew)
app.command("watch")(watch)

Model = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The newest version, without.")]
ToAlias = Annotated[str, typer.Option("--alias", help="champion or challenger: what sites name in models/*.yaml.")]


@app.command("list")
def list_(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """List every version of every model."""
    from hub.model_card import headline
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        rows = releases.registry.models()
        aliases = {name: releases.registry.aliases(name) for name in {row.name for row in rows}}
    listed = [
        {**headline(row), "aliases": [alias for alias, version in aliases[row.name].items() if version == row.version]}
        for row in rows
    ]
    Terminal(json=json, quiet=quiet).result(
        {"models": listed},
        table(
            ["model", "status", "alias", "approved by", "sha256"],
            [
                [
                    f"{entry['name']}@{entry['version']}",
                    entry["status"],
                    ", ".join(entry["aliases"]) or "-",
                    entry["approved_by"] or "-",
                    str(entry["sha256"])[:12],
                ]
                for entry in listed
            ],
        )
        if listed
        else "no model yet; `edgewise train` makes one",
    )


@app.command()
def approve(model: Model, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Vouch for a version, so that it may be promoted."""
    from hub.audit import person
    from hub.model_card import unstated
    from hub.release.releases import open_releases

    who = person(by, os.environ)
    with open_releases(data_dir) as releases:
        name, version = _named(model, releases.registry)
        row = releases.registry.approve(name, version, by=who)
    terminal = Terminal(json=json, quiet=quiet)
    silent = unstated(row.card)
    for line in silent:
        terminal.note(f"its card does not say {line}")
    terminal.result(
        {"model": row, "unstated": silent},
        f"{name}@{version} is approved by {who}; next: edgewise model promote {name}@{version}",
    )


@app.command()
def promote(
    model: Model,
    data_dir: DataDir,
    *,
    alias: ToAlias = "champion",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let the next release take this version; nodes run it once that release is promoted."""
    from hub.audit import person
    from hub.release.releases import open_releases

    who = person(by, os.environ)
    with open_releases(data_dir) as releases:
        name, version = _named(model, releases.registry)
        releases.registry.promote(name, version, by=who, alias=_alias(alias))
    Terminal(json=json, quiet=quiet).result(
        {"name": name, "version": version, "alias": alias},
        f"{name}@{version} is {alias}; next: edgewise site apply DIR",
    )


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    data_dir: DataDir,
    *,
    alias: ToAlias = "champion",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give an alias back to the version that had it before."""
    from hub.audit import person
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        version = releases.registry.rollback(ModelName(name), by=person(by, os.environ), alias=_alias(alias))
    Terminal(json=json, quiet=quiet).result(
        {"name": name, "version": version, "alias": alias},
        f"{name}@{version} is {alias} again; next: edgewise site apply DIR",
    )


@app.command()
def card(
    model: Model,
    data_dir: DataDir,
    *,
    form: Annotated[str, typer.Option("--format", help="md, json or html.")] = "md",
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of printing it.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a model's card: what it is, what it was trained on, how good it was and for whom, what it cannot do."""
    from hub.model_card import card_file, format_of, headline
    from hub.release.releases import open_releases

    with usage("--format"):
        chosen = format_of(form)
    demand_folders(out)

    with open_releases(data_dir) as releases:
        name, version = _named(model, releases.registry)
        row = releases.registry.row(name, version)
        features = releases.registry.artefacts(name, version).features
    header = {**headline(row), "features": [feature.name for feature in features.features]}
    text = card_file(chosen, f"{row.name}@{row.version}", row.card, header)
    if out is not None:
        put(out, text)
    shown = Text(text.removesuffix("\n")) if out is None else f"card of {row.name}@{row.version}: {out}"
    Terminal(json=json, quiet=quiet).result({**headline(row), "card": row.card}, shown)


def _named(model: str, registry: ModelRegistry) -> tuple[ModelName, int]:
    name, at, version = model.partition("@")
    if at and not version.isdecimal():
        raise typer.BadParameter(f"{model!r}, expected NAME or NAME@VERSION", param_hint="MODEL")
    if at:
        return ModelName(name), int(version)
    rows = registry.models(ModelName(name))
    if not rows:
        known = ", ".join(sorted({row.name for row in registry.models()}))
        raise InputError(f"no model {name!r}; there are: {known or 'none'}")
    return ModelName(name), rows[0].version


def _alias(alias: str) -> Alias:
    from hub.registry import ALIASES

    for known in ALIASES:
        if alias == known:
            return known
    raise typer.BadParameter(f"{alias!r}, expected {' or '.join(ALIASES)}", param_hint="--alias")
