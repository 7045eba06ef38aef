"""Errors as callers see them: `application/problem+json` (RFC 9457), never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from edgewise.errors import InputError, Problem, UnavailableError, problem_of

Headers = list[tuple[bytes, bytes]]
MEDIA_TYPE: Final = b"application/problem+json"
MAX_LISTED: Final = 100
"""Problems listed of one input; the rest is counted."""
RETRY_AFTER: Final = (b"retry-after", b"1")
CLOSE: Final = (b"connection", b"close")


class Answer(NamedTuple):
    """One HTTP answer, whole."""

    status: int
    body: bytes
    headers: Headers


class ProblemEntry(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input."""

    path: str
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body, RFC 9457 section 3.1; `errors` is ours, as its section 3.2 lets us."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[ProblemEntry] = []


class HttpProblem(Exception):  # noqa: N818  # reads as what it is
    """A request is answered with a problem. `code` names its kind for machines, in `type`."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        problems: Sequence[Problem] = (),
        headers: Headers | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems
        self.headers = headers or []


Telling = Callable[[str, HttpProblem], Answer | None]
"""How a problem is told to whoever asked for a path; None: as every other, by `answer_of`."""


def told_plainly(_path: str, _problem: HttpProblem) -> None:
    """Tells every problem as what it is."""


_encoder = msgspec.json.Encoder()


def answer_of(problem: HttpProblem) -> Answer:
    """The answer that tells of a problem."""
    details = ProblemDetails(
        type=f"urn:edgewise:problem:{problem.code}",
        title=problem.status.phrase,
        status=problem.status.value,
        detail=problem.detail,
        errors=[ProblemEntry(path, message) for path, message in problem.problems[:MAX_LISTED]],
    )
    headers = [(b"content-type", MEDIA_TYPE), (b"cache-control", b"no-store"), *problem.headers]
    return Answer(problem.status.value, _encoder.encode(details), headers)


def invalid(problems: Sequence[Problem]) -> HttpProblem:
    """400: the input is wrong, in these places."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    detail = f"{first.path}: {first.message}{more}"
    return HttpProblem(HTTPStatus.BAD_REQUEST, "invalid", detail, problems=problems)


def problem_from(error: Exception) -> HttpProblem:  # noqa: PLR0911  # one line a kind
    """The problem that an exception of ours, or of a decoder, means for the caller; 500 for any other."""
    match error:
        case HttpProblem():
            return error
        case InputError():
            return invalid(error.problems or (Problem("$", error.message),))
        case msgspec.ValidationError():
            return invalid([problem_of(str(error))])
        case msgspec.DecodeError() | UnicodeDecodeError():
            return invalid([Problem("$", str(error))])
        case RecursionError():
            return invalid([Problem("$", "nested too deeply")])
        case UnavailableError():
            return HttpProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{error}; try again", headers=[RETRY_AFTER]
            )
        case _:
            return HttpProblem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "an error of ours; it was logged")
