"""A topic model as it was exported, and what it says of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import MALFORMED, InputError, ModelRefused, UnavailableError
from hub.durable import replace_file
from hub.scoring_child import ScoringChild
from hub.topics.words import counts

PARTS: Final = "edgewise.text_parts"
TOPICS: Final = "edgewise.classes"
TEXTS_AT_ONCE: Final = 500
_NAME: Final = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


class Topic(NamedTuple):
    """What a text is about, and how sure the model is of it."""

    name: str
    probability: float


class TopicModel(NamedTuple):
    """An exported model with what its metadata says of its input and output."""

    onnx: bytes
    columns: dict[str, int]
    """Part of a text -> column of the input that counts it."""
    topics: tuple[str, ...]

    @classmethod
    def read(cls, onnx: bytes, child: ScoringChild) -> TopicModel:
        """A model, checked by the gate.

        Raises:
            ModelRefused: the gate refuses it, or it is no topic model.
        """
        metadata = child.describe(onnx).metadata
        try:
            parts = msgspec.json.decode(metadata.get(PARTS, ""), type=list[str])
            topics = msgspec.json.decode(metadata.get(TOPICS, ""), type=tuple[str, ...])
        except MALFORMED:
            raise ModelRefused("topics", f"a model without {PARTS} and {TOPICS}; expected a topic model") from None
        columns = {part: column for column, part in enumerate(parts)}
        if len(columns) != len(parts) or len(topics) < 2 or not parts:  # noqa: PLR2004  # one topic tells nothing
            raise ModelRefused("topics", f"{len(parts)} parts of text, {len(topics)} topics; expected at least 1 and 2")
        return cls(onnx, columns, topics)

    def probabilities(self, texts: Sequence[str], child: ScoringChild) -> NDArray[np.float32]:
        """Of each topic for each text, float32 (n, topics). Raises ModelRefused as `ScoringChild.score` does."""
        parts = [np.zeros((0, len(self.topics)), dtype=np.float32)]
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            scores = child.score(self.onnx, counts(texts[start : start + TEXTS_AT_ONCE], self.columns))
            if scores.ndim == 1:  # of two topics an export gives the second's
                scores = np.stack([1.0 - scores, scores], axis=1)
            if scores.shape[1] != len(self.topics):
                raise ModelRefused("topics", f"{scores.shape[1]} scores a text for {len(self.topics)} topics")
            parts.append(scores)
        return np.concatenate(parts)

    def of(self, texts: Sequence[str], child: ScoringChild) -> list[Topic]:
        """The likeliest topic of each text; of equal ones the first by name. Raises ModelRefused as `probabilities`."""
        found = self.probabilities(texts, child)
        return [
            Topic(self.topics[best], float(row[best])) for best, row in zip(found.argmax(axis=1), found, strict=True)
        ]


def topic_model_path(data_dir: Path, name: str) -> Path:
    """Where a data folder keeps the topic model of a name. Raises InputError for what cannot be one."""
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name!r} cannot name a topic model; expected small letters, digits, - and _, up to 64")
    return data_dir / "topics" / f"{name}.onnx"


def keep_topic_model(data_dir: Path, name: str, onnx: bytes) -> Path:
    """Put a model where the sources of this data folder find it. Raises UnavailableError when it cannot be written."""
    path = topic_model_path(data_dir, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, onnx)
    except OSError as refused:
        raise UnavailableError(f"{path}: cannot be written: {refused.strerror}") from None
    return path
