"""The scripts as they are sent: made small and packed once, named by what they hold.

The readable sources stand beside this module, and say at their top how a page uses them.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from edge.browser.minify import minify

CLIENT: Final = "edgewise.js"
OVERLAY: Final = "edgewise-debug.js"
SCRIPTS: Final = (CLIENT, OVERLAY)
MOST_CLIENT_BYTES: Final = 2_990
"""Of the packed client: below 3,000 by a little air for proxies that pack less well."""
_LEVEL: Final = 9
_DIGEST_CHARACTERS: Final = 16


class Script(NamedTuple):
    """One script, ready to be sent."""

    name: str
    small: bytes
    packed: bytes
    """The same, gzip."""
    digest: str
    """The first 16 hex digits of the SHA-256 of `small`."""


@lru_cache
def script(name: str) -> Script:
    """One of SCRIPTS; the same bytes in every process of a version, so that its digest names it everywhere."""
    small = minify(source(name)).encode()
    packed = gzip.compress(small, _LEVEL, mtime=0)
    return Script(name, small, packed, hashlib.sha256(small).hexdigest()[:_DIGEST_CHARACTERS])


def source(name: str) -> str:
    """The readable script."""
    return (files("edge.browser") / name).read_text()
