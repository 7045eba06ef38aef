"""The last look at each model, kept in the data folder, so that the hub's metrics can tell of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED
from hub.durable import replace_file
from hub.monitor.watch import WatchReport
from hub.site.files import NAME_PATTERN

FOLDER: Final = "monitor"


def keep(data_dir: Path, report: WatchReport) -> Path:
    """Replace what was kept of this model; returns the file."""
    path = data_dir / FOLDER / f"{report.model}.json"
    replace_file(path, msgspec.json.encode(report))
    return path


def kept(data_dir: Path) -> list[WatchReport]:
    """The last look at every model, sorted by name; a file that is none is passed over."""
    found = []
    for path in sorted((data_dir / FOLDER).glob("*.json")):
        if re.fullmatch(NAME_PATTERN, path.stem) is None:
            continue
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=WatchReport))
        except (OSError, *MALFORMED):
            continue
    return found
