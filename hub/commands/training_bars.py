"""The bars that a training from the ledger shows while it runs: one for each thing that it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgewise.terminal import Terminal

if TYPE_CHECKING:
    from hub.train.dataset import Progress as Say


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
