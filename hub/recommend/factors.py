"""Matrix factorisation by the library implicit: users and items as short vectors, a score is their product.

ALS: Hu, Koren, Volinsky 2008, Collaborative Filtering for Implicit Feedback Datasets, ICDM. BPR: Rendle, Freudenthaler,
Gantner, Schmidt-Thieme 2009, BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI.

Only item vectors are kept. A visitor's vector is made anew from the items of the moment, for those who were there at
fitting as for those who were not: a node knows nobody's vector, and an item counts as soon as it is touched.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.interactions import Matrix

FACTORS_AT_MOST: Final = 512
"""A visitor's vector costs the cube of it."""
_RIDGE: Final = 0.1
"""Of BPR's way from items to users, relative to the mean square. On MovieLens' validation parts the lists are better
with it than those of the vectors that BPR learned for users, which know their own training items too well."""


@dataclass(frozen=True)
class AlsItems:
    """Item vectors of ALS, and what is needed to make a visitor's."""

    vectors: npt.NDArray[np.float64]
    """Items x factors."""
    alpha: float
    regularisation: float

    def users(self, asked: Matrix) -> npt.NDArray[np.float64]:
        """Users x factors: the exact half step of ALS, (V'V + alpha V_H'V_H + regularisation)^-1 (1 + alpha) V_H' 1.

        Cells of `asked` weigh the item: confidence is 1 + alpha times the cell.
        """
        vectors = self.vectors
        every = vectors.T @ vectors + self.regularisation * np.eye(vectors.shape[1])
        made = np.zeros((asked.shape[0], vectors.shape[1]))
        for user in range(asked.shape[0]):
            row = slice(asked.indptr[user], asked.indptr[user + 1])
            touched, extra = vectors[asked.indices[row]], self.alpha * asked.data[row]
            made[user] = np.linalg.solve(every + (touched.T * extra) @ touched, (1.0 + extra) @ touched)
        return made


def fit_als(
    history: Matrix, *, factors: int, regularisation: float, alpha: float, iterations: int, seed: int
) -> AlsItems:
    """Item vectors after so many rounds, on one thread: the same history gives the same bytes.

    Raises InputError for a setting out of its range.
    """
    _check(factors, iterations, regularisation)
    if not (np.isfinite(alpha) and alpha > 0):
        raise InputError(f"alpha is {alpha:g}, expected a number above 0")
    from implicit.als import AlternatingLeastSquares

    confidence = _as_implicit_reads(history)
    confidence.data = 1.0 + np.float32(alpha) * confidence.data
    model = _trained(
        lambda: AlternatingLeastSquares(
            factors=factors,
            regularization=regularisation,
            alpha=1.0,
            iterations=iterations,
            num_threads=1,
            random_state=seed,
            use_gpu=False,
        ),
        confidence,
    )
    return AlsItems(np.asarray(model.item_factors, np.float64), alpha, regularisation)


def fit_bpr(
    history: Matrix, *, factors: int, regularisation: float, learning_rate: float, iterations: int, seed: int
) -> npt.NDArray[np.float64]:
    """BPR as item-to-item weights, items x items, diagonal 0; on one thread.

    BPR has no rule for a user's vector but more training. Here the vectors that it learned are approximated by (mean of
    the items' vectors, 1) M, M being the ridge solution. Ranked by that, a visitor's list is a sum over his items of
    (v_i, 1) M V': weights that ship as neighbour lists.

    Raises InputError for a setting out of its range.
    """
    _check(factors, iterations, regularisation)
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate is {learning_rate:g}, expected a number above 0")
    from implicit.bpr import BayesianPersonalizedRanking

    there = _as_implicit_reads(history)
    there.data[:] = 1.0
    model = _trained(
        lambda: BayesianPersonalizedRanking(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularisation,
            iterations=iterations,
            num_threads=1,
            random_state=seed,
            use_gpu=False,
        ),
        there,
    )
    items = np.asarray(model.item_factors, np.float64)
    users = np.asarray(model.user_factors, np.float64)
    count = np.diff(history.indptr)
    known = count > 0
    means = np.asarray((history > 0).astype(np.float64) @ items) / np.maximum(count, 1)[:, None]
    means = _with_one(means[known])
    square = means.T @ means
    ridge = _RIDGE * float(np.trace(square)) / len(square) * np.eye(len(square))
    way = np.linalg.solve(square + ridge, means.T @ users[known])
    weights: npt.NDArray[np.float64] = _with_one(items) @ way @ items.T
    np.fill_diagonal(weights, 0.0)
    return weights


def _with_one(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([rows, np.ones(len(rows))])


def _as_implicit_reads(history: Matrix) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix(history, dtype=np.float32, copy=True)


def _trained(make: Callable[[], Any], cells: Any) -> Any:
    from threadpoolctl import threadpool_limits

    # More threads of BLAS would add up in another order. implicit warns of them when a model is made, or asks for them
    # to be turned off by the environment, which is too late here.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
        model.fit(cells, show_progress=False)
    return model


def _check(factors: int, iterations: int, regularisation: float) -> None:
    if not 1 <= factors <= FACTORS_AT_MOST:
        raise InputError(f"factors is {factors}, expected 1 to {FACTORS_AT_MOST}")
    if iterations < 1:
        raise InputError(f"iterations is {iterations}, expected 1 or more")
    if not (np.isfinite(regularisation) and regularisation >= 0):
        raise InputError(f"regularisation is {regularisation:g}, expected a number of 0 or more")
