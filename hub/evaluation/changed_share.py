"""A share of decisions with its interval, where some visitors decide much of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

_Z: Final = 1.959963984540054
"""Of 95 %."""


class Share(msgspec.Struct, frozen=True):
    """How many of so many, with the 95 % interval of the share. Decisions of one visitor are no independent ones."""

    changed: int
    decisions: int
    visitors: int
    share: float
    low: float
    high: float


def share_of(changed: Sequence[bool], visitors: Sequence[str]) -> Share:
    """The share of decisions that change, with Wilson's interval for as many as they are worth.

    `visitors`: whose each decision was. Decisions of one visitor change together more often than others, so that they
    are worth fewer: by the design effect of visitors as clusters (Kish, "Survey Sampling", 1965), and where all or none
    change, as many as there are visitors.
    """
    count = len(changed)
    known = set(visitors)
    if not count:
        return Share(0, 0, 0, 0.0, 0.0, 1.0)
    outcome = np.array(changed, np.float64)
    share = float(outcome.mean())
    worth = float(len(known))
    if 0 < share < 1 and len(known) > 1:
        of_visitor = np.unique(np.array(visitors), return_inverse=True)[1]
        sums = np.bincount(of_visitor, weights=outcome - share)
        clustered = float((sums**2).sum()) / count**2 * len(known) / (len(known) - 1)
        worth = count * min(1.0, share * (1 - share) / count / clustered) if clustered > 0 else float(count)
        worth = max(1.0, worth)
    low, high = _wilson(share, worth)
    return Share(int(outcome.sum()), count, len(known), share, low, high)


def said(share: Share) -> str:
    """`12 of 480 decisions would change: 2.5 % (1.2 % to 5.1 %), of 214 visitors`."""
    if not share.decisions:
        return "no decision could be asked again"
    among = "1 visitor" if share.visitors == 1 else f"{share.visitors:,} visitors"
    middle = f"{share.share:.1%} ({share.low:.1%} to {share.high:.1%})".replace("%", " %")
    return f"{share.changed:,} of {share.decisions:,} decisions would change: {middle}, of {among}"


def _wilson(share: float, count: float) -> tuple[float, float]:
    """E. B. Wilson, "Probable inference", 1927."""
    middle = share + _Z**2 / (2 * count)
    reach = _Z * (share * (1 - share) / count + _Z**2 / (4 * count**2)) ** 0.5
    size = 1 + _Z**2 / count
    # Of a share of 0 or 1 that end is the share itself, which rounding may miss.
    return min(share, max(0.0, (middle - reach) / size)), max(share, min(1.0, (middle + reach) / size))
