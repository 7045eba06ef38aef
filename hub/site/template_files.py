"""The files of a template: `templates/NAME.yaml` says what it is, sources lie beside it.

NAME.html, NAME.de.html               how an item, or a mail, looks; for everybody, and for a locale
NAME.txt, NAME.de.txt                 a mail as plain text
NAME.subject.txt, NAME.subject.de.txt its subject, one line
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from edgewise.bundle.templates import (
    LOCALE_PATTERN,
    Class,
    Format,
    Kind,
    Part,
    Template,
    Variable,
    VariableName,
)
from edgewise.errors import Problem
from edgewise.ids import TemplateName
from hub.site.files import Approval

FOLDER: Final = "templates"
SUFFIXES: Final = {".html": "html", ".txt": "text"}
_SUBJECT: Final = "subject"
_MOST_BYTES: Final = 400_000
"""Of a source; more characters than that are refused when it is compiled."""


class TemplateFile(msgspec.Struct, frozen=True):
    """What a template is, and which values of a content it asks for."""

    variables: dict[VariableName, Variable] = {}
    """Name in the content -> `{type: text | number | flag | choice | url | image | list, required: true, …}`."""
    kind: Kind = "fragment"
    formats: list[Format] = []
    """Placements of these formats that name no template are shown by this one."""
    around: Literal["div", "section", "ul", "ol"] = "div"
    around_class: Class | None = None
    item: Literal["div", "article"] = "div"
    item_class: Class | None = None
    approved: Approval | None = None
    """Of all the rest and of every source; `edgewise site approve DIR` writes it."""


class SourceFile(NamedTuple):
    """One source of a template."""

    file: str
    """Path below the site's folder."""
    part: Part
    locale: str
    """Blank: for every locale that has no other."""
    text: str


Sources = Mapping[TemplateName, list[SourceFile]]


def read_sources(folder: Path, declared: Mapping[TemplateName, object]) -> tuple[Sources, list[Problem]]:
    """The sources of the declared templates, and what is wrong with files that should be some."""
    found: dict[TemplateName, list[SourceFile]] = {name: [] for name in declared}
    problems: list[Problem] = []
    for path in sorted((folder / FOLDER).glob("*")):
        if path.suffix in {".yaml", ".yml"} or path.name.startswith("."):
            continue
        source, flaw = _read(path, found)
        if source is not None:
            found[TemplateName(path.name.partition(".")[0])].append(source)
        if flaw:
            problems.append(Problem(f"{FOLDER}/{path.name}:1", flaw))
    return found, problems


def template_of(file: TemplateFile, sources: list[SourceFile]) -> Template:
    """A template as it is released."""
    parts: dict[Part, dict[str, str]] = {}
    for source in sources:
        parts.setdefault(source.part, {})[source.locale] = source.text
    return Template(
        sources=parts,
        variables=file.variables,
        kind=file.kind,
        formats=file.formats,
        around=file.around,
        around_class=file.around_class,
        item=file.item,
        item_class=file.item_class,
        approved_sha256=None if file.approved is None else file.approved.sha256,
        approved_by=None if file.approved is None else file.approved.by,
    )


def _read(path: Path, declared: Mapping[TemplateName, object]) -> tuple[SourceFile | None, str]:
    """One source, or why it is none."""
    if path.suffix not in SUFFIXES:
        return None, f"nothing reads this file; sources of templates end in {' or '.join(SUFFIXES)}"
    name, *middle = path.name.removesuffix(path.suffix).split(".")
    if name not in declared:
        if (path.parent / f"{name}.yaml").exists():
            return None, ""  # what is wrong there is said there
        return None, f"there is no {FOLDER}/{name}.yaml, which says what this is a source of; write it, or rename this"
    part: Part = "html" if path.suffix == ".html" else "text"
    if part == "text" and middle[:1] == [_SUBJECT]:
        part, middle = "subject", middle[1:]
    if len(middle) > 1 or not all(re.fullmatch(LOCALE_PATTERN, word) for word in middle):
        end = path.suffix
        return None, f"{'.'.join(middle)!r} is no locale; name the file {name}.de{end} or {name}.de-AT{end}"
    text, flaw = _text(path)
    return (None if flaw else SourceFile(f"{FOLDER}/{path.name}", part, "".join(middle), text)), flaw


def _text(path: Path) -> tuple[str, str]:
    """A file's text, with line ends as they are everywhere: an approval holds wherever git puts the file."""
    if not path.is_file():
        return "", "is no file that can be read; write one, or remove it"
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            return "", f"{size} bytes, at most {_MOST_BYTES} are taken; write a smaller template"
        return path.read_text("utf-8").removesuffix("\n"), ""
    except (OSError, UnicodeDecodeError) as wrong:
        return "", f"cannot be read: {wrong}; save it as UTF-8 text"
