"""Where in an HTML page a template is, read from its literal text: the strict part of HTML that leaves no doubt.

A value may stand in text and in quoted attributes, and is escaped for just that; anywhere else escaping would not help.
So elements must be closed in order, attributes quoted and written once, and each branch of a condition must leave off
where it began. What browsers would mend is refused: they do not all mend it alike.
"""

from __future__ import annotations

import html
import re
from enum import Enum
from typing import Final, NamedTuple, NoReturn

from edgewise.templates.dialect import DATA, LINKS, NOT_OURS, VOID, Dialect
from edgewise.templates.flaws import refuse_template
from edgewise.templates.links import flaw_of_link

MOST_DEPTH: Final = 40

_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)")
_COMMENT: Final = re.compile(r"<!--(?!-?>)((?:(?!--).)*)-->", re.DOTALL)
_DOCTYPE: Final = re.compile(r"<!doctype html>", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SPACE: Final = re.compile(r"[ \t\n\f\r]+")
_EQUALS: Final = re.compile(r"[ \t\n\f\r]*=[ \t\n\f\r]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_STYLED_BADLY: Final = re.compile(r"@import|expression\s*\(|behaviou?r\s*:|-moz-binding|javascript:|\\", re.IGNORECASE)
_STYLE: Final = "style"
_SAFE_TARGETS: Final = frozenset({"_blank", "_self", "_top", "_parent"})


class Mode(Enum):
    """Where a piece of text stands."""

    TEXT = "text"
    TAG = "between the attributes of an element"
    VALUE = "in an attribute"
    STYLE = "in a style sheet"


class Spot(NamedTuple):
    """A place in a page; the whole state of reading."""

    mode: Mode = Mode.TEXT
    open: tuple[str, ...] = ()
    """Elements that are open, outermost first; in a tag the last one is the tag's own."""
    attributes: frozenset[str] = frozenset()
    """Those that the tag has already."""
    attribute: str = ""
    quote: str = ""
    is_spaced: bool = False
    """In a tag: whether an attribute may begin."""

    @property
    def element(self) -> str:
        """The innermost one."""
        return self.open[-1] if self.open else ""

    @property
    def is_link(self) -> bool:
        """Whether an address is being written."""
        return self.mode is Mode.VALUE and self.attribute in LINKS

    def joined(self, other: Spot) -> Spot | None:
        """Where a page goes on behind two branches; None where they lead to different places."""
        made = self._replace(
            attributes=self.attributes | other.attributes, is_spaced=self.is_spaced and other.is_spaced
        )
        is_same = made == other._replace(attributes=made.attributes, is_spaced=made.is_spaced)
        return made if is_same else None


class Written(NamedTuple):
    """A piece of literal text. `is_link`: it is a part of an address, with its entities as they are written."""

    text: str
    is_link: bool


class MarkupReader:
    """Reads the literal text of a template, piece by piece."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._text = ""
        self._at = 0
        self._line = 1
        self._first = 0

    def read(self, spot: Spot, text: str, line: int) -> tuple[Spot, list[Written]]:
        """Go on from a spot through a text that begins in `line`. Raises TemplateRefused."""
        self._text, self._at, self._line, self._first = text, 0, line, 0
        control = _CONTROL.search(text)
        if control is not None:
            self._at = control.start()
            self._refuse(f"the control character {control[0]!r} is in the text; remove it")
        pieces: list[Written] = []
        while self._at < len(text):
            match spot.mode:
                case Mode.TEXT:
                    spot = self._in_text(spot)
                case Mode.TAG:
                    spot = self._in_tag(spot)
                case Mode.VALUE:
                    spot = self._in_value(spot, pieces)
                case Mode.STYLE:
                    spot = self._in_style(spot)
            if spot.is_link and self._first < self._at:
                self._put(pieces, self._at, is_link=False)
        self._put(pieces, len(text), is_link=spot.is_link)
        return spot, pieces

    def _put(self, pieces: list[Written], end: int, *, is_link: bool) -> None:
        if self._first < end:
            pieces.append(Written(self._text[self._first : end], is_link))
        self._first = end

    # --- text --------------------------------------------------------------------------------------------------------
    def _in_text(self, spot: Spot) -> Spot:
        text = self._text
        self._at = found = text.find("<", self._at)
        if found < 0:
            self._at = len(text)
            return spot
        skipped = _COMMENT.match(text, found) or _DOCTYPE.match(text, found)
        if skipped is not None:
            if not self._dialect.is_page:
                self._refuse("a comment or doctype, which visitors would load for nothing; write {# … #}, or remove it")
            self._at = skipped.end()
            return spot
        tag = _TAG.match(text, found)
        if tag is None:
            self._refuse("a `<` that begins no element; write &lt;, or put what stands there into one piece")
        name = tag[2].lower()
        self._at = tag.end()
        return self._closed(spot, name) if tag[1] else self._opened(spot, name)

    def _opened(self, spot: Spot, name: str) -> Spot:
        if name not in self._dialect.elements:
            self._refuse(f"the element <{name}> is not allowed in templates; use another one, or leave it to the page")
        if spot.element == "title" or (name == "a" and name in spot.open):
            self._refuse(f"<{name}> inside <{spot.element}> means another thing to a browser; take it out")
        if len(spot.open) >= MOST_DEPTH:
            self._refuse(f"elements are nested deeper than {MOST_DEPTH}; flatten them")
        return Spot(Mode.TAG, (*spot.open, name))

    def _closed(self, spot: Spot, name: str) -> Spot:
        end = _SPACE.match(self._text, self._at)
        self._at = self._at if end is None else end.end()
        if not self._text.startswith(">", self._at):
            self._refuse(f"</{name} is not closed by a `>`")
        if spot.element != name:
            expected = f"expected </{spot.element}>" if spot.open else "no element is open"
            self._refuse(f"</{name}> closes what is not open; {expected}")
        self._at += 1
        return Spot(Mode.TEXT, spot.open[:-1])

    # --- tags --------------------------------------------------------------------------------------------------------
    def _in_tag(self, spot: Spot) -> Spot:
        text = self._text
        space = _SPACE.match(text, self._at)
        if space is not None:
            self._at = space.end()
            return spot._replace(is_spaced=True)
        if text.startswith("/>", self._at):
            if spot.element not in VOID:
                self._refuse(f"<{spot.element}/> is not closed by its `/`; write </{spot.element}>")
            self._at += 2
            return self._tag_ended(spot)
        if text.startswith(">", self._at):
            self._at += 1
            return self._tag_ended(spot)
        name = _NAME.match(text, self._at)
        if name is None or not spot.is_spaced:
            self._refuse(f"an attribute of <{spot.element}> was expected, with a blank before it")
        return self._attribute(spot, name[0].lower(), name.end())

    def _tag_ended(self, spot: Spot) -> Spot:
        element = spot.element
        if element == "img" and "alt" not in spot.attributes:
            self._refuse('<img> has no alt; say what the picture shows, or alt="" where it only decorates')
        if element in VOID:
            return Spot(Mode.TEXT, spot.open[:-1])
        return Spot(Mode.STYLE if element == _STYLE else Mode.TEXT, spot.open)

    def _attribute(self, spot: Spot, name: str, end: int) -> Spot:
        known = self._dialect.attributes[spot.element]
        is_data = name.startswith(DATA) and not name.startswith(NOT_OURS)
        if name not in known and not is_data:
            self._refuse(f"the attribute {name} of <{spot.element}> is not allowed in templates; remove it")
        if name in spot.attributes:
            self._refuse(f"the attribute {name} is there twice; remove one")
        attributes = spot.attributes | {name}
        equals = _EQUALS.match(self._text, end)
        if equals is None:
            if end == len(self._text):
                self._refuse(f'the attribute {name} goes on in another piece; write {name}="…" around all of it')
            self._at = end
            return Spot(Mode.TAG, spot.open, attributes)
        quote = self._text[equals.end() : equals.end() + 1]
        if quote not in ('"', "'"):
            self._refuse(f'the value of {name} is not in quotes; write {name}="…"')
        self._at = equals.end() + 1
        return Spot(Mode.VALUE, spot.open, attributes, name, quote)

    def _in_value(self, spot: Spot, pieces: list[Written]) -> Spot:
        end = self._text.find(spot.quote, self._at)
        is_ended = end >= 0
        value = self._text[self._at : end if is_ended else len(self._text)]
        if spot.attribute == "style":
            self._check_style(value)
        if spot.attribute == "target" and is_ended and value not in _SAFE_TARGETS:
            self._refuse(f"the target {value!r} is a name; expected one of {', '.join(sorted(_SAFE_TARGETS))}")
        if spot.is_link:
            if "<" in value or ">" in value:
                self._refuse(f"the address in {spot.attribute} holds a `<` or `>`; its closing quote is missing")
            self._put(pieces, self._at + len(value), is_link=True)
        self._at += len(value) + is_ended
        return Spot(Mode.TAG, spot.open, spot.attributes) if is_ended else spot

    # --- styles ------------------------------------------------------------------------------------------------------
    def _in_style(self, spot: Spot) -> Spot:
        end = self._text.find("<", self._at)
        if self._text[end : end + len("</style>")].lower() != "</style>":
            self._refuse("a style sheet holds no value, no condition and no `<`; write it out up to </style>")
        self._check_style(self._text[self._at : end])
        self._at = end + len("</style>")
        return Spot(Mode.TEXT, spot.open[:-1])

    def _check_style(self, style: str) -> None:
        bad = _STYLED_BADLY.search(html.unescape(style))
        if bad is not None:
            self._refuse(f"{bad[0]!r} in a style can load or run something; remove it")

    def _refuse(self, message: str) -> NoReturn:
        refuse_template(self._line + self._text.count("\n", 0, max(self._at, 0)), message)


def check_literal_link(link: str, line: int) -> None:
    """Whether an address without any value in it may be written. Raises TemplateRefused."""
    flaw = flaw_of_link(html.unescape(link))
    if flaw:
        refuse_template(line, f"the address {link!r} is not one for a page: {flaw}")
