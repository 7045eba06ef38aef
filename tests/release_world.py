"""A signed repository with its clients, small enough to sign a hundred times in a test."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater

from edgewise.bundle.assignment import ASSIGNMENT, Assignment, decode_assignment, release_path
from edgewise.bundle.golden import golden_rows
from edgewise.bundle.manifest import PROTOCOL_VERSION, Manifest, Resource, encode_manifest
from edgewise.bundle.neighbours import encode_neighbours
from edgewise.clock import Clock, ManualClock, SystemClock
from edgewise.features.table import FeatureTable
from edgewise.ids import BundleVersion, ItemId, SiteName
from hub.artefacts import Artefacts
from hub.keys import make_keys
from hub.ledger.ledger import Ledger
from hub.release.beginning import begin
from hub.release.chain import Write
from hub.release.releases import Releases
from hub.release.repository import Repository
from hub.release.verifying import LocalFetcher
from hub.site.loading import SiteContents, load_site

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


class Shop:
    """The invented site in a folder, and a hub's data folder beside it; nothing is synced to disk."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(SystemClock().now_ms())
        self.data_dir = folder / "hub"
        self.site = folder / "site"
        begin(self.site, self.data_dir, by="Ann", clock=self.clock)
        self.ledger = Ledger.of(self.data_dir)
        self.releases = self.reopened()
        self.registry = self.releases.registry

    def reopened(self, write: Write = write_without_sync) -> Releases:
        """As another process would see the releases."""
        return Releases(self.data_dir, self.ledger, self.clock, write=write)

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file of the site."""
        path = self.site / file
        text = path.read_text()
        assert old in text, "the edit must fit the site"
        path.write_text(text.replace(old, new))

    def contents(self) -> SiteContents:
        """What the site says now."""
        return load_site(self.site)

    def apply(self, *, by: str = "Ann") -> BundleVersion:
        """Build a release from the site."""
        return self.releases.apply(self.contents(), by=by).release.version

    def live(self, by: str = "Bob") -> BundleVersion:
        """Build, approve and promote a release."""
        version = self.apply()
        self.releases.approve(version, by=by)
        self.releases.promote(version, by=by)
        return version

    def rank_by_model(self) -> None:
        """Let the challenger of the hero rank by the model `hero`."""
        (self.site / "models").mkdir(exist_ok=True)
        (self.site / "models/hero.yaml").write_text("model: ranker\n")
        self.edit(
            "placements/home_hero.yaml", "{method: attribute, attribute: popularity}", "{method: model, model: hero}"
        )


def tiny_model(features: FeatureTable, seed: int = 0) -> Artefacts:
    """A ranker over all columns of a table that learned nothing worth knowing."""
    import lightgbm

    from hub.export import export_booster
    from hub.export.attribution import export_attribution

    names = [feature.name for feature in features.features]
    rows = np.random.default_rng(seed).random((400, len(names)), np.float32)
    settings = {"objective": "regression", "num_leaves": 4, "num_threads": 1, "deterministic": True, "verbosity": -1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, rows[:, 0].copy()), num_boost_round=3)
    return Artefacts(
        features=features,
        model=export_booster(booster, feature_names=names, output="response").SerializeToString(deterministic=True),
        attribution=export_attribution(booster, names).SerializeToString(deterministic=True),
        golden=golden_rows(rows[:20], np.asarray(booster.predict(rows[:20]), np.float64)),
    )


def tiny_neighbours(*items: str) -> bytes:
    """Each item speaks for the next one."""
    count = len(items)
    indices = np.arange(1, count + 1, dtype=np.int32) % count
    return encode_neighbours(
        [ItemId(item) for item in items],
        np.arange(count + 1, dtype=np.int32),
        indices,
        np.ones(count, np.float32),
    )
