"""`edgewise data audit`: what a journey needs to know, what is known, how fresh, and what to mend first."""

from __future__ import annotations

import datetime as dt
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.errors import UnavailableError
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import demand_folders
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.data_audit.audit import Audit, Source
    from hub.site.loading import SiteContents

_DAY_MS = 86_400_000


def audit(
    *,
    data_dir: DataDir,
    journey: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the site's journeys/NAME.yaml, or homepage-banner, abandoned-cart, content-hub; without, each.",
        ),
    ] = None,
    site: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, exists=True, help="The site's folder; by default this one.")
    ] = Path(),
    active_days: Annotated[int, typer.Option(min=1, help="Who did something within so many days is active.")] = 90,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="As it was at the end of this day (UTC); without, as it is now.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a page with plots.", dir_okay=False)] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Audit what journeys need: who has what from where, how fresh it is, how well sources join, what to mend first."""
    import msgspec

    from edgewise.clock import SystemClock
    from hub.data_audit.audit import audit as audited
    from hub.data_audit.needs import audited_journeys, needs_of
    from hub.data_audit.page import page
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(report)
    now_ms = SystemClock().now_ms() if as_of is None else _end_of(as_of)
    contents = _contents(site)
    written = {} if contents is None else contents.journeys
    names = audited_journeys(written) if journey is None else [journey]
    needs = {name: needs_of(name, written) for name in names}
    subject_key = KeyFolder(data_dir).secrets().subject_key
    with open_ledger(data_dir) as ledger, terminal.working("reading the ledger") as working:
        first, *others = [
            audited(
                ledger,
                name,
                needs[name],
                subject_key=subject_key,
                now_ms=now_ms,
                active_days=active_days,
                catalogue=None if contents is None else contents.catalogue,
                working=working,
            )
            for name in names
        ]
    found = msgspec.structs.replace(first, others=others)
    if report is not None:
        try:
            report.write_text(page(found), encoding="utf-8")
        except OSError as refused:
            raise UnavailableError(f"{report}: cannot be written: {refused.strerror}") from None
    terminal.result(found, *chain.from_iterable(_shown(one) for one in (first, *others)))


def _end_of(day: str) -> int:
    try:
        start = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC)
    except ValueError:
        raise typer.BadParameter(f"{day!r}, expected a date such as 2026-12-01", param_hint="--as-of") from None
    return int(start.timestamp() * 1_000) + _DAY_MS - 1


def _contents(site: Path) -> SiteContents | None:
    from hub.site.loading import load_site
    from hub.site.reading import SITE_FILE

    return load_site(site) if (site / SITE_FILE).is_file() else None


def _shown(found: Audit) -> list[Any]:
    points = [
        [
            f"{point.kind} {point.name}",
            f"{point.worth:.0%}",
            f"{point.coverage:.0%}",
            (", ".join(f"{source} {share:.0%}" for source, share in point.sources.items()) or "no source")
            + (", stale" if point.stale else ""),
            f"{point.lost:.1%}",
        ]
        for point in found.points
    ]
    first = "\n".join(f"{number}. {fix.sentence}" for number, fix in enumerate(found.first, 1))
    return [
        (
            f"{found.journey}: {found.active_people:,} people active within {found.active_days} days, "
            f"{found.events:,} events; {found.join_rate:.0%} of all people are known to two sources or more"
        ),
        table(["data point", "worth", "coverage", "from", "lost"], points, title="\nwhat it needs"),
        table(
            ["source", "people", "found elsewhere", "duplicates", "newest", "usually every", ""],
            [_source(source) for source in found.sources],
            title="\nsources",
        ),
        f"\nwhat to do first\n{first or 'nothing: all is there, fresh and joined'}",
        f"\n{found.estimate}",
    ]


def _source(source: Source) -> list[str]:
    rhythm = source.rhythm
    return [
        source.name,
        f"{source.people:,}",
        f"{source.join_rate:.0%}",
        f"{source.duplicates:,}",
        f"{rhythm.silent_days:,.1f} d ago",
        "no habit yet" if rhythm.usual_days is None else f"{rhythm.usual_days:,.0f} d",
        "stale" if rhythm.stale else "",
    ]
