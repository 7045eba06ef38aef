"""How probable it is that a candidate is the best of all, where each score has a standard error.

Thompson (1933) draws a value for every candidate and takes the largest. The probability of that choice has no closed
form, but it is an integral over one variable:

    P(i is best) = integral of prod over j != i of F_j(x) dF_i(x),    F_j = Normal(mean_j, error_j)

It is computed on a grid, and a slot is drawn from what was computed: the logged propensity is then the probability of
the draw itself, not an estimate of it. What is approximated is Thompson's rule, in three places: values of different
candidates are taken to be independent and normal; the grid moves .002 of the probability to other candidates where
errors are alike, and .01 where they differ by four orders of magnitude; and only the fifty that reach highest compete,
of those not five standard errors below what another surely reaches (of 400 that are alike, the others would be the
best in a tenth of the cases). All others have the policy's floor.

Only sums, products, quotients, roundings and square roots are computed here, which IEEE 754 rounds the same on every
machine: a replay elsewhere comes to the same probabilities, to the bit. `exp` and `erf` of a library do not.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.exploration import Thompson

Numbers = NDArray[np.float64]

_LN2_HIGH: Final = float.fromhex("0x1.62e42fee00000p-1")
"""The upper bits of ln 2, few enough that a product with a small whole number is exact."""
_LN2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
_TAYLOR: Final = tuple(1 / math.factorial(degree) for degree in range(13, -1, -1))
_LEAST_EXPONENT: Final = -700.0
"""Below, a double has hardly any digits left."""

_NUMERATOR: Final = (
    3.52624965998911e-02,
    0.700383064443688,
    6.37396220353165,
    33.912866078383,
    112.079291497871,
    221.213596169931,
    220.206867912376,
)
_DENOMINATOR: Final = (
    8.83883476483184e-02,
    1.75566716318264,
    16.064177579207,
    86.7807322029461,
    296.564248779674,
    637.333633378831,
    793.826512519948,
    440.413735824752,
)
_FARTHEST: Final = 7.0
"""Standard errors; beyond, 10^-12 of the probability is left."""
_SURE: Final = 5.0
MOST_COMPETING: Final = 50
"""So many cost 0.2 ms a slot. Where more are alike, those that were shown become surer and make room for others."""
_HOPE: Final = 2.5
"""How many standard errors above its mean a candidate is taken to reach."""
_EVEN: Final = 64
"""Cells of the even part of the grid."""
_LEADERS: Final = 6
_NODES: Final = np.array([-2.5, -1.75, -1.2, -0.75, -0.35, 0.0, 0.35, 0.75, 1.2, 1.75, 2.5])
"""Where the grid is dense, in standard errors around the leaders' means."""
_LEAST_ERROR: Final = 1e-9
"""Of the largest error or mean: a candidate that is quite sure is nearly a step, which a grid can still cross."""


def exponential(values: Numbers) -> Numbers:
    """E to the power of `values`, which are at most 0; below -700 they count as -700. Relative error below 10^-15.

    By halving (Cody and Waite 1980) and Taylor's series of what is left, at most ln(2) / 2.
    """
    bounded = np.maximum(values, _LEAST_EXPONENT)
    halvings = np.rint(bounded * (1 / math.log(2)))
    rest = bounded - halvings * _LN2_HIGH - halvings * _LN2_LOW
    summed = np.full_like(rest, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        summed *= rest
        summed += coefficient
    return np.asarray(np.ldexp(summed, halvings.astype(np.int32)), np.float64)


def normal_below(standard: Numbers) -> Numbers:
    """P(a standard normal variable <= `standard`), in (0, 1); farther than 7 from 0 counts as 7. Error below 10^-14.

    Hart's rational function 5666 (1968) as West gives it: Better approximations to cumulative normal functions, 2005.
    """
    distance = np.minimum(np.abs(standard), _FARTHEST)
    tail = exponential(distance * distance * -0.5) * _polynomial(_NUMERATOR, distance)
    tail /= _polynomial(_DENOMINATOR, distance)
    return np.where(standard > 0, 1 - tail, tail)


def _polynomial(coefficients: tuple[float, ...], at: Numbers) -> Numbers:
    summed = np.full_like(at, coefficients[0])
    for coefficient in coefficients[1:]:
        summed *= at
        summed += coefficient
    return summed


def probability_of_best(means: Numbers, errors: Numbers, exploration: Thompson) -> Numbers:
    """Of every candidate that it is the best: float64 (n,), sums to 1.

    `means` are finite, or -inf for who does not compete (at least one does); `errors` are standard errors, finite and
    not negative. Where all errors are 0 the best has it all, shared alike among equals.
    """
    chances = np.zeros(len(means))
    scaled = errors * exploration.scale
    surely = float((means - _SURE * scaled).max())
    competing = (means + _SURE * scaled >= surely).nonzero()[0]
    if len(competing) > MOST_COMPETING:
        reach = means[competing] + _HOPE * scaled[competing]
        competing = np.sort(competing[(-reach).argsort(kind="stable")[:MOST_COMPETING]])
    if len(competing) == 1:
        chances[competing] = 1.0
        return chances
    centres, widths = means[competing], scaled[competing]
    least = _LEAST_ERROR * max(float(widths.max()), float(np.abs(centres).max()), 1e-300)
    widths = np.maximum(widths, least)
    grid = _grid(centres, widths)
    below = normal_below((grid[np.newaxis, :] - centres[:, np.newaxis]) / widths[:, np.newaxis])
    # Row after row, so that a product has one defined order.
    all_below = below[0].copy()
    for row in below[1:]:
        all_below *= row
    others = all_below / below
    # The mass of a cell, times the chance of all others to stay below it: the mean of its two ends.
    shares = (below[:, 1:] - below[:, :-1]) * (others[:, 1:] + others[:, :-1])
    masses = np.maximum(shares, 0.0).cumsum(axis=1)[:, -1]
    chances[competing] = masses / masses.cumsum()[-1]
    return chances


def _grid(centres: Numbers, widths: Numbers) -> Numbers:
    """Values that the best may have, ascending: even ones, and denser where the likeliest candidates lie."""
    lowest = float((centres - _FARTHEST * widths).max())
    highest = float((centres + _FARTHEST * widths).max())
    even = lowest + (highest - lowest) * (np.arange(_EVEN + 1) / _EVEN)
    leading = (-(centres + widths)).argsort(kind="stable")[:_LEADERS]
    dense = (centres[leading, np.newaxis] + widths[leading, np.newaxis] * _NODES[np.newaxis, :]).ravel()
    return np.sort(np.concatenate([even, dense[dense > lowest]]))
