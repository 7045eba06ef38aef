"""The templates of a release, compiled: which one shows a placement, and the parts of a mail.

Compiled when a bundle is loaded and never in a request, so that what does not compile is refused with the bundle.
Templates that nobody approved are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from edgewise.bundle.templates import (
    ImageVariable,
    ListVariable,
    NumberVariable,
    Part,
    Template,
    Templates,
    TextVariable,
    UrlVariable,
    Variable,
    is_approved_template,
)
from edgewise.ids import TemplateName
from edgewise.templates.compiled import CompiledTemplate
from edgewise.templates.dialect import FRAGMENT, MAIL
from edgewise.templates.flaws import TemplateRefused
from edgewise.templates.locales import EVERYBODY, best_locale

GIVEN_ITEM: Final[dict[str, Variable]] = {
    "item_id": TextVariable(),
    "rank": NumberVariable(),
    "locale": TextVariable(),
    "placement": TextVariable(),
    "why": ListVariable(most=10, most_characters=2_000),
    "why_link": UrlVariable(),
}
"""What a fragment's template may ask beside its own variables: the decided item's place and reasons."""
GIVEN_MAIL: Final[dict[str, Variable]] = {
    "locale": TextVariable(),
    "name": TextVariable(),
    "products": ListVariable(
        of={
            "id": TextVariable(),
            "title": TextVariable(),
            "text": TextVariable(),
            "link": UrlVariable(),
            "image": ImageVariable(),
            "price": TextVariable(),
            "why": TextVariable(),
        },
        most=20,
    ),
    "sender": TextVariable(),
    "address": TextVariable(),
    "why_link": UrlVariable(),
    "preferences_link": UrlVariable(),
    "unsubscribe_link": UrlVariable(),
}
"""What a mail's template may ask beside its own variables: who writes to whom, which products, and the ways out."""
GIVEN: Final[dict[str, dict[str, Variable]]] = {"fragment": GIVEN_ITEM, "mail": GIVEN_MAIL}
PARTS: Final[dict[str, tuple[Part, ...]]] = {"fragment": ("html",), "mail": ("html", "text", "subject")}


class MailParts(NamedTuple):
    """The parts of a mail in one locale, to be rendered with the same values."""

    subject: CompiledTemplate
    """One line; whoever sends it must take line breaks out of what it writes."""
    text: CompiledTemplate
    html: CompiledTemplate


class ReadyTemplate:
    """One approved template, compiled in all its locales."""

    def __init__(self, template: Template) -> None:
        """Raises TemplateRefused; its message begins with the part and the locale."""
        self.template = template
        self._compiled = {
            part: {locale: compile_source(template, part, locale) for locale in sources}
            for part, sources in template.sources.items()
        }

    def part(self, part: Part, locale: str) -> CompiledTemplate:
        """One part, in the locale that fits best. Raises KeyError for a part that the template does not have."""
        known = self._compiled[part]
        return known[best_locale(locale, known)]


class ReadyTemplates:
    """All approved templates of a release."""

    def __init__(self, templates: Templates | None) -> None:
        """Raises TemplateRefused; its message begins with the template's name."""
        self._ready: dict[TemplateName, ReadyTemplate] = {}
        for name, template in ({} if templates is None else templates.templates).items():
            try:
                check_template(template)
                if is_approved_template(template):
                    self._ready[name] = ReadyTemplate(template)
            except TemplateRefused as refused:
                raise TemplateRefused(refused.line, f"{name}: {refused.message}") from refused
        self._of_format = {
            shown: ready
            for ready in self._ready.values()
            if ready.template.kind == "fragment"
            for shown in ready.template.formats
        }

    def __len__(self) -> int:
        return len(self._ready)

    def fragment(self, name: str, shown_format: str = "") -> ReadyTemplate | None:
        """The template that a placement names, else that of its format; None where there is none."""
        ready = self._ready.get(TemplateName(name)) if name else self._of_format.get(shown_format)
        return ready if ready is not None and ready.template.kind == "fragment" else None

    def variables(self, name: TemplateName) -> Mapping[str, Variable]:
        """What a template declares; nothing for one that there is not."""
        ready = self._ready.get(name)
        return {} if ready is None else ready.template.variables

    def mail(self, name: str, locale: str) -> MailParts | None:
        """The parts of a mail; None where there is no such template."""
        ready = self._ready.get(TemplateName(name))
        if ready is None or ready.template.kind != "mail":
            return None
        return MailParts(ready.part("subject", locale), ready.part("text", locale), ready.part("html", locale))


def check_template(template: Template) -> None:
    """Whether a template is complete in itself, its sources apart. Raises TemplateRefused."""
    for part in PARTS[template.kind]:
        if EVERYBODY not in template.sources.get(part, {}):
            raise TemplateRefused(1, f"the {part} for every locale is missing")
    for part in template.sources:
        if part not in PARTS[template.kind]:
            raise TemplateRefused(1, f"a {template.kind} has no {part}")
    for name in template.variables:
        if name in GIVEN[template.kind]:
            raise TemplateRefused(1, f"the variable {name!r} is given by Edgewise; give yours another name")


def compile_source(template: Template, part: Part, locale: str) -> CompiledTemplate:
    """Compile one source. Raises TemplateRefused; its message begins with the part and the locale."""
    dialect = None if part != "html" else MAIL if template.kind == "mail" else FRAGMENT
    known = {**GIVEN[template.kind], **template.variables}
    try:
        return CompiledTemplate(template.sources[part][locale], known, dialect)
    except TemplateRefused as refused:
        where = f"{part} ({locale})" if locale else part
        raise TemplateRefused(refused.line, f"{where}, line {refused.line}: {refused.message}") from refused
