"""Values of header fields: made harmless after everything in them was decoded, as whoever reads the mail will.

A value such as `=?utf-8?q?hi=0ABcc:_evil@x?=` holds no line break and becomes one when a mail library decodes it:
Python 3.11 wrote a real `Bcc` from it (CVE-2024-6923). So encoded words are decoded first, as long as there are any,
then everything goes that is no visible text, and what still looks like an encoded word is broken up.
"""

from __future__ import annotations

import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

from edgewise.errors import InputError

MOST_CHARACTERS: Final = 200
_ROUNDS: Final = 8
_MARK: Final = "=?"
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
"""RFC 5321's dot-string at a domain: no quotes, comments, routes, literals."""
_MOST_ADDRESS: Final = 254
_MOST_LOCAL: Final = 64
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")


def plain(value: str) -> str:
    """One line of visible text of at most 200 characters, in which nothing is left to be decoded."""
    decoded = value[: 10 * MOST_CHARACTERS]
    for _ in range(_ROUNDS):
        again = _visible(_decoded(decoded))
        if again == decoded:
            break
        decoded = again
    while _MARK in decoded:
        decoded = decoded.replace(_MARK, "= ?")
    return decoded[:MOST_CHARACTERS].strip()


def address(value: str) -> str:
    """A bare address, as it may stand in a header and in a mail server's dialogue.

    Raises InputError for anything but `local@domain` in ASCII; a domain in other letters is taken as DNS has it.
    """
    text = value.strip(" ")
    local, at, domain = text.rpartition("@")
    if at and not domain.isascii():
        try:
            text = f"{local}@{domain.encode('idna').decode()}"
        except UnicodeError:
            text = ""
    if len(text) > _MOST_ADDRESS or len(local) > _MOST_LOCAL or _MARK in text or not _ADDRESS.fullmatch(text):
        raise InputError("not an address that mail can be sent to; expected NAME@DOMAIN in plain letters")
    return text


def locale(value: str) -> str:
    """A language tag; "en" for what is none."""
    return value if _LOCALE.fullmatch(value) else "en"


def _decoded(text: str) -> str:
    if _MARK not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        return text.replace(_MARK, "= ?")


def _visible(text: str) -> str:
    """Line breaks and every other kind of space become one space; what cannot be seen goes."""
    spaced = "".join(
        " " if unicodedata.category(mark) in {"Cc", "Zl", "Zp", "Zs"} else mark
        for mark in text
        if unicodedata.category(mark) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(spaced.split())
