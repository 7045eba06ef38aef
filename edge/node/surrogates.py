"""Surrogate keys: by which names a proxy can be asked to forget what it has kept of this site.

A shared fragment carries the key of everything, of its placement, of its bundle and of each item in it. One list under
the three names that proxies and networks read (`Surrogate-Key`: Fastly, and our recipe for Varnish; `xkey`: Varnish
with that module; `Cache-Tag`: Cloudflare, Akamai). Keys hold letters, digits, `-` and `_` only, so that they can stand
in a header and in an expression as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from edgewise.ids import BundleVersion, ItemId, PlacementName

EVERYTHING: Final = "edgewise"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST_HEX: Final = 24
"""Digits of a name's SHA-256 that stand for it where it cannot stand itself: 96 bits."""


def placement_key(name: PlacementName) -> str:
    """Of all shared fragments of a placement."""
    return f"ew-p-{_word(name)}"


def item_key(item: ItemId) -> str:
    """Of all shared fragments that show an item."""
    return f"ew-i-{_word(item)}"


def bundle_key(version: BundleVersion) -> str:
    """Of all shared fragments that were decided by a release."""
    return f"ew-b-{version}"


def keys_of(name: PlacementName, version: BundleVersion, items: Iterable[ItemId]) -> list[str]:
    """All keys of one shared fragment, each once."""
    return list(dict.fromkeys((EVERYTHING, bundle_key(version), placement_key(name), *map(item_key, items))))


def key_headers(keys: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """The headers that carry them."""
    words = list(keys)
    spaced = " ".join(words).encode()
    return [(b"surrogate-key", spaced), (b"xkey", spaced), (b"cache-tag", ",".join(words).encode())]


def _word(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return f"x-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:_DIGEST_HEX]}"
