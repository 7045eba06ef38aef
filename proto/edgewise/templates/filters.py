"""The filters of templates. None makes markup, and none makes more text than it was given and told.

Filters of Jinja that can (`safe`, `attr`, `format`, `replace`, `map`, …) are not there to be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context, Undefined

from edgewise.templates.flaws import Unrenderable
from edgewise.templates.links import flaw_of_link
from edgewise.templates.variables import written_number

MOST_DECIMALS: Final = 6
LINK: Final = "edgewise_link"
LINK_START: Final = "edgewise_link_start"
LINK_PART: Final = "edgewise_link_part"
"""Names that no template can write, because templates are checked before these are put in."""

_COMMAS: Final = """bg bs ca cs da de el es et eu fi fr gl hr hu id is it lt lv mk nb nl nn no pl pt ro ru sk sl sq sr
 sv tr uk vi"""
_COMMA: Final = frozenset(_COMMAS.split())
"""Languages that write 1,5 for one and a half, and separate thousands by a point or a space."""
_SPACED: Final = frozenset(["bg", "cs", "et", "fi", "fr", "hu", "lt", "lv", "nb", "nn", "no", "pl", "ru", "sk", "sv"])


class TemplateFilter(NamedTuple):
    """A filter, and how many arguments it takes behind the value."""

    function: Callable[..., Any]
    arguments: tuple[int, int] = (0, 0)
    takes_lists: bool = False


def written(value: Any) -> str:
    """A value as text: nothing for a missing one."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return value if isinstance(value, str) else written_number(value) if isinstance(value, (int, float)) else str(value)


def _cut(value: Any, most: int) -> str:
    """At most `most` characters, at the end of a word where there is one, with … for what is missing."""
    text = written(value)
    if len(text) <= most:
        return text
    kept = text[: max(0, most - 1)]
    return (kept.rpartition(" ")[0] or kept).rstrip(" ,;:.-") + "…"


def _default(value: Any, other: Any) -> Any:
    return other if value is None or value == "" or isinstance(value, Undefined) else value


def _join(values: Sequence[Any], between: str = ", ") -> str:
    return between[:20].join(written(value) for value in values)


@pass_context
def _number(context: Context, value: Any, decimals: int = 0) -> str:
    """A number with so many decimals, as the reader's language writes it; nothing for a missing one."""
    if value is None:
        return ""
    text = f"{float(value):,.{min(max(int(decimals), 0), MOST_DECIMALS)}f}"
    language = str(context.get("locale", "")).partition("-")[0].lower()
    if language not in _COMMA:
        return text
    thousands = "\xa0" if language in _SPACED else "."
    return text.translate({ord(","): thousands, ord("."): ","})


def _first(values: Sequence[Any]) -> Any:
    return values[0] if values else None


def _last(values: Sequence[Any]) -> Any:
    return values[-1] if values else None


FILTERS: Final[dict[str, TemplateFilter]] = {
    "capitalize": TemplateFilter(lambda value: written(value)[:1].upper() + written(value)[1:]),
    "cut": TemplateFilter(_cut, (1, 1)),
    "default": TemplateFilter(_default, (1, 1)),
    "first": TemplateFilter(_first, takes_lists=True),
    "join": TemplateFilter(_join, (0, 1), takes_lists=True),
    "last": TemplateFilter(_last, takes_lists=True),
    "length": TemplateFilter(len, takes_lists=True),
    "lower": TemplateFilter(lambda value: written(value).lower()),
    "number": TemplateFilter(_number, (0, 1)),
    "trim": TemplateFilter(lambda value: written(value).strip()),
    "upper": TemplateFilter(lambda value: written(value).upper()),
}
TESTS: Final[dict[str, Callable[[Any], bool]]] = {
    "even": lambda value: value % 2 == 0,
    "none": lambda value: value is None,
    "odd": lambda value: value % 2 == 1,
}


# --- addresses: put in by `edgewise.templates.pages` where one is put together ----------------------------------------
def link_start(value: Any) -> str:
    """The beginning of an address: taken as it is, the whole is judged by `whole_link`."""
    return written(value)


def link_part(value: Any) -> str:
    """A later part: what has a meaning in an address loses it, but for `/`."""
    return quote(written(value), safe="/")


def whole_link(link: str, attribute: str) -> str:
    """An address that is put together. Raises Unrenderable for one that is not for a page."""
    flaw = flaw_of_link(link)
    if flaw:
        raise Unrenderable(f"the address {link[:100]!r} in {attribute} is not one for a page: {flaw}")
    return link
