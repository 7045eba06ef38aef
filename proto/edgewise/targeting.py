"""What an experiment's condition may look at: the page view as `POST /v1/decide` tells it, and the visitor's traits.

The caller's own attributes stand beside `page`, `device`, `locale`, `timezone`, `geo`, `network` and `traits`, which no
attribute of the same name replaces. So a condition that was written for GrowthBook, over attributes that the page sent
it, is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgewise.attributes import CONTEXT_FIELDS, context_field
from edgewise.profile.state import Profile
from edgewise.request import Context

TRAITS: Final = "traits"
OWN: Final = frozenset({TRAITS, *(field.partition(".")[0] for field in CONTEXT_FIELDS)})
"""Names that are Edgewise's own."""


def attributes_of(context: Context, profile: Profile) -> Mapping[str, Any]:
    """All that conditions may ask. What the page says nothing of is missing, and so is a blank text.

    `profile` is the visitor's as far as it may be read.
    """
    found: dict[str, Any] = dict(context.attributes)
    for name in OWN:
        found.pop(name, None)
    for field in CONTEXT_FIELDS:
        value = context_field(context, field)
        if value is not None:
            name, _, inner = field.partition(".")
            if inner:
                found.setdefault(name, {})[inner] = value
            else:
                found[name] = value
    if profile.traits:
        found[TRAITS] = {name: trait.value for name, trait in profile.traits.items()}
    return found


def is_attribute(path: str) -> bool:
    """Whether a condition can mean something by a path: of our own names only what there is, of others everything."""
    name, _, inner = path.partition(".")
    return name not in OWN or path in CONTEXT_FIELDS or (name == TRAITS and bool(inner))
