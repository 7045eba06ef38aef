"""`edgewise link`: which records of one file or two are the same person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edgewise.errors import InputError, UnavailableError
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import Delimiter, demand_folders, separator, usage

if TYPE_CHECKING:
    from rich.table import Table

    from hub.linkage.link import Linked

app = typer.Typer(add_completion=False)
_SHOWN = 20


class _Earlier(msgspec.Struct):
    clusters: dict[str, str]


@app.command()
def link(
    left: Annotated[Path, typer.Argument(metavar="A", help="CSV (also .gz), Parquet or JSONL, a record a row.")],
    right: Annotated[Path | None, typer.Argument(metavar="[B]", help="A second file to link with the first.")] = None,
    *,
    key: Annotated[str, typer.Option("--id", metavar="COL", help="The column that names a record.")],
    truth: Annotated[
        str | None, typer.Option(metavar="COL", help="Who it really is: never learned from, only judged by.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="COL=ROLE", help="What a column says, where its name does not tell."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Least probability of a pair; between 0 and 1.", metavar="P")] = 0.5,
    previous: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `--json` printed before: clusters keep its names.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a page with plots.", dir_okay=False)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random pairs that are learned from.")] = 0,
    threads: Annotated[
        int, typer.Option(min=1, help="More are faster; the last digits then differ from run to run.")
    ] = 1,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the records that are the same person, with no shared key and without being told any.

    Columns are recognised by their names (first name, surname, full name, dob, e-mail, phone, postcode, city, gender,
    occupation). With two files records are linked between them and within each; ids that occur in both are printed
    as FILE:ID.
    """
    from hub.linkage.link import link as link_files
    from hub.linkage.page import page
    from hub.linkage.roles import role_settings

    terminal = Terminal(json=json, quiet=quiet)
    with usage("--role"):
        roles = role_settings(role or [])
    if not 0 < threshold < 1:
        raise typer.BadParameter(f"{threshold:g}, expected more than 0 and less than 1", param_hint="--threshold")
    demand_folders(report)
    paths = [left] if right is None else [left, right]
    with terminal.working("reading") as working:
        linkage = link_files(
            paths,
            key=key,
            truth=truth,
            roles=roles,
            threshold=threshold,
            previous=_earlier(previous),
            delimiter=separator(delimiter),
            seed=seed,
            threads=threads,
            working=working,
        )
    linked = linkage.linked
    for note in linked.notes:
        terminal.note(f"note: {note}")
    if report is not None:
        try:
            report.write_text(page(linkage, " and ".join(path.name for path in paths)), encoding="utf-8")
        except OSError as refused:
            raise UnavailableError(f"{report}: cannot be written: {refused.strerror}") from None
    terminal.result(linked, *_shown(linked))


def _earlier(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    from hub.tables import read_utf8

    try:
        return msgspec.json.decode(read_utf8(path), type=_Earlier).clusters
    except msgspec.DecodeError as wrong:
        raise InputError(f"{path}: not what `edgewise link --json` prints: {wrong}") from None


def _shown(linked: Linked) -> list[Table | str]:
    read = ", ".join(f"{column} as {role.replace('_', ' ')}" for role, column in linked.columns.items())
    several = linked.records - linked.people
    found = (
        f"{linked.records:,} records are {linked.people:,} people ({several:,} records fewer); "
        f"{len(linked.pairs):,} pairs with a probability of {linked.threshold:g} or more"
    )
    rows = [[_plain(pair.left), _plain(pair.right), f"{pair.probability:.4f}"] for pair in linked.pairs[:_SHOWN]]
    shown: list[Table | str] = [f"read {read}", found]
    if rows:
        left = f"the {_SHOWN} surest pairs; --json has all" if len(linked.pairs) > _SHOWN else None
        shown.append(table(["left", "right", "probability"], rows, title=left))
    if linked.quality is not None:
        judged = [
            [
                name,
                f"{each.precision:.4f}",
                f"{each.recall:.4f}",
                f"{each.f1:.4f}",
                f"{each.right:,} of {each.found:,}",
                f"{each.true:,}",
            ]
            for name, each in (("pairwise", linked.quality.pairwise), ("clustered", linked.quality.clustered))
        ]
        columns = ["against the truth", "precision", "recall", "F1", "right pairs", "true pairs"]
        shown.append(table(columns, judged))
    return shown


def _plain(text: str) -> str:
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in text)
