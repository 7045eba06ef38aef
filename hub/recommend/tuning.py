"""Settings of a blend that are best on a part of what may be learned from; what is judged by is never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from hub.recommend.blend import DEFAULTS, Blend
from hub.recommend.interactions import Interactions
from hub.recommend.judging import judge
from hub.recommend.lessons import Lessons
from hub.recommend.methods import blended
from hub.recommend.split import Divided, LeaveOneOut, RandomSplit, Split, TimeSplit, divide

MEASURE: Final = "ndcg_cut@10"
LEAST_GAIN: Final = 0.0002
"""A value must be better by so much to replace the one before it: less is chance."""
Tell = Callable[[str], None]
"""Is told what is being tried, for a line of progress."""

_GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "lambda": (20.0, 50.0, 100.0, 200.0, 400.0, 800.0),
    "tastes": (0.0, 0.15, 0.3, 0.5, 0.8),
    "rank": (8, 16, 32),
    "liking": (0.0, 0.2, 0.35),
    "user_power": (0.0, 0.25, 0.5),
    "item_power": (0.0, 0.25, 0.5),
    "dropout": (0.0, 0.15),
    "closeness": (0.0, 0.05, 0.1, 0.2),
    "content": (0.0, 0.05, 0.1, 0.2),
    "prior": (0.0, 0.5, 1.0, 2.0),
}
_AGAIN: Final = ("lambda", "tastes")
"""Their best values depend most on those of the others."""


class Tried(NamedTuple):
    """One combination of settings, and how good it was."""

    settings: dict[str, float]
    worth: float
    """Mean of `MEASURE` over the users of the validation parts."""


class Tuned(NamedTuple):
    """The best that was tried, and everything that was."""

    settings: dict[str, float]
    tried: list[Tried]


def validation(lessons: Lessons, split: Split, *, seed: int) -> Divided:
    """The rows of `lessons` once more divided, in the manner of `split` where that is possible.

    By time or leaving one out is imitated; all others by a fifth of the rows at random.
    """
    whole, rows = lessons.interactions, lessons.rows
    part = Interactions(
        whole.users, whole.items, whole.user[rows], whole.item[rows], None if whole.time is None else whole.time[rows]
    )
    imitated = split if isinstance(split, TimeSplit | LeaveOneOut) else RandomSplit(0.2, seed)
    found = divide(part, imitated)
    return Divided(*(rows[chosen] for chosen in found))


def tuned(lessons: Lessons, split: Split, *, folds: int = 2, seed: int = 0, tell: Tell = lambda _: None) -> Tuned:
    """Coordinate search from the defaults: one setting after the other takes the value of the grid that is best.

    `folds` validation parts are drawn; of a split that draws nothing there is one. A full grid would be 10^5 fits; the
    optimum is flat, so that little is lost.
    """
    folds = 1 if isinstance(split, TimeSplit | LeaveOneOut) else folds
    parts = [validation(lessons, split, seed=seed + fold) for fold in range(folds)]
    learned = [Lessons(lessons.interactions, part.train, lessons.content) for part in parts]
    blends = [Blend(lesson) for lesson in learned]
    tried: dict[tuple[float, ...], float] = {}

    def worth(settings: Mapping[str, float]) -> float:
        key = tuple(settings.values())
        if key not in tried:
            tell(", ".join(f"{name} {value:g}" for name, value in settings.items() if value != DEFAULTS[name]))
            values = [
                judge(blended(blend, lesson, settings), lessons.interactions, part, ks=(10,)).values[MEASURE]
                for blend, lesson, part in zip(blends, learned, parts, strict=True)
            ]
            tried[key] = float(np.mean(np.concatenate(values)))
        return tried[key]

    best = dict(DEFAULTS)
    for name in [*_searched(lessons), *_AGAIN]:
        for value in _GRID[name]:
            other = {**best, name: value}
            if worth(other) > worth(best) + LEAST_GAIN:
                best = other
    return Tuned(best, [Tried(dict(zip(DEFAULTS, key, strict=True)), found) for key, found in tried.items()])


def _searched(lessons: Lessons) -> list[str]:
    idle = {"liking"} if lessons.interactions.rating is None else set()
    if lessons.content is None:
        idle.add("content")
    return [name for name in _GRID if name not in idle]
