"""Writes topics into the calls of a source, and takes the texts out.

The hub runs no model itself: a scorer, the edge's own code under limits, is started for the first text and ended with
the `Topics` that started it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from edgewise.errors import InputError
from hub.scoring_child import ScoringChild
from hub.sources.topic_part import TopicPart
from hub.topics.model import TopicModel, topic_model_path

TOPIC: Final = "topic"
PROBABILITY: Final = "topic_probability"
TOPIC_MODEL: Final = "topic_model"
FOUND: Final = (TOPIC, PROBABILITY, TOPIC_MODEL)
"""Properties that a model's answer fills."""

Calls = Sequence[dict[str, Any]]


class Topics:
    """The topic models of a data folder, ready to read texts; to be closed. Safe to use from several threads."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._child = ScoringChild()
        self._mutex = threading.Lock()  # a scorer answers one question after the other
        self._models: dict[str, tuple[tuple[int, int], TopicModel]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the scorer; safe to repeat."""
        with self._mutex:
            self._child.close()

    def write(self, part: TopicPart, calls: Calls) -> None:
        """Give every call with a text its topic, in place, and take the texts out unless the source keeps them.

        A topic that the source stated stays. What a model says is marked with its name and how sure it is.

        Raises:
            InputError: the model that the document names was never trained here. The calls are as they were.
            ModelRefused: the model is no topic model, or failed. The calls are as they were.
        """
        named = [(_properties(call), text) for call in calls if (text := _text(part, call))]
        unknown = [(properties, text) for properties, text in named if TOPIC not in properties]
        if part.model is not None and unknown:
            with self._mutex:
                model = self._model(part.model)
                topics = model.of([text for _, text in unknown], self._child)
            for (properties, _), topic in zip(unknown, topics, strict=True):
                if topic.probability >= part.least_probability:
                    properties[TOPIC] = topic.name
                    properties[PROBABILITY] = round(topic.probability, 4)
                    properties[TOPIC_MODEL] = part.model
        without_texts(part, calls)

    def _model(self, name: str) -> TopicModel:
        """The model of a name, read again when it was trained again."""
        path = topic_model_path(self._data_dir, name)
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            known = self._models.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            onnx = path.read_bytes()
        except FileNotFoundError:
            cure = f"make it with `edgewise train topics --name {name}`"
            raise InputError(f"no topic model {name!r} ({path}); {cure}") from None
        except OSError as refused:
            raise InputError(f"the topic model {path} cannot be read: {refused.strerror}") from None
        model = TopicModel.read(onnx, self._child)
        self._models[name] = (stamp, model)
        return model


def without_texts(part: TopicPart, calls: Calls) -> None:
    """Take the texts out of the calls, unless the source says to keep them; in place."""
    if not part.keep_text:
        for call in calls:
            for name in part.texts:
                _properties(call).pop(name, None)


def _properties(call: dict[str, Any]) -> dict[str, Any]:
    """Those of a call, as they lie in it; others say what they like there, and intake refuses what is no object."""
    found = call.get("properties")
    return found if isinstance(found, dict) else {}


def _text(part: TopicPart, call: dict[str, Any]) -> str:
    properties = _properties(call)
    return "\n".join(text for name in part.texts if isinstance(text := properties.get(name), str) and text.strip())
