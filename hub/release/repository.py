"""The signed repository that nodes verify: releases that a person approved, and which node is to run which.

    metadata/1.root.json  7.targets.json  9.snapshot.json  timestamp.json  4.assignment.json  2.facts.json
    targets/releases/42/SHA256.manifest.json  targets/SHA256.assignment.json  targets/facts/SHA256.live.json
    blobs/SHA256                                      resources of bundles, named by their manifests

`hub.release.chain` explains the metadata. Nothing that was once released is deleted: a decision can be replayed
with the bundle that made it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tuf.api.metadata import TargetFile

from edgewise.bundle.assignment import ASSIGNMENT, FACTS, Assignment, decode_assignment, encode_assignment, release_path
from edgewise.bundle.facts import FACTS_TARGET, NO_FACTS
from edgewise.bundle.manifest import MANIFEST, Manifest, decode_manifest
from edgewise.clock import Clock, SystemClock
from edgewise.errors import MALFORMED, BundleRefused, RefusedError, UnavailableError
from edgewise.ids import BundleVersion, NodeId, SiteName
from hub.durable import locked, replace_file
from hub.keys import ONLINE_ROLES, KeyFolder
from hub.release.chain import ANCHOR, KEPT_VERSIONS, LIFE_S, SITE_FIELD, Chain, ChainFolder, Write, is_metadata_name

RETAINED: Final = 32
"""Approved releases that are listed for nodes, latest first; those that are assigned stay listed beyond."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = "version"
_RELEASE = re.compile(r"releases/(0|[1-9][0-9]{0,18})/manifest\.json")


class AssignmentDamaged(UnavailableError):  # noqa: N818  # as the other errors
    """Nobody can say which release nodes are to run; a new assignment ends that."""


class Standing(NamedTuple):
    """What nodes are told of when it changes. Equal as long as nothing did."""

    releases: tuple[int, int, int]
    """Versions of the roles root, targets and assignment."""
    facts: int
    """Version of the live facts, 0: none were ever published."""
    facts_role: int


class Release(NamedTuple):
    """A release, read back and checked against its digests."""

    manifest: Manifest
    manifest_bytes: bytes
    digest: str
    """SHA-256 of the manifest's bytes; names the bundle."""
    resources: dict[str, bytes]


