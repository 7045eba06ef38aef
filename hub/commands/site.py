"""`edgewise site`: the folder in which a site's owner decides what is shown where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal
from hub.commands.options import By
from hub.commands.site_plan import plan
from hub.commands.site_preview import preview
from hub.commands.site_schema import schema
from hub.commands.site_words import Folder, lines, shown_plan, shown_waiting
from hub.data_dir import DataDir

app = typer.Typer(no_args_is_help=True, help="Placements, items, rules and experiments of a site, kept in git.")
app.command()(schema)
app.command()(preview)
app.command()(plan)


@app.command()
def init(folder: Folder, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Write a small invented site to start from, and make its signing keys in the hub's data folder.

    Its first journey, the banner, is enabled where the data audit finds what it needs; the others wait for a person.
    """
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.journeys.first import FIRST, begin_first
    from hub.release.beginning import begin

    who = person(by, os.environ)
    _, write_key, keys = begin(folder, data_dir, by=who)
    first = begin_first(folder, data_dir, by=who, now_ms=SystemClock().now_ms())
    state = "is enabled" if first.is_enabled else "waits, and its page serves the champion"
    cure = "" if first.is_enabled else f"; later: edgewise journey enable {FIRST} --site {folder}"
    Terminal(json=json, quiet=quiet).result(
        {
            "site": str(folder),
            "write_key": write_key,
            "keys": keys,
            "approved_by": who,
            "journey": {"name": FIRST, "enabled": first.is_enabled, "sentence": first.sentence},
        },
        lines(
            f"wrote a site into {folder}; all its items are approved by {who}",
            f"write key for its pages (kept nowhere, note it down): {write_key}",
            f"made {', '.join(keys)} in {data_dir / 'keys'}" if keys else f"using the keys in {data_dir / 'keys'}",
            f"the journey {FIRST} {state}: {first.sentence}{cure}",
            f"next: edgewise site apply {folder}",
        ),
    )


@app.command()
def check(folder: Folder, *, json: Json = False, quiet: Quiet = False) -> None:
    """Say everything that is wrong with a site, with file, line and cure; exit 1 if anything is."""
    from hub.site.loading import load_site

    contents = load_site(folder)
    counts = {
        "placements": len(contents.policy.placements),
        "items": len(contents.catalogue.items),
        "collections": len(contents.policy.collections),
        "experiments": len(contents.policy.experiments),
        "features": len(contents.features.features),
        "models": len(contents.models),
        "sources": len(contents.sources),
        "templates": len(contents.templates.templates),
    }
    shown = ", ".join(f"{count} {kind if count != 1 else kind[:-1]}" for kind, count in counts.items() if count)
    Terminal(json=json, quiet=quiet).result(
        {"site": contents.policy.site.name, **counts, "waiting": contents.waiting, "notes": contents.notes},
        lines(
            f"{contents.policy.site.name} is in order: {shown}",
            *contents.notes,
            *shown_waiting(contents.waiting, folder),
        ),
    )


@app.command()
def apply(folder: Folder, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Build a release from a site, for a person to approve."""
    from hub.audit import person
    from hub.release.releases import open_releases
    from hub.site.loading import load_site

    terminal = Terminal(json=json, quiet=quiet)
    who = person(by, os.environ)
    contents = load_site(folder)
    with open_releases(data_dir) as releases, terminal.working("building and testing the release"):
        applied = releases.apply(contents, by=who)
    version = applied.release.version
    if applied.is_new:
        outcome = f"built release {version}; next: edgewise release approve {version}"
    else:
        outcome = f"nothing to build: release {version} ({applied.release.status}) holds exactly this"
    terminal.result(
        {"release": applied.release, "is_new": applied.is_new, "plan": applied.plan},
        lines(*shown_plan(applied.plan, folder), outcome),
    )


@app.command()
def approve(
    folder: Folder,
    items: Annotated[list[str] | None, typer.Argument(metavar="[ITEM]...", help="All that wait, without.")] = None,
    *,
    template: Annotated[
        list[str] | None, typer.Option("--template", metavar="NAME", help="Approve this template; may be repeated.")
    ] = None,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Approve the contents of items, and templates: writes who, and the digest of what, beside them."""
    from edgewise.ids import ItemId, TemplateName
    from hub.audit import person
    from hub.site.approving import approve_items
    from hub.site.approving_templates import approve_templates

    who = person(by, os.environ)
    names = [TemplateName(name) for name in template or ()]
    # Templates first: what does not compile is no reason to leave half of it approved.
    looks = approve_templates(folder, who, names) if names or not items else []
    approved = approve_items(folder, who, [ItemId(item) for item in items or ()]) if items or not names else []
    Terminal(json=json, quiet=quiet).result(
        {
            "by": who,
            "approved": [entry._asdict() for entry in approved],
            "templates": [entry._asdict() for entry in looks],
        },
        lines(
            *(
                entry.item
                + (f", variant {entry.variant}" if entry.variant else "")
                + (f", representation {entry.representation}" if entry.representation else "")
                + f": approved in {entry.file}"
                for entry in approved
            ),
            *(f"template {entry.template}: approved in {entry.file}" for entry in looks),
        )
        if approved or looks
        else "nothing waits for an approval",
    )


@app.command()
def fallbacks(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to write them.", file_okay=False)],
    *,
    locale: Annotated[str, typer.Option(metavar="TAG", help="Of the templates, where they differ.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write each placement's fallback as NAME.html, for proxies whose fragments fail (see `deploy/nginx`)."""
    from hub.release.fallbacks import write_fallbacks
    from hub.site.loading import load_site

    written = write_fallbacks(load_site(folder), out, locale=locale)
    Terminal(json=json, quiet=quiet).result(
        {"written": [str(path) for path in written]}, lines(*(f"wrote {path}" for path in written))
    )
