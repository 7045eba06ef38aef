"""What commands print: tables for people, one JSON object with `--json`, only errors with `--quiet`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from edgewise.errors import EdgewiseError, InputError, RefusedError

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]


class Terminal:
    """Standard output for results, standard error for everything else.

    With `json` the only thing on standard output is what `result` is given.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        # what is shown may be a visitor's words: `[/red]` and `:bomb:` are text
        self.out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def print(self, *what: Any) -> None:
        """Something for people; dropped under `--json` and `--quiet`."""
        if not self.json and not self.quiet:
            self.out.print(*what)

    def note(self, text: str) -> None:
        """Progress or a hint, on standard error; dropped under `--quiet`."""
        if not self.quiet:
            self.err.print(text, style="dim", markup=False)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner on standard error while something runs, none under `--quiet`; call it to say what runs now."""
        if self.quiet:
            yield lambda _: None
        else:
            with self.err.status(text) as status:
                yield status.update

    def result(self, value: Any, *shown: Any) -> None:
        """The command's result: `value` as JSON, or `shown` (tables, text; each from a new line) for people."""
        if self.json:
            sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
            sys.stdout.flush()
        else:
            for part in shown:
                self.print(part)

    def error(self, message: str) -> None:
        """One sentence on standard error, never a traceback."""
        self.err.print(f"error: {message}", style="red", markup=False)

    def problem(self, refused: EdgewiseError) -> None:
        """An error with its list of problems; under `--json` also as an object."""
        self.error(str(refused))
        problems = refused.problems if isinstance(refused, InputError) else ()
        listed = () if len(problems) == 1 and problems[0].message in str(refused) else problems
        for problem in listed[:20]:
            self.err.print(f"  {problem.path}: {problem.message}", markup=False)
        if len(problems) > 20:  # noqa: PLR2004  # a screenful
            self.err.print(f"  … and {len(problems) - 20} more", markup=False)
        if self.json:
            code = refused.code if isinstance(refused, RefusedError) else "refused"
            self.result(
                {
                    "error": {
                        "code": code,
                        "message": str(refused),
                        "problems": [problem._asdict() for problem in problems],
                    }
                }
            )


def table(columns: list[str], rows: list[list[Any]], *, title: str | None = None) -> Table:
    """A plain table; numbers are formatted by the caller, who knows their digits."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column)
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    return drawn
