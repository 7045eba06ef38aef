"""Every error that a person may see, grouped by who must act.

    EdgewiseError
    ├── InputError          the caller: a request, file or option is wrong
    │   └── SiteError       the site's owner: a YAML file is wrong, with file and line
    ├── RefusedError        the publisher: what was offered is not acceptable; the old state stays
    │   ├── BundleRefused   a bundle or its metadata
    │   └── ModelRefused    a model: unsupported setting, unsafe graph, parity
    └── UnavailableError    the operator: a peer, file or port cannot be reached

A message says what came, what was expected, and where.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MALFORMED: Final = (ValueError, RecursionError)
"""What decoding raises for bytes that are not what they should be.

msgspec's own errors are ValueErrors; so is a UnicodeDecodeError, which it raises beside them for text that is no
UTF-8. A RecursionError is nesting without end.
"""


class Problem(NamedTuple):
    """One thing that is wrong with an input, as RFC 9457 `errors` list it."""

    path: str
    """Where: `$.placements[0].name`, `row 17, column propensity`, `placements/hero.yaml:4`."""
    message: str
    """What came and what was expected."""


class EdgewiseError(Exception):
    """Base of all errors that are shown to a person without a traceback."""


class InputError(EdgewiseError):
    """The caller sent something that cannot be used; nothing was changed."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems


class SiteError(InputError):
    """A site's files are wrong; every problem carries `file:line`."""


class RefusedError(EdgewiseError):
    """What was offered is not acceptable; the old state stays.

    `code` is a short stable word for machines (it travels in a NACK), the message is for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BundleRefused(RefusedError):  # noqa: N818  # reads as what happened
    """A bundle, a resource of it, or the metadata that vouches for it was not accepted."""


class ModelRefused(RefusedError):  # noqa: N818
    """A model cannot be exported, or an ONNX graph is not one that an edge will load."""


class UnavailableError(EdgewiseError):
    """A peer, a file or a port cannot be reached; trying again may help."""


def problem_of(message: str) -> Problem:
    """Split a decoder's sentence (``Expected `str`, got `int` - at `$.name` ``) into place and message."""
    text, at, path = message.rpartition(" - at `")
    return Problem(path.removesuffix("`"), text) if at else Problem("$", message)
