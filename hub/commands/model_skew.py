"""`edgewise model skew`: whether nodes serve the features that training computes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.errors import InputError, RefusedError, UnavailableError
from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.progress import progress_bar
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.release.releases import Releases
    from hub.train.skew import Skew

UNSOUND = 1
DAY_MS = 86_400_000
_TASK = "replaying decisions"


def skew(
    data_dir: DataDir,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model; all of them without.")] = None,
    *,
    most: Annotated[int, typer.Option(min=1, help="Compare at most the latest so many decisions.")] = 2_000,
    days: Annotated[float | None, typer.Option(min=0, help="Of the last days only.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page.", dir_okay=False)] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare features that nodes logged with those replayed from the ledger; exit 1 where one cell differs."""
    from hub.train.skew_report import COLUMNS, cells, left_out, skew_page, verdict

    terminal = Terminal(json=json, quiet=quiet)
    found = measured(data_dir, terminal, model=name, most=most, days=days)
    if html is not None:
        try:
            html.write_text(skew_page(found, name), encoding="utf-8")
        except OSError as refused:
            raise UnavailableError(f"{html}: cannot be written: {refused.strerror}") from None
    rows = [cells(feature) for feature in found.features]
    terminal.result(found, *([table(list(COLUMNS), rows)] if rows else []), verdict(found), *left_out(found))
    if not found.is_sound:
        if json or quiet:
            terminal.error(verdict(found))
        raise typer.Exit(UNSOUND)


def measured(
    data_dir: Path,
    terminal: Terminal,
    *,
    model: str | None = None,
    most: int,
    days: float | None = None,
    records: int | None = None,
) -> Skew:
    """With progress; `records`: of so many that were stored last. Raises InputError for a model that is not there."""
    from edgewise.clock import SystemClock
    from hub.ledger.ledger import open_ledger
    from hub.release.releases import Releases
    from hub.replay import Replayer
    from hub.scoring_child import ScoringChild
    from hub.train.skew import NOTHING, measure_skew

    since_ms = 0 if days is None else SystemClock().now_ms() - int(days * DAY_MS)
    with open_ledger(data_dir) as ledger, contextlib.ExitStack() as running:
        releases = Releases(data_dir, ledger)
        if model is not None:
            _require_known(ModelName(model), releases)
        after = 0 if records is None else max(0, ledger.revision() - records)
        if next(ledger.decisions(after_position=after, since_ms=since_ms), None) is None:
            return NOTHING
        child, progress = running.enter_context(ScoringChild()), running.enter_context(progress_bar(terminal, (_TASK,)))
        return measure_skew(
            ledger,
            Replayer(ledger, releases, child),
            model=None if model is None else ModelName(model),
            since_ms=since_ms,
            after_position=after,
            most=most,
            progress=lambda done, of: progress(_TASK, done, of),
        )


def _require_known(model: ModelName, releases: Releases) -> None:
    named = {name for row in releases.rows() for name in row.summary.get("models", {})}
    known = {name.removeprefix("model.") for name in named if name.startswith("model.")}
    if model not in known:
        raise InputError(f"no release has a model {model!r}; they have: {', '.join(sorted(known)) or 'none'}")


def require_no_skew(found: Skew) -> None:
    """Raises RefusedError `skew` where served and replayed features differ."""
    from hub.train.skew_report import verdict

    if not found.is_sound:
        raise RefusedError(
            "skew",
            f"{verdict(found)} `edgewise model skew` shows where; --despite-skew approves all the same",
        )
