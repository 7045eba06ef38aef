"""The HTML of a mail: links that are counted, the lines below it, style where mail programs look for it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Final, NamedTuple

from typing_extensions import override

from edgewise.ids import DecisionId, ItemId

MOST_LINKS: Final = 200
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


class Place(NamedTuple):
    """Where a link stands (`data-edgewise-*` around it)."""

    decision_id: DecisionId | None
    item: ItemId | None


Target = Callable[[str, Place], str]
"""A link's own URL and place -> the URL that stands in the mail."""


class Below(NamedTuple):
    """What stands below the content."""

    lines: tuple[tuple[str, str], ...]
    """(words, URL)."""
    imprint: str = ""
    pixel: str = ""
    """URL of the picture that tells that the mail was opened; blank: none is in it."""


def with_targets(content: str, target: Target) -> str:
    """The same HTML, its links replaced; everything else byte for byte."""
    rewriting = _Rewriting(content, target)
    rewriting.feed(content)
    rewriting.close()
    return rewriting.result()


def with_below(content: str, below: Below) -> str:
    """The same HTML with the lines below its content, inside its body where it has one."""
    links = " &middot; ".join(
        f'<a href="{html.escape(url)}" style="color:#555">{html.escape(words)}</a>' for words, url in below.lines
    )
    imprint = f"<br>{html.escape(below.imprint)}" if below.imprint else ""
    pixel = f'<img src="{html.escape(below.pixel)}" width="1" height="1" alt="">' if below.pixel else ""
    block = f'<p style="font:12px/1.5 sans-serif;color:#555;margin:2em 0 0">{links}{imprint}</p>{pixel}'
    at = content.lower().rfind("</body>")
    return content + block if at < 0 else content[:at] + block + content[at:]


def text_with_below(text: str, below: Below) -> str:
    """The plain part, with the same lines."""
    lines = "\n".join(f"{words}\n{url}" for words, url in below.lines)
    imprint = f"\n\n{below.imprint}" if below.imprint else ""
    return f"{text.rstrip()}\n\n-- \n{lines}{imprint}\n"


def inlined(content: str) -> str:
    """Style sheets moved into `style` attributes: many mail programs drop the rest. Nothing is loaded from anywhere."""
    import css_inline

    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True).inline(content)


def as_text(content: str) -> str:
    """The words of HTML, for who wrote no plain part; a link is followed by its URL."""
    reading = _Reading()
    reading.feed(content)
    reading.close()
    lines = ["".join(line.split("\r")).strip() for line in "".join(reading.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(re.sub(r"[ \t]+", " ", line) for line in lines)).strip()


class _Rewriting(HTMLParser):
    """Knows where each start tag lies, and what stands around it."""

    def __init__(self, content: str, target: Target) -> None:
        super().__init__(convert_charrefs=False)
        self._content = content
        self._target = target
        self._starts = [0]
        self._starts += [found.end() for found in re.finditer("\n", content)]
        self._stack: list[tuple[str, Place]] = []
        self._changes: list[tuple[int, int, str]] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        around = self._stack[-1][1] if self._stack else Place(None, None)
        decision, item = said.get("data-edgewise-decision"), said.get("data-edgewise-item")
        place = Place(DecisionId(decision) if decision else around.decision_id, ItemId(item) if item else around.item)
        url = (said.get("href") or "").strip()
        if tag in {"a", "area"} and url.lower().startswith(("http://", "https://")) and len(self._changes) < MOST_LINKS:
            self._replace(tag, attrs, self._target(url, place))
        if tag not in _VOID:
            self._stack.append((tag, place))

    @override
    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._stack) - 1, -1, -1):
            if self._stack[depth][0] == tag:
                del self._stack[depth:]
                return

    def _replace(self, tag: str, attrs: list[tuple[str, str | None]], url: str) -> None:
        written = self.get_starttag_text()
        assert written is not None
        line, column = self.getpos()
        start = self._starts[line - 1] + column
        again = "".join(f' {name}="{html.escape(url if name == "href" else value or "")}"' for name, value in attrs)
        self._changes.append((start, start + len(written), f"<{tag}{again}>"))

    def result(self) -> str:
        """All of it, put together again."""
        parts, at = [], 0
        for start, end, again in self._changes:
            parts += [self._content[at:start], again]
            at = end
        return "".join([*parts, self._content[at:]])


class _Reading(HTMLParser):
    _BREAKS: Final = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "table", "ul", "ol", "section"})
    _SILENT: Final = frozenset({"style", "script", "head", "title", "template"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = 0
        self._urls: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self._SILENT
        if tag in self._BREAKS:
            self.parts.append("\n")
        if tag == "a":
            self._urls.append(dict(attrs).get("href") or "")

    @override
    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self._SILENT and self._silent > 0
        if tag in self._BREAKS:
            self.parts.append("\n")
        if tag == "a" and self._urls and (url := self._urls.pop()):
            self.parts.append(f" ({url})")

    @override
    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(" ".join(data.split("\n")))
