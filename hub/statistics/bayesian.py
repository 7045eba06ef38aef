"""Two proportions with Beta(1, 1) priors: the chance that one is higher, and the interval of their ratio.

Both are one integral over the posterior of one arm, by Gauss and Legendre between quantiles of both posteriors, where
the integrand is smooth. The chance has a closed form (Miller 2015, *Formulas for Bayesian A/B testing*), a sum of as
many terms as there are successes: the tests compare with it. The ratio has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from scipy import optimize, special

from hub.statistics.summary import Floats

Counts = tuple[int, int]
"""Successes, units."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_QUANTILES: Final = np.array([1e-18, 1e-15, 1e-12, 1e-8, 1e-5, 1e-3, 1e-2, 0.1, 0.3, 0.5])

_LARGEST_LOG: Final = 256.0
"""Of a ratio of proportions; with 10^100 units it would be this far."""


class _Posterior(NamedTuple):
    a: float
    b: float

    def below(self, at: Floats) -> Floats:
        found: Floats = special.betainc(self.a, self.b, np.clip(at, 0.0, 1.0))
        return found

    def density(self, at: Floats) -> Floats:
        log = special.xlogy(self.a - 1, at) + special.xlog1py(self.b - 1, -at) - special.betaln(self.a, self.b)
        found: Floats = np.exp(log)
        return found

    def cuts(self) -> Floats:
        low = special.betaincinv(self.a, self.b, _QUANTILES)
        high = special.betainccinv(self.a, self.b, _QUANTILES)
        every: Floats = np.concatenate([low, high])
        kept: Floats = every[np.isfinite(every)]
        return kept


def chance_to_beat(control: Counts, variant: Counts) -> float:
    """P(the variant's proportion is higher)."""
    first, second = _posterior(control), _posterior(variant)
    at, weights = _grid(second, first.cuts())
    return float(np.clip(np.sum(weights * second.density(at) * first.below(at)), 0.0, 1.0))


def credible_ratio(control: Counts, variant: Counts, *, level: float) -> tuple[float, float]:
    """The central interval of (variant's proportion) / (control's)."""
    first, second = _posterior(control), _posterior(variant)
    cuts = second.cuts()

    def up_to(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        at, weights = _grid(first, cuts / ratio)
        return float(np.sum(weights * first.density(at) * second.below(at * ratio)))

    tail = (1 - level) / 2
    return _quantile(up_to, tail), _quantile(up_to, 1 - tail)


def _posterior(counts: Counts) -> _Posterior:
    successes, units = counts
    return _Posterior(1.0 + successes, 1.0 + units - successes)


def _grid(over: _Posterior, other_cuts: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights over (0, 1), dense where either posterior bends."""
    cuts = np.unique(np.clip(np.concatenate([over.cuts(), other_cuts, [0.0, 1.0]]), 0.0, 1.0))
    half = np.diff(cuts)[:, None] / 2
    at = cuts[:-1, None] + half * (_NODES + 1)
    return at.ravel(), (half * _WEIGHTS).ravel()


def _quantile(up_to: Callable[[float], float], share: float) -> float:
    """Where a distribution of log ratios reaches `share`, as a ratio."""
    reach = 1.0
    while reach < _LARGEST_LOG and not up_to(-reach) < share < up_to(reach):
        reach *= 2
    return float(np.exp(optimize.brentq(lambda log: up_to(log) - share, -reach, reach)))
