"""What a later day needs to go on with a ranker: its trees as LightGBM wrote them, and up to where it knew the history.

Kept in the registry beside the model, never shipped. It holds thresholds and sums of leaves, and no row of anybody.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from edgewise.errors import MALFORMED, ModelRefused
from hub.train.history import History

if TYPE_CHECKING:
    import lightgbm


class Continuation(msgspec.Struct, frozen=True):
    """The state of a trained model."""

    trees: str
    """LightGBM's text form."""
    objective: str
    """What they were grown for; sums of leaves of another mean something else."""
    through_ms: int
    """The moment of the last record that it knew."""
    records: int
    """How many there were until then."""
    records_sha256: str
    """Over which they were: tells whether some have come late, or were erased, since."""


_decoder = msgspec.msgpack.Decoder(Continuation)


def continuation_of(booster: lightgbm.Booster, objective: str, history: History) -> bytes:
    """Of a model that was fitted on the whole history."""
    known = Continuation(
        trees=booster.model_to_string(),
        objective=objective,
        through_ms=history.deeds[-1].moment_ms,
        records=len(history),
        records_sha256=records_digest(history, len(history)),
    )
    return msgspec.msgpack.encode(known)


def decode_continuation(data: bytes | None, model: str) -> Continuation:
    """Raises ModelRefused (`continuation`): the model has none, or it cannot be read."""
    if data is None:
        raise ModelRefused(
            "continuation", f"{model} was registered without its trees, so that nothing can be added; train it in full"
        )
    try:
        return _decoder.decode(data)
    except MALFORMED as wrong:
        raise ModelRefused("continuation", f"the trees of {model} cannot be read: {wrong}") from wrong


def records_digest(history: History, records: int) -> str:
    """SHA-256 over producer, number and kind of the first `records` records, 64 hex digits.

    Not over whole records: what a model was made of is told by `History.digest`, and this is computed every day.
    """
    hashed = hashlib.sha256()
    for deed in history.deeds[:records]:
        record = deed.record
        hashed.update(f"{record.producer} {record.seq} {type(record).__name__} {deed.moment_ms}\n".encode())
    return hashed.hexdigest()
