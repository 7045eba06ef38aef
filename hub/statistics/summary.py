"""An arm's sufficient statistics: enough for means, ratios and CUPED without a row of the data.

They are kept around their means (Chan, Golub, LeVeque 1983), because sums of squares of large numbers cancel: a
million orders of 1,000,000.01 have no variance left in their raw sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError

Floats = NDArray[np.float64]

VALUE: Final = 0
DENOMINATOR: Final = 1
COVARIATE: Final = 2
COVARIATE_DENOMINATOR: Final = 3
_COLUMNS: Final = 4
_ROUNDING: Final = 1e-9
"""By how much a centred sum of squares may be below 0, relative to the raw sum that it was made of."""


@dataclass(frozen=True, eq=False)
class Summary:
    """Count, means and centred cross products of (value, denominator, covariate, covariate's denominator).

    What a metric does not have is the constant 1: then a ratio is a mean, and CUPED changes nothing. Summaries of
    disjoint units add up.
    """

    n: int
    """Units."""
    means: Floats
    """(4,); of no units 0."""
    products: Floats
    """(4, 4): sums over units of the products of deviations from the means."""

    @classmethod
    def of(
        cls,
        values: Floats,
        *,
        denominators: Floats | None = None,
        covariates: Floats | None = None,
        covariate_denominators: Floats | None = None,
    ) -> Summary:
        """Of one number a unit, each (n,), finite; n may be 0."""
        n = len(values)
        columns = np.ones((_COLUMNS, n))
        columns[VALUE] = values
        for place, column in enumerate((denominators, covariates, covariate_denominators), DENOMINATOR):
            if column is not None:
                columns[place] = column
        if not n:
            return EMPTY
        means = columns.mean(axis=1)
        deviations = columns - means[:, None]
        # a second pass takes the rounding of the means out; a constant column has no deviations at all
        means = means + deviations.mean(axis=1)
        deviations = columns - means[:, None]
        deviations[columns.min(axis=1) == columns.max(axis=1)] = 0.0
        return cls(n, means, deviations @ deviations.T)

    @classmethod
    def from_sums(
        cls,
        n: int,
        total: float,
        sum_squares: float,
        *,
        denominator_sum: float | None = None,
        denominator_sum_squares: float = 0.0,
        cross_product: float = 0.0,
    ) -> Summary:
        """Of raw sums over units: of values, their squares, and value times denominator (`cross_product`).

        Raises InputError for sums that no units can have.
        """
        if n < 0:
            raise InputError(f"n = {n}, expected 0 or more")
        if not n:
            if total or sum_squares or denominator_sum:
                raise InputError(f"n = 0 with a sum of {total:g} and squares of {sum_squares:g}, expected 0")
            return EMPTY
        means = np.ones(_COLUMNS)
        products = np.zeros((_COLUMNS, _COLUMNS))
        means[VALUE] = total / n
        products[VALUE, VALUE] = _centred(sum_squares, total, n, "sum_squares")
        if denominator_sum is not None:
            means[DENOMINATOR] = denominator_sum / n
            products[DENOMINATOR, DENOMINATOR] = _centred(
                denominator_sum_squares, denominator_sum, n, "denominator_sum_squares"
            )
            cross = cross_product - total * denominator_sum / n
            bound = float(np.sqrt(products[VALUE, VALUE] * products[DENOMINATOR, DENOMINATOR]))
            if abs(cross) > bound + _ROUNDING * (abs(cross_product) + abs(total * denominator_sum / n)):
                what = f"{cross_product:g}, farther from {total * denominator_sum / n:g} than the squares allow"
                raise InputError(f"cross_product = {what}")
            products[VALUE, DENOMINATOR] = products[DENOMINATOR, VALUE] = cross
        return cls(n, means, products)

    def __add__(self, other: Summary) -> Summary:
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        apart = other.means - self.means
        means = self.means + apart * (other.n / n)
        between = np.outer(apart, apart) * (self.n * other.n / n)
        return Summary(n, means, self.products + other.products + between)

    @property
    def total(self) -> float:
        """The sum of the values."""
        return float(self.means[VALUE] * self.n)

    @property
    def is_ratio(self) -> bool:
        """Whether there is a denominator other than 1."""
        return bool(self.n) and bool(self.means[DENOMINATOR] != 1.0 or self.products[DENOMINATOR, DENOMINATOR] != 0.0)

    @property
    def mean(self) -> float:
        """Of the values, over that of the denominators; NaN for no units or a denominator of 0."""
        return self.ratio(VALUE, DENOMINATOR)

    @property
    def covariances(self) -> Floats:
        """(4, 4), with n - 1 below; NaN for fewer than two units."""
        return self.products / (self.n - 1) if self.n > 1 else np.full((_COLUMNS, _COLUMNS), np.nan)

    def ratio(self, above: int, below: int) -> float:
        """Mean over mean."""
        if not self.n or self.means[below] == 0:
            return float("nan")
        return float(self.means[above] / self.means[below])

    @property
    def variance(self) -> float:
        """Of the metric, a unit; divided by n it is that of the mean (ratios: delta method)."""
        return self.ratio_covariance((VALUE, DENOMINATOR), (VALUE, DENOMINATOR))

    def ratio_covariance(self, left: tuple[int, int], right: tuple[int, int]) -> float:
        """Covariance a unit of two ratios of means, by the delta method.

        Deng, Knoblich, Lu 2018, *Applying the delta method in metric analytics*, KDD, section 2.
        """
        covariances = self.covariances
        of_left, of_right = self.ratio(*left), self.ratio(*right)
        (a, b), (c, d) = left, right
        crossed = (
            covariances[a, c]
            - covariances[a, d] * of_right
            - covariances[b, c] * of_left
            + covariances[b, d] * of_left * of_right
        )
        below = float(self.means[b] * self.means[d])
        return float(crossed) / below if below else float("nan")


EMPTY: Final = Summary(0, np.zeros(_COLUMNS), np.zeros((_COLUMNS, _COLUMNS)))
"""Of no unit."""


def _centred(sum_squares: float, total: float, n: int, name: str) -> float:
    """Sum of squared deviations. Raises InputError below 0: then the sums are not of the same numbers."""
    centred = sum_squares - total * total / n
    if centred < -_ROUNDING * sum_squares or sum_squares < 0:
        raise InputError(f"{name} = {sum_squares:g}, expected at least sum^2 / n = {total * total / n:g}")
    # what is left of a constant is the rounding of the two sums
    return centred if centred > _ROUNDING * 1e-4 * sum_squares else 0.0
