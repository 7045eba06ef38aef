"""How models are trained: placements, columns and attributes that a recipe names are there, and fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgewise.bundle.policy import ByNeighbours, BySessions, ByVectors, Retrieval
from edgewise.errors import Problem
from edgewise.events import DIMENSIONS
from edgewise.features.encodings import Position
from edgewise.features.table import Feature, NeighbourMax, NeighbourScore, SessionScore
from edgewise.ids import ModelName
from edgewise.ranking import ranker_of
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.reading import Files
from hub.site.recipes import ItemsRecipe, RankerRecipe

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def statistics_of(files: Files) -> set[str]:
    """Item attributes that the site's models compute, whether or not an item file states them as well."""
    return {attribute for recipe in _recipes(files) for attribute in recipe.statistics}


def check_recipes(files: Files) -> Iterator[Problem]:
    """What is wrong with the `train` parts of a site's models."""
    for name, (model, place) in files.models.items():
        if model.train is not None:
            yield from _recipe(files, name, model.train, place.problem)
            yield from _statistics(model.train, "train", place.problem)
        if model.items is not None:
            yield from _statistics(model.items, "items", place.problem)
        if model.train is not None and model.items is not None:
            message = "a ranker brings neighbours and sets by itself; move `items` into `train`, or into another model"
            yield place.problem(("items",), message)


def check_source(
    files: Files,
    asking: ByNeighbours | BySessions | ByVectors | NeighbourScore | NeighbourMax | SessionScore,
    path: Steps,
    say: Say,
) -> Iterator[Problem]:
    """Whether some model brings the neighbours, sessions or named vectors that an arm or a feature asks for."""
    if isinstance(asking, ByVectors) and not asking.source:
        return
    if isinstance(asking, NeighbourScore | NeighbourMax) and not asking.source:
        return  # each model says whether it makes these
    if not files.models:
        what = {BySessions: "sessions", SessionScore: "sessions", ByVectors: "vectors"}.get(type(asking), "neighbours")
        yield say(path, f"there is no model whose {what} could be asked; add one under models/")
        return
    if any(model.train is None and model.items is None and model.score is None for model, _ in files.models.values()):
        return  # what comes from elsewhere may bring anything; the release looks at it
    made = _recipes(files)
    if isinstance(asking, (BySessions, SessionScore)):
        if not any(recipe.sessions for recipe in made):
            yield say(path, "no model makes sessions; write `sessions: {}` into the `train` or `items` part of one")
    elif asking.source:
        by_vectors = isinstance(asking, ByVectors)
        known = {name for recipe in made for name in (recipe.vectors if by_vectors else recipe.sets)}
        if asking.source not in known:
            yield say((*path, "from"), f"no model makes a set {asking.source!r}; {did_you_mean(asking.source, known)}")


