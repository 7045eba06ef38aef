"""Which HTML a template may write: elements and attributes by name, all others are refused.

Only what shows something. Nothing that runs (`script`, `on…`), loads other documents (`iframe`, `object`), asks for
input (`form`), changes what other addresses mean (`base`) or styles what lies around (`style`, but in mails, which are
pages of their own). `id` and `name` are left out as well: many items share a page, and a name there hides a script's
variable.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VOID: Final = frozenset({"br", "col", "hr", "img", "meta", "source", "wbr"})
"""Elements without an end."""
LINKS: Final = frozenset({"href", "src", "cite", "poster"})
"""Attributes that hold an address; it is judged when all of it is put together."""
FREE: Final = frozenset(
    {"title", "alt", "aria-label", "aria-description", "aria-valuetext", "datetime", "value", "abbr", "content"}
)
"""Attributes that hold text, so that any value may be a part of them."""
SIZED: Final = frozenset({"width", "height", "max", "min"})
"""Attributes that hold a number; only number variables may be a part of them."""
DATA: Final = "data-"
NOT_OURS: Final = ("data-edgewise", "data-hx", "data-on", "data-bind", "data-x", "data-action")
"""Beginnings of data attributes that scripts act upon: those of Edgewise itself, and of some frameworks."""

_TEXT: Final = """a abbr address article aside b bdi bdo blockquote br caption cite code col colgroup dd del details
 dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark meter nav ol p picture
 pre progress q s samp section small source span strong sub summary sup table tbody td tfoot th thead time tr u ul var
 wbr"""
_MAIL: Final = "body center font head html meta style title"
_EVERYWHERE: Final = """aria-controls aria-current aria-description aria-hidden aria-label aria-level aria-live
 aria-valuetext class dir hidden lang role tabindex title translate"""
_OF: Final = {
    "a": "href hreflang rel target type",
    "blockquote": "cite",
    "col": "span width",
    "colgroup": "span",
    "del": "cite datetime",
    "details": "open",
    "img": "alt decoding fetchpriority height loading sizes src width",
    "ins": "cite datetime",
    "li": "value",
    "meter": "high low max min optimum value",
    "ol": "reversed start type",
    "progress": "max value",
    "q": "cite",
    "source": "height media sizes src type width",
    "td": "colspan headers rowspan width",
    "th": "abbr colspan headers rowspan scope width",
    "time": "datetime",
}
_OF_MAIL: Final = {
    "body": "bgcolor",
    "font": "color face size",
    "img": "border",
    "meta": "charset content name",
    "table": "align bgcolor border cellpadding cellspacing height width",
    "td": "align bgcolor height valign",
    "th": "align bgcolor height valign",
    "tr": "align bgcolor height valign",
    "p": "align",
    "div": "align",
}


class Dialect(NamedTuple):
    """What may be written."""

    elements: frozenset[str]
    attributes: dict[str, frozenset[str]]
    """Element -> its attributes, those of every element included."""
    is_page: bool
    """Whether it is a page of its own: it may have a doctype, comments and styles."""


def _dialect(elements: str, everywhere: str, *of: dict[str, str], is_page: bool) -> Dialect:
    names = frozenset(elements.split())
    common = frozenset(everywhere.split())
    own = {name: frozenset(word for part in of for word in part.get(name, "").split()) for name in names}
    return Dialect(names, {name: common | own[name] for name in names}, is_page)


FRAGMENT: Final = _dialect(_TEXT, _EVERYWHERE, _OF, is_page=False)
MAIL: Final = _dialect(f"{_TEXT} {_MAIL}", f"{_EVERYWHERE} style", _OF, _OF_MAIL, is_page=True)
