"""Whether a bundle's visitor scores can be computed: of the visitor alone, in an order without circles."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from edgewise.bundle.manifest import FEATURES, MANIFEST, ModelEntry
from edgewise.bundle.policy import Operand
from edgewise.bundle.refusal import require
from edgewise.features.constants import is_constant
from edgewise.features.table import FeatureTable, Score, ScoreMatch
from edgewise.ids import ModelName
from edgewise.rules import reference, score_in

Models = Mapping[ModelName, ModelEntry]


def check_scores(models: Models, table: FeatureTable) -> None:
    """Raises BundleRefused. Every feature that a model takes must be in the table."""
    declared = {feature.name: feature for feature in table.features}
    for position, feature in enumerate(table.features):
        if isinstance(feature, Score):
            wrong = wrong_with(feature.model, feature.of_class, models)
            require(
                wrong is None, "dangling", FEATURES, f"feature {feature.name!r}: {wrong}", f"$.features[{position}]"
            )
        elif isinstance(feature, ScoreMatch):
            entry = models.get(feature.model)
            wrong = wrong_with(feature.model, entry.classes[0] if entry is not None and entry.classes else "", models)
            if wrong is None and entry is not None and not entry.classes:
                wrong = f"the score {feature.model!r} has no classes, so none that an item could match"
            path = f"$.features[{position}].model"
            require(wrong is None, "dangling", FEATURES, f"feature {feature.name!r}: {wrong}", path)
    asks: dict[ModelName, list[ModelName]] = {}
    for name, entry in models.items():
        if entry.kind != "score":
            continue
        path = f"$.models.{name}.features"
        for position, column in enumerate(entry.features):
            feature = declared[column]
            message = f"score {name!r} takes {column!r}, which depends on the candidate, or is a cross"
            require(is_constant(feature), "invalid", MANIFEST, message, f"{path}[{position}]")
            if isinstance(feature, Score):
                asks.setdefault(name, []).append(feature.model)
    circle = circle_in(asks)
    message = f"scores that ask each other in a circle: {' -> '.join(circle)}"
    require(not circle, "invalid", MANIFEST, message, "$.models")


def wrong_with(model: ModelName, of_class: str, models: Models) -> str | None:
    """Why there is no score of this name and class; None where there is one."""
    entry = models.get(model)
    if entry is None or entry.kind != "score":
        known = ", ".join(sorted(name for name, other in models.items() if other.kind == "score")) or "none"
        return f"no score {model!r} in the bundle; there are {known}"
    if not entry.classes:
        return f"the score {model!r} has no classes, so no {of_class!r}" if of_class else None
    if of_class not in entry.classes:
        said = f"no class {of_class!r}" if of_class else "a score with classes, and none is named"
        return f"{model!r}: {said}; there are {', '.join(entry.classes)}"
    return None


def wrong_with_path(path: str, models: Models) -> str | None:
    """Why a value that a rule names is no score of this bundle; None where it is one, or something else."""
    named = score_in(path)
    if named is None:
        return None
    if named.of_class is not None:
        return wrong_with(named.model, named.of_class, models)
    entry = models.get(named.model)
    if entry is not None and entry.kind == "score" and not entry.classes:
        return f"the score {named.model!r} has no classes, so none is the likeliest"
    return wrong_with(named.model, entry.classes[0] if entry is not None and entry.classes else "", models)


def wrong_with_class(path: str, op: str, to: Operand | None, models: Models) -> str | None:
    """Why a rule that asks for a score's likeliest class can never be true of it; None where it can."""
    named = score_in(path)
    if named is None or named.of_class is not None or op not in {"eq", "ne", "in", "not_in"} or reference(to):
        return None
    classes = models[named.model].classes
    unknown = [value for value in (to if isinstance(to, list) else [to]) if value not in classes]
    return f"{named.model!r}: no class {unknown[0]!r}; there are {', '.join(classes)}" if unknown else None


def circle_in(asks: Mapping[ModelName, list[ModelName]]) -> list[ModelName]:
    """Scores that need each other, the first one again at the end; empty where an order exists."""
    try:
        TopologicalSorter(asks).prepare()
    except CycleError as circle:
        found: list[ModelName] = circle.args[1]
        return found
    return []
