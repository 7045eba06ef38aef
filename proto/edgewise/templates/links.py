"""Which addresses a page may point to: http, https, mailto, and what is relative to the page.

An address is judged when it is whole. Parts that are harmless each can be a script together, and browsers read what
people do not: they drop tabs and line breaks, skip spaces in front, and take a backslash for a slash.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

MOST_CHARACTERS: Final = 2_000
"""Longer addresses are cut by some mail programs and proxies, and then lead elsewhere."""
SCHEMES: Final = ("http", "https", "mailto")

_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\\\"<>`]")
_SCHEME: Final = re.compile(r"([^/?#:]*):")
_WEB: Final = re.compile(r"https?://[^/?#@]+([/?#]|$)", re.IGNORECASE)


def flaw_of_link(link: str) -> str:
    """Why an address must not be in a page; blank for a good one.

    A good one has no blank in it, and is relative, or says `http://HOST`, `https://HOST` or `mailto:`. What would be
    taken relative to a scheme, `//HOST`, is refused: it means something else in a mail than on a page.
    """
    if not link:
        return "it is blank"
    if len(link) > MOST_CHARACTERS:
        return f"it has {len(link)} characters, at most {MOST_CHARACTERS} are taken"
    unseen = _UNSEEN.search(link)
    if unseen is not None:
        return f"it holds {unseen[0]!r}; write {quote(unseen[0])} or leave it out"
    return _flaw_of_scheme(link)


def _flaw_of_scheme(link: str) -> str:
    if link.startswith("//"):
        return "it names no scheme; write https: before it"
    named = _SCHEME.match(link)
    if named is None:
        return ""
    scheme = named[1].lower()
    if scheme not in SCHEMES:
        return f"its scheme is {named[1][:40]!r}; expected {', '.join(SCHEMES)} or none"
    if scheme != "mailto" and _WEB.match(link) is None:
        return f"it names no host; expected {scheme}://HOST/…"
    return ""
