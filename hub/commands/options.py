"""How several commands read an option; what is wrong with one is a usage error, exit 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from edgewise.errors import InputError
from hub.durable import replace_file

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does this; $USER where it is not given.")]
Delimiter = Annotated[
    str | None, typer.Option(help="Between the columns of a delimited file; found out when not given.")
]
"""To be read by `separator`."""
_ENDS_A_FIELD: Final = frozenset('"\r\n\0')


@contextlib.contextmanager
def usage(option: str) -> Iterator[None]:
    """Turn an InputError about an option's value into a usage error that names the option."""
    try:
        yield
    except InputError as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from wrong


def demand_folders(*files: Path | None) -> None:
    """Before long work begins: every file that is to be written has a folder. Raises InputError."""
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise InputError(f"{file}: there is no folder {file.parent}")


def put(path: Path, content: bytes | str) -> None:
    """Whole or not at all, so that a full disk does not cost the last good file; a device is written to."""
    data = content.encode() if isinstance(content, str) else content
    # `/dev/stdout` leads to a pipe without a name, or to a file that somebody else has open: neither can be replaced
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        path.write_bytes(data)
    else:
        replace_file(path.resolve(), data)


def names(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as a tuple; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def separator(delimiter: str | None) -> str | None:
    """One ASCII character, which no field begins or ends with; a shell passes a tab on as backslash and t."""
    if delimiter == "\\t":
        return "\t"
    if delimiter is None or (len(delimiter) == 1 and delimiter.isascii() and delimiter not in _ENDS_A_FIELD):
        return delimiter
    what = f"{delimiter!r}, expected one ASCII character other than a quote or a line break"
    raise typer.BadParameter(what, param_hint="--delimiter")


def flag_answers(given: list[str]) -> dict[int, str]:
    """`--answer NUMBER=WHY`, taken apart: flag -> why it is right."""
    answers: dict[int, str] = {}
    for text in given:
        number, equals, why = text.partition("=")
        if not equals or not number.strip().isdecimal():
            raise typer.BadParameter(f"{text!r}; expected NUMBER=WHY, as in 3='he asked for it'", param_hint="--answer")
        answers[int(number)] = why
    return answers
