"""The signed metadata of a site, brought up to date: the TUF client workflow, in this program's words.

Blocking, and one at a time: two updaters on one metadata folder would break it. Every error of python-tuf becomes a
`BundleRefused` with a short code, or an `UnavailableError` where only the connection is to blame.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api import exceptions
from tuf.api.serialization import DeserializationError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.node.layout import NodePaths
from edge.node.trust import UNFINISHED
from edgewise.errors import BundleRefused, UnavailableError

_CODES: list[tuple[type[Exception], str]] = [
    (exceptions.UnsignedMetadataError, "untrusted"),
    (exceptions.BadVersionNumberError, "rollback"),
    (exceptions.ExpiredMetadataError, "expired"),
    (exceptions.LengthOrHashMismatchError, "digest_mismatch"),
    (exceptions.DownloadLengthMismatchError, "too_large"),
    (exceptions.DownloadHTTPError, "missing"),
    (exceptions.RepositoryError, "untrusted"),
    (DeserializationError, "malformed"),
]
"""The first that fits."""


@contextmanager
def refreshed(paths: NodePaths, root: bytes, fetcher: FetcherInterface) -> Iterator[Updater]:
    """Bring the metadata up to date from the pinned root on, and hand out what reads its targets.

    Raises, also of what is done with it:
        BundleRefused: `untrusted`, `rollback`, `expired`, `digest_mismatch`, `too_large`, `missing` or `malformed`.
        UnavailableError: the hub cannot be reached, or the disk does not take the metadata.
    """
    # Caps on roles are ngclient's own (root 512,000 bytes, timestamp 16,384, …); it makes them hold while streaming.
    with _in_our_words(), tempfile.TemporaryDirectory(dir=paths.trust, prefix=UNFINISHED) as folder:
        updater = Updater(
            metadata_dir=str(paths.metadata),
            metadata_base_url="metadata/",
            target_dir=folder,
            target_base_url="targets/",
            fetcher=fetcher,
            config=UpdaterConfig(),
            bootstrap=root,
        )
        updater.refresh()
        yield updater


def read_target(updater: Updater, path: str, most_bytes: int, *, here_sha256: str = "") -> bytes | None:
    """A target that is signed with at most so many bytes, verified.

    None where no role lists it, or where it is what is here already, which is named by its SHA-256.
    """
    info = updater.get_targetinfo(path)
    if info is None or info.hashes.get("sha256") == here_sha256:
        return None
    if info.length > most_bytes:
        raise BundleRefused("too_large", f"{path} is signed with {info.length} bytes, at most {most_bytes} are taken")
    return Path(updater.download_target(info)).read_bytes()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (exceptions.RepositoryError, exceptions.DownloadError, DeserializationError) as failed:
        for kind, code in _CODES:
            if isinstance(failed, kind):
                raise BundleRefused(code, f"signed metadata: {failed}") from failed
        raise UnavailableError(f"signed metadata: {failed}") from failed
    except OSError as failed:
        raise UnavailableError(f"signed metadata cannot be kept: {failed}") from failed
