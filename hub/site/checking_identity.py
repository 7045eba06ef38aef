"""What is wrong with a site's `identity.yaml` beside its shape."""

from __future__ import annotations

from collections.abc import Iterator

from edgewise.errors import Problem
from edgewise.identifiers import normalised
from hub.site.reading import Files


def check_identity(files: Files) -> Iterator[Problem]:
    """A kind that is listed twice would have two priorities; a blocked value that names nobody anyway is a slip."""
    if files.identity is None:
        return
    said, place = files.identity
    names = [each.kind for each in said.kinds]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield place.problem(("kinds", position, "kind"), f"the kind {name!r} is listed already; remove one of them")
    for kind, values in said.blocked.items():
        for position, value in enumerate(values):
            if not normalised(kind, value):
                message = f"{value!r} names nobody in any site; remove it"
                yield place.problem(("blocked", kind, position), message)
