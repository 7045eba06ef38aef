"""The bundles that a node holds: immutable folders by digest, and two small files that point at them.

`current` and `previous` are text, a digest and a newline, replaced by rename; workers poll `current` by its stat.
Only the agent (or, without a hub, the supervisor before it starts anything) writes; workers only read.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from edge.node.durable import replace_file, sync_folder
from edge.node.layout import NodePaths
from edgewise.bundle.manifest import MANIFEST, Manifest, decode_manifest
from edgewise.errors import MALFORMED, BundleRefused, UnavailableError

_STAGING: Final = ".staging-"
_HEX: Final = frozenset("0123456789abcdef")


class Quarantined(msgspec.Struct, frozen=True):
    """Why a bundle must not be tried again, by this version of the program: another one may know better."""

    digest: str
    code: str
    message: str
    at_ms: int
    program: str


class BundleStore:
    """The folder `exported_models` of a node."""

    def __init__(self, paths: NodePaths) -> None:
        self._paths = paths

    # --- reading: any process -------------------------------------------------------------------------------------
    def current(self) -> str | None:
        """Digest of the bundle that is to serve, None when there is none."""
        return _pointed(self._paths.current)

    def previous(self) -> str | None:
        """Digest of the bundle that served before, None when there was none."""
        return _pointed(self._paths.previous)

    def generation(self) -> object:
        """Equal as long as `current` was not replaced; one stat, so it may be asked every few milliseconds."""
        try:
            found = self._paths.current.stat()
        except FileNotFoundError:
            return None
        return (found.st_ino, found.st_mtime_ns)

    def holds(self, digest: str) -> bool:
        """Whether the bundle's folder is there; only `read` says whether it is whole."""
        return _is_digest(digest) and self._paths.bundle(digest).is_dir()

    def read(self, digest: str) -> tuple[Manifest, str, dict[str, bytes]]:
        """A bundle's manifest, its digest, and all resources by path, each verified by size and SHA-256.

        Raises:
            BundleRefused: `missing` or `damaged`.
        """
        manifest = self.manifest(digest)
        resources = {path: self._file(digest, path) for path in manifest.resources}
        verify_resources(manifest, resources)
        return manifest, digest, resources

    def manifest(self, digest: str) -> Manifest:
        """A bundle's manifest, verified by its digest.

        Raises:
            BundleRefused: `missing` or `damaged`.
        """
        data = self._file(digest, MANIFEST)
        if sha256(data) != digest:
            raise BundleRefused("damaged", f"bundle {digest[:12]}: the SHA-256 of its manifest is {sha256(data)}")
        return manifest_of(data)

    def find_blob(self, wanted_sha256: str) -> bytes | None:
        """A resource with this digest out of the bundles that are here, verified; None when it must be fetched."""
        for digest in (self.current(), self.previous()):
            try:
                for path, resource in self.manifest(digest or "").resources.items():
                    if resource.sha256 == wanted_sha256:
                        data = self._file(digest or "", path)
                        if sha256(data) == wanted_sha256:
                            return data
            except BundleRefused:
                continue  # a damaged bundle is as good as none: what it held is fetched again
        return None

    # --- writing: one process -------------------------------------------------------------------------------------
    def stage(self, manifest_bytes: bytes, resources: Mapping[str, bytes]) -> str:
        """Put a bundle into the store, durably, without letting it serve; returns its digest.

        Raises:
            BundleRefused: the resources are not those of the manifest, or a path leads out of the folder.
            UnavailableError: the disk does not take it.
        """
        manifest = manifest_of(manifest_bytes)
        verify_resources(manifest, resources)
        digest = sha256(manifest_bytes)
        try:
            folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._paths.bundles))
            for path in manifest.resources:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(target, resources[path], mode=stat.S_IRUSR)
            replace_file(folder / MANIFEST, manifest_bytes, mode=stat.S_IRUSR)
            # What is there under this name may be damaged. It is moved away whole, never repaired in place, because
            # a worker may be reading it.
            if self._paths.bundle(digest).exists():
                self._paths.bundle(digest).rename(folder.with_name(folder.name + "-old"))
            folder.rename(self._paths.bundle(digest))
            sync_folder(self._paths.bundles)
        except OSError as failed:
            raise UnavailableError(f"{self._paths.bundles} does not take bundle {digest[:12]}: {failed}") from failed
        finally:
            self._delete(lambda name: name.startswith(_STAGING))
        return digest

    def activate(self, digest: str) -> None:
        """Let a staged bundle serve; the one before becomes `previous`, older ones are deleted.

        Raises:
            BundleRefused: `missing`.
        """
        if not self.holds(digest):
            raise BundleRefused("missing", f"bundle {digest[:12]} is not in {self._paths.bundles}")
        current = self.current()
        if current != digest and current is not None:
            replace_file(self._paths.previous, f"{current}\n".encode())
        replace_file(self._paths.current, f"{digest}\n".encode())
        kept = {digest, self.previous()}
        self._delete(lambda name: _is_digest(name) and name not in kept)

    def revert(self) -> str | None:
        """Let the previous bundle serve again, or none when there is none; returns what serves."""
        previous = self.previous()
        if previous is not None and self.holds(previous):
            replace_file(self._paths.current, f"{previous}\n".encode())
            return previous
        self.clear()
        return None

    def repair(self) -> str | None:
        """Before a node starts: let a whole bundle serve, the current one if it is; returns what was wrong with it.

        A bit may flip on disk. What is damaged here is fetched again as soon as the hub offers it.
        """
        current = self.current()
        if current is None:
            return None
        try:
            self.read(current)
        except BundleRefused as damaged:
            shutil.rmtree(self._paths.bundle(current), ignore_errors=True)
            previous = self.previous()
            try:
                self.read(previous or "")
            except BundleRefused:
                self.clear()
            else:
                self.revert()
            return damaged.message
        return None

    def clear(self) -> None:
        """Let nothing serve: the site changed, and its bundles are not ours any more."""
        self._paths.current.unlink(missing_ok=True)
        self._paths.previous.unlink(missing_ok=True)
        sync_folder(self._paths.bundles)

    def discard(self, digest: str) -> None:
        """Delete a staged bundle, unless it serves or served before."""
        if digest not in {self.current(), self.previous()}:
            self._delete(lambda name: name == digest)

    def quarantine(self, digest: str, *, code: str, message: str, now_ms: int) -> None:
        """Remember that a bundle must not be tried again."""
        entry = Quarantined(digest, code, message, now_ms, version("edgewise"))
        replace_file(self._paths.quarantine / f"{digest}.json", msgspec.json.encode(entry))

    def quarantined(self, digest: str) -> Quarantined | None:
        """Why a bundle must not be tried, None when it may be."""
        try:
            held = msgspec.json.decode((self._paths.quarantine / f"{digest}.json").read_bytes(), type=Quarantined)
        except (OSError, *MALFORMED):
            return None
        return held if held.program == version("edgewise") else None

    def _file(self, digest: str, path: str) -> bytes:
        if not _is_digest(digest):
            raise BundleRefused("missing", f"{digest!r} is no digest")
        try:
            return (self._paths.bundle(digest) / path).read_bytes()
        except OSError as missing:
            raise BundleRefused("missing", f"bundle {digest[:12]}, {path}: {missing.strerror}") from missing

    def _delete(self, unwanted: Callable[[str], bool]) -> None:
        for folder in self._paths.bundles.iterdir():
            if unwanted(folder.name):
                shutil.rmtree(folder, ignore_errors=True)


