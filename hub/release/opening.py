"""Opens what a hub's data folder has signed, or says what to run first."""

from __future__ import annotations

from pathlib import Path

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from hub.keys import KeyFolder
from hub.release.repository import Repository


def site_repository(data_dir: Path, clock: Clock) -> Repository:
    """The signed repository of a data folder. Raises UnavailableError with what to run where there is none."""
    repository = Repository(data_dir, clock)
    if repository.exists:
        return repository
    there = f"--data-dir {data_dir}"
    if KeyFolder(data_dir).missing():
        raise UnavailableError(
            f"{data_dir} holds no site; run `edgewise site init DIR {there}`, then `edgewise site apply DIR {there}`"
        )
    raise UnavailableError(
        f"{data_dir} holds the keys of a site, but nothing signed yet; run `edgewise site apply DIR {there}`"
    )
