"""`edgewise release`: what was built, what a person approved, and what nodes run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from edgewise.clock import utc_minute
from edgewise.ids import BundleVersion
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.model_skew import measured, require_no_skew
from hub.commands.options import By, flag_answers
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.ledger.rows import ReleaseRow

app = typer.Typer(no_args_is_help=True, help="Releases: built, approved, live, rolled back.")
FAILED = 1

CHECKED_DECISIONS = 500
CHECKED_RECORDS = 20_000
"""So many of the latest decisions, among so many of the latest records, are replayed before a release is approved."""

DespiteSkew = Annotated[bool, typer.Option("--despite-skew", help="Approve although served features differ.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=0)]


@app.command("list")
def list_(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """List every release, newest first."""
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        rows = releases.rows()
    Terminal(json=json, quiet=quiet).result(
        {"releases": rows},
        table(
            ["version", "status", "built", "approved by", "parent", "digest"],
            [
                [
                    row.version,
                    row.status,
                    _time(row.created_ms),
                    row.approved_by or "-",
                    _or_dash(row.parent),
                    row.digest[:12],
                ]
                for row in rows
            ],
        )
        if rows
        else "no release yet; `edgewise site apply DIR` builds one",
    )


@app.command()
def show(version: Version, data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """Show one release: what it holds, and where it came from."""
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        row = releases.row(BundleVersion(version))
        manifest = releases.bundle(row.version).manifest
    facts = [
        ["status", row.status],
        ["site", manifest.site],
        ["digest", row.digest],
        ["built", _time(row.created_ms)],
        ["may be installed until", _time(manifest.expires_ms)],
        ["parent", _or_dash(row.parent)],
        ["approved", f"by {row.approved_by}, {_time(row.approved_ms)}" if row.approved_ms else "by nobody yet"],
        *([name, text] for name, text in sorted(manifest.provenance.items())),
        *([name, f"{resource.bytes:,} bytes, {resource.sha256[:12]}"] for name, resource in manifest.resources.items()),
    ]
    # Lines, not a table: a digest must not be cut at the terminal's edge.
    shown = "\n".join(f"{name:<24} {value}" for name, value in facts)
    Terminal(json=json, quiet=quiet).result({"release": row, "manifest": manifest}, Text(shown))


@app.command()
def verify(
    data_dir: DataDir,
    version: Annotated[str, typer.Argument(metavar="[VERSION|all]", show_default=False)] = "all",
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a release as a node would: signatures, digests, the edge's loader, golden rows; exit 1 if it fails."""
    from edgewise.clock import SystemClock
    from hub.release.releases import open_releases
    from hub.release.verifying import verify as verify_release
    from hub.scoring_child import ScoringChild

    terminal = Terminal(json=json, quiet=quiet)
    if version != "all" and not version.isdecimal():
        raise typer.BadParameter(f"{version!r}, expected a release's number or `all`", param_hint="VERSION")
    now_ms = SystemClock().now_ms()
    with open_releases(data_dir) as releases, ScoringChild() as child, terminal.working("verifying"):
        chosen = [row.version for row in releases.rows()] if version == "all" else [BundleVersion(int(version))]
        found = [verify_release(releases, each, now_ms=now_ms, child=child) for each in chosen]
    rows: list[list[Any]] = [
        [
            each.version,
            each.status,
            "yes" if each.signed else "no",
            each.resources,
            "; ".join(f"{name} {error:.1e}" for name, error in each.golden.items()) or "-",
            each.problem or "sound",
        ]
        for each in found
    ]
    terminal.result(
        {"releases": found}, table(["version", "status", "signed", "resources", "golden rows, error", "verdict"], rows)
    )
    failed = [each for each in found if each.problem is not None]
    for each in failed:
        terminal.error(f"release {each.version}: {each.problem}")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def approve(
    version: Version,
    data_dir: DataDir,
    *,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER=WHY", help="Why what flag NUMBER finds wrong is right; once for each."),
    ] = None,
    despite_skew: DespiteSkew = False,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Vouch for a release: it is judged once more, signed, and listed for nodes.

    It is asked about everything that staff flagged (`edgewise explain --flag`), and refused while a flagged item stands
    where it stood, unless that is answered.
    It is refused, too, where features that nodes logged lately are not those that training computes.
    """
    from hub.audit import person
    from hub.flagging import approve_release

    terminal = Terminal(json=json, quiet=quiet)
    answers = flag_answers(answer or [])
    who = person(by, os.environ)
    if not despite_skew:
        require_no_skew(measured(data_dir, terminal, most=CHECKED_DECISIONS, records=CHECKED_RECORDS))
    with terminal.working("judging and signing"):
        row, verdicts = approve_release(data_dir, BundleVersion(version), by=who, answers=answers)
    next_step = f"next: edgewise release promote {version}"
    told = [f"flag {verdict.flag.number}: {verdict.found}" for verdict in verdicts]
    approved = f"release {version} is approved by {who}; {next_step}"
    terminal.result({"release": row, "flags": verdicts}, *told, approved)


@app.command()
def flags(
    data_dir: DataDir,
    against: Annotated[
        int | None, typer.Option(metavar="VERSION", min=0, help="Ask this release what it makes of those that ask.")
    ] = None,
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List what staff flagged as wrong, and what became of it; exit 1 if a release still shows some of it."""
    from hub.flagging import verdicts
    from hub.ledger.ledger import open_ledger
    from hub.release.releases import Releases
    from hub.scoring_child import ScoringChild

    terminal = Terminal(json=json, quiet=quiet)
    with open_ledger(data_dir) as ledger:
        listed = ledger.flags()
        found = []
        if against is not None:
            with ScoringChild() as child, terminal.working("asking again"):
                found = verdicts(ledger, Releases(data_dir, ledger), child, BundleVersion(against))
    said = {verdict.flag.number: verdict.found for verdict in found}
    rows = [
        [flag.number, flag.state, flag.item, f"{flag.placement} {flag.rank}", flag.who, flag.words,
         said.get(flag.number) or flag.answer or "-"]
        for flag in listed
    ]  # fmt: skip
    columns = ["flag", "state", "item", "place", "by", "what is wrong", "answer"]
    terminal.result({"flags": listed, "verdicts": found}, table(columns, rows) if rows else "nothing was ever flagged")
    if any(verdict.stands is not False and not verdict.is_gone for verdict in found):
        raise typer.Exit(FAILED)


