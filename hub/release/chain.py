"""A site's TUF metadata on disk: made, read back, and changed so that a crash leaves the old state.

Roles (theupdateframework.github.io/specification, 1.0.34): `root` vouches for the others. `targets` lists every
retained release that a person approved. The delegated role `assignment` says which node runs which of them, and
`facts` may sign fast-moving numbers; both, `snapshot` and `timestamp` are online: whoever steals the online keys can
select among approved releases or freeze, not approve. Snapshots are consistent: a file's name carries its version,
so that a node in the middle of an update never sees half of a newer one.

A change writes new files first and `timestamp.json`, which alone makes them count, last. What a crash leaves behind
counts for nothing, and the next change writes over it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from edgewise.bundle.assignment import ASSIGNMENT, FACTS
from edgewise.errors import UnavailableError
from edgewise.ids import SiteName
from hub.durable import UNFINISHED
from hub.keys import ONLINE_ROLES, KeyFolder

DAY_S: Final = 86_400
LIFE_S: Final = {
    "root": 365 * DAY_S,
    "targets": 90 * DAY_S,
    "assignment": DAY_S,
    "facts": DAY_S,
    "snapshot": DAY_S,
    "timestamp": DAY_S,
}
"""How long a signature holds. Once an online one has expired a node says STALE, and serves on."""
KEPT_VERSIONS: Final = 16
"""Older versions of a metadata file that stay, for nodes in the middle of an update."""
SITE_FIELD: Final = "x-edgewise-site"
"""A field of the root metadata that TUF leaves to its users: whose root this is."""
TIMESTAMP: Final = "timestamp.json"
ANCHOR: Final = "1.root.json"

AnyMetadata = Metadata[Root] | Metadata[Timestamp] | Metadata[Snapshot] | Metadata[Targets]

_VERSIONED = re.compile(r"([1-9][0-9]{0,18})\.(root|targets|snapshot|assignment|facts)\.json")


class Write(Protocol):
    """Replaces one file so that a crash leaves the old or the new one; `hub.durable.replace_file`."""

    def __call__(self, path: Path, data: bytes, /) -> None:
        """Write `data` to `path`."""


class Chain(NamedTuple):
    """What `timestamp.json` vouches for at one moment."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    assignment: Metadata[Targets]
    facts: Metadata[Targets]

    def of(self, role: str) -> Signed:
        """What a role has signed."""
        metadata: AnyMetadata = getattr(self, role)
        return metadata.signed

    def names(self) -> list[str]:
        """The files of this chain."""
        versioned = [f"{self.of(role).version}.{role}.json" for role in self._fields if role != "timestamp"]
        return [*versioned, TIMESTAMP]

    def expiries_ms(self) -> dict[str, int]:
        """Role -> when its signature expires."""
        return {role: int(self.of(role).expires.timestamp()) * 1_000 for role in self._fields}


def is_metadata_name(name: str) -> bool:
    """Whether a node may ask for this file of the metadata folder."""
    return name == TIMESTAMP or _VERSIONED.fullmatch(name) is not None


