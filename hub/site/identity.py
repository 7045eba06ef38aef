"""`identity.yaml` of a site: what may join people (`hub.identity.rules`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgewise.errors import Problem
from hub.identity.rules import IdentityFile
from hub.site.converting import convert
from hub.site.documents import Document, read_yaml
from hub.site.reading import raise_if_any

IDENTITY_FILE: Final = "identity.yaml"


def read_identity(folder: Path) -> IdentityFile | None:
    """The `identity.yaml` of a site's folder; None where it has none.

    Raises:
        SiteError: all that is wrong with it, with file, line and path.
    """
    path = folder / IDENTITY_FILE
    if not path.exists():
        return None
    try:
        document, problems = read_yaml(IDENTITY_FILE, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as wrong:
        raise_if_any(folder, [Problem(f"{IDENTITY_FILE}:1", f"cannot be read: {wrong}; save it as UTF-8 text")])
        raise AssertionError from wrong
    raise_if_any(folder, problems)
    assert document is not None
    file, wrongs = convert(document.value, IdentityFile)
    problems = [document.problem(wrong.path, wrong.message) for wrong in wrongs]
    if file is not None:
        problems += _repeated(document, file)
    raise_if_any(folder, problems)
    return file


def _repeated(document: Document, file: IdentityFile) -> list[Problem]:
    """A kind that is listed twice would have two priorities."""
    names = [each.kind for each in file.kinds]
    return [
        document.problem(("kinds", place, "kind"), f"the kind {name!r} is listed already; remove one of them")
        for place, name in enumerate(names)
        if name in names[:place]
    ]