def sha256(data: bytes) -> str:
    """Hex digits."""
    return hashlib.sha256(data).hexdigest()


def manifest_of(data: bytes) -> Manifest:
    """A decoded manifest whose paths all stay inside the bundle's folder.

    Raises:
        BundleRefused: `malformed` or `path`.
    """
    try:
        manifest = decode_manifest(data)
    except MALFORMED as wrong:
        raise BundleRefused("malformed", f"{MANIFEST}: {wrong}") from wrong
    for path in manifest.resources:
        parts = path.split("/")
        if path == MANIFEST or "\\" in path or "\0" in path or any(part in {"", ".", ".."} for part in parts):
            raise BundleRefused("path", f"{MANIFEST} names {path!r}; expected a plain relative path")
    return manifest


def verify_resources(manifest: Manifest, resources: Mapping[str, bytes]) -> None:
    """Compare what is there with what the manifest names.

    Raises:
        BundleRefused: `missing` or `damaged`.
    """
    for path, resource in manifest.resources.items():
        data = resources.get(path)
        if data is None:
            raise BundleRefused("missing", f"the manifest names {path}, which is not there")
        if len(data) != resource.bytes or sha256(data) != resource.sha256:
            raise BundleRefused(
                "damaged",
                f"{path}: {len(data)} bytes, SHA-256 {sha256(data)}; "
                f"the manifest says {resource.bytes} bytes, {resource.sha256}",
            )


def _pointed(pointer: Path) -> str | None:
    try:
        digest = pointer.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return digest if _is_digest(digest) else None


def _is_digest(text: str) -> bool:
    return len(text) == hashlib.sha256().digest_size * 2 and set(text) <= _HEX
