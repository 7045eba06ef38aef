"""From what trees add up to, to probabilities that come true as often as they say.

Two classes have Platt's sigmoid (`hub.export.calibration`). K classes have its form for K, `softmax(slope * raw +
shift)`: one slope for all of them and one shift each; for two classes it is the very sigmoid. A sigmoid for each class
against the rest, as files of rows get it, was rejected here: it needs rows of every class that are as many again, and a
rare one whose few rows lie the wrong way round would be turned over.

Sources: temperature scaling (Guo et al., "On calibration of modern neural networks", 2017) with a bias for each class
(Alexandari, Kundaje and Shrikumar, "Maximum likelihood with bias-corrected calibration", 2020); Platt's targets for
small samples (Platt, "Probabilistic outputs for support vector machines", 1999).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused
from hub.export.calibration import Platt

Floats = NDArray[np.float64]


class SharedSlope(msgspec.Struct, frozen=True):
    """What comes behind the trees of K classes."""

    slope: float
    """Above 0: of two classes none changes sides with it."""
    shift: tuple[float, ...]
    """One a class; they add up to 0, because only differences count."""

    def probabilities(self, raw: Floats) -> Floats:
        """(n, K) from sums of leaves, (n, K)."""
        moved = self.slope * raw + np.array(self.shift)
        odds = np.exp(moved - moved.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


Calibration = Platt | SharedSlope


def fit_calibration(raw: Floats, belief: Floats) -> Calibration:
    """What makes `belief` (n, K) likeliest, for sums of leaves (n,) with K = 2, or (n, K).

    Raises:
        ModelRefused: `calibration`: the sums say the opposite of what came later.
        InputError: of two classes only one came.
    """
    found = Platt.fit(raw, belief.argmax(axis=1)) if raw.ndim == 1 else _shared_slope(raw, belief)
    slope = found.slopes[0] if isinstance(found, Platt) else found.slope
    if not slope > 0:
        raise ModelRefused(
            "calibration",
            f"a slope of {slope:.3g} on later rows: what the model learned is not so later; nothing to serve",
        )
    return found


def _shared_slope(raw: Floats, belief: Floats) -> SharedSlope:
    from scipy.optimize import minimize

    targets = _smoothed(belief)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = parameters[0], parameters[1:]
        moved = slope * raw + shift
        total = np.logaddexp.reduce(moved, axis=1)
        off = np.exp(moved - total[:, None]) - targets
        said = total - (targets * moved).sum(axis=1)
        # Shifts are normal around 0, as if by one row: of a rare class a few rows must not decide much.
        pull = shift / len(raw)
        gradient = np.concatenate([[(off * raw).sum(axis=1).mean()], off.mean(axis=0) + pull])
        return float(said.mean() + (pull * shift).sum() / 2), gradient

    start = np.concatenate([[1.0], np.zeros(raw.shape[1])])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    shift = found[1:] - found[1:].mean()
    return SharedSlope(float(found[0]), tuple(float(value) for value in shift))


def _smoothed(belief: Floats) -> Floats:
    """Platt's targets: (count + 1) / (count + 2) in the place of 1, so that few rows promise nothing for sure.

    What is left of a class is shared out among the others; a mixture of classes follows linearly.
    """
    count, classes = belief.sum(axis=0), belief.shape[1]
    rest = 1.0 / (count + 2.0) / (classes - 1)
    return np.asarray(belief * ((count + 1.0) / (count + 2.0) - rest) + (belief @ rest)[:, None])
