"""A person approves templates: what is approved compiles, and the approval is written into the template's YAML file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from edgewise.bundle.templates import Template, is_approved_template, template_sha256
from edgewise.errors import InputError, Problem, SiteError
from edgewise.ids import TemplateName
from edgewise.templates.flaws import TemplateRefused
from edgewise.templates.released import check_template, compile_source
from hub.durable import replace_file
from hub.site.approving import KEY, with_approval
from hub.site.checking_templates import templates_of
from hub.site.converting import did_you_mean
from hub.site.documents import composed, values_of
from hub.site.reading import Files, raise_if_any, read_files


class ApprovedTemplate(NamedTuple):
    """A template that was approved now."""

    template: TemplateName
    sha256: str
    file: str


def approve_templates(folder: Path, by: str, names: Collection[TemplateName] = ()) -> list[ApprovedTemplate]:
    """Approve the named templates as they are now, or all that nobody has approved so.

    Raises:
        SiteError: a file of the site cannot be read, or a template does not compile; nothing is written.
        InputError: there is no such template, or nobody is named; nothing is written.
    """
    if not by.strip():
        raise InputError("an approval needs a name; say who approves with --by NAME")
    files = read_files(folder)
    templates = templates_of(files)
    unknown = [
        Problem(name, f"no such template; {did_you_mean(name, templates)}") for name in names if name not in templates
    ]
    raise_if_any(folder, unknown)
    waiting = {
        name: template
        for name, template in templates.items()
        if (not names or name in names) and not is_approved_template(template)
    }
    raise_if_any(folder, [problem for name in waiting for problem in _uncompiled(files, name, waiting[name])])
    edited = {name: _edited(folder / f"templates/{name}.yaml", template, by) for name, template in waiting.items()}
    for name, text in edited.items():
        replace_file(folder / f"templates/{name}.yaml", text.encode())
    return [
        ApprovedTemplate(name, template_sha256(template), f"templates/{name}.yaml")
        for name, template in waiting.items()
    ]


def _uncompiled(files: Files, name: TemplateName, template: Template) -> list[Problem]:
    problems: list[Problem] = []
    try:
        check_template(template)
    except TemplateRefused as refused:
        return [files.templates[name][1].problem((), refused.message)]
    for source in files.sources_of_templates[name]:
        try:
            compile_source(template, source.part, source.locale)
        except TemplateRefused as refused:
            problems.append(Problem(f"{source.file}:{refused.line}", refused.message.partition(": ")[2]))
    return problems


def _edited(path: Path, template: Template, by: str) -> str:
    text = path.read_bytes().decode("utf-8-sig")
    root = composed(text)
    assert isinstance(root, yaml.MappingNode)
    expected: dict[str, Any] = values_of(text)
    expected[KEY] = {"by": by, "sha256": template_sha256(template)}
    edit = with_approval(text, root, None, expected[KEY])
    made = text[: edit.start] + edit.text + text[edit.end :]
    if msgspec.json.encode(values_of(made), order="sorted") != msgspec.json.encode(expected, order="sorted"):
        raise SiteError(f"{path}: cannot write the approval into this layout; write one key a line")
    return made
