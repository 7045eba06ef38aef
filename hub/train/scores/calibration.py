"""From what trees add up to, to probabilities that come true as often as they say.

Platt's sigmoid for two classes, and its form for K: `softmax(slope * raw + shift)`, one slope for all classes and one
shift a class. For two classes it is the very sigmoid. Isotonic regression would fit closer and is not used: it needs
far more rows, and no export of it is exact.

Sources: Platt, "Probabilistic outputs for support vector machines", 1999, with its targets for small samples; Lin, Lin
and Weng, "A note on Platt's probabilistic outputs", 2007; for K classes temperature scaling (Guo et al., "On
calibration of modern neural networks", 2017) with a bias for each class (Alexandari, Kundaje and Shrikumar, 2020).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused

Floats = NDArray[np.float64]
BINS: Final = 10
_Z: Final = 1.959964
"""Of a 95 % interval."""


class Sigmoid(msgspec.Struct, frozen=True):
    """What comes behind the trees."""

    slope: float
    """Above 0: calibration changes no order."""
    shift: tuple[float, ...]
    """One of a score of one probability, else one a class; they add up to 0 then, because only differences count."""

    def probabilities(self, raw: Floats) -> Floats:
        """(n, K) from sums of leaves, (n,) or (n, K); of one probability (n, 2), that of NO first."""
        if raw.ndim == 1:
            yes = 1.0 / (1.0 + np.exp(-(self.slope * raw + self.shift[0])))
            return np.column_stack([1.0 - yes, yes])
        moved = self.slope * raw + np.array(self.shift)
        odds = np.exp(moved - moved.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fit_sigmoid(raw: Floats, belief: Floats) -> Sigmoid:
    """The sigmoid under which `belief` (n, K) is likeliest, for sums of leaves (n,), K = 2, or (n, K).

    Raises ModelRefused (`calibration`) where the sums say the opposite of what came, or nothing.
    """
    from scipy.optimize import minimize

    targets = _smoothed(belief)
    is_one = raw.ndim == 1
    shifts = 1 if is_one else raw.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = parameters[0], parameters[1:]
        moved = slope * raw + shift[0] if is_one else slope * raw + shift
        if is_one:
            given = 1.0 / (1.0 + np.exp(-moved))
            off = given - targets[:, 1]
            said = np.logaddexp(0.0, moved) - targets[:, 1] * moved
            return float(said.mean()), np.array([(off * raw).mean(), off.mean()])
        total = np.logaddexp.reduce(moved, axis=1)
        off = np.exp(moved - total[:, None]) - targets
        said = total - (targets * moved).sum(axis=1)
        # Shifts are normal around 0, as if by one row: of a rare class a few rows must not decide much.
        pull = shift / len(raw)
        gradient = np.concatenate([[(off * raw).sum(axis=1).mean()], off.mean(axis=0) + pull])
        return float(said.mean() + (pull * shift).sum() / 2), gradient

    start = np.concatenate([[1.0], np.zeros(shifts)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    slope, shift = float(found.x[0]), found.x[1:]
    if not (slope > 0 and np.isfinite(found.x).all()):
        raise ModelRefused(
            "calibration",
            f"a slope of {slope:.3g} on later rows: what the model learned is not so later; nothing to serve",
        )
    return Sigmoid(slope, tuple(float(value) for value in (shift if is_one else shift - shift.mean())))


def _smoothed(belief: Floats) -> Floats:
    """Platt's targets: (count + 1) / (count + 2) in the place of 1, so that few rows promise nothing for sure.

    What is left of a class is shared out among the others; a mixture of classes follows linearly.
    """
    count, classes = belief.sum(axis=0), belief.shape[1]
    rest = 1.0 / (count + 2.0) / (classes - 1)
    return np.asarray(belief * ((count + 1.0) / (count + 2.0) - rest) + (belief @ rest)[:, None])


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
