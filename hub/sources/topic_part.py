"""The `topic:` part of a source's document: which texts of a call say what it is about, and which model reads them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

_Property = Annotated[str, Meta(min_length=1, max_length=100)]


class TopicPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that has one of these texts among its properties gets the property `topic`, unless it has one."""

    texts: Annotated[list[_Property], Meta(min_length=1, max_length=10)]
    """Properties that hold text, read one after the other: `[subject, description]`."""
    model: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")] | None = None
    """What `edgewise train topics --name` called it; None: topics are those that the source states itself."""
    least_probability: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """A model that is less sure says nothing."""
    keep_text: bool = False
    """Whether the texts stay in the event. By default only the topic does."""
