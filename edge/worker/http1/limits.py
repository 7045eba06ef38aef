"""How much, and for how long, a client may make a worker wait."""

from __future__ import annotations

from typing import Final

import msgspec

from edge.settings import EdgeSettings

WRITE_MS: Final = 10_000
"""For answers that a client does not read, once the kernel takes no more of them."""
LINGER_MS: Final = 2_000
"""For what a client still sends after he was refused: who closes at once resets, and the refusal is never seen."""
HANDSHAKE_MS: Final = 5_000
MAX_QUEUED: Final = 64
"""Requests that a client may send ahead of their answers."""
WRITE_BUFFER_BYTES: Final = 64 << 10
"""Of answers that wait for the kernel; above it no further request of the connection is looked at."""
SMALL_BODY_BYTES: Final = 16 << 10
BODIES_BYTES: Final = 128 << 20
"""Of all larger bodies that one worker holds at a time: who sends many of them slowly keeps out nobody's small one."""
MOST_LINGERING: Final = 256
"""Connections beyond the cap that are let read why."""
SPARE_DESCRIPTORS: Final = MOST_LINGERING + 256
"""For them, and for the worker's own files."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one worker. All times are absolute: what arrives in between does not renew them."""

    head_ms: float
    """From a head's first byte to its last."""
    body_ms: float
    """From a head's last byte to its body's last."""
    idle_ms: float
    """Between two requests, and before the first."""
    body_bytes: int
    connections: int

    @classmethod
    def of(cls, settings: EdgeSettings, *, descriptors: int) -> Limits:
        """As the settings say, as far as the process has file `descriptors`."""
        return cls(
            head_ms=settings.header_timeout_ms,
            body_ms=settings.body_timeout_ms,
            idle_ms=settings.idle_timeout_ms,
            body_bytes=settings.body_most_bytes,
            connections=max(1, min(settings.connections_most, descriptors - SPARE_DESCRIPTORS)),
        )