class ChainFolder:
    """The metadata of one repository. Its caller holds the lock while it changes anything."""

    def __init__(self, path: Path, keys: KeyFolder, write: Write, lives_s: Mapping[str, int] = LIFE_S) -> None:
        self.path = path
        self._keys = keys
        self._write = write
        self._lives_s = lives_s

    @property
    def exists(self) -> bool:
        """Whether a chain was completed here."""
        return (self.path / TIMESTAMP).exists()

    def create(self, site: SiteName, now_ms: int) -> None:
        """Sign version 1 of everything. Raises UnavailableError when a key is missing."""
        root = Root(
            version=1,
            expires=self._expiry("root", now_ms),
            consistent_snapshot=True,
            unrecognized_fields={SITE_FIELD: site},
        )
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.add_key(self._keys.signer(role).public_key, role)
        paths = {"assignment": [ASSIGNMENT], FACTS: [f"{FACTS}/*"]}
        keys = {name: self._keys.signer(name).public_key for name in paths}
        roles = {
            name: DelegatedRole(name, [key.keyid], threshold=1, terminating=True, paths=paths[name])
            for name, key in keys.items()
        }
        delegations = Delegations({key.keyid: key for key in keys.values()}, roles)
        chain = Chain(
            root=Metadata(root),
            timestamp=Metadata(Timestamp()),
            snapshot=Metadata(Snapshot(meta={})),
            targets=Metadata(Targets(delegations=delegations)),
            assignment=Metadata(Targets()),
            facts=Metadata(Targets()),
        )
        self._write(self.path / ANCHOR, self._signed("root", chain.root))
        self.commit(chain, ("targets", "assignment", FACTS), now_ms)

    def read(self) -> Chain:
        """The chain that counts now. Raises UnavailableError when it is missing or damaged."""
        try:
            timestamp = Metadata[Timestamp].from_bytes((self.path / TIMESTAMP).read_bytes())
            snapshot = Metadata[Snapshot].from_bytes(
                self._versioned("snapshot", timestamp.signed.snapshot_meta.version)
            )
            targets, assignment, facts = (
                Metadata[Targets].from_bytes(self._versioned(role, snapshot.signed.meta[f"{role}.json"].version))
                for role in ("targets", "assignment", FACTS)
            )
            newest_root = max(self._versions("root"))
            root = Metadata[Root].from_bytes(self._versioned("root", newest_root))
        except FileNotFoundError as missing:
            raise UnavailableError(
                f"no signed repository in {self.path.parent} ({missing.filename} is missing); "
                f"`edgewise site init` or `edgewise site apply` makes one"
            ) from missing
        except (OSError, KeyError, ValueError, DeserializationError, RepositoryError) as damaged:
            raise UnavailableError(f"the metadata in {self.path} cannot be read: {damaged}") from damaged
        return Chain(root, timestamp, snapshot, targets, assignment, facts)

    def commit(self, chain: Chain, changed: Collection[str], now_ms: int) -> None:
        """Sign the next version of the changed roles, of the snapshot and of the timestamp, in this order.

        Raises UnavailableError when a key is missing; then nothing counts that was written.
        """
        snapshot, timestamp = chain.snapshot.signed, chain.timestamp.signed
        for role in changed:
            data = self._next(role, getattr(chain, role), now_ms)
            version = chain.of(role).version
            self._write(self.path / f"{version}.{role}.json", data)
            snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
        data = self._next("snapshot", chain.snapshot, now_ms)
        self._write(self.path / f"{snapshot.version}.snapshot.json", data)
        timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
        self._write(self.path / TIMESTAMP, self._next("timestamp", chain.timestamp, now_ms))
        self._sweep(chain)

    def check_keys(self, changed: Collection[str]) -> None:
        """Whether `commit` could sign; for steps that must not be half taken. Raises UnavailableError if not."""
        for role in (*changed, "snapshot", "timestamp"):
            self._keys.signer(role)

    def needs_refresh(self, chain: Chain, now_ms: int) -> bool:
        """Whether an online signature has less than half of its life before it (or its time lies ahead)."""
        lives = ((chain.expiries_ms()[role] - now_ms) / (self._lives_s[role] * 1_000) for role in ONLINE_ROLES)
        return not all(0.5 <= left <= 1.0 for left in lives)  # noqa: PLR2004  # half, whole

    def _next(self, role: str, metadata: AnyMetadata, now_ms: int) -> bytes:
        if metadata.signatures:  # none yet: this is version 1
            metadata.signed.version += 1
        metadata.signed.expires = self._expiry(role, now_ms)
        return self._signed(role, metadata)

    def _signed(self, role: str, metadata: AnyMetadata) -> bytes:
        metadata.sign(self._keys.signer(role))
        return metadata.to_bytes()

    def _expiry(self, role: str, now_ms: int) -> dt.datetime:
        # TUF writes whole seconds.
        return dt.datetime.fromtimestamp(now_ms // 1_000 + self._lives_s[role], tz=dt.UTC)

    def _versioned(self, role: str, version: int) -> bytes:
        return (self.path / f"{version}.{role}.json").read_bytes()

    def _versions(self, role: str) -> list[int]:
        names = map(_VERSIONED.fullmatch, (path.name for path in self.path.iterdir()))
        return [int(name[1]) for name in names if name is not None and name[2] == role] or [1]

    def _sweep(self, chain: Chain) -> None:
        """Remove long outdated versions and what crashed writers left; roots stay, every node walks along them."""
        for role in ("targets", "snapshot", "assignment", FACTS):
            for version in self._versions(role):
                if version < chain.of(role).version - KEPT_VERSIONS:
                    (self.path / f"{version}.{role}.json").unlink(missing_ok=True)
        for unfinished in self.path.glob(f".*{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
