"""`KEY=VALUE` over a recipe of a site, as in `trees.rounds=100`: to try something without writing it down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from edgewise.errors import MALFORMED, InputError
from hub.site.converting import convert

R = TypeVar("R", bound=msgspec.Struct)


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
