"""What models learned about items, as a bundle brings it: sets of neighbours, sets of vectors, visits of others.

A set has a name, and features and retrieval say `from` which one. The blank name is that of the set that a site has
without naming any: the ranker's neighbours, and content vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgewise.bundle.manifest import NEIGHBOURS, SESSIONS, VECTORS
from edgewise.bundle.neighbours import Neighbours
from edgewise.bundle.sessions import Sessions
from edgewise.bundle.vectors import Vectors

SetName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
"""Of a set that a site names: `complements`."""
SetRef = Annotated[str, Meta(pattern="^([a-z][a-z0-9_-]{0,63})?$")]
"""One of them, or the one without a name."""
UNNAMED: Final = ""


class Learned(msgspec.Struct, frozen=True):
    """Decoded and checked, each for itself."""

    neighbours: Mapping[str, Neighbours] = {}
    vectors: Mapping[str, Vectors] = {}
    sessions: Sessions | None = None

    @property
    def resources(self) -> set[str]:
        """Where all of them lie in the bundle."""
        found = {neighbours_path(name) for name in self.neighbours} | {vectors_path(name) for name in self.vectors}
        return found if self.sessions is None else {*found, SESSIONS}


def neighbours_path(name: str) -> str:
    """Where a set of neighbours lies in a bundle."""
    return f"neighbours/{name}.msgpack" if name else NEIGHBOURS


def vectors_path(name: str) -> str:
    """Where a set of vectors lies in a bundle."""
    return f"vectors/{name}.msgpack" if name else VECTORS


def set_named(path: str, folder: str) -> str | None:
    """The set of `folder` (`neighbours`, `vectors`) whose resource is `path`; None where it is another thing."""
    if path == f"{folder}.msgpack":
        return UNNAMED
    name = path.removeprefix(f"{folder}/").removesuffix(".msgpack")
    return name if path == f"{folder}/{name}.msgpack" else None
