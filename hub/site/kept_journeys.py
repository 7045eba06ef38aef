"""The journeys that a site applied, kept in the data folder: a hub that serves has no site's folder.

What a mail journey watches and when it writes is in force as soon as it is applied; what it offers is a placement of
the live release, which a person approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED, UnavailableError
from hub.durable import replace_file
from hub.site.journey_file import JourneyFile

FILE: Final = "journeys.json"
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(dict[str, JourneyFile])


def keep_journeys(data_dir: Path, said: Mapping[str, JourneyFile]) -> bool:
    """Let them hold from now on; whether that changed anything."""
    path = data_dir / FILE
    content = msgspec.json.format(_encoder.encode(dict(said)), indent=1)
    if (path.read_bytes() == content) if path.exists() else not said:
        return False
    replace_file(path, content)
    return True


def kept_journeys(data_dir: Path) -> dict[str, JourneyFile]:
    """Name -> journey; empty before a site was applied. Raises UnavailableError for a file that is damaged."""
    path = data_dir / FILE
    try:
        return _decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, *MALFORMED) as damaged:
        raise UnavailableError(f"{path}: {damaged}; `edgewise site apply` writes it again") from damaged
