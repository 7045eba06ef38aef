"""The recipe of a model in a site, and `KEY=VALUE` over it to try something without writing it down.

As in `trees.rounds=100`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from edgewise.errors import MALFORMED, InputError
from edgewise.ids import ModelName
from hub.site.converting import convert

R = TypeVar("R", bound=msgspec.Struct)


def recipe_in(recipes: Mapping[ModelName, R], name: ModelName, part: str, settings: Sequence[str] = ()) -> R:
    """The recipe of a model of the site, with settings over it; `part` is where models/NAME.yaml would say it.

    Raises InputError: the site has no such model or no recipe for it, or a setting is wrong.
    """
    recipe = recipes.get(name)
    if recipe is None:
        known = ", ".join(recipes) or "none"
        raise InputError(f"the site has no `{part}` part in models/{name}.yaml; models with one: {known}")
    return overridden(recipe, settings)


def overridden(recipe: R, settings: Sequence[str]) -> R:
    """The recipe with the settings over it; a value is JSON, or else text.

    Raises InputError: a setting is not KEY=VALUE, or what comes out is no such recipe.
    """
    values: dict[str, Any] = msgspec.to_builtins(recipe)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"{setting!r} is not KEY=VALUE, as in trees.rounds=100")
        _set(values, key.strip(), text.strip())
    changed, wrong = convert(values, type(recipe))
    if changed is None:
        first = wrong[0]
        raise InputError(f"{'.'.join(map(str, first.path)) or 'the recipe'}: {first.message}")
    return changed


def _set(values: dict[str, Any], key: str, text: str) -> None:
    *folders, last = key.split(".")
    inside = values
    for folder in folders:
        if not isinstance(inside.get(folder), dict):
            raise InputError(f"no setting {key!r}: the recipe has no part {folder!r}; it has {', '.join(inside)}")
        inside = inside[folder]
    try:
        inside[last] = msgspec.json.decode(text)
    except MALFORMED:
        inside[last] = text
