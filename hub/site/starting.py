"""A small invented site to start from: a shop for coffee and tea."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from edgewise.errors import InputError
from edgewise.ids import SiteName
from hub.durable import replace_file
from hub.site.approving import approve_items
from hub.site.approving_templates import approve_templates
from hub.site.reading import SITE_FILE
from hub.site.schemas import FOLDER, with_modeline, write_schemas
from hub.site.template_files import SUFFIXES

INVENTED: Final = SiteName("kettle-and-bean")
_NO_KEYS: Final = b"write_key_sha256: []"


def yaml_files(package: str, folder: str) -> dict[str, bytes]:
    """The YAML files of a package's folder, and sources of templates: path below the folder -> content."""
    root = Path(str(files(package) / folder))
    read = [path for path in sorted(root.rglob("*")) if path.suffix in {".yaml", *SUFFIXES}]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in read}


def invented_files() -> dict[str, bytes]:
    """The files of the invented site, with nothing approved and no write key."""
    return yaml_files("hub.site", "invented")


def starting_files() -> dict[str, bytes]:
    """What a site begins with: the invented site, and three journeys in it that wait to be enabled.

    Apart from `invented_files`, of which the starter bundle is made: a node without a hub has no journeys.
    """
    journeys = yaml_files("hub.site", "invented_journeys")
    more = journeys.pop(SITE_FILE)
    files = invented_files()
    return {**files, SITE_FILE: files[SITE_FILE] + more, **journeys}


def start_site(folder: Path, by: str) -> str:
    """Write the invented site into a folder, approve its items in the name of `by`, and return its write key.

    With the schemas of all files, and in each file a line that tells editors where its own lies.

    The key itself is kept nowhere, only its digest.

    Raises:
        InputError: something is in the folder already; nothing is written.
    """
    taken = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if taken or folder.is_file():
        raise InputError(f"{folder} is not empty ({', '.join(taken[:5]) or 'a file'}); name a new folder")
    write_key = secrets.token_urlsafe(24)
    contents = {path: with_modeline(path, content) for path, content in starting_files().items()}
    write_site(folder, contents, write_key=write_key, by=by)
    write_schemas(folder / FOLDER)
    return write_key


def write_site(folder: Path, contents: Mapping[str, bytes], *, write_key: str, by: str) -> None:
    """Write a site's files, with the digest of its write key and all items approved in the name of `by`."""
    digest = hashlib.sha256(write_key.encode()).hexdigest()
    for path, content in contents.items():
        replace_file(folder / path, content.replace(_NO_KEYS, f"write_key_sha256: [{digest}]".encode()))
    approve_items(folder, by)
    approve_templates(folder, by)
