"""The methods by name, with the settings each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend import ease
from hub.recommend.blend import DEFAULTS, Blend
from hub.recommend.interactions import Matrix
from hub.recommend.lessons import Lessons

Recommender = Callable[[Matrix], npt.NDArray[np.float64]]
"""From histories (users x items) to scores (users x items)."""
Settings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Method:
    """How a method is fitted, and the defaults of all settings that it has."""

    fit: Callable[[Lessons, Settings], Recommender]
    defaults: Settings
    by_time: bool = False
    """Its recommender takes `moments` in the place of `matrix`."""


@dataclass(frozen=True, slots=True)
class ItemToItem:
    """Scores that are sums of weights from the items of a history: what ships as neighbour lists."""

    weights: ease.Weights
    popularity: npt.NDArray[np.float64]
    """Per item: the scores of whoever has no history. All sums are 0 then, and the order of the ids would decide."""

    def __call__(self, asked: Matrix) -> npt.NDArray[np.float64]:
        """Users x items."""
        scores = ease.scores(asked, self.weights)
        scores[np.diff(asked.indptr) == 0] = self.popularity
        return scores


def _fit_popular(lessons: Lessons, _settings: Settings) -> Recommender:
    return lambda asked: np.broadcast_to(lessons.popularity, asked.shape).copy()


def _fit_ease(lessons: Lessons, settings: Settings) -> Recommender:
    return ItemToItem(ease.fit(lessons.history, l2=settings["lambda"]), lessons.popularity)


def _fit_blend(lessons: Lessons, settings: Settings) -> Recommender:
    return ItemToItem(Blend(lessons).weights(settings), lessons.popularity)


def _fit_sessions(lessons: Lessons, settings: Settings) -> Recommender:
    from hub.recommend.session_knn import Remembered, walk_of

    remembered = Remembered(lessons.moments, walk_of(settings), fewest_people=int(settings["visitors"]))

    def recommend(asked: Matrix) -> npt.NDArray[np.float64]:
        scores = remembered.scores(asked)
        scores[np.diff(asked.indptr) == 0] = lessons.popularity
        return scores

    return recommend


METHODS: Final[Mapping[str, Method]] = {
    "ease": Method(_fit_ease, {"lambda": 300.0}),
    "blend": Method(_fit_blend, DEFAULTS),
    "popular": Method(_fit_popular, {}),
    "session-knn": Method(_fit_sessions, {"m": 500.0, "k": 50.0, "last": 2.0, "visitors": 1.0}, by_time=True),
}


def method_named(name: str) -> Method:
    """The method of that name. Raises InputError with the names that there are."""
    try:
        return METHODS[name]
    except KeyError:
        raise InputError(f"no method {name!r}; there are: {', '.join(METHODS)}") from None


def settings_of(name: str, assignments: list[str]) -> dict[str, float]:
    """The method's settings after `KEY=VALUE` assignments.

    Raises InputError for an unknown key (with the known ones) or a value that is not a number.
    """
    settings = dict(method_named(name).defaults)
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        if key not in settings:
            known = ", ".join(settings) or "none"
            raise InputError(f"{name} has no setting {key!r}; there are: {known}")
        try:
            settings[key] = float(text)
        except ValueError:
            raise InputError(f"setting {key} is {text!r}, expected a number as in {key}=300") from None
    return settings
