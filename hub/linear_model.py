"""A line over columns and products of pairs of columns, with how sure it is.

x: missing -> mean, cut to the range seen, centred -> numbers    |
x: which of the codes seen                         -> 0 or 1     |-> both, and products of pairs -> score, error
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is made of a row before it is weighed: numbers, then one column a known code, then products of pairs."""

    features: int
    """F, columns of the input."""
    fill: NDArray[np.float32]
    """(F,): stands for a missing number."""
    low: NDArray[np.float32]
    """(F,): smallest number seen; what lies below is taken as this, because a line goes on for ever."""
    high: NDArray[np.float32]
    """(F,)"""
    numbers: Places
    """(numbers,): the columns that are numbers."""
    centre: NDArray[np.float32]
    """(numbers,): mean."""
    stretch: NDArray[np.float32]
    """(numbers,): one over the standard deviation."""
    coded: Places
    """(codes,): the column of each known code."""
    code: NDArray[np.float32]
    """(codes,): which number it is. A code that was never seen is none of them."""
    left: Places
    """(pairs,): one column of a product, by its place among numbers and codes."""
    right: Places
    """(pairs,)"""

    @property
    def base(self) -> int:
        """How many numbers and codes."""
        return len(self.numbers) + len(self.coded)

    def __len__(self) -> int:
        return self.base + len(self.left)

    def of(self, matrix: Matrix) -> Floats:
        """Float64 (n, terms) of float32 (n, F)."""
        filled = np.where(np.isnan(matrix), self.fill, matrix)
        cut = np.minimum(np.maximum(filled, self.low), self.high)
        numbers = (cut[:, self.numbers] - self.centre) * self.stretch
        columns = np.hstack([numbers, matrix[:, self.coded] == self.code]).astype(np.float64)
        return np.hstack([columns, columns[:, self.left] * columns[:, self.right]])

    def source(self) -> Places:
        """(base,): which input column a number or a code was made of."""
        return np.concatenate([self.numbers, self.coded])


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Weights, and how sure they are."""

    terms: Terms
    intercept: float
    weights: Floats
    """(terms,)"""
    root: Floats
    """(terms, terms): covariance of the weights = root @ root.T."""
    intercept_error: float
    """Standard error of the intercept."""
    noise: float
    """Variance of a reward around its expectation."""

    def scores(self, matrix: Matrix) -> Floats:
        """Expected rewards, float64 (n,)."""
        return np.asarray(self.terms.of(matrix) @ self.weights + self.intercept, np.float64)

    def errors(self, matrix: Matrix) -> Floats:
        """Standard errors of the expected rewards, float64 (n,), above 0: of the mean, not of a single reward."""
        spread = self.terms.of(matrix) @ self.root
        return np.asarray(np.sqrt((spread * spread).sum(axis=1) + self.intercept_error**2), np.float64)

    def credits(self) -> Floats:
        """(terms, F + 1): what of each weighed term goes to which input column; a pair shares alike.

        The last column is the bias, to which no term adds.
        """
        source = self.terms.source()
        credited = np.zeros((len(self.terms), self.terms.features + 1))
        credited[np.arange(self.terms.base), source] = self.weights[: self.terms.base]
        pair = np.arange(self.terms.base, len(self.terms))
        half = self.weights[self.terms.base :] / 2
        np.add.at(credited, (pair, source[self.terms.left]), half)
        np.add.at(credited, (pair, source[self.terms.right]), half)
        return credited
