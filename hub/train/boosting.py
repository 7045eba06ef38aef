"""Rows into trees: LightGBM, with all fixed that its result could depend on but the rows, the recipe and the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, ModelRefused
from edgewise.features.encodings import is_categorical
from edgewise.features.table import FeatureTable
from hub.site.recipes import TreeRecipe
from hub.train.dataset import RankingRows

if TYPE_CHECKING:
    import lightgbm

Progress = Callable[[str, int, int], None]
THREADS: Final = 1
"""Fixed, so that a model does not depend on the machine. More are slower where others use the cores: threads wait for
each other at every node of every tree."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What trees learn from."""

    names: tuple[str, ...]
    matrix: NDArray[np.float32]
    """(n, F)"""
    label: NDArray[np.float32]
    """(n,): 1 where wanted, else 0."""
    gain: NDArray[np.float32]
    """(n,): how much a wanted row counts, above 0."""
    size: NDArray[np.int64]
    """Rows of each choice, one behind the other."""
    categorical: tuple[str, ...] = ()
    """Columns whose numbers are names: split by sets, never by a threshold."""
    weight: NDArray[np.float32] | None = None
    """(n,): how much a row counts, whatever came of it; the same within a choice. None: all alike."""

    def __len__(self) -> int:
        return len(self.matrix)


def lesson_of(rows: RankingRows, features: FeatureTable) -> Lesson:
    """All of the rows; `features` are their columns."""
    return Lesson(rows.names, rows.matrix, rows.label, rows.gain, rows.size, categorical_of(features))


def categorical_of(features: FeatureTable) -> tuple[str, ...]:
    """Names of the columns whose numbers are names."""
    return tuple(feature.name for feature in features.features if is_categorical(feature))


def check_lesson(lesson: Lesson) -> None:
    """Whether there is something to tell apart.

    Raises InputError: all rows wanted, or none; every column missing everywhere.
    """
    wanted = int((lesson.label > 0).sum())
    if wanted in {0, len(lesson)}:
        raise InputError(f"{wanted:,} of {len(lesson):,} rows were wanted; expected some that were and some others")
    if np.isnan(lesson.matrix).all():
        raise InputError(
            f"all {lesson.matrix.shape[1]} columns are missing in all {len(lesson):,} rows; check the features"
        )


def fit_trees(
    lesson: Lesson,
    trees: TreeRecipe,
    seed: int,
    *,
    what: str,
    progress: Progress,
    parent: lightgbm.Booster | None = None,
) -> lightgbm.Booster:
    """`trees.rounds` trees; behind those of `parent`, whose errors they learn to mend, where there is one.

    Raises:
        InputError: as `check_lesson`.
        ModelRefused: `nothing-learned`: no column tells anything.
    """
    import lightgbm

    check_lesson(lesson)
    is_list = trees.objective == "lambdarank"
    label, gains = _graded(lesson) if is_list else (lesson.label, None)
    settings: Mapping[str, Any] = {
        **msgspec.structs.asdict(trees),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
        **({} if gains is None else {"label_gain": gains}),
    }
    data = lightgbm.Dataset(
        lesson.matrix,
        label,
        weight=_weights(lesson, is_list=is_list),
        group=lesson.size if is_list else None,
        feature_name=list(lesson.names),
        categorical_feature=list(lesson.categorical) or "auto",
    )

    def report(environment: Any) -> None:
        progress(what, environment.iteration - environment.begin_iteration + 1, trees.rounds)

    booster = lightgbm.train(
        {name: value for name, value in settings.items() if name != "rounds"},
        data,
        num_boost_round=trees.rounds,
        init_model=parent,
        callbacks=[report],
    )
    before = 0 if parent is None else parent.feature_importance("split").sum()
    if booster.feature_importance("split").sum() == before:
        raise ModelRefused(
            "nothing-learned", f"no column tells wanted from other items in {len(lesson):,} rows; nothing to serve"
        )
    return booster


def raw_scores(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """What ranks: sums of leaves, float64 (n,). A probability would rank alike and round more."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=THREADS), np.float64)


def _weights(lesson: Lesson, *, is_list: bool) -> NDArray[np.float32] | None:
    """Of a list: its largest gain, because a list of one outcome is in order or not, whatever that is worth.

    None where all count alike: LightGBM sums weights in another order than rows.
    """
    worth = _worth(lesson, is_list=is_list)
    if lesson.weight is None or worth is None:
        return worth if lesson.weight is None else lesson.weight
    return worth * lesson.weight


def _worth(lesson: Lesson, *, is_list: bool) -> NDArray[np.float32] | None:
    if not (lesson.gain[lesson.label > 0] != 1).any():
        return None
    if not is_list:
        return np.where(lesson.label > 0, lesson.gain, np.float32(1))
    starts = np.cumsum(lesson.size) - lesson.size
    largest = np.maximum.reduceat(lesson.gain, starts)
    return np.repeat(np.where(largest > 0, largest, np.float32(1)), lesson.size)


def _graded(lesson: Lesson) -> tuple[NDArray[np.float32], list[float] | None]:
    """Labels 0, 1, 2, … by growing gain, and what each is worth in NDCG; LambdaMART (Burges 2010) takes no others."""
    gains = np.unique(lesson.gain[lesson.label > 0])
    if len(gains) > _MOST_GRADES:
        gains = np.unique(np.quantile(gains, np.linspace(0, 1, _MOST_GRADES), method="nearest"))
    if len(gains) == 1:
        return lesson.label, None
    grade = np.searchsorted(gains, lesson.gain, side="left").clip(max=len(gains) - 1) + 1
    return np.where(lesson.label > 0, grade, 0).astype(np.float32), [0.0, *map(float, gains / gains[0])]


_MOST_GRADES: Final = 30
"""LightGBM takes 31 with the unwanted."""
