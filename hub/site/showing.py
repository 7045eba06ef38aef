"""Items that a template cannot show: found by showing them, each in every way in which it may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgewise.bundle.templates import Part
from edgewise.codes.code import LETTERS, in_groups
from edgewise.errors import Problem
from edgewise.ids import ItemId, TemplateName
from edgewise.templates.compiled import CompiledTemplate
from edgewise.templates.flaws import Unrenderable
from hub.site.copies import contents_in
from hub.site.documents import Steps
from hub.site.files import ItemFile
from hub.site.reading import Files
from hub.site.template_files import SourceFile

MOST_SAID: Final = 20
"""Problems of one template with items; the first ones tell what the others do."""
WHY: Final = ["Because you looked at laptops", "Because many like it"]
_CODE: Final = in_groups("0" * LETTERS)
_EXPIRES: Final = "2026-01-01T00:00:00Z"


class Source(NamedTuple):
    """A part of a template in one locale."""

    file: SourceFile
    compiled: CompiledTemplate


Given = Callable[[ItemId, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
"""An item and its content -> what a template is given to show it, each way in which that may be."""


class Seen(NamedTuple):
    """A placement as it is seen."""

    format: str
    template: TemplateName
    sources: list[Source]
    given: Given
    parts: Sequence[Part] = ()
    """Those that must not come out blank."""


def unshowable(files: Files, seen: Seen, items: list[ItemId]) -> Iterator[Problem]:
    """Those of these items that cannot be shown, each once a content, and why; at most `MOST_SAID`."""
    said = 0
    for item_id in dict.fromkeys(items):
        if item_id not in files.items:
            continue
        item, place = files.items[item_id]
        for path, content in contents_in(item, seen.format):
            shown = (_unrenderable(seen, item_id, {**content, **promised}) for promised in promised_to(files, item))
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


def promised_to(files: Files, item: ItemFile) -> Iterator[Mapping[str, str]]:
    """What an item's content may get when it is decided (`edgewise.promises.promised_content`), or be shown without."""
    promotion = None if item.promotion is None else files.promotions.get(item.promotion)
    if promotion is not None:
        discount = promotion[0].discount.text(files.site.currency)
        yield {"code": _CODE, "codeExpires": _EXPIRES, "discount": discount}
    if promotion is None or promotion[0].when_out == "without":
        yield {}


def _unrenderable(seen: Seen, item: ItemId, content: Mapping[str, Any]) -> tuple[SourceFile, Unrenderable] | None:
    for given in seen.given(item, content):
        for source in seen.sources:
            try:
                said = source.compiled.render({**given, "locale": source.file.locale or "en"})
            except Unrenderable as flaw:
                return source.file, flaw
            if source.file.part in seen.parts and not said.strip():
                return source.file, Unrenderable("it comes out blank")
    return None


def _blamed(path: Steps, content: Mapping[str, Any], flaw: Unrenderable) -> Steps:
    """The value of a content that is to blame, as far as it is there."""
    key = re.split(r"[.\[]", flaw.variable, maxsplit=1)[0]
    return (*path, key) if key in content else path
