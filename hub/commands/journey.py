"""`edgewise journey`: which journeys there are, and what only a person may do with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edgewise.clock import utc_minute
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from edgewise.bundle.catalogue import Catalogue
    from hub.journeys.enabling import Gate, Lift
    from hub.journeys.overview import ListedJourney
    from hub.ledger.rows import ReleaseRow
    from hub.release.releases import Releases
    from hub.site.journey_file import JourneyFile

app = typer.Typer(no_args_is_help=True, help="Journeys: which there are, what holds one back, who enabled it.")
_DAYS = 60.0
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the site's journeys/NAME.yaml.")]
SiteFolder = Annotated[
    Path,
    typer.Option("--site", metavar="DIR", file_okay=False, help="The site's folder; by default this one, if it is."),
]


@app.callback()
def journey() -> None:
    """Journeys: which there are, what holds one back, who enabled it."""


@app.command("list")
def listed(data_dir: DataDir, *, site: SiteFolder = Path(), json: Json = False, quiet: Quiet = False) -> None:
    """List the site's journeys, who enabled which, and whether that is in force."""
    from hub.journeys.overview import counts_of
    from hub.journeys.overview import listed as every
    from hub.release.releases import open_releases

    journeys = _said(site, data_dir).journeys
    with open_releases(data_dir) as releases:
        found = every(journeys, releases.ledger.journey_states(), _live(releases), counts_of(releases.ledger))
    headings = ["journey", "kind", "state", "by", "since", "placements", "watched", "mails"]
    rows = [_row(of) for of in found.journeys]
    shown = (
        table(headings, rows)
        if rows
        else "no journey is known; write journeys/NAME.yaml and name the site's folder with --site, or apply it"
    )
    Terminal(json=json, quiet=quiet).result(found, shown)


@app.command()
def show(name: Name, data_dir: DataDir, *, site: SiteFolder = Path(), json: Json = False, quiet: Quiet = False) -> None:
    """Say how a journey stands, and what holds it back where it is not enabled."""
    from hub.journeys.overview import counts_of
    from hub.journeys.overview import listed as every
    from hub.release.releases import open_releases

    terminal = Terminal(json=json, quiet=quiet)
    said = _said(site, data_dir)
    journey = said.journey(name)
    with open_releases(data_dir) as releases:
        states, counts = releases.ledger.journey_states(), counts_of(releases.ledger)
        (of,) = every({name: journey}, states, _live(releases), counts).journeys
        is_on = of.state == "enabled"
        gates = [] if is_on else _gates(name, said, data_dir, releases, terminal)
        lifts = _lifts(journey, releases, terminal) if is_on else []
    told = [f"  {'open' if gate.is_open else 'HELD'}  {gate.name}: {gate.sentence}" for gate in gates]
    told += [f"  {lift.key}: {lift.sentence}" for lift in lifts]
    terminal.result({"journey": of, "gates": gates, "lift": lifts}, _standing(of), *_mails(of), *told)


