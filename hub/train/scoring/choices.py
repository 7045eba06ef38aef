"""What a person chooses by name; light, because `--help` reads it."""

from __future__ import annotations

from enum import StrEnum


class ScoreKind(StrEnum):
    """What a score is."""

    BINARY = "binary"
    """The probability of the second of two classes."""
    MULTICLASS = "multiclass"
    """A probability for each class."""
    REGRESSION = "regression"
    COUNT = "count"
    """An expected number of events; whole numbers from 0 on."""

    @property
    def has_classes(self) -> bool:
        """Whether the target is a class, not a quantity."""
        return self in {ScoreKind.BINARY, ScoreKind.MULTICLASS}


class ModelName(StrEnum):
    """The models that can be asked for."""

    LIGHTGBM = "lightgbm"
    LOGISTIC = "logistic"
