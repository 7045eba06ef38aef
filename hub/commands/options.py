"""How several commands read an option; what is wrong with one is a usage error, exit 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer

from edgewise.errors import InputError


@contextlib.contextmanager
def usage(option: str) -> Iterator[None]:
    """Turn an InputError about an option's value into a usage error that names the option."""
    try:
        yield
    except InputError as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from wrong


def names(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as a tuple; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def separator(delimiter: str | None) -> str | None:
    """One character; a tab may be written as backslash and t, which is what a shell can pass on."""
    if delimiter is None or len(delimiter) == 1:
        return delimiter
    if delimiter == "\\t":
        return "\t"
    raise typer.BadParameter(f"{delimiter!r} is not one character", param_hint="--delimiter")
