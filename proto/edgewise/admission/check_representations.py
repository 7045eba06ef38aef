"""Whether the representations of items can be told apart: each has the name of a format, and there are not too many."""

from __future__ import annotations

from typing import Final

from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.manifest import CATALOGUE
from edgewise.bundle.refusal import require

MOST_REPRESENTATIONS: Final = 64
"""Of one item."""


def check_representations(catalogue: Catalogue) -> None:
    """Raises BundleRefused."""
    for place, item in enumerate(catalogue.items):
        if not item.representations:
            continue
        path = f"$.items[{place}].representations"
        count = len(item.representations)
        message = f"{count} representations of {item.id!r}, at most {MOST_REPRESENTATIONS} are taken"
        require(count <= MOST_REPRESENTATIONS, "too_large", CATALOGUE, message, path)
        has_names = all(item.representations)
        require(has_names, "blank", CATALOGUE, f"a representation of {item.id!r} has no format", path)
