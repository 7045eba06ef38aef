"""Whether an answer is right: status 200, of the shape that was promised, its reasons from the closed list."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from edgewise.errors import problem_of
from edgewise.reasons import Reason

FALLBACKS: Final = frozenset(reason for reason in Reason if reason.startswith("FALLBACK_"))
HURRIED: Final = frozenset({Reason.FALLBACK_OVERLOAD, Reason.FALLBACK_DEADLINE})
"""Of these: a node that had time would have answered better."""


class Shown(msgspec.Struct, frozen=True):
    """An item of an answer."""

    id: str
    reason: Reason


class Placed(msgspec.Struct, frozen=True):
    """A placement of an answer."""

    reason: Reason
    items: list[Shown]


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """What a bench reads of a decision."""

    decision_id: str
    placements: dict[str, Placed]
    took_ms: float
    """Inside the node, as it says."""


class _Success(msgspec.Struct, frozen=True):
    success: bool


class _Batch(msgspec.Struct, frozen=True):
    success: bool
    rejected: list[msgspec.Raw] = []


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""


class WrongAnswerError(Exception):
    """An answer that a page could not use; its text is one of few, to be counted by."""


_decided = msgspec.json.Decoder(Decided)
_success = msgspec.json.Decoder(_Batch)


def read_decision(status: int, body: bytes) -> Decided:
    """The answer of `/v1/decide`.

    Raises:
        WrongAnswerError: it is not right.
    """
    if status != HTTPStatus.OK:
        raise WrongAnswerError(f"status {status}")
    try:
        return _decided.decode(body)
    except msgspec.ValidationError as wrong:
        problem = problem_of(str(wrong))
        if problem.message.startswith("Invalid enum value"):
            raise WrongAnswerError("reason outside the closed list") from None
        raise WrongAnswerError(f"malformed decision at {problem.path}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WrongAnswerError("not JSON") from None


def read_success(status: int, body: bytes) -> None:
    """The answer of `/v1/track` and `/v1/batch`.

    Raises:
        WrongAnswerError: it is not right, or part of a batch was rejected.
    """
    if status != HTTPStatus.OK:
        raise WrongAnswerError(f"status {status}")
    try:
        answer = _success.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WrongAnswerError("no success in the answer") from None
    if not answer.success or answer.rejected:
        raise WrongAnswerError("an event was rejected")


def detail_of(body: bytes) -> str:
    """What a node says of a request that it refused (RFC 9457); empty when it says nothing."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return problem.detail or problem.title
