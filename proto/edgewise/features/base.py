"""What every declared feature states, whatever it computes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.consent import Purpose


class BaseFeature(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """One column of the feature table."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    sentence: str = ""
    purpose: Purpose | None = Purpose.PERSONALISATION
    """None: needs no consent, because it says nothing about a person."""
