"""Contents against the limits of the placements that may show them: texts that fit, pictures that are as they should.

Each placement looks at what it would show: the representation of its format where an item has one, else the item's own
content and its variants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewise.bundle.content_limits import ContentLimit, Span
from edgewise.bundle.policy import Placement
from edgewise.errors import Problem
from edgewise.ids import ItemId, PlacementName
from hub.site.converting import did_you_mean
from hub.site.copies import contents_in
from hub.site.documents import Say, Steps
from hub.site.files import ItemFile
from hub.site.pictures import Picture, local_path, measure
from hub.site.reading import Files


def check_contents(files: Files, folder: Path, shown_in: Mapping[PlacementName, Iterable[ItemId]]) -> Iterator[Problem]:
    """What is too long, too large or missing. `shown_in`: placement -> the items that it may show.

    What is wrong in several placements is said once.
    """
    said: set[tuple[ItemId, Steps]] = set()
    for name, (placement, place) in files.placements.items():
        if not placement.limits:
            continue
        items = [files.items[item][0] for item in dict.fromkeys(shown_in.get(name, ())) if item in files.items]
        yield from _limits(placement, items, place.problem)
        check = _Check(folder, name)
        for item in items:
            for path, content in contents_in(item, placement.format):
                for field, limit in placement.limits.items():
                    for at, message in check.field(content, field, limit):
                        where = (*path, *at)
                        if (item.id, where) not in said:
                            said.add((item.id, where))
                            yield files.items[item.id][1].problem(where, message)


def _limits(placement: Placement, items: list[ItemFile], say: Say) -> Iterator[Problem]:
    known = {field for item in items for _, content in contents_in(item, placement.format) for field in content}
    for field in placement.limits:
        if items and field not in known:
            yield say(("limits", field), f"no content that is shown here has {field!r}; {did_you_mean(field, known)}")
    for field, limit in placement.limits.items():
        for side, span in (("width", limit.width), ("height", limit.height)):
            if isinstance(span, Span) and span.least is not None and span.most is not None and span.least > span.most:
                message = f"no picture has at least {span.least} and at most {span.most} pixels; exchange them"
                yield say(("limits", field, side), message)


class _Check:
    """Looks at contents for one placement; every picture is measured once."""

    def __init__(self, folder: Path, placement: PlacementName) -> None:
        self._folder = folder
        self._placement = placement
        self._measured: dict[str, Picture | str] = {}

    def field(self, content: Mapping[str, Any], field: str, limit: ContentLimit) -> Iterator[tuple[Steps, str]]:
        """What is wrong with a field: where in the content, and a sentence."""
        value = content.get(field)
        if value in (None, ""):
            if limit.required:
                yield (), f"no {field!r}, which {self._placement} needs; write one"
            return
        if limit.most_characters is not None and isinstance(value, str) and len(value) > limit.most_characters:
            most = f"{self._placement} takes at most {limit.most_characters}"
            yield (field,), f"{len(value)} characters, {most}; shorten it"
        if limit.is_of_picture:
            if not isinstance(value, str):
                yield (field,), f"{value!r} is no picture; write its path or URL as text"
                return
            yield from self._picture(content, field, value, limit)

    def _picture(
        self, content: Mapping[str, Any], field: str, value: str, limit: ContentLimit
    ) -> Iterator[tuple[Steps, str]]:
        alt = content.get(f"{field}_alt") or content.get("alt")
        if limit.alt == "required" and not (isinstance(alt, str) and alt.strip()):
            yield (field,), f"a picture without words for people who do not see it; write them as `{field}_alt`"
        path = local_path(value)
        if path is None:
            return
        if path not in self._measured:
            self._measured[path] = _measured(self._folder, path)
        picture = self._measured[path]
        if isinstance(picture, str):
            yield (field,), picture
            return
        if limit.most_bytes is not None and picture.size_bytes > limit.most_bytes:
            most = f"{self._placement} takes at most {limit.most_bytes:,}"
            yield (field,), f"{path} has {picture.size_bytes:,} bytes, {most}; compress it"
        for side, pixels, span in (("wide", picture.width, limit.width), ("high", picture.height, limit.height)):
            if span is not None and not _is_within(pixels, span):
                yield (field,), f"{path} is {pixels} pixels {side}, {self._placement} takes {_told(span)}; resize it"


def _measured(folder: Path, path: str) -> Picture | str:
    """The picture, or what is wrong with it."""
    file = folder / path
    if ".." in path.split("/") or not file.is_file():
        return f"there is no file {path} in the site; put it there, or write a URL"
    try:
        picture = measure(file)
    except OSError as wrong:
        return f"{path} cannot be read ({wrong.strerror}); put the picture there"
    if picture is None:
        return f"{path} is no PNG, JPEG, GIF, WebP or AVIF; save it as one"
    ending = file.suffix.lower().removeprefix(".").replace("jpg", "jpeg")
    if ending != picture.kind:
        return f"{path} is a picture of the kind {picture.kind}; rename it to end in .{picture.kind}"
    return picture


def _is_within(pixels: int, span: int | Span) -> bool:
    if isinstance(span, int):
        return pixels == span
    return (span.least is None or pixels >= span.least) and (span.most is None or pixels <= span.most)


def _told(span: int | Span) -> str:
    if isinstance(span, int):
        return str(span)
    if span.least is None:
        return f"at most {span.most}"
    return f"at least {span.least}" if span.most is None else f"{span.least} to {span.most}"
