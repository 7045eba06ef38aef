"""How scores of visitors are trained: the columns that a recipe names are there, and say nothing of a candidate."""

from __future__ import annotations

from collections.abc import Iterator

from edgewise.errors import Problem
from edgewise.features import table as declared
from edgewise.features.constants import is_constant
from edgewise.features.encodings import TRAITS
from edgewise.features.table import Feature
from edgewise.ids import ModelName
from hub.site.converting import did_you_mean
from hub.site.documents import Say
from hub.site.reading import Files
from hub.site.score_recipe import Churn, Purchase, ScoreRecipe, TraitScore


def wrong_column(feature: Feature, recipe: ScoreRecipe) -> str | None:
    """Why a score cannot learn from a column; None where it can."""
    if not is_constant(feature):
        return "it changes with the candidate, and a score is about the visitor alone"
    if isinstance(feature, declared.Score):
        return "it is a score itself, which no past holds"
    if isinstance(feature, declared.Position):
        return "it is the place of a candidate"
    told = recipe.predicts
    if isinstance(told, TraitScore) and _trait_of(feature) == told.trait:
        return f"it is the trait {told.trait!r} that the score tells"
    return None


def _trait_of(feature: Feature) -> str | None:
    match feature:
        case declared.TraitIs(trait=trait) | declared.TraitValue(trait=trait):
            return trait
        case declared.Code(of=path) | declared.Hash(of=path) if path.startswith(TRAITS):
            return path.removeprefix(TRAITS)
        case _:
            return None


def check_score_recipes(files: Files) -> Iterator[Problem]:
    """What is wrong with the `score` parts of a site's models."""
    for name, (model, place) in files.models.items():
        if model.score is not None:
            if model.train is not None:
                yield place.problem(("score",), f"the model {name!r} has `train` as well; it either ranks or scores")
            yield from _recipe(files, name, model.score, place.problem)


def _recipe(files: Files, name: ModelName, recipe: ScoreRecipe, say: Say) -> Iterator[Problem]:
    columns = {feature.name: feature for feature, _ in files.features}
    for position, column in enumerate(recipe.features or ()):
        at = ("score", "features", position)
        if column not in columns:
            yield say(at, f"no feature {column!r}; {did_you_mean(column, columns)}")
        elif column in (recipe.features or ())[:position]:
            yield say(at, f"the feature {column!r} is listed twice; remove one")
        elif wrong := wrong_column(columns[column], recipe):
            yield say(at, f"the feature {column!r} cannot be used: {wrong}")
    if recipe.features is None and all(wrong_column(feature, recipe) for feature in columns.values()):
        yield say(("score",), f"{name!r} has no feature to learn from; declare some of visitors under features/")
    if recipe.features == []:
        yield say(("score", "features"), "a score needs a feature; name some, or remove the line")
    if recipe.calibration_share + recipe.validation_share >= 1:
        yield say(("score",), "calibration_share and validation_share leave nothing to learn from; make them smaller")
    if recipe.calendar is not None and not isinstance(recipe.predicts, Purchase | Churn):
        kind = type(recipe.predicts).__struct_config__.tag
        yield say(("score", "calendar"), f"a score of {kind!r} has moments of its own; remove `calendar`")
