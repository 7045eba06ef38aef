"""Templates compile, and every item of a placement can be shown by the placement's template, in every locale.

So no request is the first to find out that a title is missing or an address is none, and no mail: it is said here,
before there is a release, with the item, its file and line, and the line of the template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgewise.bundle.policy import Placement
from edgewise.bundle.templates import Template, is_approved_template
from edgewise.errors import Problem
from edgewise.ids import CollectionName, ItemId, PlacementName, TemplateName
from edgewise.templates.flaws import TemplateRefused
from edgewise.templates.released import PARTS, check_template, compile_source
from hub.site.checking_mails import check_mails
from hub.site.converting import did_you_mean
from hub.site.documents import Say, Steps
from hub.site.reading import Files
from hub.site.showing import WHY, Given, Seen, Source, unshowable
from hub.site.template_files import template_of


def check_templates(files: Files, candidates: Mapping[CollectionName, list[ItemId]]) -> Iterator[Problem]:
    """Everything that is wrong with templates. `candidates`: the items of each collection."""
    templates = templates_of(files)
    compiled: dict[TemplateName, list[Source]] = {}
    for name, template in templates.items():
        try:
            check_template(template)
        except TemplateRefused as refused:
            yield files.templates[name][1].problem((), f"{refused.message}; {_cure(template, name)}")
            continue
        compiled[name] = []
        for source in files.sources_of_templates[name]:
            try:
                compiled[name].append(Source(source, compile_source(template, source.part, source.locale)))
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
            seen = Seen(placement.format, named, compiled.get(named, []), _on_pages(placement_name))
            yield from unshowable(files, seen, items)
    yield from check_mails(files, compiled, candidates)


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


def _on_pages(placement: PlacementName) -> Given:
    around = {"rank": 1, "placement": placement, "why": WHY, "why_link": "/why"}
    return lambda item, content: [{**content, **around, "item_id": item}]
