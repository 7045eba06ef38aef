"""What is wrong with one cell of a row: enough to find it, and to mend it."""

from __future__ import annotations

from typing import Any, Final

from edgewise.errors import InputError, Problem

UNFORESEEN: Final = (ValueError, ArithmeticError, RecursionError, AttributeError, TypeError)
"""What a row raises in code that nobody thought would meet it. The last resort of whoever goes through many rows: it
costs that row, not the rest of the file or delivery."""
_SHOWN: Final = 200


class Fault(InputError):  # noqa: N818  # one of many in a file, not the end of it
    """A cell cannot be used; the row is refused."""

    def __init__(self, column: str, value: Any, reason: str, expected: str) -> None:
        self.column = column
        """Empty where no single column is to blame."""
        self.value = shown(value)
        self.reason = reason
        """What it is: `no number`, `ambiguous`, `later than now`, …"""
        self.expected = expected
        where = f"column {column}" if column else "the row"
        message = f"expected {expected}, got {self.value!r} ({reason})"
        super().__init__(f"{where}: {message}", (Problem(column or "$", message),))


def as_fault(wrong: Exception) -> Fault:
    """A Fault itself; one of `UNFORESEEN` in a sentence."""
    if isinstance(wrong, Fault):
        return wrong
    if isinstance(wrong, RecursionError):
        return Fault("", None, "nested too deeply", "a row with fewer levels")
    said = shown(wrong).partition("\n")[0]
    return Fault(
        "", None, f"cannot be read: {type(wrong).__name__}: {said}", "text, numbers and dates as JSON has them"
    )


def shown(value: Any) -> str:
    r"""A value for people's eyes: short, and what is not seen as `\u202e`, so that it cannot act on a terminal.

    That holds for controls, bidi marks and lone surrogates alike.
    """
    text = "" if value is None else str(value)
    cut = text[:_SHOWN]
    if not cut.isprintable():
        cut = "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
        )
    return cut + "…" if len(text) > _SHOWN else cut
