"""Visitor scores: what models say of a visitor as a whole, each asked at most once a request, and only if needed.

A score's row is made of features that are the same for every candidate, under the same grants as everything else. Its
answer may be a feature of other models, a value in rules and formulas, and choose a copy. A request that asks for none
pays for none.

Scores are models: a decision that leaves models out leaves scores out as well, all of them, so that the one word in
its record says what a replay has to leave out. A missing score is NaN as a feature and no value in a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.manifest import ModelEntry
from edgewise.consent import Grants
from edgewise.deadline import IsLate, TimeIsUp
from edgewise.features.compile import CompiledFeatures, Matrix
from edgewise.features.constants import constant_of
from edgewise.features.view import View
from edgewise.ids import ModelName

Score = Callable[[ModelName, Matrix], NDArray[np.float32]]
"""Float32 (rows, features of the model) -> (rows,), or (rows, classes) of a score that has some.

May raise anything: the answer then degrades.
"""


class ScoreFailed(Exception):  # noqa: N818  # reads as what happened
    """A score did not answer with finite numbers; `decide` begins again without any."""


Named = float | dict[str, float]
"""What a score says, for people: a number, or one by class."""


def named(
    said: Mapping[ModelName, tuple[float, ...]], models: Mapping[ModelName, ModelEntry]
) -> dict[ModelName, Named]:
    """The scores of a decision with the names of their classes; `models` are those of the bundle that decided."""
    return {
        name: dict(zip(models[name].classes, numbers, strict=True)) if models[name].classes else numbers[0]
        for name, numbers in said.items()
    }


class ScoreModel:
    """One visitor score of a bundle, ready to be asked."""

    __slots__ = ("_inputs", "classes", "outputs", "place_of")

    def __init__(self, entry: ModelEntry, features: CompiledFeatures) -> None:
        """Raises ValueError for a feature that depends on the candidate."""
        self.classes = entry.classes
        self.outputs = entry.outputs
        self.place_of = {name: place for place, name in enumerate(entry.classes or ("",))}
        taken = [features.features[features.column_of[name]] for name in entry.features]
        self._inputs = [(feature.purpose, constant_of(feature)) for feature in taken]

    def row(self, view: View, grants: Grants) -> Matrix:
        """Float32 (1, features): to the bit what `CompiledFeatures.matrix` has in these columns of any candidate."""
        return np.array(
            [
                [
                    constant(view) if purpose is None or grants.allows(purpose) else np.nan
                    for purpose, constant in self._inputs
                ]
            ],
            np.float32,
        )


class VisitorScores:
    """The scores of one visitor in one request; a `features.view.ScoreSource`."""

    __slots__ = ("_grants", "_models", "_score", "_view", "is_late", "said")

    def __init__(
        self, models: Mapping[ModelName, ScoreModel], view: View, grants: Grants, score: Score, is_late: IsLate
    ) -> None:
        self._models = models
        self._view = view
        self._grants = grants
        self._score = score
        self.is_late = is_late
        self.said: dict[ModelName, tuple[float, ...]] = {}
        """What was asked for so far: one number a class, in the order of the model's classes."""

    def value(self, model: ModelName, of_class: str) -> float:
        """As `ScoreSource.value`. Raises TimeIsUp and ScoreFailed."""
        return self._of(model)[self._models[model].place_of[of_class]]

    def likeliest(self, model: ModelName) -> str | None:
        """As `ScoreSource.likeliest`. Raises TimeIsUp and ScoreFailed."""
        said = self._of(model)
        return self._models[model].classes[said.index(max(said))]

    def by_class(self, model: ModelName) -> Mapping[str, float]:
        """As `ScoreSource.by_class`. Raises TimeIsUp and ScoreFailed."""
        return dict(zip(self._models[model].classes, self._of(model), strict=True))

    def _of(self, name: ModelName) -> tuple[float, ...]:
        said = self.said.get(name)
        if said is None:
            if self.is_late():
                raise TimeIsUp
            model = self._models[name]
            row = model.row(self._view, self._grants)
            try:
                answer = np.asarray(self._score(name, row), np.float64)
            except Exception as failed:  # the function is the caller's: it may raise anything
                raise ScoreFailed(name) from failed
            expected = (1, model.outputs) if model.classes else (1,)
            if answer.shape != expected or not np.isfinite(answer).all():
                raise ScoreFailed(name)
            said = self.said[name] = tuple(answer.ravel().tolist())
        return said
