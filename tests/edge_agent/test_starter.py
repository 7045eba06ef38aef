"""Bundles from folders: the shipped starter bundle, signed folders that outlive their timestamp, unsigned ones."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.node.starter import install_starter, install_tried, is_starter, read_folder, starter_folder
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import MadeBundle, small_bundle
from edgewise.admission.load import load_bundle
from edgewise.bundle.manifest import CATALOGUE, MANIFEST
from edgewise.errors import BundleRefused

MOST = 64 << 20
BUNDLE = small_bundle("shop", version=1)


def write_bundle(folder: Path, bundle: MadeBundle) -> None:
    for path, data in {**bundle.resources, MANIFEST: bundle.manifest_bytes}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def write_signed(folder: Path, *, life: dt.timedelta = dt.timedelta(days=1), prefixed: bool = True) -> SignedSite:
    site = SignedSite("shop")
    site.life = life
    site.release(BUNDLE)
    (folder / "metadata").mkdir(parents=True)
    (folder / "root.json").write_bytes(site.root_bytes)
    newest = {role: getattr(site, role).signed.version for role in ("targets", "snapshot")}
    for role, version in newest.items():
        name = f"{version}.{role}.json"
        (folder / "metadata" / (name if prefixed else f"{role}.json")).write_bytes(site.files[f"metadata/{name}"])
    (folder / "metadata" / "timestamp.json").write_bytes(site.files["metadata/timestamp.json"])
    write_bundle(folder / "bundle", BUNDLE)
    return site


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    paths = NodePaths(tmp_path / "node")
    paths.create()
    return BundleStore(paths)


def test_the_shipped_starter_bundle_is_verified_and_loads() -> None:
    starter = read_folder(starter_folder(), most_bytes=MOST)
    assert starter.manifest.version == 0
    assert starter.expires_ms is not None
    bundle = load_bundle(starter.manifest, starter.digest, starter.resources)
    assert "home_hero" in bundle.policy.placements


@pytest.mark.parametrize("prefixed", [True, False])
def test_a_signed_folder_is_verified_after_its_timestamp_has_expired(tmp_path: Path, *, prefixed: bool) -> None:
    write_signed(tmp_path, life=dt.timedelta(days=-3), prefixed=prefixed)
    found = read_folder(tmp_path, most_bytes=MOST)
    assert (found.digest, found.resources) == (BUNDLE.digest, BUNDLE.resources)
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1_000)
    assert found.expires_ms is not None
    assert found.expires_ms < now_ms


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def flip_resource(folder: Path) -> None:
    flip(folder / "bundle" / CATALOGUE)


def flip_manifest(folder: Path) -> None:
    (folder / "bundle" / MANIFEST).write_bytes(BUNDLE.manifest_bytes + b" ")


def garble_manifest(folder: Path) -> None:
    """One flipped bit: the name of the site is no text any more."""
    content = BUNDLE.manifest_bytes.replace(b'"site":"s', b'"site":"\xf3')
    (folder / "bundle" / MANIFEST).write_bytes(content)


def strangers_root(folder: Path) -> None:
    (folder / "root.json").write_bytes(SignedSite("shop").root_bytes)


def no_timestamp(folder: Path) -> None:
    (folder / "metadata" / "timestamp.json").unlink()


def other_release(folder: Path) -> None:
    write_bundle(folder / "bundle", small_bundle("shop", version=2))


def broken_timestamp(folder: Path) -> None:
    (folder / "metadata" / "timestamp.json").write_bytes(b"{}")


def older_snapshot(folder: Path) -> None:
    """A signed snapshot of another moment, under the name that the timestamp asks for."""
    stranger = SignedSite("shop")
    for file in folder.glob("metadata/*.snapshot.json"):
        file.write_bytes(stranger.files["metadata/1.snapshot.json"])


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (flip_resource, "damaged"),
        (flip_manifest, "untrusted"),
        (garble_manifest, "malformed"),
        (strangers_root, "untrusted"),
        (no_timestamp, "untrusted"),
        (other_release, "untrusted"),
        (broken_timestamp, "untrusted"),
        (older_snapshot, "untrusted"),
    ],
)
def test_a_signed_folder_that_is_not_whole_is_refused(tmp_path: Path, harm: Callable[[Path], None], code: str) -> None:
    write_signed(tmp_path)
    harm(tmp_path)
    with pytest.raises(BundleRefused) as refused:
        read_folder(tmp_path, most_bytes=MOST)
    assert refused.value.code == code, refused.value


def test_an_unsigned_folder_is_verified_by_its_digests_only(tmp_path: Path) -> None:
    write_bundle(tmp_path, BUNDLE)
    found = read_folder(tmp_path, most_bytes=MOST)
    assert (found.digest, found.expires_ms) == (BUNDLE.digest, None)
    flip(tmp_path / CATALOGUE)
    with pytest.raises(BundleRefused, match=re.escape(CATALOGUE)):
        read_folder(tmp_path, most_bytes=MOST)


def test_a_bundle_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    write_bundle(tmp_path, BUNDLE)
    with pytest.raises(BundleRefused) as refused:
        read_folder(tmp_path, most_bytes=10)
    assert refused.value.code == "too_large"


def test_the_starter_serves_where_nothing_real_does(store: BundleStore) -> None:
    starter = install_starter(store, most_bytes=MOST)
    assert starter is not None
    assert store.current() == starter.digest
    assert is_starter(store)
    generation = store.generation()
    assert install_starter(store, most_bytes=MOST) == starter
    assert store.generation() == generation, "what is whole is not put again"


def test_an_older_starter_gives_way_to_the_shipped_one_and_a_real_bundle_does_not(store: BundleStore) -> None:
    older = small_bundle("starter", version=0)
    store.activate(store.stage(older.manifest_bytes, older.resources))
    starter = install_starter(store, most_bytes=MOST)
    assert starter is not None
    assert store.current() == starter.digest != older.digest
    store.activate(store.stage(BUNDLE.manifest_bytes, BUNDLE.resources))
    assert install_starter(store, most_bytes=MOST) is None
    assert store.current() == BUNDLE.digest


def test_a_folders_bundle_that_was_damaged_in_the_store_is_put_again(store: BundleStore, tmp_path: Path) -> None:
    write_bundle(tmp_path / "mine", BUNDLE)
    found = read_folder(tmp_path / "mine", most_bytes=MOST)
    asyncio.run(install_tried(store, found, passes))
    file = tmp_path / "node" / "exported_models" / BUNDLE.digest / CATALOGUE
    file.chmod(0o600)
    flip(file)
    asyncio.run(install_tried(store, found, passes))
    assert store.read(BUNDLE.digest)[2] == BUNDLE.resources
    asyncio.run(install_tried(store, found, fails))  # it serves and is whole: not tried again


def test_a_folders_bundle_that_fails_its_trial_changes_nothing(store: BundleStore, tmp_path: Path) -> None:
    store.activate(store.stage(BUNDLE.manifest_bytes, BUNDLE.resources))
    other = small_bundle("shop", version=2)
    write_bundle(tmp_path / "mine", other)
    with pytest.raises(BundleRefused, match="tried and found wanting"):
        asyncio.run(install_tried(store, read_folder(tmp_path / "mine", most_bytes=MOST), fails))
    assert store.current() == BUNDLE.digest
    assert store.previous() is None
    assert not store.holds(other.digest)


async def passes(_digest: str) -> None:
    """A trial that finds nothing."""


async def fails(_digest: str) -> None:
    raise BundleRefused("scorer", "tried and found wanting")
