"""Whether templates can be compiled in the time that a node has, and placements know which of them is theirs."""

from __future__ import annotations

from typing import Final

from edgewise.bundle.manifest import TEMPLATES
from edgewise.bundle.refusal import require
from edgewise.bundle.templates import Templates
from edgewise.ids import TemplateName

MOST_TEMPLATES: Final = 1_024
MOST_CHARACTERS: Final = 2_000_000
"""Of all sources together: compiling takes about ten seconds a million."""


def check_templates(told: Templates) -> None:
    """Before any of them is compiled. Raises BundleRefused."""
    templates = told.templates
    message = f"{len(templates)} templates, at most {MOST_TEMPLATES} are taken"
    require(len(templates) <= MOST_TEMPLATES, "too_large", TEMPLATES, message, "$.templates")
    characters = sum(
        len(source) for each in templates.values() for sources in each.sources.values() for source in sources.values()
    )
    message = f"sources of {characters} characters in all, at most {MOST_CHARACTERS} are taken"
    require(characters <= MOST_CHARACTERS, "too_large", TEMPLATES, message, "$.templates")
    of_format: dict[str, TemplateName] = {}
    for name, template in templates.items():
        require(bool(name), "blank", TEMPLATES, "a template has no name", "$.templates")
        for position, shown in enumerate(template.formats):
            other = of_format.setdefault(shown, name)
            message = f"{name!r} and {other!r} both show the format {shown!r}"
            require(other == name, "invalid", TEMPLATES, message, f"$.templates.{name}.formats[{position}]")
