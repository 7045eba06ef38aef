"""`edgewise import source NAME FILE`: a business system's export, as the site's sources/NAME.yaml says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.progress import progress_bar
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.imports.source_import import ImportedSource
    from hub.sources.document import SourceDocument

_CELL: Final = 60


def source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A source of the site: sources/NAME.yaml says how.")],
    file: Annotated[Path, typer.Argument(help="What the system exported: CSV, JSON, JSON lines (also .gz), Parquet.")],
    *,
    data_dir: DataDir,
    site: Annotated[
        Path,
        typer.Option(metavar="DIR", file_okay=False, exists=True, help="The site's folder; by default this one."),
    ] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first calls and what would be refused; store nothing.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import what a business system exported. Rows that were imported already change nothing."""
    from edgewise.clock import SystemClock
    from hub.imports.event_site import site_intake
    from hub.imports.source_import import import_source, preview_source
    from hub.imports.stated_consent import StatedConsent
    from hub.ledger.ledger import open_ledger

    terminal = Terminal(json=json, quiet=quiet)
    document = _document(site, name)
    if dry_run:
        with progress_bar(terminal) as progress:
            imported, rejects = preview_source(file, name, document, clock=SystemClock(), progress=progress)
        shown = [_preview(imported), *([] if not rejects.count else [_refused(rejects.first, rejects.count)])]
        terminal.result(imported, *shown, _summary(imported))
        return
    stated = StatedConsent.GRANTED if document.consent == "granted" else StatedConsent.SITE_DEFAULT
    intake = site_intake(data_dir, stated, site)
    with open_ledger(data_dir) as ledger, progress_bar(terminal) as progress:
        imported = import_source(
            file, name, document, ledger, intake, data_dir=data_dir, clock=SystemClock(), progress=progress
        )
    _notes(terminal, imported)
    terminal.result(imported, _summary(imported))


def _document(site: Path, name: str) -> SourceDocument:
    from edgewise.errors import InputError
    from hub.site.converting import did_you_mean
    from hub.site.loading import load_site
    from hub.sources.document import SourceName

    sources = load_site(site).sources
    if name not in sources:
        raise InputError(f"the site {site} has no source {name!r} (sources/{name}.yaml); {did_you_mean(name, sources)}")
    return sources[SourceName(name)]


def _notes(terminal: Terminal, imported: ImportedSource) -> None:
    for note in imported.notes:
        terminal.note(note)
    if imported.absent:
        terminal.note(f"columns that the source names and the file lacks: {', '.join(imported.absent)}")
    if imported.without_consent:
        terminal.note(f"{imported.without_consent:,} events were not kept: nothing is granted for them (see `consent`)")
    if imported.rejected:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in list(imported.reasons.items())[:3])
        were = "1 row was" if imported.rejected == 1 else f"{imported.rejected:,} rows were"
        terminal.note(f"{were} refused: {why}; all in {imported.rejects_file}")


def _summary(imported: ImportedSource) -> Any:
    always = {
        "rows": imported.rows,
        "events": imported.events,
        "stored": imported.stored,
        "known": imported.known,
        "refused": imported.rejected,
        "profiles": imported.profiles,
    }
    sometimes = {
        "no rule": imported.passed_over,
        "robots": imported.robots,
        "nobody": imported.nobody,
        "no consent": imported.without_consent,
        "erased": imported.erased,
        "contacts": imported.contacts,
    }
    counts = {**always, **{name: count for name, count in sometimes.items() if count}}
    named = f"{imported.name} (dry run)" if imported.dry_run else imported.name
    return table(["source", *counts], [[named, *(f"{count:,}" for count in counts.values())]])


def _preview(imported: ImportedSource) -> Any:
    rows = []
    for call in imported.preview:
        context = call.get("context", {})
        who = {kind: call[kind] for kind in ("userId", "anonymousId") if kind in call} | context.get("traits", {})
        said = {**call.get("traits", {}), **call.get("properties", {})}
        products = said.pop("products", [])
        if products:
            said["products"] = len(products)
        what = call.get("event") or call.get("name") or call["type"]
        cells = (call["row"], what, call.get("timestamp", "at import"), _pairs(who) or "nobody", _pairs(said))
        rows.append([_short(cell) for cell in cells])
    return table(["row", "call", "time", "who", "what"], rows, title=f"the first {len(rows)} of {imported.events:,}")


def _refused(first: Any, count: int) -> Any:
    rows = [[row, *map(_short, (fault.column, fault.value, fault.reason, fault.expected))] for row, fault in first[:10]]
    would = "1 row would" if count == 1 else f"{count:,} rows would"
    return table(["row", "column", "value", "reason", "expected"], rows, title=f"{would} be refused")


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _short(cell: Any) -> str:
    from hub.sources.fault import shown

    text = shown(cell)
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"
