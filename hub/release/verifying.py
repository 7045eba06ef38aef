"""A release as a node would see it: the TUF client workflow on the repository's files, digests, golden rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tuf.api import exceptions
from tuf.ngclient import FetcherInterface, Updater
from typing_extensions import override

from edgewise.bundle.assignment import release_path
from edgewise.errors import BundleRefused, EdgewiseError, RefusedError
from edgewise.ids import BundleVersion, ModelName
from hub.ledger.rows import ReleaseRow, ReleaseStatus
from hub.release.bundle import BuiltBundle, check_bundle
from hub.release.releases import Releases
from hub.release.repository import Repository
from hub.scoring_child import ScoringChild

NOT_FOUND = 404


class Verification(msgspec.Struct, frozen=True):
    """What was found of one release."""

    version: BundleVersion
    digest: str
    status: str
    signed: bool
    """A TUF client accepts it now. False for a candidate, which nobody signed yet, and for one off the list."""
    resources: int
    bytes: int
    golden: dict[ModelName, float]
    """Largest |served - trained| / max(1, |trained|) on each model's golden rows."""
    problem: str | None = None
    """Why it failed; None: it is sound."""


class LocalFetcher(FetcherInterface):
    """`tuf.ngclient`'s seam over a repository's own files: the same bytes that a node would receive."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        kind, _, path = url.partition("/")
        data = self._repository.metadata(path) if kind == "metadata" else self._repository.target(path)
        if data is None:
            raise exceptions.DownloadHTTPError(f"no {url}", NOT_FOUND)
        return iter([data])


def verify(releases: Releases, version: BundleVersion, *, now_ms: int, child: ScoringChild) -> Verification:
    """Check one release from signatures to scores. Raises InputError when there is none."""
    row = releases.row(version)
    built: BuiltBundle | None = None
    signed, golden, problem = False, {}, None
    try:
        built = releases.bundle(version)
        listed = releases.repository.exists and version in releases.repository.releases()
        if listed:
            found = fetch_as_client(releases.repository, release_path(version))
            if found != built.manifest_bytes:
                raise BundleRefused("digest", "the signed manifest is not the one that was approved")
            signed = True
        golden = check_bundle(built, now_ms=now_ms, child=child)
        problem = None if signed else _unsigned(releases, row)
    except EdgewiseError as failed:
        code = f"{failed.code}: " if isinstance(failed, RefusedError) else ""
        problem = f"{code}{failed}"
    return Verification(
        version=version,
        digest=row.digest,
        status=row.status,
        signed=signed,
        resources=0 if built is None else len(built.resources),
        bytes=0 if built is None else sum(map(len, built.resources.values())),
        golden=golden,
        problem=problem,
    )


def _unsigned(releases: Releases, row: ReleaseRow) -> str | None:
    """What is wrong with a release that is not listed: nothing before its approval, and after its time."""
    match row.status:
        case ReleaseStatus.LIVE:
            return f"it is live, but not signed; `edgewise release promote {row.version}` signs it again"
        case ReleaseStatus.APPROVED if not releases.repository.is_past(row.version):
            return f"it is approved, but not signed; `edgewise release approve {row.version}` finishes that"
        case _:
            return None


def fetch_as_client(repository: Repository, path: str) -> bytes:
    """A target, through the whole TUF client workflow from the trust anchor on.

    `tuf.ngclient` reads the machine's clock for expiry, as on a node.

    Raises BundleRefused: `untrusted`, `expired` or `missing`.
    """
    with tempfile.TemporaryDirectory(prefix="edgewise-verify-") as folder:
        try:
            updater = Updater(
                metadata_dir=folder,
                metadata_base_url="metadata/",
                target_dir=folder,
                target_base_url="targets/",
                fetcher=LocalFetcher(repository),
                bootstrap=repository.trust_anchor(),
            )
            updater.refresh()
            target = updater.get_targetinfo(path)
            if target is None:
                raise BundleRefused("missing", f"{path} is not among the signed targets")
            return Path(updater.download_target(target)).read_bytes()
        except exceptions.ExpiredMetadataError as expired:
            cure = "a running hub signs it again, or run `edgewise release promote` once more"
            raise BundleRefused("expired", f"{expired}; {cure}") from expired
        except (exceptions.RepositoryError, exceptions.DownloadError) as refused:
            raise BundleRefused("untrusted", f"{type(refused).__name__}: {refused}") from refused
