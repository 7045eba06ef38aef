"""From nothing to a site that a hub can serve: the folder, the keys, the signed (still empty) repository."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgewise.clock import Clock, SystemClock
from edgewise.ids import SiteName
from hub.keys import make_keys
from hub.release.repository import Repository
from hub.site.starting import INVENTED, start_site


class Begun(NamedTuple):
    """What was made."""

    site: SiteName
    write_key: str
    """Kept nowhere but here."""
    keys: list[str]
    """Names of the key files that were made; none where the hub has its keys already."""


def begin(folder: Path, data_dir: Path, *, by: str, clock: Clock | None = None) -> Begun:
    """Write the invented site into `folder`, and make keys and repository in the hub's data folder.

    Raises:
        InputError: something is in the folder already.
        RefusedError: the data folder belongs to another site, or its keys are lost. Nothing is written then.
    """
    repository = Repository(data_dir, clock or SystemClock())
    if repository.exists:
        repository.create(INVENTED)
    write_key = start_site(folder, by)
    keys = make_keys(data_dir)
    repository.create(INVENTED)
    return Begun(INVENTED, write_key, keys)
