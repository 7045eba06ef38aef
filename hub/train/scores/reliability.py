"""How often a class came, beside how often it was said to: the table behind every calibration plot."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS: Final = 10
_Z: Final = 1.959964
"""Of a 95 % interval."""


class Bin(msgspec.Struct, frozen=True):
    """Rows that were given nearly the same probability of one class."""

    rows: int
    said: float
    """Mean of what was given."""
    came: float
    """Share that was so."""
    low: float
    """95 % interval of the share (Wilson 1927)."""
    high: float


class Reliability(msgspec.Struct, frozen=True):
    """How often one class came, beside how often it was said to."""

    bins: list[Bin]
    """Of equally many rows, by what was said, least first."""
    error: float
    """Expected calibration error: mean over the rows of |said - came| of their bin."""


def reliability(said: Floats, came: Floats, bins: int = BINS) -> Reliability:
    """The table of one class: probabilities (n,) and how far it was so (n,), 0 or 1, or a belief between.

    Rows of one probability stay together, so that there may be fewer bins than were asked for.
    """
    order = np.argsort(said, kind="stable")
    values = said[order]
    cuts = np.unique(np.searchsorted(values, values[(np.arange(1, bins) * len(said)) // bins], side="left"))
    made = []
    for part in np.split(order, cuts[cuts > 0]):
        low, high = wilson(float(came[part].mean()), len(part))
        made.append(Bin(len(part), float(said[part].mean()), float(came[part].mean()), low, high))
    error = sum(held.rows * abs(held.said - held.came) for held in made) / len(said)
    return Reliability(made, error)


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share of `rows` (Wilson, "Probable inference", 1927)."""
    middle = share + _Z**2 / (2 * rows)
    reach = _Z * np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    size = 1 + _Z**2 / rows
    # Of a share of 0 or 1 that end is the share itself, which rounding may miss.
    return min(share, max(0.0, float((middle - reach) / size))), max(share, min(1.0, float((middle + reach) / size)))
