"""How current a node is: rules on times alone. Who measured them is not decided here."""

from __future__ import annotations

from typing import Final

from edgewise.reasons import State

STALE_AFTER_MS: Final = 60_000
"""A hub that was not heard for this long makes a node STALE."""


def state_of(*, has_bundle: bool, now_ms: int, hub_last_seen_ms: int | None, metadata_expires_ms: int | None) -> State:
    """READY, STALE (which still serves) or ERROR (no bundle: the built-in fallback answers).

    `hub_last_seen_ms` None: this node has no hub, so nothing is missed. A node that has one counts from its own
    start until it hears it. `metadata_expires_ms` None: nothing signed vouches for the bundle, so nothing expires
    (a node that was started with a bundle of its own). A clock that jumped back makes nothing stale.
    """
    if not has_bundle:
        return State.ERROR
    is_unheard = hub_last_seen_ms is not None and now_ms - hub_last_seen_ms >= STALE_AFTER_MS
    is_expired = metadata_expires_ms is not None and now_ms >= metadata_expires_ms
    return State.STALE if is_unheard or is_expired else State.READY
