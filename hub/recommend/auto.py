"""The best method for a history, found on a part of what may be learned from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from edgewise.errors import InputError
from hub.recommend.judging import judge
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS
from hub.recommend.split import LeaveOneOut, Split, TimeSplit
from hub.recommend.tuning import MEASURE, Tell, tuned, validation

TUNED: Final = "blend"
LATEST: Final = 0.25
"""Popularity with decay is tried with this part of the history's span as its half-life."""


class Attempt(msgspec.Struct, frozen=True):
    """A method with settings on the validation part."""

    method: str
    settings: dict[str, float]
    worth: float | None
    """Mean `MEASURE` over the users of the validation part; None: it cannot learn from this history."""
    why: str = ""
    """Why not."""


class Choice(msgspec.Struct, frozen=True):
    """What was chosen, and against what."""

    method: str
    settings: dict[str, float]
    tried: list[Attempt]
    """One for each method, with its best settings."""


def choose(lessons: Lessons, split: Split, *, seed: int, tell: Tell = lambda _: None) -> Choice:
    """All methods with their defaults, and the blend tuned, on one validation part; the first of the best wins.

    Raises InputError when none of them can learn from this history.
    """
    part = validation(lessons, split, seed=seed)
    learned = Lessons(lessons.interactions, part.train, lessons.content)
    tried: list[Attempt] = []
    for method, settings in _candidates(lessons, learned, split, seed, tell):
        tell(method)
        try:
            recommend = METHODS[method].fit(learned, settings)
        except InputError as cannot:
            tried.append(Attempt(method, settings, None, str(cannot)))
            continue
        judged = judge(recommend, lessons.interactions, part, ks=(10,), by_time=METHODS[method].by_time)
        tried.append(Attempt(method, settings, float(np.mean(judged.values[MEASURE]))))
    able = [(attempt.worth, attempt) for attempt in tried if attempt.worth is not None]
    if not able:
        raise InputError(f"no method can learn from this history; {tried[0].method}: {tried[0].why}")
    _, best = max(able, key=lambda pair: pair[0])
    return Choice(best.method, best.settings, tried)


def _candidates(
    lessons: Lessons, learned: Lessons, split: Split, seed: int, tell: Tell
) -> Iterator[tuple[str, dict[str, float]]]:
    for name, method in METHODS.items():
        if name == "content" and lessons.content is None:
            continue
        settings = dict(method.defaults)
        if name == TUNED:
            # On other parts than the one that compares, which would favour what was fitted to it. By time or leaving
            # one out nothing is drawn: only what lies before the part that compares is another one. What cannot be
            # tuned is tried with the defaults.
            among = learned if isinstance(split, TimeSplit | LeaveOneOut) else lessons
            with contextlib.suppress(InputError):
                settings = tuned(among, split, folds=1, seed=seed + 1, tell=tell).settings
        yield name, settings
    times = lessons.interactions.time
    if times is not None:
        span = float(np.ptp(times[lessons.rows]))
        if span > 0:
            yield "popular", {"half_life": LATEST * span}
