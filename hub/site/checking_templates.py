"""Templates compile, and every item of a placement can be shown by the placement's template, in every locale.

So no request is the first to find out that a title is missing or an address is none: it is said here, before there is a
release, with the item, its file and line, and the line of the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from edgewise.bundle.policy import Placement
from edgewise.bundle.templates import Template, is_approved_template
from edgewise.codes.code import LETTERS, in_groups
from edgewise.errors import Problem
from edgewise.ids import CollectionName, ItemId, PlacementName, TemplateName
from edgewise.templates.compiled import CompiledTemplate
from edgewise.templates.flaws import TemplateRefused, Unrenderable
from edgewise.templates.released import PARTS, check_template, compile_source
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.files import ItemFile
from hub.site.reading import Files
from hub.site.template_files import SourceFile, template_of

MOST_SAID: Final = 20
"""Problems of one template with items; the first ones tell what the others do."""
_WHY: Final = ["Because you looked at laptops", "Because many like it"]


_CODE: Final = in_groups("0" * LETTERS)
_EXPIRES: Final = "2026-01-01T00:00:00Z"


class _Source(NamedTuple):
    file: SourceFile
    compiled: CompiledTemplate


class _Seen(NamedTuple):
    """A placement as it is seen."""

    placement: PlacementName
    format: str
    template: TemplateName
    sources: list[_Source]


def check_templates(files: Files, candidates: Mapping[CollectionName, list[ItemId]]) -> Iterator[Problem]:
    """Everything that is wrong with templates. `candidates`: the items of each collection."""
    templates = templates_of(files)
    compiled: dict[TemplateName, list[_Source]] = {}
    for name, template in templates.items():
        try:
            check_template(template)
        except TemplateRefused as refused:
            yield files.templates[name][1].problem((), f"{refused.message}; {_cure(template, name)}")
            continue
        compiled[name] = []
        for source in files.sources_of_templates[name]:
            try:
                compiled[name].append(_Source(source, compile_source(template, source.part, source.locale)))
            except TemplateRefused as refused:
                yield Problem(f"{source.file}:{refused.line}", refused.message.partition(": ")[2])
    of_format, problems = _formats(files, templates)
    yield from problems
    for placement_name, (placement, place) in files.placements.items():
        named = placement.template or of_format.get(placement.format, TemplateName(""))
        if not named:
            continue
        wrong = list(_use(files, templates, named, placement, place.problem))
        yield from wrong
        if not wrong:
            items = [*candidates.get(placement.collection, ()), *placement.fallback]
            seen = _Seen(placement_name, placement.format, named, compiled.get(named, []))
            yield from _items(files, seen, items)


def templates_of(files: Files) -> dict[TemplateName, Template]:
    """All templates of a site as they are released, approved or not."""
    return {name: template_of(file, files.sources_of_templates[name]) for name, (file, _) in files.templates.items()}


def _cure(template: Template, name: TemplateName) -> str:
    files = {"html": f"{name}.html", "text": f"{name}.txt", "subject": f"{name}.subject.txt"}
    return f"a {template.kind} is written in {', '.join(files[part] for part in PARTS[template.kind])}"


def _formats(files: Files, templates: Mapping[TemplateName, Template]) -> tuple[dict[str, TemplateName], list[Problem]]:
    of_format: dict[str, TemplateName] = {}
    problems: list[Problem] = []
    for name, template in templates.items():
        for position, shown in enumerate(template.formats):
            other = of_format.setdefault(shown, name)
            if other != name:
                message = f"the format {shown!r} is shown by {other!r} already; remove it here or there"
                problems.append(files.templates[name][1].problem(("formats", position), message))
    return of_format, problems


def _use(
    files: Files, templates: Mapping[TemplateName, Template], name: TemplateName, placement: Placement, say: Say
) -> Iterator[Problem]:
    template = templates.get(name)
    path: Steps = ("template",) if placement.template else ("format",)
    if template is None:
        yield say(path, f"no template {name!r}; {did_you_mean(name, templates)}")
        return
    if template.kind != "fragment":
        yield say(path, f"the template {name!r} is one of mails; name one of kind fragment")
    if placement.format and template.formats and placement.format not in template.formats:
        shown = ", ".join(template.formats)
        yield say(path, f"the template {name!r} shows {shown}, not {placement.format!r}; name another, or add it there")
    if not is_approved_template(template):
        by = files.templates[name][0].approved
        what = f"the template {name!r} changed since {by.by} approved it" if by else f"nobody approved {name!r}"
        yield say(path, f"{what}; look at it with `edgewise site preview DIR`, then `edgewise site approve DIR`")


def _items(files: Files, seen: _Seen, items: list[ItemId]) -> Iterator[Problem]:
    said = 0
    for item_id in dict.fromkeys(items):
        if item_id not in files.items:
            continue
        item, place = files.items[item_id]
        for path, content in _contents(item, seen.format):
            shown = (_unrenderable(seen, item_id, {**content, **promised}) for promised in _promised(files, item))
            wrong = next((flaw for flaw in shown if flaw is not None), None)
            if wrong is None:
                continue
            said += 1
            if said > MOST_SAID:
                yield place.problem(path, f"and more items cannot be shown by {seen.template!r}; mend these first")
                return
            source, flaw = wrong
            where = f"{source.file}:{flaw.line}" if flaw.line else source.file
            message = f"{item_id!r} cannot be shown by {where}: {flaw.message}; mend it here, or the template"
            yield place.problem(_blamed(path, content, flaw), message)


def _contents(item: ItemFile, shown_format: str) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """Each content of an item that a placement of this format may show, and where it is written."""
    represented = item.representations.get(shown_format) if shown_format else None
    if represented is not None:
        yield ("representations", shown_format, "content"), represented.content
        return
    yield ("content",), item.content
    for position, variant in enumerate(item.variants):
        yield ("variants", position, "content"), variant.content


def _promised(files: Files, item: ItemFile) -> Iterator[Mapping[str, str]]:
    """What an item's content may get when it is decided (`edgewise.promises.promised_content`), or be shown without."""
    promotion = None if item.promotion is None else files.promotions.get(item.promotion)
    if promotion is not None:
        discount = promotion[0].discount.text(files.site.currency)
        yield {"code": _CODE, "codeExpires": _EXPIRES, "discount": discount}
    if promotion is None or promotion[0].when_out == "without":
        yield {}


def _unrenderable(seen: _Seen, item: ItemId, content: Mapping[str, Any]) -> tuple[SourceFile, Unrenderable] | None:
    given = {
        **content,
        "item_id": item,
        "rank": 1,
        "placement": seen.placement,
        "why": _WHY,
        "why_link": "/why",
    }
    for source in seen.sources:
        try:
            source.compiled.render({**given, "locale": source.file.locale or "en"})
        except Unrenderable as flaw:
            return source.file, flaw
    return None


def _blamed(path: Steps, content: Mapping[str, Any], flaw: Unrenderable) -> Steps:
    """The value of a content that is to blame, as far as it is there."""
    key = re.split(r"[.\[]", flaw.variable, maxsplit=1)[0]
    return (*path, key) if key in content else path
