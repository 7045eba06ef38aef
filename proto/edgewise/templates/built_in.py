"""The template of placements that name none: a card with picture, title, text and link, as far as contents have them.

It was not written for these contents, so it takes of them what fits and passes over the rest, where a template of the
site insists on what it declared.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from edgewise.bundle.templates import ImageVariable, Template, TextVariable, UrlVariable
from edgewise.templates.flaws import Unrenderable
from edgewise.templates.locales import EVERYBODY
from edgewise.templates.released import ReadyTemplate
from edgewise.templates.variables import read_value

_SOURCE: Final = """\
{% if image %}<img src="{{ image.src }}" alt="{{ image.alt or alt or '' }}"
{%- if image.width and image.height %} width="{{ image.width }}" height="{{ image.height }}"{% endif %}>{% endif %}
{%- if title %}<h3>{% if link %}<a href="{{ link }}">{{ title }}</a>{% else %}{{ title }}{% endif %}</h3>{% endif %}
{%- if text %}<p>{{ text }}</p>{% endif %}
{%- if link and not title %}<p><a href="{{ link }}">{{ label or link }}</a></p>{% endif %}
{%- if code %}<p><code>{{ code }}</code></p>{% endif %}
{%- if why and why_link %}<p><small><a href="{{ why_link }}">{{ why | first }}</a></small></p>{% endif %}"""

BUILT_IN: Final = Template(
    sources={"html": {EVERYBODY: _SOURCE}},
    variables={
        "title": TextVariable(most_characters=2_000),
        "text": TextVariable(most_characters=5_000),
        "alt": TextVariable(),
        "label": TextVariable(),
        "code": TextVariable(),
        "link": UrlVariable(),
        "image": ImageVariable(),
    },
)


@functools.cache
def built_in() -> ReadyTemplate:
    """Compiled when it is first needed: who never asks for HTML never loads the compiler's work."""
    return ReadyTemplate(BUILT_IN)


def fitting(template: Template, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of the values is as declared; the rest is left out, as if it were missing."""
    return {
        name: value for name, value in given.items() if name not in template.variables or _fits(template, name, value)
    }


def whole(_template: Template, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """All values, each to be as it was declared."""
    return given


def _fits(template: Template, name: str, value: Any) -> bool:
    try:
        read_value(template.variables[name], value, name)
    except Unrenderable:
        return False
    return True
