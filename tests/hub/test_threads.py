"""Whoever stops what runs in a thread waits for the thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hub.threads import to_its_end


def test_who_is_cancelled_waits_for_his_thread() -> None:
    """The ledger is closed behind him."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait()
        ended.set()

    async def story() -> None:
        task = asyncio.create_task(to_its_end(work))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.wait([task], timeout=0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(story())
