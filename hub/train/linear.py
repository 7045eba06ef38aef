"""A ranker that is fitted in one step: the expected reward as a linear function of columns and of pairs of columns.

Ridge regression is what LinUCB (Li, Chu, Langford, Schapire 2010, WWW, arXiv 1003.0146) and linear Thompson sampling
(Agrawal, Goyal 2013, ICML, arXiv 1209.3352) stand on: weights, and with them how sure each is, in closed form. Trees
find by themselves what goes together, from more rows and in more time; here people say it (`interactions`), and twenty
thousand decisions are learned from in less than a second.

The score is a reward, in its own unit, so that gaps between scores mean what SquareCB takes them for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits

from edgewise.errors import InputError, ModelRefused
from hub.linear_model import Floats, LinearModel, Matrix, Places, Terms
from hub.site.recipes import LinearRecipe
from hub.train.boosting import Lesson, check_lesson

MOST_TERMS: Final = 1_000
"""A node multiplies every row by a matrix of terms x terms for the standard error; a fit inverts one."""
_LEAST_NOISE: Final = 1e-6
"""Of the variance of a reward: what never varied is not known to be constant for ever."""

_STILL: Final = 1e-6
"""Of its mean: a column that varies by less is constant but for float32's rounding, which would be blown up."""
_SMALLEST: Final = 1e-30
"""One over it is still a float32."""


def fit_linear(lesson: Lesson, recipe: LinearRecipe) -> LinearModel:
    """Minimise sum of weight * (gain - intercept - terms @ w)^2 + l2 * |w|^2; the covariance is its Bayesian reading.

    Rewards are gains, 0 where nothing was wanted. With weights below 1 for what is old this is the power prior
    (Ibrahim, Chen 2000, Statistical Science 15): old rows count as fewer, so that the error grows as they fade. Rows
    that are alike are added up first: where all columns are codes, a day's rows are few different ones.

    Raises:
        InputError: as `check_lesson`; a reward is no finite number; an interaction names no column, or there would be
            too many terms.
        ModelRefused: `nothing-learned`: no column tells anything.
    """
    check_lesson(lesson)
    if not np.isfinite(lesson.gain).all():
        wrong = int((~np.isfinite(lesson.gain)).sum())
        raise InputError(f"{wrong:,} of {len(lesson):,} rewards are NaN or infinite; expected finite numbers")
    alike = _Alike(lesson)
    terms = _terms(lesson, alike, recipe)
    total = float(alike.weight.sum())
    intercept = float(alike.reward.sum() / total)
    with threadpool_limits(1):
        made = terms.of(alike.matrix)
        weighed = made * alike.weight[:, None]
        precision = weighed.T @ made
        precision[np.diag_indices_from(precision)] += recipe.l2
        factor = linalg.cho_factor(precision, lower=True)
        weights = np.asarray(linalg.cho_solve(factor, made.T @ (alike.reward - alike.weight * intercept)))
        expected = made @ weights + intercept
        if not np.ptp(expected) > 0:
            raise ModelRefused(
                "nothing-learned", f"no column tells wanted from other items in {len(lesson):,} rows; nothing to serve"
            )
        residual = alike.square - 2 * expected * alike.reward + expected**2 * alike.weight
        noise = max(float(residual.sum() / total), _LEAST_NOISE)
        # precision = L L', so that its inverse is (L^-1)' L^-1: the transposed inverse is a root of the covariance.
        root = linalg.solve_triangular(factor[0], np.eye(len(terms)), lower=True).T * np.sqrt(noise)
    return LinearModel(terms, intercept, weights, np.asarray(root), float(np.sqrt(noise / total)), noise)


class _Alike:
    """A lesson's rows, each different one once, with the sums of what came of it."""

    def __init__(self, lesson: Lesson) -> None:
        # Adding 0 makes -0 to 0, which is the same number in other bytes.
        rows = np.ascontiguousarray(lesson.matrix + np.float32(0))
        whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
        _, first, group = np.unique(whole, return_index=True, return_inverse=True)
        weight = np.ones(len(rows)) if lesson.weight is None else lesson.weight.astype(np.float64)
        gain = lesson.gain.astype(np.float64)
        self.matrix: Matrix = rows[first]
        self.weight: Floats = np.asarray(np.bincount(group, weight), np.float64)
        self.reward: Floats = np.asarray(np.bincount(group, weight * gain), np.float64)
        self.square: Floats = np.asarray(np.bincount(group, weight * gain * gain), np.float64)


def _terms(lesson: Lesson, alike: _Alike, recipe: LinearRecipe) -> Terms:
    features = lesson.matrix.shape[1]
    is_coded = np.isin(np.array(lesson.names), lesson.categorical)
    known = np.isfinite(alike.matrix)
    weight = np.where(known, alike.weight[:, None], 0.0)
    sums = np.maximum(weight.sum(axis=0), np.finfo(np.float64).tiny)
    values = np.where(known, alike.matrix, 0.0).astype(np.float64)
    mean = (weight * values).sum(axis=0) / sums
    deviation = np.sqrt((weight * np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / sums)
    numbers = np.flatnonzero(~is_coded & (deviation > np.maximum(_STILL * np.abs(mean), _SMALLEST)))
    coded, code = _codes(alike, np.flatnonzero(is_coded), recipe.most_codes)
    source = np.concatenate([numbers, coded])
    left, right = _pairs(lesson.names, source, recipe.interactions)
    if len(source) + len(left) > MOST_TERMS:
        raise InputError(
            f"{len(source)} columns and {len(left)} products of pairs; expected at most {MOST_TERMS:,} together: "
            "name fewer interactions, or keep fewer codes (linear.most_codes)"
        )
    return Terms(
        features=features,
        fill=mean.astype(np.float32),
        low=np.where(known, alike.matrix, np.inf).min(axis=0, initial=np.inf).clip(max=np.finfo(np.float32).max),
        high=np.where(known, alike.matrix, -np.inf).max(axis=0, initial=-np.inf).clip(min=np.finfo(np.float32).min),
        numbers=numbers,
        centre=mean[numbers].astype(np.float32),
        stretch=(1.0 / deviation[numbers]).astype(np.float32),
        coded=coded,
        code=code,
        left=left,
        right=right,
    )


def _codes(alike: _Alike, columns: Places, most: int) -> tuple[Places, NDArray[np.float32]]:
    """The heaviest `most` codes of each column, in order."""
    coded: list[int] = []
    codes: list[float] = []
    for column in columns.tolist():
        values, group = np.unique(alike.matrix[:, column], return_inverse=True)
        weight = np.bincount(group, alike.weight)
        kept = np.sort(np.argsort(-weight, kind="stable")[:most])
        found = [float(value) for value in values[kept] if not np.isnan(value)]
        coded += [column] * len(found)
        codes += found
    return np.array(coded, np.int64), np.array(codes, np.float32)


def _pairs(
    names: Sequence[str], source: Places, interactions: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> tuple[Places, Places]:
    """Places of both sides of every product, each pair once."""
    column_of = {name: column for column, name in enumerate(names)}
    pairs: dict[tuple[int, int], None] = {}
    for sides in interactions:
        unknown = [name for side in sides for name in side if name not in column_of]
        if unknown:
            raise InputError(f"linear.interactions names {unknown[0]!r}; the model takes {', '.join(names)}")
        one, other = (np.flatnonzero(np.isin(source, [column_of[name] for name in side])).tolist() for side in sides)
        for first in one:
            for second in other:
                if source[first] != source[second]:
                    pairs.setdefault((min(first, second), max(first, second)))
    found = np.array(list(pairs), np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
