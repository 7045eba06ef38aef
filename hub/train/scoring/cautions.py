"""What is odd about a table before anything is learned from it; each caution names the column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.train.scoring.choices import ScoreKind
from hub.train.scoring.columns import Cells, Column
from hub.train.scoring.judging import Measured
from hub.train.scoring.metrics import auc, r2
from hub.train.scoring.target import Target

FEW_ROWS = 200
RARE_SHARE = 0.05
LEAK_AUC = 0.99
LEAK_R2 = 0.999
BINS = 64
IDENTIFIER_SHARE = 0.95
EXACT_IN_FLOAT32 = 2**24
_CHANCE: Final[Mapping[ScoreKind, tuple[str, float]]] = {
    ScoreKind.BINARY: ("auc", 0.5),
    ScoreKind.MULTICLASS: ("macro_auc", 0.5),
    ScoreKind.REGRESSION: ("r2", 0.0),
    ScoreKind.COUNT: ("deviance_explained", 0.0),
}
"""For each kind a metric, and its value where every row is told the same."""
MOST_WORDS = 1_000
"""Different words in a text column; a column with more is left out if most rows have their own."""


class Judged(NamedTuple):
    """Columns worth learning from, and what people should know about the others and the rows."""

    columns: tuple[Column, ...]
    warnings: tuple[str, ...]


def judge_table(rows: Cells, columns: Sequence[Column], target: Target, *, seed: int) -> Judged:
    """Look at each column and at the rows as a whole; columns without information are left out.

    `rows` are those that have a target.

    Raises:
        InputError: no column is left.
    """
    warnings = list(_about_rows(rows, target))
    kept: list[Column] = []
    seen: dict[bytes, str] = {}
    for index, column in enumerate(columns):
        values = rows[:, index]
        useless = _useless(column, values) or _duplicate(column, values, seen)
        if useless:
            warnings.append(f"{useless} and was left out")
            continue
        kept.append(column)
        warnings += _about_column(column, values, target, seed)
    if not kept:
        raise InputError(f"no feature column is left: {'; '.join(warnings)}")
    return Judged(tuple(kept), tuple(warnings))


def about_quality(kind: ScoreKind, metrics: Mapping[str, Measured]) -> tuple[str, ...]:
    """Whether a model was shown to be better than saying the same of every row."""
    name, chance = _CHANCE[kind]
    held = metrics[name]
    if held.ci_low > chance:
        return ()
    interval = f"[{held.ci_low:.3f}, {held.ci_high:.3f}]"
    return (f"{name} is {held.mean:.3f} {interval} and not shown to be above {chance:g}, that of one answer for all",)


def _about_rows(rows: Cells, target: Target) -> Iterator[str]:
    count = len(rows)
    missing = int((~target.present).sum())
    if missing:
        yield f"{missing} rows have no {target.name!r} and were left out"
    if count < FEW_ROWS:
        yield f"only {count} rows: the intervals are wide, and a model of so few rows may be chance"
    repeated = count - len({(*map(repr, row), value) for row, value in zip(rows, target.values, strict=True)})
    if repeated:
        yield f"{repeated} of {count} rows repeat another row; some are learned from and judged on"
    if target.kind is ScoreKind.BINARY:
        share = float((target.values == 1).mean())
        if min(share, 1 - share) < RARE_SHARE:
            rare = target.classes[1] if share < 1 - share else target.classes[0]
            yield f"only {min(share, 1 - share):.1%} of the rows are {rare!r}: look at average precision, not at AUC"


def _useless(column: Column, values: NDArray[np.object_]) -> str | None:
    if column.kind == "text":
        different = len(set(values))
        if different == 1:
            return f"column {column.name!r} is constant ({values[0]!r})" if values[0] else _empty(column)
        if different > MOST_WORDS and different > len(values) / 2:
            return f"column {column.name!r} has {different} different words in {len(values)} rows"
        return None
    numbers = values.astype(np.float64)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return _empty(column)
    if len(present) == len(numbers) and (numbers == numbers[0]).all():
        return f"column {column.name!r} is constant ({numbers[0]:g})"
    return None


def _empty(column: Column) -> str:
    return f"column {column.name!r} has no value in any row"


def _duplicate(column: Column, values: NDArray[np.object_], seen: dict[bytes, str]) -> str | None:
    key = "\0".join(map(repr, values)).encode() if column.kind == "text" else values.astype(np.float64).tobytes()
    first = seen.setdefault(key, column.name)
    return None if first == column.name else f"column {column.name!r} repeats column {first!r}"


def _about_column(column: Column, values: NDArray[np.object_], target: Target, seed: int) -> Iterator[str]:
    alone = _alone(column, values, target, seed)
    if alone:
        yield (
            f"column {column.name!r} alone tells {target.name!r} ({alone}): "
            "it leaks the answer, unless it is known before"
        )
    if column.kind == "number":
        numbers = values.astype(np.float64)
        present = numbers[~np.isnan(numbers)]
        whole = bool((present % 1 == 0).all())
        beyond = whole and np.abs(present).max() > EXACT_IN_FLOAT32
        # Beyond 2^24 float32 has already made several identifiers one.
        share = IDENTIFIER_SHARE / 4 if beyond else IDENTIFIER_SHARE
        if whole and len(np.unique(present)) > max(share * len(values), FEW_ROWS / 2):
            yield f"column {column.name!r} looks like an identifier: {len(np.unique(present))} different whole numbers"
        if beyond:
            yield f"column {column.name!r} goes beyond {EXACT_IN_FLOAT32:,}: float32 does not tell neighbours apart"


def _alone(column: Column, values: NDArray[np.object_], target: Target, seed: int) -> str | None:
    """How well one column alone predicts, if it does so too well to be true.

    Each half of the rows is predicted by the mean target of the rows of the other half that share the word or
    the bin; so a column of different words cannot learn the answer by heart.
    """
    groups = _groups(column, values)
    half = np.random.default_rng(seed).random(len(groups)) < 0.5  # noqa: PLR2004
    if target.kind.has_classes:
        largest = 0.0
        for label in range(len(target.classes)) if target.kind is ScoreKind.MULTICLASS else (1,):
            truth = (target.values == label).astype(np.int64)
            largest = max(largest, auc(truth, _by_group(groups, truth.astype(np.float64), half), np.ones(len(truth))))
        return f"AUC {largest:.3f}" if largest > LEAK_AUC else None
    explained = r2(target.values, _by_group(groups, target.values, half), np.ones(len(groups)))
    if column.kind == "number":
        numbers = values.astype(np.float64)
        if np.array_equal(numbers, target.values.astype(np.float32)):
            return "it is the same"
        known = ~np.isnan(numbers)
        both = numbers[known], target.values[known]
        if known.sum() > len(values) / 2 and all(np.ptp(part) > 0 for part in both):
            explained = max(explained, float(np.corrcoef(*both)[0, 1]) ** 2)
    return f"R2 {explained:.4f}" if explained > LEAK_R2 else None


def _groups(column: Column, values: NDArray[np.object_]) -> NDArray[np.int64]:
    if column.kind == "text":
        return np.unique(values.astype(str), return_inverse=True)[1].astype(np.int64)
    numbers = values.astype(np.float64)
    present = numbers[~np.isnan(numbers)]
    different = np.unique(present)
    edges = different if len(different) <= BINS else np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))
    group = np.searchsorted(edges, numbers, side="left")
    return np.where(np.isnan(numbers), len(edges) + 1, group).astype(np.int64)


def _by_group(groups: NDArray[np.int64], values: NDArray[np.float64], half: NDArray[np.bool_]) -> NDArray[np.float64]:
    predicted = np.empty(len(values))
    for learned, judged in ((half, ~half), (~half, half)):
        overall = values[learned].mean() if learned.any() else 0.0
        size = int(groups.max()) + 1
        total = np.bincount(groups[learned], values[learned], minlength=size)
        count = np.bincount(groups[learned], minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), overall)
        predicted[judged] = mean[groups[judged]]
    return predicted
