"""The contents of an item, and where each is written: its own, those of its variants, and its representations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hub.site.documents import Steps
from hub.site.files import Copy, ItemFile

_CONTENT: Final = "content"


def copies(item: ItemFile) -> Iterator[tuple[Steps, Copy]]:
    """All that a person approves of an item: itself, then its variants, then its representations."""
    yield (), item
    for position, variant in enumerate(item.variants):
        yield ("variants", position), variant
    for name, represented in item.representations.items():
        yield ("representations", name), represented


def contents(item: ItemFile) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """Each content of an item."""
    for steps, copy in copies(item):
        yield (*steps, _CONTENT), copy.content


def contents_in(item: ItemFile, shown_format: str) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """Each content that a placement of this format may show: its representation, else its own and its variants'."""
    represented = item.representations.get(shown_format) if shown_format else None
    if represented is not None:
        yield ("representations", shown_format, _CONTENT), represented.content
        return
    for steps, copy in copies(item):
        if not steps or steps[0] == "variants":
            yield (*steps, _CONTENT), copy.content
