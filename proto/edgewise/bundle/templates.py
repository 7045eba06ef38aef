"""templates.json: how contents become HTML, and which of their values they use. Default-deny: no approval, no use.

Sources and declarations travel as people wrote them; a node compiles them when it loads the bundle. There is no type
for HTML: no value of a content is ever markup.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edgewise.ids import TemplateName

MOST_LISTED: Final = 50
"""Entries of a list; with `MOST_TEXT` and the depth of loops this bounds what a template can do."""
MOST_TEXT: Final = 5_000
MOST_PIXELS: Final = 20_000
LOCALE_PATTERN: Final = r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$"

VariableName = Annotated[str, Meta(pattern="^[a-z][a-zA-Z0-9_]{0,63}$")]
Class = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}( [A-Za-z0-9_-]{1,64}){0,7}$")]
Word = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
Format = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Locale = Annotated[str, Meta(pattern=LOCALE_PATTERN)]
Source = Annotated[str, Meta(max_length=100_000)]


class TextVariable(msgspec.Struct, frozen=True, tag="text", tag_field="type", omit_defaults=True):
    """Text, of at most `most_characters` Unicode characters. A number is taken as its digits."""

    required: bool = False
    most_characters: Annotated[int, Meta(ge=1, le=MOST_TEXT)] = 500


class NumberVariable(msgspec.Struct, frozen=True, tag="number", tag_field="type", omit_defaults=True):
    """A finite number."""

    required: bool = False


class FlagVariable(msgspec.Struct, frozen=True, tag="flag", tag_field="type", omit_defaults=True):
    """True or false; false where it is missing and not required."""

    required: bool = False


class ChoiceVariable(msgspec.Struct, frozen=True, tag="choice", tag_field="type", omit_defaults=True):
    """One of some words, and so the only one that may be a part of a class."""

    choices: Annotated[list[Word], Meta(min_length=1, max_length=100)]
    required: bool = False


class UrlVariable(msgspec.Struct, frozen=True, tag="url", tag_field="type", omit_defaults=True):
    """An address: http, https, mailto, or relative to the page."""

    required: bool = False


class ImageVariable(msgspec.Struct, frozen=True, tag="image", tag_field="type", omit_defaults=True):
    """A picture: its address, or `{src, alt, width, height}`; templates say `NAME.src` and so on."""

    required: bool = False
    alt_required: bool = False
    """Whether there must be words for those who do not see it. A page can also take them from another variable."""
    size_required: bool = False
    """Whether width and height (pixels) must be said, so that a page keeps the place free before it is loaded."""
    most_width: Annotated[int, Meta(ge=1, le=MOST_PIXELS)] = MOST_PIXELS
    most_height: Annotated[int, Meta(ge=1, le=MOST_PIXELS)] = MOST_PIXELS


Plain = TextVariable | NumberVariable | FlagVariable | ChoiceVariable | UrlVariable | ImageVariable


class ListVariable(msgspec.Struct, frozen=True, tag="list", tag_field="type", omit_defaults=True):
    """A list of texts, or of entries with the values `of`; at most `most` of them. Empty where it is missing."""

    of: Annotated[dict[VariableName, Plain], Meta(max_length=30)] = {}
    required: bool = False
    """Whether there must be an entry."""
    most: Annotated[int, Meta(ge=1, le=MOST_LISTED)] = 20
    most_characters: Annotated[int, Meta(ge=1, le=MOST_TEXT)] = 500
    """Of an entry that is a text."""


Variable = Plain | ListVariable
Variables = dict[VariableName, Variable]

Kind = Literal["fragment", "mail"]
"""`fragment`: one item of a placement. `mail`: a whole mail, by its parts."""
Part = Literal["html", "text", "subject"]


class Template(msgspec.Struct, frozen=True, omit_defaults=True):
    """One template, in all its locales."""

    sources: dict[Part, dict[str, Source]]
    """Part -> locale, blank for every other one -> source. A fragment has `html` alone."""
    variables: Variables = {}
    kind: Kind = "fragment"
    formats: list[Format] = []
    """Placements of these formats that name no template of their own are shown by this one."""
    around: Literal["div", "section", "ul", "ol"] = "div"
    """The element around all items of a placement; in a list each item is an entry of it."""
    around_class: Class | None = None
    item: Literal["div", "article"] = "div"
    """The element around each item, where `around` is no list."""
    item_class: Class | None = None
    approved_sha256: str | None = None
    """Digest of all the rest that a person approved. Used only while it equals the template's own."""
    approved_by: str | None = None


class Templates(msgspec.Struct, frozen=True):
    """The whole resource."""

    templates: dict[TemplateName, Template]


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Templates)


def template_sha256(template: Template) -> str:
    """What an approval signs: SHA-256 over all of a template but its approval, as JSON with sorted keys."""
    bare = msgspec.structs.replace(template, approved_sha256=None, approved_by=None)
    return hashlib.sha256(_encoder.encode(bare)).hexdigest()


def is_approved_template(template: Template) -> bool:
    """Default-deny: only a digest that equals the template's own counts as an approval."""
    return template.approved_sha256 is not None and template.approved_sha256 == template_sha256(template)


def decode_templates(data: bytes) -> Templates:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)


def encode_templates(templates: Templates) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(templates)
