"""What reward to expect of each action in each situation: the model of the direct and doubly robust methods.

Logistic regression for rewards of 0 and 1, ridge regression for others, on situation, action and position. Both are
linear, so a prediction for every action is a sum of three parts and no rows x actions design is ever built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hub.evaluation.estimators import Predictions
from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.evaluation.policies import Target
from hub.imports.cells import looks_numeric, numbers, texts

if TYPE_CHECKING:
    import pyarrow as pa

FOLDS: Final = 3
MAX_ITERATIONS: Final = 1000
_CATEGORIES: Final = 50  # of one text column; rarer ones are all alike
_BLOCK_CELLS: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class _Design:
    situation: Floats
    """(rows, features)"""
    actions: Floats
    """(actions, features)"""
    positions: Floats
    """(distinct positions, features)"""
    position: Integers
    """(rows,): index into `positions`."""

    def of_shown(self, rows: Integers, action: Integers) -> Floats:
        return np.hstack([self.situation[rows], self.actions[action[rows]], self.positions[self.position[rows]]])


def cross_fitted(
    log: LoggedDecisions, target: Target | None, *, rng: np.random.Generator, folds: int = FOLDS
) -> Predictions:
    """Predictions for every row by a model that was fitted without the row's unit: its user, else its decision.

    Chernozhukov et al. 2018, *Double/debiased machine learning*, Econometrics Journal 21(1). `target` None is the
    logging policy: of its actions only the shown one is known, so that is what is expected of it.
    """
    design = _design(log)
    unit = log.unit
    fold = rng.permutation(np.arange(int(unit.max(initial=-1)) + 1) % folds)[unit]
    logged, expected = np.empty(log.rows), np.empty(log.rows)
    for held_out in range(folds):
        rows = np.flatnonzero(fold == held_out)
        if not len(rows):
            continue
        model = _fitted(design, log, np.flatnonzero(fold != held_out))
        logged[rows] = model.shown(design, rows, log.action)
        expected[rows] = logged[rows] if target is None else model.expected(design, rows, target)
    return Predictions(logged, expected)


@dataclass(frozen=True, slots=True)
class _Linear:
    coefficients: Floats
    intercept: float
    logistic: bool

    def shown(self, design: _Design, rows: Integers, action: Integers) -> Floats:
        return self._mean(design.of_shown(rows, action) @ self.coefficients + self.intercept)

    def expected(self, design: _Design, rows: Integers, target: Target) -> Floats:
        widths = np.cumsum([design.situation.shape[1], design.actions.shape[1]])
        situation, action, position = np.split(self.coefficients, widths)
        of_row = design.situation[rows] @ situation + (design.positions @ position)[design.position[rows]]
        of_action = design.actions @ action + self.intercept
        # what the policy gives to unknown actions earns what its known ones earn: nothing says otherwise
        table = target.table / np.maximum(target.table.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        expected = np.empty(len(rows))
        at_once = max(1, _BLOCK_CELLS // len(of_action))
        for start in range(0, len(rows), at_once):
            block = slice(start, start + at_once)
            predicted = self._mean(of_row[block, None] + of_action)
            expected[block] = np.einsum("ra,ra->r", predicted, table[target.group[rows[block]]])
        return expected

    def _mean(self, linear: Floats) -> Floats:
        from scipy.special import expit

        return np.asarray(expit(linear), np.float64) if self.logistic else linear


def _fitted(design: _Design, log: LoggedDecisions, rows: Integers) -> _Linear:
    from sklearn.linear_model import LogisticRegression, Ridge

    features, rewards = design.of_shown(rows, log.action), log.reward[rows]
    stands_for = None if log.sample_weight is None else log.sample_weight[rows]
    if not len(rows) or rewards.min() == rewards.max():
        constant = float(rewards[0]) if len(rows) else 0.0
        return _Linear(np.zeros(features.shape[1]), constant, logistic=False)
    logistic = set(np.unique(rewards).tolist()) == {0.0, 1.0}
    model: Any = LogisticRegression(solver="newton-cholesky", max_iter=MAX_ITERATIONS) if logistic else Ridge()
    model.fit(features, rewards, sample_weight=stands_for)
    return _Linear(np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]), logistic)


def _design(log: LoggedDecisions) -> _Design:
    places, position = np.unique(log.position, return_inverse=True)
    situation = [_encoded(log.context.column(name)) for name in log.context.column_names]
    return _Design(
        situation=np.hstack(situation) if situation else np.zeros((log.rows, 0)),
        actions=_action_design(log),
        positions=np.eye(len(places)) if len(places) > 1 else np.zeros((1, 0)),
        position=position.astype(np.int64),
    )


def _action_design(log: LoggedDecisions) -> Floats:
    """(actions, features): what is known about actions; without anything known, which action it is."""
    if log.action_features is None or log.action_features.num_columns < 2:  # noqa: PLR2004  # the key alone
        return np.eye(len(log.actions))
    listed = {action: row for row, action in enumerate(log.action_features.column("action").to_pylist())}
    names = [name for name in log.action_features.column_names if name != "action"]
    features = np.hstack([_encoded(log.action_features.column(name)) for name in names])
    unlisted = np.zeros((1, features.shape[1]))
    return np.vstack([features, unlisted])[[listed.get(action, -1) for action in log.actions]]


def _encoded(column: pa.ChunkedArray) -> Floats:
    """(rows, features): a number standardised, text one-hot; what is missing is average or no category."""
    if looks_numeric(column):
        values = numbers(column)
        spread = float(np.nanstd(values))
        scaled = (values - np.nanmean(values)) / (spread or 1.0)
        return np.nan_to_num(scaled)[:, None]
    encoded = texts(column).combine_chunks().dictionary_encode()
    count = len(encoded.dictionary)
    index = encoded.indices.fill_null(count).to_numpy()
    frequent = np.argsort(-np.bincount(index, minlength=count + 1)[:count], kind="stable")[:_CATEGORIES]
    return np.asarray(index[:, None] == frequent, np.float64)
