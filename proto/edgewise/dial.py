"""The dial: how much of himself a visitor lets be used, from nothing to all that he agreed to.

He states it once (`edgewise.profile.preferences`), or says it with a request, where nothing proves who he is: a browser
that keeps no cookies says it each time. Of both the stricter holds. What is said and makes no sense is taken for the
strictest: a misspelt denial must not become a grant.
"""

from __future__ import annotations

from typing import Final

DIAL_EVERYTHING: Final = 3
DIAL_SESSION: Final = 2
DIAL_PAGE: Final = 1
DIAL_NOTHING: Final = 0

DIAL_HEADER: Final = b"edgewise-dial"
_SPELT: Final = {str(dial).encode(): dial for dial in range(DIAL_NOTHING, DIAL_EVERYTHING + 1)}


def dial_of_header(value: bytes | None) -> int | None:
    """What the header `Edgewise-Dial` says, 0 for what is no dial, None where it is not there."""
    return None if value is None else _SPELT.get(value.strip(), DIAL_NOTHING)


def stricter(stated: int, said: int | None) -> int:
    """The dial that holds, of what was stated and what was said with a request, if anything was."""
    return stated if said is None else min(stated, said)
