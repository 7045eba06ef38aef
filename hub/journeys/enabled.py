"""Which journeys people have enabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger


def enabled_journeys(ledger: Ledger) -> set[str]:
    """Names of the journeys whose last word is that they are enabled; whether a site has them is not asked."""
    return ledger.enabled_journeys()
