"""Documents that are shipped: `preset: NAME` takes one, and completes it."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml

_FOLDER = resources.files("hub.sources") / "presets"


def preset_names() -> list[str]:
    """What `preset` may name."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml"))


@functools.cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.yaml").read_text("utf-8")


def preset(name: str) -> dict[str, Any]:
    """The plain values of a shipped document. Raises KeyError for a name that is none of `preset_names()`."""
    if name not in preset_names():
        raise KeyError(name)
    value: dict[str, Any] = yaml.safe_load(_text(name))
    return value
