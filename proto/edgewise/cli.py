"""The `edgewise` command: finds who registered the word that was typed, and hands over.

Edge and hub never import each other, so neither owns the command line: each registers its commands in the
entry-point group `edgewise.commands`, and only the module behind the typed word is imported.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import TYPE_CHECKING

from edgewise.errors import EdgewiseError, InputError, Problem, UnavailableError
from edgewise.terminal import Terminal

if TYPE_CHECKING:
    import typer

USAGE_ERROR = 2
REFUSED = 1


def commands() -> dict[str, EntryPoint]:
    """Every registered command by its word."""
    return {point.name: point for point in entry_points(group="edgewise.commands")}


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exit 0 ok, 1 refused or failed check, 2 usage."""
    words = sys.argv[1:] if arguments is None else arguments
    known = commands()
    terminal = Terminal(json="--json" in words)
    if not words or words[0] in {"--help", "-h", "help"}:
        terminal.print(_overview(known))
        sys.exit(0 if words else USAGE_ERROR)
    if words[0] == "--version":
        terminal.print(version("edgewise"))
        sys.exit(0)
    point = known.get(words[0])
    if point is None:
        terminal.problem(InputError(f"no command {words[0]!r}; there are: {', '.join(sorted(known))}"))
        sys.exit(USAGE_ERROR)
    try:
        app: typer.Typer = point.load()
        if terminal.json:
            sys.exit(_for_a_program(app, words, terminal))
        app(words[1:], prog_name=f"edgewise {words[0]}")
    except ModuleNotFoundError as missing:
        # commands import what is heavy where they need it, so a package may turn out missing only now
        side = point.value.partition(".")[0]
        cure = f"pip install 'edgewise[{side}]'"
        terminal.problem(UnavailableError(f"`edgewise {words[0]}` needs {missing.name}, which is not here: {cure}"))
        sys.exit(REFUSED)
    except EdgewiseError as refused:
        terminal.problem(refused)
        sys.exit(USAGE_ERROR if _is_of_an_option(refused) else REFUSED)
    except BrokenPipeError:
        # whoever read the output has seen enough; nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(REFUSED)
    except OSError as failed:
        # a full disk, a missing right: what the machine says is the message, and a traceback would hide it
        where = f": {failed.filename}" if failed.filename else ""
        refusal = UnavailableError(f"{failed.strerror or failed}{where}")
        try:
            terminal.problem(refusal)
        except OSError:  # it is standard output that takes nothing; what is left in its buffer would be tried again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(REFUSED)


def _for_a_program(app: typer.Typer, words: list[str], terminal: Terminal) -> int:
    """Run a command under `--json`, and return its exit code; a wrong word on the command line is told as an object."""
    from typer import Abort, BadParameter

    try:
        code = app(words[1:], prog_name=f"edgewise {words[0]}", standalone_mode=False)
    except Abort:
        return REFUSED
    except Exception as wrong:
        if not isinstance(wrong, BadParameter.__bases__):  # of its parser's usage errors Typer keeps the name to itself
            raise
        message = str(getattr(wrong, "format_message", str)()) or "a command or an option is missing; --help lists them"
        context = getattr(wrong, "ctx", None)
        where = str(context.command_path) if context else f"edgewise {words[0]}"
        terminal.problem(InputError(f"{where}: {message}", (Problem(where, message),)))
        return USAGE_ERROR
    return code if isinstance(code, int) else 0


def _is_of_an_option(refused: EdgewiseError) -> bool:
    """Whether it is an option's value that is wrong, as settings say whose flags are checked with their files."""
    problems = refused.problems if isinstance(refused, InputError) else ()
    return bool(problems) and problems[0].path.startswith("--")


def _overview(known: dict[str, EntryPoint]) -> str:
    width = max(map(len, known), default=0)
    listed = "\n".join(f"  edgewise {name:<{width}}  {_about(point)}".rstrip() for name, point in sorted(known.items()))
    return f"Personalised content decisions at the edge, learned in one place.\n\n{listed}\n\nAdd --help to any."


def _about(point: EntryPoint) -> str:
    """The first sentence that a command says of itself; nothing where its extra is not installed."""
    try:
        app: typer.Typer = point.load()
    except ModuleNotFoundError:
        return ""
    told = app.info.help or (app.registered_commands[0].callback.__doc__ if app.registered_commands else "")
    return str(told or "").strip().partition("\n")[0]
