"""A line of history as a call: what a live event would be forgiven, one of the past is refused for."""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from edgewise.errors import InputError, Problem
from edgewise.intake import MAX_CALL_BYTES, Call, decode_call
from hub.imports.lines import Line

_FIRST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""Records count from then on. Nothing was tracked before; what says so was converted wrongly."""


def past_call(line: Line, now_ms: int) -> Call:
    """The call of one line, with its time taken as said.

    A live event whose clock is off is moved to its receipt. History has lost that moment, and the moment of the
    import would put old behaviour at the head of a profile; so a time that cannot be is refused.

    Raises:
        InputError: with a path and what was expected, for what is no valid call of the past.
    """
    if line.too_long:
        raise _wrong("$", f"expected at most {MAX_CALL_BYTES} bytes in one line")
    call = decode_call(line.content, type=None)
    if call.timestamp is None:
        raise _wrong("$.timestamp", "expected when it happened, got nothing")
    stated = call.timestamp if call.timestamp.tzinfo else call.timestamp.replace(tzinfo=dt.UTC)
    if not _FIRST <= stated <= _FIRST + dt.timedelta(milliseconds=now_ms):
        raise _wrong("$.timestamp", f"expected between 1970 and now, got {call.timestamp.isoformat()}")
    # the clock correction needs the moment of receipt
    return msgspec.structs.replace(call, sent_at=None)


def _wrong(path: str, message: str) -> InputError:
    return InputError(f"{path}: {message}", (Problem(path, message),))
