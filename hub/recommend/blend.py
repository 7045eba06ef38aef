"""A sum of item-to-item weights of different kinds: the most accurate method here that a node can serve as it is.

EASE with its extensions knows which item goes with which, the low-pass filter which kind of visitor it is, proximity
what comes shortly after what, content what is alike before anybody used it. Each kind is scaled so that its scores of
the histories that it learned from deviate by 1 in the mean over users; only then do shares say how loud each is.

A sum of matrices is a matrix: it ships as neighbour lists, and an item counts the moment it is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend import ease, low_pass, proximity
from hub.recommend.interactions import Matrix
from hub.recommend.lessons import Lessons

DEFAULTS: Final[Mapping[str, float]] = {
    "lambda": 300.0,
    "dropout": 0.0,
    "user_power": 0.25,
    "item_power": 0.25,
    "liking": 0.2,
    "rank": 16,
    "tastes": 0.3,
    "closeness": 0.0,
    "content": 0.0,
    "prior": 1.0,
}
"""`lambda` to `item_power` as in `ease`; `liking` as in `Lessons.liked`; `rank` of the low-pass filter; `tastes`,
`closeness` and `content` are the shares of filter, proximity and content beside EASE's 1; `prior` that of popularity
for somebody without a history (see `prior_fades`)."""
PRIOR_HALVES_AT: Final = 3
"""Items of a history."""

Weights = npt.NDArray[np.float64]
_USERS_OF_SCALE: Final = 2_000
"""A mean over so many users does not change by much with more."""


class Blend:
    """The parts of one history, each computed once however many blends are asked of it."""

    def __init__(self, lessons: Lessons) -> None:
        """Computes nothing yet."""
        self._lessons = lessons
        self._made: dict[Hashable, Weights] = {}

    def weights(self, settings: Mapping[str, float]) -> Weights:
        """Items x items, for all settings of `DEFAULTS`.

        Raises InputError for a setting out of its range.
        """
        shares = {name: settings[name] for name in ("tastes", "closeness", "content")}
        for name, share in shares.items():
            if not (np.isfinite(share) and share >= 0):
                raise InputError(f"{name} is {share:g}, expected a share of 0 or more")
        total = self._ease(settings).copy()
        if shares["tastes"] > 0:
            total += shares["tastes"] * self._tastes(int(settings["rank"]))
        if shares["closeness"] > 0:
            total += shares["closeness"] * self._part("closeness", self._closeness)
        if shares["content"] > 0:
            total += shares["content"] * self._part("content", self._content)
        return total

    def prior(self, settings: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Per item what it is worth to somebody of whom nothing is known: its popularity, deviation `prior`.

        Raises InputError for a share below 0.
        """
        share, popularity = settings["prior"], self._lessons.popularity
        if not (np.isfinite(share) and share >= 0):
            raise InputError(f"prior is {share:g}, expected a share of 0 or more")
        spread = float(popularity.std())
        return np.zeros(len(popularity)) if spread == 0 else share * (popularity - popularity.mean()) / spread

    def _ease(self, settings: Mapping[str, float]) -> Weights:
        names = ("lambda", "dropout", "user_power", "item_power", "liking")
        l2, dropout, user_power, item_power, liking = (settings[name] for name in names)
        return self._part(
            ("ease", l2, dropout, user_power, item_power, liking),
            lambda: ease.fit(
                self._lessons.liked(liking), l2=l2, dropout=dropout, user_power=user_power, item_power=item_power
            ),
        )

    def _tastes(self, rank: int) -> Weights:
        return self._part(("tastes", rank), lambda: low_pass.fit(self._lessons.history, rank=rank))

    def _closeness(self) -> Weights:
        return proximity.fit(self._lessons.interactions, self._lessons.rows)

    def _content(self) -> Weights:
        about = self._lessons.content
        if about is None:
            raise InputError("content is above 0, but nothing is known of what the items are; name a catalogue")
        alike = np.maximum(about @ about.T, 0.0)
        np.fill_diagonal(alike, 0.0)
        return alike

    def _part(self, key: Hashable, fit: Callable[[], Weights]) -> Weights:
        if key not in self._made:
            self._made[key] = self._scaled(fit())
        return self._made[key]

    def _scaled(self, weights: Weights) -> Weights:
        deviation = _deviation(self._lessons.history[:_USERS_OF_SCALE], weights)
        return weights / deviation if deviation > 0 else weights


def tastes_beside(history: Matrix, weights: Weights, *, rank: int, share: float) -> Weights:
    """What a low-pass filter adds to weights of another kind that stay on their own scale: a share of their deviation.

    Raises as `low_pass.fit`.
    """
    tastes = low_pass.fit(history, rank=rank)
    some = history[:_USERS_OF_SCALE]
    deviation = _deviation(some, tastes)
    return tastes * (share * _deviation(some, weights) / deviation) if deviation > 0 else tastes


def prior_fades(length: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """What is left of the prior for histories of so many items: 1 for none, 1/2 for `PRIOR_HALVES_AT`.

    A sum over one item is mostly noise, and popularity better than it; over a hundred it knows better.
    """
    return PRIOR_HALVES_AT / (PRIOR_HALVES_AT + length.astype(np.float64))


def _deviation(history: Matrix, weights: Weights) -> float:
    """Standard deviation of a user's scores over the items, in the mean over users."""
    return float(np.std(ease.scores(history, weights), axis=1).mean())