@app.command()
def refuse(
    version: Version,
    data_dir: DataDir,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is written down.")],
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn a candidate down, or take the approval of a release back that no node runs yet."""
    from hub.audit import person
    from hub.release.releases import open_releases

    who = person(by, os.environ)
    with open_releases(data_dir) as releases:
        row = releases.refuse(BundleVersion(version), by=who, reason=reason)
    Terminal(json=json, quiet=quiet).result({"release": row}, f"release {version} is refused by {who}: {reason}")


@app.command()
def promote(version: Version, data_dir: DataDir, *, by: By = None, json: Json = False, quiet: Quiet = False) -> None:
    """Let all nodes run an approved release; a running hub offers it to them at once."""
    from hub.audit import person
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        row = releases.promote(BundleVersion(version), by=person(by, os.environ))
    _now_live(row, Terminal(json=json, quiet=quiet))


@app.command()
def rollback(
    data_dir: DataDir,
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", min=0, help="The one that was live before, without.")
    ] = None,
    *,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let all nodes run the release that was live before: older content under a newer assignment."""
    from hub.audit import person
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        earlier = None if version is None else BundleVersion(version)
        row = releases.rollback(by=person(by, os.environ), version=earlier)
    _now_live(row, Terminal(json=json, quiet=quiet))


def _now_live(row: ReleaseRow, terminal: Terminal) -> None:
    terminal.result({"release": row}, f"release {row.version} is live; `edgewise nodes` shows who runs it")


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _time(time_ms: int | None) -> str:
    return "-" if time_ms is None else utc_minute(time_ms)
