"""Uniform numbers that anybody can draw again: a keyed hash of what is decided, not a generator with a state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from edgewise.ids import DecisionId, PlacementName

Draw = Callable[[PlacementName, int], float]
"""(placement, slot) -> a number in [0, 1)."""

_KEY_BYTES: Final = 64
_UNIT: Final = 2.0**-53


def draw_from(salt: str, decision_id: DecisionId) -> Draw:
    """The draws of one decision: BLAKE2b (RFC 7693), keyed by the site's salt, of decision id, placement and slot.

    The upper 53 bits of 64 make a float that is uniform on the multiples of 2**-53 in [0, 1).
    """
    key = salt.encode()
    if len(key) > _KEY_BYTES:
        key = hashlib.blake2b(key).digest()
    identity = decision_id.encode()
    started = hashlib.blake2b(len(identity).to_bytes(4) + identity, digest_size=8, key=key)

    def draw(placement: PlacementName, slot: int) -> float:
        hashed = started.copy()
        # The slot has a fixed width and comes first, so that no placement's name can run into it.
        hashed.update(slot.to_bytes(4) + placement.encode())
        return (int.from_bytes(hashed.digest()) >> 11) * _UNIT

    return draw
