"""How long texts and how large pictures of a placement may be. Checked when a site is read; nodes pass over it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Pixels = Annotated[int, Meta(ge=1, le=32_768)]


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """From `least` to `most`, both included."""

    least: Pixels | None = None
    most: Pixels | None = None


class ContentLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one field of a content must be like. It is a picture where anything of a picture is asked for."""

    required: bool = False
    """Whether every content has to have it, and not blank."""
    most_characters: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    most_bytes: Annotated[int, Meta(ge=1)] | None = None
    """Of the picture's file."""
    width: Pixels | Span | None = None
    """Of the picture, in pixels: exactly, or from and to."""
    height: Pixels | Span | None = None
    alt: Literal["required", "optional"] = "optional"
    """Whether the picture needs a text for people who do not see it, in the field `alt` or `FIELD_alt`."""

    @property
    def is_of_picture(self) -> bool:
        """Whether the field is a picture."""
        asked = (self.most_bytes, self.width, self.height)
        return self.alt == "required" or any(limit is not None for limit in asked)
