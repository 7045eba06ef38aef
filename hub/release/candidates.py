"""Bundles that wait for a person: a folder each, in the layout that `edgewise edge serve --bundle DIR` can preview."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from edgewise.bundle.manifest import MANIFEST, decode_manifest
from edgewise.errors import MALFORMED, BundleRefused
from edgewise.ids import BundleVersion
from hub.durable import replace_file
from hub.release.bundle import BuiltBundle


class CandidateFolder:
    """The candidates of one data folder; nothing here was approved, so nothing here is served to nodes."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "candidates"

    def of(self, version: BundleVersion) -> Path:
        """Where a candidate lies."""
        return self.path / str(version)

    def keep(self, built: BuiltBundle) -> Path:
        """Write a candidate, its manifest last; what a crash left under its version is overwritten."""
        folder = self.of(built.manifest.version)
        shutil.rmtree(folder, ignore_errors=True)
        write_bundle(folder, built)
        return folder

    def read(self, version: BundleVersion, digest: str) -> BuiltBundle | None:
        """A candidate, compared with the digest that was written down; None when it is not (or no longer) there.

        Raises BundleRefused (`digest`) when it was changed since.
        """
        folder = self.of(version)
        if not (folder / MANIFEST).exists():
            return None
        built = read_bundle(folder)
        if built.digest != digest:
            raise BundleRefused(
                "digest", f"the candidate in {folder} was changed since it was built; apply the site again"
            )
        return built

    def drop(self, version: BundleVersion) -> None:
        """Remove a candidate that was published."""
        shutil.rmtree(self.of(version), ignore_errors=True)


def write_bundle(folder: Path, built: BuiltBundle) -> None:
    """`manifest.json` and the resources, below a folder."""
    for name, data in built.resources.items():
        replace_file(folder / name, data)
    replace_file(folder / MANIFEST, built.manifest_bytes)


def read_bundle(folder: Path) -> BuiltBundle:
    """What `write_bundle` wrote.

    Raises BundleRefused (`digest`) when a file is missing or is not what the manifest says.
    """
    try:
        manifest_bytes = (folder / MANIFEST).read_bytes()
        manifest = decode_manifest(manifest_bytes)
        resources = {name: (folder / name).read_bytes() for name in manifest.resources}
    except (OSError, *MALFORMED) as wrong:
        raise BundleRefused("digest", f"the bundle in {folder} cannot be read: {wrong}") from wrong
    for name, resource in manifest.resources.items():
        if hashlib.sha256(resources[name]).hexdigest() != resource.sha256:
            raise BundleRefused("digest", f"{folder / name} is not what the manifest says; its digest differs")
    return BuiltBundle(manifest_bytes, resources)
