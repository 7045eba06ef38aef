"""Writes topics into the calls of a source, and takes the texts out.

The hub runs no model itself: a scorer, the edge's own code under limits, is started for what needs one and ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edgewise.errors import InputError
from hub.scoring_child import ScoringChild, scorer
from hub.sources.topic_part import TopicPart
from hub.topics.model import TopicModel, topic_model_path

TOPIC: Final = "topic"
PROBABILITY: Final = "topic_probability"
MODEL: Final = "topic_model"

Calls = Sequence[dict[str, Any]]


def with_topics(part: TopicPart, calls: Calls, data_dir: Path, child: ScoringChild | None = None) -> None:
    """Give every call with a text its topic, in place; `child` is a scorer to use instead of a new one.

    A topic that the source stated stays. What a model says is marked with its name and how sure it is.

    Raises:
        InputError: the model that the document names was never trained here. The calls are as they were.
        ModelRefused: the model is no topic model, or failed. The calls are as they were.
    """
    waiting = [(call, text) for call in calls if (text := _text(part, call))]
    unknown = [(call, text) for call, text in waiting if TOPIC not in call["properties"]]
    if part.model is not None and unknown:
        _find(part, part.model, unknown, data_dir, child)
    without_texts(part, calls)


def without_texts(part: TopicPart, calls: Calls) -> None:
    """Take the texts out of the calls, unless the source says to keep them; in place."""
    if not part.keep_text:
        for call in calls:
            for name in part.texts:
                call.get("properties", {}).pop(name, None)


def _find(
    part: TopicPart,
    model: str,
    unknown: Sequence[tuple[dict[str, Any], str]],
    data_dir: Path,
    child: ScoringChild | None,
) -> None:
    path = topic_model_path(data_dir, model)
    try:
        onnx = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"no topic model {model!r} ({path}); make it with `edgewise train topics --name {model}`"
        ) from None
    except OSError as refused:
        raise InputError(f"the topic model {path} cannot be read: {refused.strerror}") from None
    with scorer(child) as running:
        topics = TopicModel.read(onnx, running).of([text for _, text in unknown], running)
    for (call, _), topic in zip(unknown, topics, strict=True):
        if topic.probability >= part.least_probability:
            call["properties"][TOPIC] = topic.name
            call["properties"][PROBABILITY] = round(topic.probability, 4)
            call["properties"][MODEL] = model


def _text(part: TopicPart, call: dict[str, Any]) -> str:
    properties = call.get("properties", {})
    return "\n".join(text for name in part.texts if isinstance(text := properties.get(name), str) and text.strip())
