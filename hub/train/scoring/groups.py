"""How a score serves groups of people: the same measure for each, and how far predictions lie from what happened.

Measured, not judged: whether a difference is unfair is for people to say. Small groups are named and left out, because
their numbers tell of persons rather than of a group.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.train.scoring.calibration import Z
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.judging import Measured, over_rows
from hub.train.scoring.metrics import METRICS, Floats

FEWEST: Final = 30
MOST_GROUPS: Final = 50
MISSING: Final = "(missing)"


class GroupMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a column."""

    group: str
    rows: int
    measured: Measured | None
    """The kind's first metric; None where it is not defined in this group: it knows one class only."""
    too_high: Measured | None
    """Mean of prediction minus what happened, of the second class or of the quantity; None for several classes."""


class GroupsMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """A column's groups, the largest first."""

    column: str
    metric: str
    groups: list[GroupMeasured]
    left_out: list[str]
    """Groups of fewer than 30 judged rows."""


def by_group(
    column: str, words: NDArray[np.object_], kind: ScoreKind, truth: NDArray[Any], scores: Floats, *, seed: int
) -> GroupsMeasured:
    """Measure the judged rows of each value of a column; `words` are (n,), as `truth`.

    Raises as `check_groups`.
    """
    named = np.array([word or MISSING for word in words], dtype=object)
    counted = Counter(named.tolist())
    check_groups(column, words)
    metric = next(iter(METRICS[kind]))
    measured = []
    for name, count in counted.most_common():
        if count >= FEWEST:
            rows = named == name
            measured.append(_measured(name, kind, metric, truth[rows], scores[rows], seed=seed))
    left_out = [name for name, count in counted.most_common() if count < FEWEST]
    return GroupsMeasured(column=column, metric=metric, groups=measured, left_out=left_out)


def check_groups(column: str, words: NDArray[np.object_]) -> None:
    """Before anything long begins. Raises InputError where a column has more than 50 different values."""
    if (count := len(set(words.tolist()))) > MOST_GROUPS:
        raise InputError(f"column {column!r} has {count} groups; expected at most {MOST_GROUPS}")


def _measured(
    name: str, kind: ScoreKind, metric: str, truth: NDArray[Any], scores: Floats, *, seed: int
) -> GroupMeasured:
    found = None
    if not kind.has_classes or len(np.unique(truth)) == (2 if kind is ScoreKind.BINARY else scores.shape[1]):
        found = over_rows({metric: METRICS[kind][metric]}, truth, scores, seed=seed)[metric]
    too_high = None
    if scores.ndim == 1:
        missed = scores - (truth == 1 if kind is ScoreKind.BINARY else truth)
        reach = Z * float(missed.std(ddof=1)) / len(missed) ** 0.5
        mean = float(missed.mean())
        too_high = Measured(mean, mean - reach, mean + reach)
    return GroupMeasured(group=name, rows=len(truth), measured=found, too_high=too_high)
