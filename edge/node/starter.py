"""Bundles that come from a folder, not from a hub: the starter bundle, and what `--bundle DIR` names.

    root.json               the root to trust; for the starter bundle it is part of this program
    metadata/*.json         timestamp, snapshot, targets
    bundle/manifest.json    and the resources that it names

`--bundle DIR` also takes a folder with manifest.json right in it: verified by digests, vouched for by nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from edge.node.bundles import BundleStore, manifest_of, sha256, verify_resources
from edge.node.offline_trust import verify_offline
from edgewise.bundle.manifest import MANIFEST, Manifest
from edgewise.errors import BundleRefused, UnavailableError

_IN_WHEEL: Final = Path(__file__).parent.parent / "starter_bundle"
_IN_CHECKOUT: Final = Path(__file__).parents[2] / "exported_models" / "starter"


class FolderBundle(NamedTuple):
    """A bundle that was read and verified."""

    manifest: Manifest
    manifest_bytes: bytes
    resources: dict[str, bytes]
    expires_ms: int | None
    """When the signatures end; None: it is not signed."""

    @property
    def digest(self) -> str:
        """Names the bundle."""
        return sha256(self.manifest_bytes)


def starter_folder() -> Path:
    """Where the starter bundle is, in the wheel or in a checkout.

    Raises:
        UnavailableError: it is in neither.
    """
    for folder in (_IN_WHEEL, _IN_CHECKOUT):
        if (folder / "root.json").exists():
            return folder
    raise UnavailableError(f"this installation has no starter bundle ({_IN_WHEEL}); name one by --bundle DIR")


def read_folder(folder: Path, *, most_bytes: int) -> FolderBundle:
    """Read and verify a bundle's folder, with the signatures that it holds.

    Raises:
        BundleRefused: `missing`, `damaged`, `malformed`, `path`, `too_large`, or `untrusted`.
    """
    signed = (folder / "root.json").exists()
    files = folder / "bundle" if (folder / "bundle" / MANIFEST).exists() else folder
    manifest_bytes = _read(files / MANIFEST)
    manifest = manifest_of(manifest_bytes)
    size = sum(resource.bytes for resource in manifest.resources.values())
    if size > most_bytes:
        raise BundleRefused("too_large", f"{folder}: resources of {size} bytes, at most {most_bytes} are taken")
    resources = {path: _read(files / path) for path in manifest.resources}
    verify_resources(manifest, resources)
    expires_ms = None
    if signed:
        root = _read(folder / "root.json")
        expires_ms = verify_offline(folder / "metadata", root, manifest_bytes, manifest.version).expires_ms
    return FolderBundle(manifest, manifest_bytes, resources, expires_ms)


async def install_tried(store: BundleStore, bundle: FolderBundle, pass_trial: Callable[[str], Awaitable[None]]) -> None:
    """Let a folder's bundle serve after it has passed its trial, unless it does already and is whole.

    `pass_trial` takes the digest of the staged bundle and raises BundleRefused; then what served before serves on.

    Raises:
        BundleRefused: as the trial says.
        UnavailableError: the disk does not take it.
    """
    if _serves_whole(store, bundle.digest):
        return
    digest = store.stage(bundle.manifest_bytes, bundle.resources)
    try:
        await pass_trial(digest)
        store.activate(digest)
    finally:
        store.discard(digest)


def _serves_whole(store: BundleStore, digest: str) -> bool:
    if store.current() != digest:
        return False
    try:
        store.read(digest)
    except BundleRefused:
        return False  # damaged in the store: put there again
    return True


def is_starter(store: BundleStore) -> bool:
    """Whether a starter bundle serves: version 0 is never released by a hub."""
    current = store.current()
    return current is not None and store.manifest(current).version == 0


def install_starter(store: BundleStore, *, most_bytes: int) -> FolderBundle | None:
    """Let the starter bundle serve where nothing else does; returns it, or None where a real bundle stays.

    An older starter bundle is replaced: it came with an older version of this program.

    Raises:
        UnavailableError, BundleRefused: there is none, or it is damaged.
    """
    if store.current() is not None and not is_starter(store):
        return None
    bundle = read_folder(starter_folder(), most_bytes=most_bytes)
    if not _serves_whole(store, bundle.digest):
        # Tried when it was released; it is as much a part of this program as the code that would try it.
        store.activate(store.stage(bundle.manifest_bytes, bundle.resources))
    return bundle


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as missing:
        raise BundleRefused("missing", f"{file}: {missing.strerror}") from missing
