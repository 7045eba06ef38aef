"""A signed repository with its clients, small enough to sign a hundred times in a test."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tuf.api.metadata import Metadata
from tuf.ngclient import Updater

from edgewise.bundle.assignment import ASSIGNMENT, Assignment, decode_assignment, release_path
from edgewise.bundle.manifest import PROTOCOL_VERSION, Manifest, Resource, encode_manifest
from edgewise.clock import Clock, SystemClock
from edgewise.ids import BundleVersion, SiteName
from hub.keys import make_keys
from hub.release.chain import Write
from hub.release.repository import Repository
from hub.release.verifying import LocalFetcher

SHOP = SiteName("shop")


def write_without_sync(path: Path, data: bytes) -> None:
    """As `hub.durable.replace_file`, for tests that no power cut will meet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)


def new_repository(data_dir: Path, clock: Clock | None = None, *, write: Write = write_without_sync) -> Repository:
    """A created repository with fresh keys."""
    make_keys(data_dir)
    repository = Repository(data_dir, clock or SystemClock(), write=write)
    repository.create(SHOP)
    return repository


def tiny_release(version: int, text: str = "", site: SiteName = SHOP) -> tuple[bytes, dict[str, bytes]]:
    """A manifest with one resource; the repository does not look into resources."""
    data = f"release {version} {text}".encode()
    manifest = Manifest(
        version=BundleVersion(version),
        parent=None,
        site=site,
        created_ms=0,
        expires_ms=1,
        protocol_version=PROTOCOL_VERSION,
        resources={"policy.json": Resource(hashlib.sha256(data).hexdigest(), len(data))},
        models={},
        provenance={},
    )
    return encode_manifest(manifest), {"policy.json": data}


class Client:
    """A node's trust: `tuf.ngclient` with its own folder, which outlives single updates."""

    def __init__(self, folder: Path, repository: Repository, anchor: bytes | None = None) -> None:
        self.folder = folder
        self.anchor = anchor or repository.trust_anchor()
        self.repository = repository
        (folder / "targets").mkdir(parents=True, exist_ok=True)

    def update(self) -> Updater:
        """One refresh of the top-level roles; raises what ngclient raises."""
        updater = Updater(
            metadata_dir=str(self.folder),
            metadata_base_url="metadata/",
            target_dir=str(self.folder / "targets"),
            target_base_url="targets/",
            fetcher=LocalFetcher(self.repository),
            bootstrap=self.anchor,
        )
        updater.refresh()
        return updater

    def assignment(self) -> Assignment | None:
        """What the signed assignment says now."""
        data = self.target(ASSIGNMENT)
        return None if data is None else decode_assignment(data)

    def manifest(self, version: int) -> bytes | None:
        """The signed manifest of a release."""
        return self.target(release_path(BundleVersion(version)))

    def target(self, path: str) -> bytes | None:
        """A verified target, None where nobody has signed it."""
        updater = self.update()
        found = updater.get_targetinfo(path)
        return None if found is None else Path(updater.download_target(found)).read_bytes()

    def versions(self) -> dict[str, int]:
        """Role -> version of the metadata that this client trusts."""
        return {path.stem: Metadata.from_bytes(path.read_bytes()).signed.version for path in self.folder.glob("*.json")}
