"""The scorer's pipe: what is no message is refused, whatever is wrong with its bytes."""

from __future__ import annotations

import msgspec
import pytest

from edgewise.errors import InputError
from edgewise.score_job import Refused, decode_answer, decode_job, encode

NO_MESSAGE = [
    b"",
    b"\xc1",
    msgspec.msgpack.encode({"type": "refused"}),
    msgspec.msgpack.encode({"type": "refused", "code": "xy", "message": ""}).replace(b"xy", b"\xff\xff"),
    msgspec.msgpack.encode({"type": "load", "key": "xy"}).replace(b"xy", b"\xff\xff"),
    msgspec.msgpack.encode({"type": "refused", "x": None})[:-1] + b"\x91" * 50_000 + b"\xc0",
    msgspec.msgpack.encode({"type": "load", "x": None})[:-1] + b"\x91" * 50_000 + b"\xc0",
]


@pytest.mark.parametrize("body", NO_MESSAGE, ids=range(len(NO_MESSAGE)))
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(InputError, match="not a scoring job"):
        decode_job(body)
    with pytest.raises(InputError, match="not an answer of a scorer"):
        decode_answer(body)


def test_a_message_comes_back_as_it_was() -> None:
    said = Refused("code", "message")
    assert decode_answer(encode(said)[4:]) == said