class Repository:
    """The repository of one data folder. Any number of processes may read and change it at the same time.

    `lives_s`: role -> seconds that its signatures hold.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock | None = None,
        *,
        write: Write = replace_file,
        lives_s: Mapping[str, int] = LIFE_S,
    ) -> None:
        self.path = data_dir / "repository"
        self._clock = clock or SystemClock()
        self._write = write
        self.chain = ChainFolder(self.path / "metadata", KeyFolder(data_dir), write, lives_s)

    # --- what a node may fetch ---------------------------------------------------------------------------------
    def metadata(self, name: str) -> bytes | None:
        """A metadata file by the name that a TUF client asks for: `timestamp.json`, `9.snapshot.json`."""
        return _read(self.path / "metadata" / name) if is_metadata_name(name) else None

    def metadata_names(self) -> list[str]:
        """The metadata files that count now, by the names that a TUF client asks for."""
        return self.chain.read().names()

    def target(self, path: str) -> bytes | None:
        """A target by the path that a TUF client asks for: `releases/42/SHA256.manifest.json`."""
        if not all(map(_SEGMENT.fullmatch, path.split("/"))):
            return None
        return _read(self.path / "targets" / path)

    def blob(self, sha256: str) -> bytes | None:
        """A resource of a released bundle by its digest."""
        return _read(self.path / "blobs" / sha256) if _DIGEST.fullmatch(sha256) else None

    # --- what it says ------------------------------------------------------------------------------------------
    @property
    def exists(self) -> bool:
        """Whether it was created."""
        return self.chain.exists

    @property
    def site(self) -> SiteName:
        """Whose repository this is. Raises UnavailableError when there is none."""
        return SiteName(str(self.chain.read().root.signed.unrecognized_fields.get(SITE_FIELD, "")))

    def trust_anchor(self) -> bytes:
        """The root metadata that a new node pins. Raises UnavailableError when there is none."""
        anchor = _read(self.path / "metadata" / ANCHOR) if self.exists else None
        if anchor is None:
            raise UnavailableError(f"no signed repository in {self.path}; `edgewise site init` makes one")
        return anchor

    def releases(self) -> dict[BundleVersion, str]:
        """Listed releases, oldest first: version -> digest of its manifest."""
        return _listed(self.chain.read())

    def is_past(self, version: BundleVersion) -> bool:
        """Whether so many newer releases are listed that this one need not be any more."""
        return sum(listed > version for listed in self.releases()) >= RETAINED

    def assignment(self) -> Assignment | None:
        """Which node is to run which release; None before the first promotion. Raises AssignmentDamaged."""
        return self._assigned(self.chain.read())

    def standing(self) -> Standing:
        """What is published now. Raises UnavailableError when there is no repository, or it is damaged."""
        chain = self.chain.read()
        releases = (chain.root.signed.version, chain.targets.signed.version, chain.assignment.signed.version)
        return Standing(releases, _facts_version(chain), chain.facts.signed.version)

    def expiries_ms(self) -> dict[str, int]:
        """Role -> when its signature expires."""
        return self.chain.read().expiries_ms()

    def release(self, version: BundleVersion) -> Release:
        """A bundle that was once released, also one that is not listed any more.

        Raises:
            BundleRefused: `unknown-release`, or `digest`: a file of it is missing or damaged.
        """
        digest, data = self._manifest(version)
        manifest = decode_manifest(data)
        resources = {name: self.blob(resource.sha256) or b"" for name, resource in manifest.resources.items()}
        _check(manifest, resources)
        return Release(manifest, data, digest, resources)

    # --- what changes it ---------------------------------------------------------------------------------------
    def create(self, site: SiteName) -> None:
        """Sign the first metadata of a site; nothing happens when it is there already. Needs all signing keys.

        Raises:
            RefusedError: `other-site`: the folder belongs to another site.
            UnavailableError: a key is missing.
        """
        with locked(self.path / "lock"):
            if not self.exists:
                self.chain.create(site, self._clock.now_ms())
        if self.site != site:
            raise RefusedError("other-site", f"{self.path} belongs to the site {self.site!r}, not to {site!r}")

    def publish_release(self, manifest_bytes: bytes, resources: Mapping[str, bytes]) -> None:
        """List an approved release for all nodes; none runs it before it is assigned. Needs the targets key.

        Doing it again with the same bytes changes nothing.

        Raises:
            BundleRefused: `site`, `digest`, or `version-taken`: this version was released with other contents.
            UnavailableError: no repository, or a key is missing.
        """
        manifest = _decoded(manifest_bytes)
        _check(manifest, resources)
        digest = hashlib.sha256(manifest_bytes).hexdigest()
        path = release_path(manifest.version)
        with locked(self.path / "lock"):
            chain = self.chain.read()
            if manifest.site != self.site:
                raise BundleRefused("site", f"a bundle of the site {manifest.site!r}; expected {self.site!r}")
            if _listed(chain).get(manifest.version) == digest:
                return
            if any(known != digest for known in self._known_digests(manifest.version)):
                raise BundleRefused("version-taken", f"version {manifest.version} was released with other contents")
            for name, data in resources.items():
                self._keep_blob(manifest.resources[name].sha256, data)
            self._write(self.path / "targets" / f"releases/{manifest.version}/{digest}.{MANIFEST}", manifest_bytes)
            chain.targets.signed.targets[path] = TargetFile.from_data(path, manifest_bytes, ["sha256"])
            self._retire(chain, published=manifest.version)
            self.chain.commit(chain, ["targets"], self._clock.now_ms())

    def assign(self, default: BundleVersion, nodes: Mapping[NodeId, BundleVersion] | None = None) -> Assignment:
        """Say which release every node is to run, and which exceptions there are. Needs online keys only.

        An assignment that was damaged is replaced.

        Raises:
            BundleRefused: `not-approved`: one of the versions is not listed.
            UnavailableError: no repository, or a key is missing.
        """
        with locked(self.path / "lock"):
            chain = self.chain.read()
            assignment = Assignment(self._next_assignment(chain), default, dict(nodes or {}))
            for version in (default, *assignment.nodes.values()):
                if version not in _listed(chain):
                    raise BundleRefused(
                        "not-approved", f"release {version} is not among the approved ones: {sorted(_listed(chain))}"
                    )
            data = encode_assignment(assignment)
            target = TargetFile.from_data(ASSIGNMENT, data, ["sha256"])
            self._write(self.path / "targets" / _prefixed(ASSIGNMENT, target.hashes["sha256"]), data)
            chain.assignment.signed.targets[ASSIGNMENT] = target
            self.chain.commit(chain, ["assignment"], self._clock.now_ms())
            self._sweep_assignments(assignment)
        return assignment

    def publish_facts(self, data: bytes, version: int) -> bool:
        """Hand live facts to all nodes; False where this version, or a newer one, is published. Needs online keys only.

        Raises UnavailableError: no repository, or a key is missing.
        """
        with locked(self.path / "lock"):
            chain = self.chain.read()
            if _facts_version(chain) >= version:
                return False
            target = TargetFile.from_data(FACTS_TARGET, data, ["sha256"])
            target.unrecognized_fields["custom"] = {_VERSION: version}
            self._write(self.path / "targets" / _prefixed(FACTS_TARGET, target.hashes["sha256"]), data)
            chain.facts.signed.targets[FACTS_TARGET] = target
            self.chain.commit(chain, [FACTS], self._clock.now_ms())
            self._sweep_facts()
        return True

    def refresh(self) -> bool:
        """Sign the online roles again once half of their life is over; True when that was due.

        A running hub calls this every minute or so; it is cheap when nothing is due.
        """
        with locked(self.path / "lock"):
            chain = self.chain.read()
            now_ms = self._clock.now_ms()
            due = self.chain.needs_refresh(chain, now_ms)
            if due:
                delegated = [role for role in ONLINE_ROLES if role not in {"snapshot", "timestamp"}]
                self.chain.commit(chain, delegated, now_ms)
        return due

    # --- inside ------------------------------------------------------------------------------------------------
    def _assigned(self, chain: Chain) -> Assignment | None:
        target = chain.assignment.signed.targets.get(ASSIGNMENT)
        if target is None:
            return None
        data = self.target(_prefixed(ASSIGNMENT, target.hashes["sha256"]))
        if data is None or hashlib.sha256(data).hexdigest() != target.hashes["sha256"]:
            raise AssignmentDamaged(f"{ASSIGNMENT} in {self.path} is missing or damaged; promote a release again")
        return decode_assignment(data)

    def _next_assignment(self, chain: Chain) -> int:
        """A number above all that nodes have seen: they refuse one that falls.

        No assignment's number is above the version of the role that signed it, so that the next one of the role is free
        even where the last assignment cannot be read.
        """
        try:
            known = self._assigned(chain)
        except AssignmentDamaged:
            return chain.assignment.signed.version + 1
        return 1 if known is None else known.version + 1

    def _manifest(self, version: BundleVersion) -> tuple[str, bytes]:
        for digest in self._known_digests(version):
            data = self.target(_prefixed(release_path(version), digest))
            if data is None or hashlib.sha256(data).hexdigest() != digest:
                raise BundleRefused("digest", f"the manifest of release {version} is damaged")
            return digest, data
        raise BundleRefused("unknown-release", f"no release {version} in {self.path}")

    def _known_digests(self, version: BundleVersion) -> list[str]:
        """At most one in a sound repository: also that of a release whose publishing crashed half-way."""
        folder = self.path / "targets" / f"releases/{version}"
        return sorted(path.name.partition(".")[0] for path in folder.glob(f"[0-9a-f]*.{MANIFEST}"))

    def _keep_blob(self, sha256: str, data: bytes) -> None:
        if self.blob(sha256) != data:
            self._write(self.path / "blobs" / sha256, data)

    def _retire(self, chain: Chain, *, published: BundleVersion) -> None:
        """Take old releases off the list, but neither what nodes run nor what is being listed anew to be run again."""
        try:
            assigned = self._assigned(chain)
        except AssignmentDamaged:
            return  # any of them may be what nodes run
        needed = {published} if assigned is None else {published, assigned.default, *assigned.nodes.values()}
        for version in sorted(_listed(chain))[:-RETAINED]:
            if version not in needed:
                del chain.targets.signed.targets[release_path(version)]

    def _sweep_facts(self) -> None:
        """As assignments; the ledger remembers more."""
        folder, _, name = FACTS_TARGET.rpartition("/")
        sheets = (self.path / "targets" / folder).glob(f"*.{name}")
        for outdated in sorted(sheets, key=lambda path: path.stat().st_mtime_ns)[:-KEPT_VERSIONS]:
            outdated.unlink(missing_ok=True)

    def _sweep_assignments(self, newest: Assignment) -> None:
        """Long outdated assignments go; a node in the middle of an update still finds the latest ones."""
        for path in (self.path / "targets").glob(f"*.{ASSIGNMENT}"):
            try:
                outdated = decode_assignment(path.read_bytes()).version <= newest.version - KEPT_VERSIONS
            except MALFORMED:
                outdated = True  # damaged: no node can use it
            if outdated:
                path.unlink(missing_ok=True)


def _listed(chain: Chain) -> dict[BundleVersion, str]:
    found = {}
    for path, target in chain.targets.signed.targets.items():
        named = _RELEASE.fullmatch(path)
        if named is not None:
            found[BundleVersion(int(named[1]))] = target.hashes["sha256"]
    return dict(sorted(found.items()))


def _facts_version(chain: Chain) -> int:
    target = chain.facts.signed.targets.get(FACTS_TARGET)
    return NO_FACTS if target is None else int((target.custom or {}).get(_VERSION, NO_FACTS))


def _decoded(manifest_bytes: bytes) -> Manifest:
    try:
        return decode_manifest(manifest_bytes)
    except MALFORMED as wrong:
        raise BundleRefused("manifest", f"not a manifest: {wrong}") from wrong


def _check(manifest: Manifest, resources: Mapping[str, bytes]) -> None:
    """Every resource that the manifest names is there with its digest, and no other is."""
    if set(resources) != set(manifest.resources):
        odd = sorted(set(resources) ^ set(manifest.resources))
        raise BundleRefused("digest", f"manifest and resources differ about {', '.join(odd)}")
    for name, resource in manifest.resources.items():
        found = hashlib.sha256(resources[name]).hexdigest()
        if found != resource.sha256 or len(resources[name]) != resource.bytes:
            raise BundleRefused(
                "digest", f"{name} of release {manifest.version} has digest {found}, expected {resource.sha256}"
            )


def _prefixed(path: str, digest: str) -> str:
    """The name of a target's file in a repository of consistent snapshots."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{digest}.{name}"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
