"""What a dsjson log says of situations and actions: features by their path, and what an action is called."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

_LEAST_INFINITE: Final = 1e300
"""JSON has whole numbers that no float can hold."""

Feature = str | float


def action_names(listed: list[dict[str, Any]]) -> tuple[str, ...]:
    """What each action is called: its tag, else the id among its features, else its number from 1.

    Services list the same article twice, with a probability each: the second one is `TAG#2`, an action of its own,
    because only together with its probability does a row say how it was chosen.
    """
    names: dict[str, None] = {}
    for number, action in enumerate(listed, 1):
        inner = action.get("i")
        said = action.get("_tag") or (inner.get("id") if isinstance(inner, dict) else None)
        name = own = str(said).strip() or str(number) if said is not None else str(number)
        times = 1
        while name in names:
            times += 1
            name = f"{own}#{times}"
        names[name] = None
    return tuple(names)


def features(of: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Feature]]:
    """Numbers and texts by their path, as VW has them; words of a list are one each.

    Keys that begin with `_` are no features.
    """
    for key, value in of.items():
        path = f"{prefix}{key}"
        if key.startswith("_") or value is None:
            continue
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, dict):
                yield from features(each, f"{path}.")
        if isinstance(value, list):
            scalars = [each for each in value if not isinstance(each, dict | list) and each is not None]
            yield from (
                (f"{path}={each}", 1.0) if isinstance(each, str) else (f"{path}.{place}", _as_float(each))
                for place, each in enumerate(scalars)
            )
        elif isinstance(value, bool):
            yield path, "true" if value else "false"
        elif not isinstance(value, dict):
            yield path, value if isinstance(value, str) else _as_float(value)


def taken(of: dict[str, Any], path: str) -> str | None:
    """What stands under a path of keys with dots between them, as text; it is no longer there afterwards.

    Namespaces may be lists of objects: every one is looked through, the first text or number counts.
    """
    key, _, rest = path.partition(".")
    if not rest:
        found = of.pop(key, None)
        return str(found) if isinstance(found, str | int | float) and str(found).strip() else None
    inner = of.get(key)
    each = [taken(some, rest) for some in (inner if isinstance(inner, list) else [inner]) if isinstance(some, dict)]
    return next((text for text in each if text is not None), None)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number; `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LEAST_INFINITE


def _as_float(number: float) -> float:
    return float(number) if is_number(number) or isinstance(number, bool) else math.nan
