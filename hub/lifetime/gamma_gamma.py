"""Gamma-Gamma: how much somebody spends when he buys.

Fader, Hardie 2013, The Gamma-Gamma Model of Monetary Value (brucehardie.com/notes/025); Fader, Hardie, Lee 2005, RFM
and CLV, Journal of Marketing Research 42(4). What a customer spends varies around his own mean by a gamma
distribution (shape p); these means differ between customers by an inverse gamma distribution (q, v). How much is
taken to be independent of how often.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edgewise.errors import InputError
from hub.lifetime.history import Floats, History
from hub.lifetime.maximum import summit

FEWEST: Final = 5


class GammaGamma(NamedTuple):
    """A fitted model. `v` is in units of money, p and q have none; q is above 1, so that the mean is finite."""

    p: float
    q: float
    v: float
    log_likelihood: float
    intervals: dict[str, tuple[float, float]]
    """95 % of p, q - 1 and v (Wald, on the logarithm)."""
    at_limit: bool
    customers: int
    """Those who came back and spent something: the model is fitted on them."""
    correlation: float
    """Of frequency and mean value among them; far from 0 the assumption of independence is wrong. NaN: constant."""

    @property
    def mean(self) -> float:
        """Of a purchase of somebody of whom nothing is known."""
        return self.p * self.v / (self.q - 1)


def fit(known: History) -> GammaGamma:
    """By maximum likelihood (equation 1a of the note), on customers with a repeat purchase of a value above 0.

    Raises InputError when there are fewer than 5, or no best parameters.
    """
    of = known.mean_value > 0  # NaN is not
    if np.count_nonzero(of) < FEWEST:
        raise InputError(
            f"{np.count_nonzero(of):,} customers with a repeat purchase above 0; expected at least {FEWEST}"
        )
    x, mean = known.frequency[of], known.mean_value[of]
    scale = float(np.mean(mean))
    if np.ptp(mean) <= 1e-9 * scale:
        raise InputError(f"every customer spends {scale:g} a purchase: there is no spending to model")
    best = summit(
        lambda at: _likelihood(at, x, mean),
        [(2.0, 2.0, scale), (6.0, 3.0, scale / 2), (1.0, 0.5, scale / 2)],
        "Gamma-Gamma",
    )
    p, above, v = map(float, best.parameters)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(x, mean)[0, 1]) if np.ptp(x) > 0 else float("nan")
    names = ("p", "q - 1", "v")
    return GammaGamma(
        p,
        1 + above,
        v,
        best.log_likelihood,
        dict(zip(names, best.intervals, strict=True)),
        best.at_limit,
        int(np.count_nonzero(of)),
        correlation,
    )


def expected_value(model: GammaGamma, known: History) -> Floats:
    """(customers,) E(value of a future purchase): between the customer's own mean and everybody's (equation 5)."""
    x = np.where(known.frequency > 0, known.frequency, 0.0)
    own = np.where(known.frequency > 0, known.mean_value, 0.0)
    return model.p * (model.v + x * own) / (model.p * x + model.q - 1)


def _likelihood(at: Floats, x: Floats, mean: Floats) -> tuple[float, Floats]:
    """Equation 1a and its gradient by the logarithms of (p, q - 1, v)."""
    from scipy.special import digamma, gammaln

    p, above, v = np.exp(at)
    q = 1 + above
    total = v + x * mean
    value = (
        gammaln(p * x + q)
        - gammaln(p * x)
        - gammaln(q)
        + q * np.log(v)
        + (p * x - 1) * np.log(mean)
        + p * x * np.log(x)
        - (p * x + q) * np.log(total)
    )
    by_p = x * (digamma(p * x + q) - digamma(p * x) + np.log(mean) + np.log(x) - np.log(total))
    by_q = digamma(p * x + q) - digamma(q) + np.log(v) - np.log(total)
    by_v = q / v - (p * x + q) / total
    return float(value.sum()), np.array([by_p.sum() * p, by_q.sum() * above, by_v.sum() * v])
