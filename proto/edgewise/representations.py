"""What items are in placements of one format, each approved for itself: a banner, a tile, a line of a mail.

An item has to be approved itself to be shown at all: whoever takes back its approval takes it out everywhere.
"""

from __future__ import annotations

from typing import Final

from edgewise.bundle.items import ItemTable, encoded_content, is_approved
from edgewise.ids import ItemId

UNAPPROVED: Final = b""


class Representations:
    """All representations of a catalogue. Immutable once made."""

    def __init__(self, items: ItemTable) -> None:
        self._content: dict[ItemId, dict[str, bytes]] = {
            item.id: {
                name: encoded_content(known) if may_show and is_approved(known) else UNAPPROVED
                for name, known in item.representations.items()
            }
            for item, may_show in zip(items.items, items.approved.tolist(), strict=False)
            if item.representations
        }

    def content_json(self, item: ItemId, format_name: str) -> bytes | None:
        """The approved content of a representation as JSON.

        UNAPPROVED where it may not be shown; None where the item has none, and its own content counts.
        """
        known = self._content.get(item)
        return None if known is None else known.get(format_name)
