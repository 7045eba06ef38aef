"""What commands share that train a model of a site from the ledger: options, what they open, the bars they show."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgewise.terminal import Terminal

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger
    from hub.registry import ModelRegistry
    from hub.site.loading import SiteContents
    from hub.train.dataset import Progress as Say

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model of the site: models/NAME.yaml says how.")]
SiteFolder = Annotated[Path, typer.Option("--site", help="The site's folder.", file_okay=False)]
Seed = Annotated[int, typer.Option(min=0, help="Of draws, trees and intervals.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE over the site's recipe, as in trees.rounds=200.", metavar="KEY=VALUE"),
]
TrainedBy = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who has it trained; $USER where it is not given.")
]


class Training(NamedTuple):
    """What a training reads, and where its model goes."""

    contents: SiteContents
    ledger: Ledger
    registry: ModelRegistry
    by: str


@contextlib.contextmanager
def training(data_dir: Path, site: Path, by: str | None) -> Iterator[Training]:
    """Open the site and the hub's folder until the block ends. Raises InputError for a site that is none."""
    from hub.audit import person
    from hub.ledger.ledger import open_ledger
    from hub.registry import ModelRegistry
    from hub.site.loading import load_site

    # Nothing that visitors see changes by training, so that a scheduler without a name may do it.
    who = person(by, {"USER": "training", **os.environ})
    contents = load_site(site)
    with open_ledger(data_dir) as ledger:
        yield Training(contents, ledger, ModelRegistry(data_dir, ledger), who)


@contextlib.contextmanager
def training_bars(terminal: Terminal) -> Iterator[Say]:
    """On standard error, where that is a terminal; yields what is told how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal.err, disable=terminal.quiet or not terminal.err.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def say(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done, total=of)

        yield say
