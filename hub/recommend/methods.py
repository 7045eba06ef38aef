"""The methods by name, with the settings each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend import content, ease, factors, itemknn, popular
from hub.recommend.blend import DEFAULTS, Blend, prior_fades
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
    prior: npt.NDArray[np.float64] | None = None
    """Per item: what is added to the sums of short histories, as far as `prior_fades` leaves it."""

    def __call__(self, asked: Matrix) -> npt.NDArray[np.float64]:
        """Users x items."""
        scores = ease.scores(asked, self.weights)
        length = np.diff(asked.indptr)
        if self.prior is not None:
            scores += prior_fades(length)[:, None] * self.prior
        scores[length == 0] = self.popularity
        return scores


def blended(blend: Blend, lessons: Lessons, settings: Settings) -> ItemToItem:
    """A blend of these lessons with its prior. Raises as `Blend.weights`."""
    return ItemToItem(blend.weights(settings), lessons.popularity, blend.prior(settings))


def _fit_popular(lessons: Lessons, settings: Settings) -> Recommender:
    half_life = settings["half_life"]
    count = (
        lessons.popularity if half_life == 0 else popular.fit_decayed(lessons.moments, half_life=settings["half_life"])
    )
    return lambda asked: np.broadcast_to(count, asked.shape).copy()


def _fit_ease(lessons: Lessons, settings: Settings) -> Recommender:
    return ItemToItem(ease.fit(lessons.history, l2=settings["lambda"]), lessons.popularity)


def _fit_blend(lessons: Lessons, settings: Settings) -> Recommender:
    return blended(Blend(lessons), lessons, settings)


def _fit_itemknn(lessons: Lessons, settings: Settings) -> Recommender:
    weights = itemknn.fit(lessons.history, neighbours=int(settings["neighbours"]), shrink=settings["shrink"])
    return ItemToItem(weights, lessons.popularity)


def _fit_als(lessons: Lessons, settings: Settings) -> Recommender:
    learned = factors.fit_als(
        lessons.history,
        factors=int(settings["factors"]),
        regularisation=settings["regularisation"],
        alpha=settings["alpha"],
        iterations=int(settings["iterations"]),
        seed=int(settings["seed"]),
    )
    return _or_popular(lessons, lambda asked: learned.users(asked) @ learned.vectors.T)


def _fit_bpr(lessons: Lessons, settings: Settings) -> Recommender:
    weights = factors.fit_bpr(
        lessons.history,
        factors=int(settings["factors"]),
        regularisation=settings["regularisation"],
        learning_rate=settings["learning_rate"],
        iterations=int(settings["iterations"]),
        seed=int(settings["seed"]),
    )
    return ItemToItem(weights, lessons.popularity)


def _fit_content(lessons: Lessons, settings: Settings) -> Recommender:
    about = lessons.content
    if about is None:
        raise InputError("content needs to know what the items are: name a catalogue with columns that say it")
    return _or_popular(lessons, lambda moments: content.scores(about, moments, half_life=settings["half_life"]))


def _fit_sessions(lessons: Lessons, settings: Settings) -> Recommender:
    from hub.recommend.session_knn import Remembered, walk_of

    remembered = Remembered(lessons.moments, walk_of(settings), fewest_people=int(settings["visitors"]))
    return _or_popular(lessons, remembered.scores)


def _or_popular(lessons: Lessons, recommend: Recommender) -> Recommender:
    """As `recommend`, but by popularity where somebody has no history."""

    def scores(asked: Matrix) -> npt.NDArray[np.float64]:
        found = recommend(asked)
        found[np.diff(asked.indptr) == 0] = lessons.popularity
        return found

    return scores


METHODS: Final[Mapping[str, Method]] = {
    "ease": Method(_fit_ease, {"lambda": 300.0}),
    "blend": Method(_fit_blend, DEFAULTS),
    "als": Method(_fit_als, {"factors": 32, "regularisation": 10.0, "alpha": 1.0, "iterations": 15, "seed": 0}),
    "bpr": Method(
        _fit_bpr, {"factors": 32, "regularisation": 0.01, "learning_rate": 0.01, "iterations": 30, "seed": 0}
    ),
    "itemknn": Method(_fit_itemknn, {"neighbours": 200, "shrink": 10.0}),
    "content": Method(_fit_content, {"half_life": 0.0}, by_time=True),
    "session-knn": Method(_fit_sessions, {"m": 500.0, "k": 50.0, "last": 2.0, "visitors": 1.0}, by_time=True),
    "popular": Method(_fit_popular, {"half_life": 0.0}),
}
AUTO: Final = "auto"
"""Not a method, but the best of them on a part of train (`hub.recommend.auto`); it has no settings."""


def method_named(name: str) -> Method:
    """The method of that name. Raises InputError with the names that there are."""
    try:
        return METHODS[name]
    except KeyError:
        raise InputError(f"no method {name!r}; there are: {', '.join([*METHODS, AUTO])}") from None


def settings_of(name: str, assignments: list[str]) -> dict[str, float]:
    """The method's settings after `KEY=VALUE` assignments.

    Raises InputError for an unknown key (with the known ones) or a value that is not a number.
    """
    settings = {} if name == AUTO else dict(method_named(name).defaults)
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
