"""Work of an event loop that runs in a thread, and whose end somebody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(work: Callable[..., T], *args: object) -> T:
    """Run it in a thread; who is cancelled meanwhile waits for that, as the ledger is closed behind him.

    `asyncio.to_thread` alone returns at once when it is cancelled, and its thread writes on.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
