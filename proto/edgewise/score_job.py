"""What the hub and the edge's scorer say to each other over a pipe, when the scorer runs as a child process.

The hub runs no model itself: parity, golden vectors, replay and file scoring are measured by the code that
serves. Each message is one MessagePack map behind a four-byte big-endian length; a `Job` is answered by one
`Answer`, in order.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import MALFORMED, InputError

LENGTH_BYTES = 4
MOST_FRAME_BYTES = 1 << 30

Dtype = Literal["float32", "int64", "bool", "string"]


class Tensor(msgspec.Struct, frozen=True):
    """A named array, row-major, little-endian; strings travel as a list, in the same order."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    data: bytes = b""
    strings: list[str] = []


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Check a model and make a session of it, to be used by `key` from now on.

    `features` is the width that a one-matrix model must have, or None for a model of named columns.
    """

    key: str
    model: bytes
    features: int | None
    most_bytes: int


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run a loaded model once on `inputs`, and `repeat` times more to measure."""

    key: str
    inputs: list[Tensor]
    repeat: int = 0


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model passed the gate and has a session."""

    inputs: dict[str, Dtype]
    outputs: list[str]
    metadata: dict[str, str]


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """The outputs, and how long the runs took (one figure a run, the first included)."""

    outputs: list[Tensor]
    seconds: list[float]
    peak_memory_bytes: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The job was not done; `code` and `message` as in `ModelRefused`."""

    code: str
    message: str


Job = Load | Run
Answer = Loaded | Ran | Refused

_encoder = msgspec.msgpack.Encoder()
_jobs: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode(message: Job | Answer) -> bytes:
    """One frame: length, then the message."""
    body = _encoder.encode(message)
    if len(body) > MOST_FRAME_BYTES:
        raise InputError(f"a message of {len(body)} bytes; expected at most {MOST_FRAME_BYTES}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_job(body: bytes) -> Job:
    """The job in a frame's body.

    Raises:
        InputError: the bytes are no job.
    """
    try:
        return _jobs.decode(body)
    except MALFORMED as wrong:
        raise InputError(f"not a scoring job: {wrong}") from wrong


def decode_answer(body: bytes) -> Answer:
    """The answer in a frame's body.

    Raises:
        InputError: the bytes are no answer.
    """
    try:
        return _answers.decode(body)
    except MALFORMED as wrong:
        raise InputError(f"not an answer of a scorer: {wrong}") from wrong


def body_length(prefix: bytes) -> int:
    """The length that a frame's first four bytes announce.

    Raises:
        InputError: too few bytes, or more than `MOST_FRAME_BYTES` announced.
    """
    length = int.from_bytes(prefix, "big")
    if len(prefix) != LENGTH_BYTES or length > MOST_FRAME_BYTES:
        raise InputError(f"a frame starts with {prefix!r}; expected a length up to {MOST_FRAME_BYTES}")
    return length


def to_tensor(name: str, values: NDArray[Any]) -> Tensor:
    """An array as it travels.

    Raises:
        InputError: a dtype that no model of ours takes.
    """
    shape = tuple(values.shape)
    if values.dtype.kind in "OU":
        return Tensor(name, "string", shape, strings=[str(value) for value in values.reshape(-1)])
    for dtype in ("float32", "int64", "bool"):
        if values.dtype == np.dtype(dtype):
            return Tensor(name, dtype, shape, data=np.ascontiguousarray(values).tobytes())
    raise InputError(f"array {name} has dtype {values.dtype}; expected float32, int64, bool or strings")


def to_array(tensor: Tensor) -> NDArray[Any]:
    """The array that travelled; read-only unless it holds strings.

    Raises:
        InputError: shape and content do not fit.
    """
    try:
        if tensor.dtype == "string":
            return np.array(tensor.strings, dtype=object).reshape(tensor.shape)
        return np.frombuffer(tensor.data, dtype=tensor.dtype).reshape(tensor.shape)
    except ValueError as wrong:
        raise InputError(f"array {tensor.name} does not have shape {tensor.shape}: {wrong}") from wrong
