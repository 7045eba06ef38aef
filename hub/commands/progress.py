"""The bars that long work shows while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgewise.terminal import Terminal

if TYPE_CHECKING:
    from hub.imports.events import Progress


@contextmanager
def progress_bar(terminal: Terminal, tasks: Sequence[str] = ("reading", "storing")) -> Iterator[Progress]:
    """A bar a task on standard error; yields what is told how far they are."""
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
        bars = {what: bar.add_task(what, total=None) for what in tasks}
        yield lambda what, done, of: bar.update(bars[what], completed=done, total=of)
