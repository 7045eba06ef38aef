"""The methods by name, with the settings each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend import ease, popular
from hub.recommend.interactions import Matrix

Recommender = Callable[[Matrix], npt.NDArray[np.float64]]
"""From histories (users x items) to scores (users x items)."""
Settings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Method:
    """How a method is fitted, and the defaults of all settings that it has."""

    fit: Callable[[Matrix, Settings], Recommender]
    defaults: Settings


def _fit_popular(history: Matrix, _settings: Settings) -> Recommender:
    count = popular.fit(history)
    return lambda asked: np.broadcast_to(count, asked.shape).copy()


def _fit_ease(history: Matrix, settings: Settings) -> Recommender:
    weights = ease.fit(history, l2=settings["lambda"])
    count = popular.fit(history)

    def recommend(asked: Matrix) -> npt.NDArray[np.float64]:
        scores = ease.scores(asked, weights)
        # Without a history all scores are 0, and the order of the ids would decide.
        scores[np.diff(asked.indptr) == 0] = count
        return scores

    return recommend


METHODS: Final[Mapping[str, Method]] = {
    "ease": Method(_fit_ease, {"lambda": 300.0}),
    "popular": Method(_fit_popular, {}),
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