def _recipe(files: Files, name: ModelName, recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    yield from _rewards(recipe, say)
    yield from _placement(files, name, recipe, say)
    yield from _items_of(files, name, recipe, say)
    knows = _known_items(files, recipe)
    declared = {feature.name: feature for feature, _ in files.features}
    taken = list(declared) if recipe.features is None else recipe.features
    if not taken:
        yield say(("train",), "there is no feature to learn from; declare some under features/")
    for position, feature in enumerate(taken):
        at = ("train", "features", position)
        if feature not in declared:
            yield say(at, f"no feature {feature!r}; {did_you_mean(feature, declared)}")
        elif feature in taken[:position]:
            yield say(at, f"the feature {feature!r} is listed twice; remove one")
        elif knows.neighbours is None and asks_for_unnamed(declared[feature]):
            message = f"the feature {feature!r} needs neighbours; remove `neighbours: null`, or the feature"
            yield say(("train", "neighbours"), message)
        else:
            lacking = _lacking(knows, declared[feature])
            if lacking:
                yield say(at, f"the feature {feature!r} asks for {lacking} in the same `train` part; add it there")
    yield from _decisions([declared[feature] for feature in taken if feature in declared], recipe, say)
    yield from _interactions(taken, recipe, say)


def _items_of(files: Files, name: ModelName, recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    other = recipe.items_of
    if other is None:
        return
    knowing = {key for key, (model, _) in files.models.items() if key != name and (model.train or model.items)}
    if other not in knowing:
        what = "itself" if other == name else f"{other!r}, which learns nothing about items"
        yield say(("train", "items_of"), f"names {what}; {did_you_mean(other, knowing)}")
    elif recipe.statistics or recipe.sets or recipe.vectors or recipe.sessions:
        message = (
            "a model that shares the items of another learns none itself; remove statistics, sets, vectors, sessions"
        )
        yield say(("train", "items_of"), message)


def _known_items(files: Files, recipe: RankerRecipe) -> RankerRecipe | ItemsRecipe:
    """The recipe by which the items are learned that a ranker looks at."""
    named = files.models.get(recipe.items_of) if recipe.items_of is not None else None
    if named is None:
        return recipe
    return named[0].train or named[0].items or recipe


def _interactions(taken: list[str], recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    for position, sides in enumerate([] if recipe.linear is None else recipe.linear.interactions):
        for side, names in enumerate(sides):
            for name in names:
                if name not in taken:
                    path = ("train", "linear", "interactions", position, side)
                    yield say(path, f"the model takes no feature {name!r}; {did_you_mean(name, taken)}")


def _statistics(recipe: RankerRecipe | ItemsRecipe, part: str, say: Say) -> Iterator[Problem]:
    for attribute in recipe.statistics:
        path = (part, "statistics", attribute)
        if _ATTRIBUTE.fullmatch(attribute) is None:
            yield say(path, f"{attribute!r} is no name for an attribute; use small letters, digits and _")
        elif attribute in DIMENSIONS:
            yield say(path, f"{attribute!r} is a dimension of profiles and never a number; choose another name")


def _decisions(taken: list[Feature], recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    wants_slot = recipe.decisions is not None and recipe.decisions.position == "feature"
    if wants_slot and not any(isinstance(feature, Position) for feature in taken):
        message = "`position: feature` needs a feature of the type `position` among the model's; declare one"
        yield say(("train", "decisions", "position"), message)


def _rewards(recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    if recipe.outcome.at_least is not None and recipe.outcome.kind != "review":
        message = f"only reviews have stars, and the outcome is a {recipe.outcome.kind}; remove `at_least`"
        yield say(("train", "outcome", "at_least"), message)
    rewards = recipe.rewards
    if not rewards:
        return
    if not rewards.get(recipe.outcome.kind, 0.0) > 0:
        message = f"the outcome is a {recipe.outcome.kind}, and has no reward above 0; give it one"
        yield say(("train", "rewards"), message)
    for kind, worth in rewards.items():
        if worth < 0 and kind != "refund":
            message = f"a {kind} is worth {worth:g}; only a refund, which is taken off an order, may be below 0"
            yield say(("train", "rewards", kind), message)
    if rewards.get("refund", 0.0) > 0:
        yield say(("train", "rewards", "refund"), "a refund cannot be worth more than nothing; expected at most 0")
    elif "refund" in rewards and not rewards.get("order", 0.0) > 0:
        yield say(("train", "rewards", "refund"), "a refund is taken off an order, and orders have no reward")


def _recipes(files: Files) -> list[RankerRecipe | ItemsRecipe]:
    return [recipe for model, _ in files.models.values() for recipe in (model.train, model.items) if recipe is not None]


def _lacking(recipe: RankerRecipe | ItemsRecipe, asking: Feature | Retrieval) -> str:
    """What a ranker must learn itself, because it is trained on it, but does not; blank: nothing."""
    match asking:
        case SessionScore() | BySessions() if recipe.sessions is None:
            return "`sessions`"
        case NeighbourScore() | NeighbourMax() | ByNeighbours() if asking.source and asking.source not in recipe.sets:
            return f"`sets: {asking.source}`"
        case ByVectors(source=source) if source and source not in recipe.vectors:
            return f"`vectors: {source}`"
        case _:
            return ""


def asks_for_unnamed(feature: Feature) -> bool:
    """Whether a feature looks at the neighbours without a name."""
    return isinstance(feature, (NeighbourScore, NeighbourMax)) and not feature.source


def _placement(files: Files, name: ModelName, recipe: RankerRecipe, say: Say) -> Iterator[Problem]:
    ranking = [
        placement
        for placement, (contents, _) in files.placements.items()
        if any(ranker_of(arm.ranking) == name for arm in contents.arms.values())
    ]
    if recipe.placement is not None and recipe.placement not in ranking:
        cure = did_you_mean(recipe.placement, ranking) if ranking else "let an arm of it rank by this model"
        message = f"no arm of the placement {recipe.placement!r} ranks by the model {name!r}; {cure}"
        yield say(("train", "placement"), message)
    elif recipe.placement is None and len(ranking) != 1:
        which = ", ".join(ranking) or "none"
        yield say(("train",), f"the model {name!r} ranks in {which}; name one with `placement: NAME`")
    for placement in ranking if recipe.placement is None else {recipe.placement} & set(ranking):
        for arm_name, arm in files.placements[placement][0].arms.items():
            lacking = _lacking(recipe, arm.retrieval) if ranker_of(arm.ranking) == name else ""
            if lacking:
                message = f"{placement}.{arm_name} retrieves by {lacking} of the same `train` part; add it there"
                yield say(("train",), message)
