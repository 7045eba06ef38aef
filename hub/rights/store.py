"""A place beside the ledger in which a person may be found. What keeps people must be one, and stand in `stores`."""

from __future__ import annotations

from typing import Any, Protocol

from hub.ledger.forgetting import Removed
from hub.rights.person import Person


class Store(Protocol):
    """One such place."""

    @property
    def name(self) -> str:
        """As certificates call it."""
        ...

    def count(self, person: Person) -> Removed:
        """What `erase` would remove now; changes nothing."""
        ...

    def export(self, person: Person) -> list[dict[str, Any]]:
        """His rows that `erase` would remove, as far as they can be told from those of others."""
        ...

    def erase(self, person: Person) -> Removed:
        """Remove the person for good: when this returns, no byte of his is in the files.

        Doing it again removes nothing. Raises UnavailableError when a file cannot be written.
        """
        ...
