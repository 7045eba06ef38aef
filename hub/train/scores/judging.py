"""How good a score is on rows later than all that it learned from, beside what needs no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.evaluation.bootstrap import percentile_interval
from hub.train.judging import Estimate
from hub.train.scores.reliability import Floats, Reliability, reliability
from hub.train.scores.rows import ScoreRows
from hub.train.scoring.metrics import TINY, auc, average_precision

RESAMPLES: Final = 300
Ints = NDArray[np.int64]
_Measure = Callable[[Floats], float]
"""Row weights to one number."""


class Prior(NamedTuple):
    """What needs no model: how frequent each class was among the rows that were learned from, (K,)."""

    share: Floats

    @property
    def likeliest(self) -> int:
        """The most frequent class."""
        return int(self.share.argmax())


class JudgedScore(msgspec.Struct, frozen=True):
    """Measures with 95 % intervals by bootstrap over visitors, whose rows hang together; and how calibrated it is."""

    rows: int
    visitors: int
    measures: dict[str, Estimate]
    reliability: dict[str, Reliability]
    """Class -> how often it came beside how often it was said to."""
    error: float
    """Expected calibration error, mean over the classes by how often they came."""
    error_before: float
    """The same of trees alone."""


def judge_score(
    rows: ScoreRows,
    said: Floats,
    said_before: Floats,
    *,
    classes: tuple[str, ...],
    prior: Prior,
    last: Ints | None,
    seed: int,
) -> JudgedScore:
    """Judge probabilities (n, K) of `rows`; `said_before` are those of trees alone.

    `classes` is empty for a score that says one probability. `last` (n,) is the class of what was touched last, -1
    where it is none.
    """
    measures = _binary(rows, said, prior) if not classes else _of_classes(rows, said, prior, last)
    visitors, visitor = np.unique(rows.visitor, return_inverse=True)
    drawn = np.empty((RESAMPLES, len(measures)))
    rng = np.random.default_rng(seed)
    for resample in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, len(visitors), len(visitors)), minlength=len(visitors))
        weights = counts[visitor].astype(np.float64)
        drawn[resample] = [measure(weights) for measure in measures.values()]
    ones = np.ones(len(rows))
    estimates = {
        name: Estimate(measure(ones), *percentile_interval(drawn[:, position]))
        for position, (name, measure) in enumerate(measures.items())
    }
    tables = tables_of(said, rows.belief, classes)
    return JudgedScore(
        len(rows),
        len(visitors),
        estimates,
        tables,
        _error(tables, rows.belief, classes),
        _error(tables_of(said_before, rows.belief, classes), rows.belief, classes),
    )


def tables_of(said: Floats, belief: Floats, classes: tuple[str, ...]) -> dict[str, Reliability]:
    """Class -> its calibration table; of one probability only that of YES, under `yes`."""
    if not classes:
        return {"yes": reliability(said[:, 1], belief[:, 1])}
    return {name: reliability(said[:, position], belief[:, position]) for position, name in enumerate(classes)}


def _error(tables: dict[str, Reliability], belief: Floats, classes: tuple[str, ...]) -> float:
    errors = np.array([table.error for table in tables.values()])
    return float(errors[0]) if not classes else float((errors * belief.mean(axis=0)).sum())


def _binary(rows: ScoreRows, said: Floats, prior: Prior) -> dict[str, _Measure]:
    answer, given = rows.answer, said[:, 1]
    loss, loss_of_prior = _losses(rows.belief, said), _losses(rows.belief, np.tile(prior.share, (len(rows), 1)))
    return {
        "auc": lambda weights: auc(answer, given, weights),
        "average_precision": lambda weights: average_precision(answer, given, weights),
        "share of yes": _mean(answer.astype(np.float64)),
        "brier": _mean((given - rows.belief[:, 1]) ** 2),
        "log_loss": _mean(loss),
        "log_loss below the prior's": _mean(loss_of_prior - loss),
    }


def _of_classes(rows: ScoreRows, said: Floats, prior: Prior, last: Ints | None) -> dict[str, _Measure]:
    answer, given = rows.answer, said.argmax(axis=1)
    hit = (given == answer).astype(np.float64)
    hit_of_prior = (answer == prior.likeliest).astype(np.float64)
    loss, loss_of_prior = _losses(rows.belief, said), _losses(rows.belief, np.tile(prior.share, (len(rows), 1)))
    measures = {
        "accuracy": _mean(hit),
        "accuracy above the most frequent": _mean(hit - hit_of_prior),
        "f1_macro": lambda weights: f1_macro(answer, given, weights),
        "macro_auc": lambda weights: macro_auc(answer, said, weights),
        "log_loss": _mean(loss),
        "log_loss below the prior's": _mean(loss_of_prior - loss),
    }
    if last is not None:
        hit_of_last = (answer == last).astype(np.float64)
        measures["accuracy of the last"] = _mean(hit_of_last)
        measures["accuracy above the last"] = _mean(hit - hit_of_last)
    return measures


def f1_macro(answer: Ints, given: Ints, weights: Floats) -> float:
    """Mean F1 over the classes that came at all: of one that never came nothing can be found out."""
    classes = int(max(answer.max(), given.max())) + 1
    hit = np.bincount(answer, weights * (answer == given), minlength=classes)
    came, said = (np.bincount(of, weights, minlength=classes) for of in (answer, given))
    return float((2 * hit / np.maximum(came + said, TINY))[came > 0].mean())


def macro_auc(answer: Ints, said: Floats, weights: Floats) -> float:
    """Mean over the classes that came, and were not all that came, of the AUC of each against the rest."""
    each = [auc((answer == position).astype(np.int64), said[:, position], weights) for position in range(said.shape[1])]
    defined = [value for value in each if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _losses(belief: Floats, said: Floats) -> Floats:
    """(n,): -log of what was given to the answer, averaged over the odds of answers."""
    return np.asarray(-(belief * np.log(np.clip(said, TINY, 1.0))).sum(axis=1))


def _mean(values: Floats) -> _Measure:
    return lambda weights: float(values @ weights / weights.sum())
