"""BG/NBD: how often somebody buys, and whether he still does.

Fader, Hardie, Lee 2005, "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing
Science 24(2), 275-284; equations are numbered as there. While alive a customer buys at a rate lambda, which differs
between customers by a gamma distribution (shape r, rate alpha); after each purchase he leaves with a probability p,
which differs by a beta distribution (a, b). Alive or not is never observed; only the purchases are.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edgewise.errors import InputError
from hub.lifetime.history import Floats, History
from hub.lifetime.maximum import summit

FEWEST_CUSTOMERS: Final = 10
FEWEST_REPEATING: Final = 5
_NODES: Final = 64
"""Of the quadrature over p: with 32 the expectation changes by less than 1e-9 of itself."""


class Bgnbd(NamedTuple):
    """A fitted model. `alpha` is in units of time, the others have none."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    intervals: dict[str, tuple[float, float]]
    """95 % of each parameter (Wald, on the logarithm); NaN where the data do not tell."""
    at_limit: bool
    """The data do not tell some parameter apart from 0 or infinity."""

    @property
    def leaving(self) -> float:
        """The mean chance to leave after a purchase."""
        return self.a / (self.a + self.b)


def fit(known: History) -> Bgnbd:
    """By maximum likelihood (equation 6).

    Raises InputError when there are fewer than 10 customers, fewer than 5 who came back, or no best parameters.
    """
    repeating = int(np.count_nonzero(known.frequency > 0))
    if known.size < FEWEST_CUSTOMERS or repeating < FEWEST_REPEATING:
        raise InputError(
            f"{known.size:,} customers, {repeating:,} of whom bought on a second day; expected at least "
            f"{FEWEST_CUSTOMERS} and {FEWEST_REPEATING}"
        )
    age = float(np.mean(known.age))
    # equal customers are counted once: half of a shop's bought once, on a few hundred different days
    rows, times = np.unique(np.column_stack([known.frequency, known.recency, known.age]), axis=0, return_counts=True)
    weights = times.astype(np.float64)
    # each start is a shop: a third of a purchase in the mean age, a loyal one, and one that loses almost everybody
    starts = [(0.3, age / 2, 0.8, 2.5), (1.0, age, 0.1, 5.0), (0.5, age / 4, 2.0, 1.0)]
    best = summit(lambda at: _likelihood(at, rows, weights), starts, "BG/NBD")
    r, alpha, a, b = map(float, best.parameters)
    names = ("r", "alpha", "a", "b")
    return Bgnbd(r, alpha, a, b, best.log_likelihood, dict(zip(names, best.intervals, strict=True)), best.at_limit)


def log_likelihood(known: History, r: float, alpha: float, a: float, b: float) -> float:
    """Of given parameters (equation 6)."""
    rows = np.column_stack([known.frequency, known.recency, known.age])
    return _likelihood(np.log([r, alpha, a, b]), rows, np.ones(known.size))[0]


def alive(model: Bgnbd, known: History) -> Floats:
    """(customers,) P(the customer has not left by the moment).

    1 for whoever never came back: in this model nobody leaves before the first repeat purchase. Fader, Hardie,
    Lee 2008, Computing P(alive) Using the BG/NBD Model.
    """
    x = known.frequency
    odds = (
        np.log(model.a)
        - np.log(np.maximum(model.b + x - 1, np.finfo(np.float64).tiny))
        + (model.r + x) * (np.log(model.alpha + known.age) - np.log(model.alpha + known.recency))
    )
    return np.where(x > 0, 1 / (1 + np.exp(np.minimum(odds, 700.0))), 1.0)


