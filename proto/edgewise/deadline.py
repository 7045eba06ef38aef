"""The time that a request has: a question that is asked between the stages of a decision, and inside slow ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

IsLate = Callable[[], bool]
"""Whether the time for this request is up. What it once answered true, it must not take back."""
NEVER_LATE: Final[IsLate] = bool
"""For whoever has time: a replay, which is told what was left out."""


class TimeIsUp(Exception):  # noqa: N818  # reads as what happened
    """A stage gave up midway; `entry.compete` turns it into an answer."""
