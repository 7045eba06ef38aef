"""Which registered models a bundle was made of, as its manifest tells."""

from __future__ import annotations

from edgewise.ids import ModelName
from hub.release.bundle import BuiltBundle

_OF_MODEL = "model."


def models_of(built: BuiltBundle) -> dict[ModelName, tuple[ModelName, int]]:
    """Name in the site -> name in the registry, and version."""
    found = {}
    for key, told in built.manifest.provenance.items():
        name, at, rest = told.partition("@")
        number = rest.partition(" ")[0]
        if key.startswith(_OF_MODEL) and at and number.isdecimal():
            found[ModelName(key.removeprefix(_OF_MODEL))] = (ModelName(name), int(number))
    return found