@app.command()
def enable(
    name: Name,
    data_dir: DataDir,
    *,
    site: SiteFolder = Path(),
    override: Annotated[
        str, typer.Option(metavar="REASON", help="Why it is enabled against what holds it back; goes into the audit.")
    ] = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Enable a journey, if its data are there and an earlier one has a verdict; else say why with --override.

    A page journey is in force with the next release: apply the site, approve and promote it. A mail journey begins with
    the next turn of a hub that serves.
    """
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.journeys.enabling import enable as enabled
    from hub.release.releases import open_releases

    terminal = Terminal(json=json, quiet=quiet)
    said = _said(site, data_dir)
    journey = said.journey(name)
    who = person(by, os.environ)
    with open_releases(data_dir) as releases:
        gates = _gates(name, said, data_dir, releases, terminal)
        switch = enabled(releases.ledger, name, gates, by=who, override=override, now_ms=SystemClock().now_ms())
    because = f", although: {'; '.join(gate.sentence for gate in gates if not gate.is_open)}" if switch.reason else ""
    following = "next: edgewise site apply DIR" if journey.kind == "page" else "a hub that serves begins with it"
    terminal.result(switch, f"{switch.who} enables {name}{because}\n{following}")


@app.command()
def run(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """Go over the enabled mail journeys once: who began a run, and whose mail is due. Sending is the outbox's business.

    A hub that serves does so by itself (journeys_every_ms); what was planned once is not planned again.
    """
    from edgewise.clock import SystemClock
    from hub.journeys.keeping import JourneyDesk, JourneyKeeper
    from hub.log import start_log
    from hub.release.releases import open_releases

    log = start_log("warning")
    with open_releases(data_dir) as releases:
        desk = JourneyDesk(data_dir, releases.ledger, releases, log=log)
        try:
            told = JourneyKeeper(desk, releases.ledger, 0, clock=SystemClock(), log=log).once()
        finally:
            desk.close()
    failed = f", {told.failed:,} could not be looked at" if told.failed else ""
    shown = f"{told.found:,} events begin runs, {told.looked:,} people looked at, {told.put:,} mails planned{failed}"
    Terminal(json=json, quiet=quiet).result(told, shown)


@app.command()
def pause(
    name: Name,
    data_dir: DataDir,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is written down.")] = "",
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pause a journey: its mails end at once, its pages serve their champion with the next release."""
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.journeys.enabling import pause as paused
    from hub.ledger.ledger import open_ledger

    with open_ledger(data_dir) as ledger:
        switch = paused(ledger, name, by=person(by, os.environ), reason=reason, now_ms=SystemClock().now_ms())
    Terminal(json=json, quiet=quiet).result(switch, f"{switch.who} pauses {name}")


def _live(releases: Releases) -> ReleaseRow | None:
    from hub.ledger.rows import ReleaseStatus

    return next((row for row in releases.rows() if row.status is ReleaseStatus.LIVE), None)


def _row(of: ListedJourney) -> list[str]:
    since = "" if of.since_ms is None else utc_minute(of.since_ms)
    state = of.state if of.is_in_force else f"{of.state}, with the next release"
    mails = ", ".join(f"{count:,} {which}" for which, count in of.mails.items())
    return [of.name, of.kind, state, of.who, since, ", ".join(of.placements) or "none", f"{of.watched:,}", mails]


def _standing(of: ListedJourney) -> str:
    said = f" by {of.who} since {utc_minute(of.since_ms)}" if of.since_ms is not None else ""
    why = f" ({of.reason})" if of.reason else ""
    waits = "" if of.is_in_force else "; in force once a release that is built from now on is live"
    return f"{of.name}, {of.kind}: {of.state}{said}{why}{waits}"


def _mails(of: ListedJourney) -> list[str]:
    if of.kind != "mail":
        return []
    counted = ", ".join(f"{count:,} {state}" for state, count in of.mails.items()) or "none yet"
    why = ", ".join(f"{reason} {count:,}" for reason, count in of.unsent.items())
    return [f"  {of.watched:,} people watched; mails: {counted}{f' ({why})' if why else ''}"]


def _lifts(journey: JourneyFile, releases: Releases, terminal: Terminal) -> list[Lift]:
    from edgewise.clock import SystemClock
    from hub.experiments.policies import ReleasedPolicies
    from hub.journeys.enabling import lift_of
    from hub.release.live_policy import LivePolicy

    live = LivePolicy(releases.repository)()
    if live is None:
        return []
    with terminal.working("reading what it did"):
        return lift_of(
            releases.ledger,
            journey,
            live,
            ReleasedPolicies(releases.repository),
            days=_DAYS,
            now_ms=SystemClock().now_ms(),
        )


class _Said(NamedTuple):
    """What a site, or what was applied of it, says of journeys."""

    journeys: Mapping[str, JourneyFile]
    catalogue: Catalogue | None

    def journey(self, name: str) -> JourneyFile:
        """One of them. Raises InputError for a name that is none."""
        from edgewise.errors import InputError
        from hub.site.converting import did_you_mean

        if name not in self.journeys:
            nothing_yet = "name the site's folder with --site, or apply it first (`edgewise site apply DIR`)"
            cure = did_you_mean(name, self.journeys) if self.journeys else nothing_yet
            raise InputError(f"the site has no journey {name!r}; {cure}")
        return self.journeys[name]


def _said(site: Path, data_dir: Path) -> _Said:
    from hub.site.kept_journeys import kept_journeys
    from hub.site.loading import load_site
    from hub.site.reading import SITE_FILE

    if (site / SITE_FILE).is_file():
        contents = load_site(site)
        return _Said(contents.journeys, contents.catalogue)
    return _Said(kept_journeys(data_dir), None)


def _gates(name: str, said: _Said, data_dir: Path, releases: Releases, terminal: Terminal) -> list[Gate]:
    from edgewise.clock import SystemClock
    from hub.data_audit.audit import audit
    from hub.data_audit.needs import needs_of
    from hub.experiments.policies import ReleasedPolicies
    from hub.journeys.enabling import data_gate, verdict_gate, verdicts_on
    from hub.keys import KeyFolder
    from hub.release.live_policy import LivePolicy

    now_ms = SystemClock().now_ms()
    with terminal.working("looking at the data") as working:
        found = audit(
            releases.ledger,
            name,
            needs_of(name, said.journeys),
            subject_key=KeyFolder(data_dir).secrets().subject_key,
            now_ms=now_ms,
            active_days=90,
            catalogue=said.catalogue,
            working=working,
        )
        verdicts = verdicts_on(
            releases.ledger,
            name,
            said.journeys.get,
            LivePolicy(releases.repository)(),
            ReleasedPolicies(releases.repository),
            days=_DAYS,
            now_ms=now_ms,
        )
    return [gate for gate in (data_gate(said.journey(name), found), verdict_gate(verdicts)) if gate is not None]
