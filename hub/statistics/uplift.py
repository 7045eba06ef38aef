"""Whether a score finds those whom a variant moves: gain curve, AUUC and Qini, from an experiment.

Nobody is seen in both arms, so a targeting score is judged by shares: among the best-scored share of all units, how
much higher is the variant's mean than the control's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

from hub.statistics.compare import LEVEL
from hub.statistics.summary import Floats

POINTS: Final = 100
"""At most so many shares on the curve; equal scores are never split."""
_GROUPS: Final = 50
"""Of the jackknife: random groups of units, one left out at a time."""
_FEWEST: Final = 100
"""Units in each arm, below which there is no curve."""


class GainPoint(NamedTuple):
    """Targeting the best-scored `share` of all units gains `gain` a unit of all, against targeting nobody."""

    share: float
    gain: float


class Targeting(msgspec.Struct, frozen=True, kw_only=True):
    """How well a score sorts units by what the variant does to them."""

    curve: list[GainPoint]
    """From (0, 0) to (1, the lift of everybody)."""
    auuc: float
    """Area under the curve."""
    qini: float
    """Area between the curve and the straight line to its end, which is what a random score gets."""
    qini_low: float
    """95 %, by a jackknife over groups of units."""
    qini_high: float
    sentence: str


def targeting(score: Floats, is_variant: NDArray[np.bool_], outcome: Floats, *, seed: int = 0) -> Targeting | None:
    """Of units (n,), all finite, the highest score first; None with fewer than 100 units in an arm.

    The gain at a share is share * (mean of the variant's - mean of the control's, both among that share), the
    normalised form of Radcliffe 2007, *Using control groups to target on predicted lift*; it needs no equal arms.
    """
    if min(np.count_nonzero(is_variant), np.count_nonzero(~is_variant)) < _FEWEST:
        return None
    steps = _steps(score)
    rng = np.random.default_rng(seed)
    group = rng.permutation(len(score)) % _GROUPS
    sums = _sums(steps, group, is_variant, outcome)
    total = sums.sum(axis=0)
    curve = _curve(total)
    qini = _qini(curve)
    left_out = np.array([_qini(_curve(total - part)) for part in sums])
    stderr = float(np.sqrt((_GROUPS - 1) / _GROUPS * np.sum((left_out - left_out.mean()) ** 2)))
    reach = float(special.ndtri(1 - LEVEL / 2)) * stderr
    low, high = qini - reach, qini + reach
    if low > 0:
        said = "the score finds those whom the variant moves most"
    elif high < 0:
        said = "the score finds those whom the variant moves least"
    else:
        said = "nothing shows that the score sorts better than chance"
    return Targeting(
        curve=[GainPoint(float(share), float(gain)) for share, gain in curve.T],
        auuc=_area(curve),
        qini=qini,
        qini_low=low,
        qini_high=high,
        sentence=f"Qini {qini:+.4g} (95 % {low:+.4g} to {high:+.4g}): {said}.",
    )


def _steps(score: Floats) -> NDArray[np.int64]:
    """(n,) index of the share in which a unit is targeted first; equal scores in one."""
    distinct, index, counts = np.unique(-score, return_inverse=True, return_counts=True)
    if len(distinct) <= POINTS:
        return np.asarray(index)
    reached = np.cumsum(counts) / len(score)
    step_of_distinct = np.minimum((np.ceil(reached * POINTS) - 1).astype(np.int64), POINTS - 1)
    _, step = np.unique(step_of_distinct, return_inverse=True)
    return np.asarray(step[index])


def _sums(steps: NDArray[np.int64], group: NDArray[np.int64], is_variant: NDArray[np.bool_], outcome: Floats) -> Floats:
    """(groups, 4, steps): units and outcomes of the control, then of the variant."""
    count = int(steps.max()) + 1
    cell = group * count + steps
    parts = []
    for arm in (~is_variant, is_variant):
        parts += [np.bincount(cell[arm], minlength=_GROUPS * count)]
        parts += [np.bincount(cell[arm], outcome[arm], minlength=_GROUPS * count)]
    return np.stack([part.reshape(_GROUPS, count).astype(np.float64) for part in parts], axis=1)


def _curve(sums: Floats) -> Floats:
    """(2, points): shares and gains, from (0, 0). A share in which an arm has nobody has no gain yet: 0."""
    of_control, control, of_variant, variant = np.cumsum(sums, axis=1)
    share = (of_control + of_variant) / (of_control[-1] + of_variant[-1])
    known = (of_control > 0) & (of_variant > 0)
    lift = np.zeros_like(share)
    lift[known] = variant[known] / of_variant[known] - control[known] / of_control[known]
    return np.concatenate([np.zeros((2, 1)), np.stack([share, share * lift])], axis=1)


def _area(curve: Floats) -> float:
    share, gain = curve
    return float(np.sum(np.diff(share) * (gain[1:] + gain[:-1]) / 2))


def _qini(curve: Floats) -> float:
    return _area(curve) - float(curve[1, -1]) / 2
