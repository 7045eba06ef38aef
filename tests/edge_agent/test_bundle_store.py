"""The bundle store: whole or not at all, one pointer, nothing outside its folder, damage found and mended."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.testing.small_bundle import MadeBundle, small_bundle
from edgewise.bundle.manifest import CATALOGUE, MANIFEST
from edgewise.errors import BundleRefused, UnavailableError

FIRST, SECOND, THIRD = (small_bundle("shop", version=number, title=f"Title {number}") for number in (1, 2, 3))


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    paths = NodePaths(tmp_path)
    paths.create()
    return BundleStore(paths)


def put(store: BundleStore, bundle: MadeBundle) -> str:
    return store.stage(bundle.manifest_bytes, bundle.resources)


def damage(folder: Path, digest: str, file: str) -> None:
    path = folder / "exported_models" / digest / file
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_staged_is_read_back_and_serves_only_when_it_is_activated(store: BundleStore) -> None:
    digest = put(store, FIRST)
    assert (digest, store.current(), store.generation()) == (FIRST.digest, None, None)
    store.activate(digest)
    manifest, named, resources = store.read(digest)
    assert (store.current(), named, resources) == (digest, digest, FIRST.resources)
    assert manifest.version == 1


def test_a_swap_keeps_the_one_before_and_deletes_older_ones(store: BundleStore, tmp_path: Path) -> None:
    generations = set()
    for bundle in (FIRST, SECOND, THIRD):
        store.activate(put(store, bundle))
        generations.add(store.generation())
    assert len(generations) == 3
    assert (store.current(), store.previous()) == (THIRD.digest, SECOND.digest)
    folders = {path.name for path in (tmp_path / "exported_models").iterdir() if path.is_dir()}
    assert folders == {SECOND.digest, THIRD.digest, "quarantine"}


def test_staging_does_not_touch_what_serves_and_can_be_taken_back(store: BundleStore) -> None:
    store.activate(put(store, FIRST))
    store.activate(put(store, SECOND))
    put(store, THIRD)
    assert store.holds(THIRD.digest)
    store.discard(THIRD.digest)
    store.discard(SECOND.digest)
    store.discard(FIRST.digest)
    assert [store.holds(bundle.digest) for bundle in (FIRST, SECOND, THIRD)] == [True, True, False]


def test_a_revert_goes_back_once_and_to_nothing_where_nothing_was(store: BundleStore) -> None:
    store.activate(put(store, FIRST))
    store.activate(put(store, SECOND))
    assert store.revert() == store.current() == FIRST.digest
    store.clear()
    store.activate(put(store, SECOND))
    assert store.revert() is None
    assert store.current() is None


@pytest.mark.parametrize("file", [CATALOGUE, MANIFEST])
def test_a_flipped_bit_is_found(store: BundleStore, tmp_path: Path, file: str) -> None:
    store.activate(put(store, FIRST))
    damage(tmp_path, FIRST.digest, file)
    with pytest.raises(BundleRefused) as refused:
        store.read(FIRST.digest)
    assert refused.value.code in {"damaged", "malformed"}


def test_a_damaged_bundle_gives_way_to_the_one_before_and_can_be_put_again(store: BundleStore, tmp_path: Path) -> None:
    store.activate(put(store, FIRST))
    store.activate(put(store, SECOND))
    assert store.repair() is None
    damage(tmp_path, SECOND.digest, CATALOGUE)
    assert CATALOGUE in str(store.repair())
    assert store.current() == FIRST.digest
    store.activate(put(store, SECOND))
    assert store.read(SECOND.digest)[2] == SECOND.resources


def test_when_all_is_damaged_nothing_serves(store: BundleStore, tmp_path: Path) -> None:
    store.activate(put(store, FIRST))
    store.activate(put(store, SECOND))
    for bundle in (FIRST, SECOND):
        damage(tmp_path, bundle.digest, CATALOGUE)
    assert store.repair() is not None
    assert store.current() is None


def test_a_damaged_folder_is_replaced_when_it_is_staged_again(store: BundleStore, tmp_path: Path) -> None:
    store.activate(put(store, FIRST))
    damage(tmp_path, FIRST.digest, CATALOGUE)
    put(store, FIRST)
    assert store.read(FIRST.digest)[2] == FIRST.resources


def test_blobs_are_found_by_digest_but_never_damaged_ones(store: BundleStore, tmp_path: Path) -> None:
    store.activate(put(store, FIRST))
    digest = store.manifest(FIRST.digest).resources[CATALOGUE].sha256
    assert store.find_blob(digest) == FIRST.resources[CATALOGUE]
    assert store.find_blob("0" * 64) is None
    damage(tmp_path, FIRST.digest, CATALOGUE)
    assert store.find_blob(digest) is None


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a//b", "a/../b", "./a", "a/.", "a\\b", "a\0b", "", "a/", MANIFEST])
def test_no_path_leads_out_of_the_folder(store: BundleStore, path: str) -> None:
    bundle = small_bundle("shop", version=1, resources={path: b"x"})
    with pytest.raises(BundleRefused) as refused:
        put(store, bundle)
    assert refused.value.code == "path"


def test_resources_must_be_those_of_the_manifest(store: BundleStore) -> None:
    with pytest.raises(BundleRefused, match="not there"):
        store.stage(FIRST.manifest_bytes, {})
    with pytest.raises(BundleRefused, match="the manifest says"):
        store.stage(FIRST.manifest_bytes, FIRST.resources | {CATALOGUE: b"{}"})
    store.stage(FIRST.manifest_bytes, FIRST.resources | {"stranger.txt": b"x"})
    assert set(store.read(FIRST.digest)[2]) == set(FIRST.resources)


def test_a_disk_that_does_not_take_it_leaves_nothing_behind(store: BundleStore, tmp_path: Path) -> None:
    # A path below a file: as good an OSError as a full disk.
    bundle = small_bundle("shop", version=1, resources={"a": b"x", "a/b": b"y"})
    with pytest.raises(UnavailableError, match="does not take"):
        put(store, bundle)
    assert [path.name for path in (tmp_path / "exported_models").iterdir()] == ["quarantine"]


def test_pointers_that_are_none_point_nowhere(store: BundleStore, tmp_path: Path) -> None:
    for content in ("", "../../etc\n", "x" * 64, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")):
        (tmp_path / "exported_models" / "current").write_text(content)
        assert store.current() is None
    with pytest.raises(BundleRefused, match="no digest"):
        store.read("../../etc")
    with pytest.raises(BundleRefused, match="is not in"):
        store.activate("0" * 64)


def test_what_is_in_quarantine_is_remembered(store: BundleStore, tmp_path: Path) -> None:
    assert store.quarantined(FIRST.digest) is None
    store.quarantine(FIRST.digest, code="crash", message="2 workers", now_ms=7)
    held = store.quarantined(FIRST.digest)
    assert held is not None
    assert (held.code, held.message, held.at_ms) == ("crash", "2 workers", 7)
    file = tmp_path / "exported_models" / "quarantine" / f"{FIRST.digest}.json"
    file.write_bytes(file.read_bytes().replace(held.program.encode(), b"0.0.1"))
    assert store.quarantined(FIRST.digest) is None, "another version of the program may know better"