def expected_purchases(model: Bgnbd, known: History, horizon: float) -> Floats:
    """(customers,) E(purchases in the next `horizon` units): equation 10, without its hypergeometric function.

    Somebody who is alive with rate lambda and leaving probability p buys (1 - exp(-lambda p t)) / p times. Given the
    history, lambda is gamma(r + x, alpha + T) and p is beta(a, b + x). The mean over lambda is in closed form, the one
    over p is Gauss-Jacobi quadrature: unlike equation 10 it has no pole at a = 1 and no overflow for a large x.
    """
    expected = np.empty(known.size)
    for x in np.unique(known.frequency):
        here = known.frequency == x
        p, weights = _beta_nodes(model.a, model.b + float(x))
        share = horizon / (model.alpha + known.age[here])
        of_p = -np.expm1(-(model.r + x) * np.log1p(share[:, None] * p)) / p
        expected[here] = of_p @ weights
    return alive(model, known) * expected


def none_bought(model: Bgnbd, known: History, horizon: float) -> Floats:
    """(customers,) P(no purchase in the next `horizon` units): what can be observed of somebody's having left.

    The chance to have left, plus the chance to be alive and not to buy in that time, which for a rate that is
    gamma(r + x, alpha + T) is ((alpha + T) / (alpha + T + t))^(r + x).
    """
    silent: Floats = np.exp(-(model.r + known.frequency) * np.log1p(horizon / (model.alpha + known.age)))
    return 1 - alive(model, known) * (1 - silent)


def _beta_nodes(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes (64,) in (0, 1) and weights (64,) of the mean over a beta(a, b), exact for polynomials of degree 127.

    Golub, Welsch 1969, Calculation of Gauss Quadrature Rules: nodes are the eigenvalues of the matrix of the
    recurrence of Jacobi's polynomials, which beta(a, b) is the weight of on [0, 1]. SciPy's roots_jacobi weighs by
    the integral itself, which overflows for the b of a shop that nobody leaves.
    """
    from scipy.linalg import eigh_tridiagonal

    over, under = b - 1, a - 1  # exponents of (1 - z) and (1 + z) on [-1, 1]
    n = np.arange(1, _NODES)
    both = 2 * n + over + under
    diagonal = np.append((under - over) / (over + under + 2), (under - over) * (under + over) / (both * (both + 2)))
    # n + over + under and 2n + over + under - 1 are equal for n = 1, and cancel there
    ratio = np.append(1.0, ((n + over + under) / (both - 1))[1:])
    beside = np.sqrt(4 * n * (n + over) * (n + under) * ratio / (both**2 * (both + 1)))
    nodes, vectors = eigh_tridiagonal(diagonal, beside)
    return np.clip((1 + nodes) / 2, np.finfo(np.float64).tiny, 1.0), vectors[0] ** 2


def _likelihood(at: Floats, rows: Floats, weights: Floats) -> tuple[float, Floats]:
    """Equation 6 and its gradient by the logarithms of (r, alpha, a, b). `rows` (n, 3) holds x, t_x, T."""
    from scipy.special import digamma, gammaln

    r, alpha, a, b = np.exp(at)
    x, recency, age = rows.T
    back = x > 0
    lived = -(r + x) * np.log(alpha + age)
    # for x = 0 nobody can have left, and b + x - 1 may be negative
    over = np.where(back, b + x - 1, 1.0)
    left = np.where(back, np.log(a) - np.log(over) - (r + x) * np.log(alpha + recency), -np.inf)
    together = np.logaddexp(lived, left)
    value = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        + gammaln(a + b)
        + gammaln(b + x)
        - gammaln(b)
        - gammaln(a + b + x)
        + together
    )
    # how likely each of the two is, given the history
    gone = np.exp(left - together)
    stayed = 1 - gone
    by_r = digamma(r + x) - digamma(r) + np.log(alpha) - stayed * np.log(alpha + age) - gone * np.log(alpha + recency)
    by_alpha = r / alpha - (r + x) * (stayed / (alpha + age) + gone / (alpha + recency))
    by_a = digamma(a + b) - digamma(a + b + x) + gone / a
    by_b = digamma(a + b) - digamma(a + b + x) + digamma(b + x) - digamma(b) - gone / over
    slopes = np.array([weights @ by_r * r, weights @ by_alpha * alpha, weights @ by_a * a, weights @ by_b * b])
    return float(weights @ value), slopes
