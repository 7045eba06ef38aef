"""The bar that an import shows while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgewise.terminal import Terminal

if TYPE_CHECKING:
    from hub.imports.events import Progress


@contextmanager
def progress_bar(terminal: Terminal) -> Iterator[Progress]:
    """Two tasks on standard error, `reading` and `storing`; yields what is told how far they are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=terminal.err,
        transient=True,
        disable=terminal.quiet or not terminal.err.is_terminal,  # elsewhere it leaves a blank line
    )
    with bar:
        tasks = {what: bar.add_task(what, total=None) for what in ("reading", "storing")}
        yield lambda what, done, of: bar.update(tasks[what], completed=done, total=of)
