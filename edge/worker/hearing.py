"""Waiting a moment for the hub's word about visitors of whom this node has not heard: for events, never for decisions.

A server, or a browser that proves an id of another node, reports what somebody did whose statements this node does not
know yet. Taken at once, it would be tied to nobody, for good (`proto/decisions/0009-unheard-visitors.md`). Nobody
watches an event being taken, so the answer may wait until the hub has spoken: some milliseconds, once for each visitor
and node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from edge.worker.desk import Desk
from edge.worker.visit import standing
from edgewise.ids import SubjectId

MOST_S: Final = 1.0
"""A hub that has not spoken by then is as good as away; Segment's clients wait for 10 s and more."""
FIRST_LOOK_S: Final = 0.004
"""Each look is twice as far from the one before; the first comes when the fastest answer may be here."""
MOST_BETWEEN_S: Final = 0.05


async def hear_of(desk: Desk, subjects: Iterable[SubjectId]) -> None:
    """Return once the hub has spoken about all of `subjects`, or after MOST_S, or at once while it is away."""
    unheard = _unheard(desk, subjects)
    if not (unheard and desk.condition.is_connected):
        return
    desk.want_all(unheard)
    between_s = FIRST_LOOK_S
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MOST_S):
            while unheard:
                await asyncio.sleep(between_s)
                between_s = min(2 * between_s, MOST_BETWEEN_S)
                unheard = _unheard(desk, unheard)


def _unheard(desk: Desk, subjects: Iterable[SubjectId]) -> list[SubjectId]:
    with desk.cache.reading() as reading:
        return [subject for subject in subjects if not standing(reading, subject, has_hub=True).is_heard]
