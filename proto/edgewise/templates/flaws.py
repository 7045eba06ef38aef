"""What can be wrong with a template, and with what is put into it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from edgewise.errors import InputError, RefusedError


class TemplateRefused(RefusedError):  # noqa: N818  # reads as what happened
    """A template is not one that this code will compile. `line`, from 1, is of its source."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__("template", message)
        self.line = line


class Unrenderable(InputError):  # noqa: N818
    """A template cannot be filled with these values. `line`, from 1, is of its source; 0 where no line is to blame."""

    def __init__(self, message: str, *, variable: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.variable = variable
        """Which value is wrong, as its path in a content: `products[1].title`; blank where it cannot be told."""
        self.line = line


def refuse_template(line: int, message: str) -> NoReturn:
    """Raises TemplateRefused."""
    raise TemplateRefused(line, message)


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the closest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of {', '.join(names)}" if names else "there is none yet"
