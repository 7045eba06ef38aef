"""The starter bundle in the repository is what its script makes, signed by a root that nobody can use again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from edge.node.starter import read_folder
from edgewise.admission.load import load_bundle
from edgewise.consent import ConsentState
from edgewise.features.table import FeatureTable
from edgewise.ids import PlacementName
from hub.release.bundle import BuiltBundle
from hub.release.candidates import read_bundle
from hub.release.starter import build_starter, starter_contents, write_starter
from hub.release.starter_model import simulate

COMMITTED = Path(__file__).parent.parent.parent / "exported_models" / "starter"


@pytest.fixture(scope="module")
def built() -> BuiltBundle:
    return build_starter()


def test_building_it_again_gives_the_committed_bundle(built: BuiltBundle) -> None:
    committed = read_bundle(COMMITTED / "bundle")
    differing = [name for name in built.resources if committed.resources.get(name) != built.resources[name]]
    assert differing == [], "`make starter` writes it again"
    assert committed.digest == built.digest


def test_its_signatures_last_as_long_as_the_bundle() -> None:
    """A node that never hears of a hub has nobody who would sign again; it must not call itself stale."""
    starter = read_folder(COMMITTED, most_bytes=1 << 20)
    assert starter.expires_ms is not None
    assert starter.manifest.expires_ms - starter.expires_ms < 10_000


def test_its_own_root_vouches_for_it() -> None:
    metadata = COMMITTED / "metadata"
    root = Metadata[Root].from_bytes((COMMITTED / "root.json").read_bytes())
    root.verify_delegate("root", root)
    timestamp = Metadata[Timestamp].from_bytes((metadata / "timestamp.json").read_bytes())
    root.verify_delegate("timestamp", timestamp)
    snapshot_bytes = (metadata / f"{timestamp.signed.snapshot_meta.version}.snapshot.json").read_bytes()
    timestamp.signed.snapshot_meta.verify_length_and_hashes(snapshot_bytes)
    snapshot = Metadata[Snapshot].from_bytes(snapshot_bytes)
    root.verify_delegate("snapshot", snapshot)
    pinned = snapshot.signed.meta["targets.json"]
    targets_bytes = (metadata / f"{pinned.version}.targets.json").read_bytes()
    pinned.verify_length_and_hashes(targets_bytes)
    targets = Metadata[Targets].from_bytes(targets_bytes)
    root.verify_delegate("targets", targets)
    manifest = (COMMITTED / "bundle/manifest.json").read_bytes()
    targets.signed.targets["releases/0/manifest.json"].verify_length_and_hashes(manifest)


def test_it_is_written_only_when_its_content_changed(tmp_path: Path, built: BuiltBundle) -> None:
    assert write_starter(tmp_path, built)
    first = (tmp_path / "root.json").read_bytes()
    assert not write_starter(tmp_path, built)
    assert (tmp_path / "root.json").read_bytes() == first
    (tmp_path / "bundle/manifest.json").write_text("{}")
    (tmp_path / "bundle/stale.json").write_text("{}")
    assert write_starter(tmp_path, built)
    assert (tmp_path / "root.json").read_bytes() != first, "every root has keys of its own"
    assert not (tmp_path / "bundle/stale.json").exists()
    assert not list(tmp_path.rglob("*.pem")), "its keys are nowhere"
    assert read_bundle(tmp_path / "bundle") == built


def test_it_holds_what_a_first_look_needs(built: BuiltBundle) -> None:
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    hero = bundle.policy.placements[PlacementName("home_hero")]
    assert len(bundle.policy.collections[hero.collection]) <= 20
    assert bundle.version == 0
    assert bundle.policy.site.default_consent.personalisation is ConsentState.GRANTED
    assert len(bundle.features.names) == 10
    assert bundle.items.approved[:-1].all()
    assert sum(map(len, built.resources.values())) < 100_000, "it ships in every wheel"


def test_the_model_ranks_what_visitors_like_above_what_they_do_not() -> None:
    """Area under the curve on the simulated clicks; popularity alone, the naive twin, must be clearly worse."""
    import lightgbm

    from hub.release.starter_model import _TRAINING, ROUNDS

    contents = starter_contents()
    matrix, clicked = simulate(contents)
    half = len(matrix) // 2
    booster = lightgbm.train(_TRAINING, lightgbm.Dataset(matrix[:half], clicked[:half]), num_boost_round=ROUNDS)
    popularity = [feature.name for feature in contents.features.features].index("popularity")
    learned = auc(np.asarray(booster.predict(matrix[half:])), clicked[half:])
    naive = auc(matrix[half:, popularity].astype(np.float64), clicked[half:])
    # 15,000 rows with about 1,900 clicks: the standard error of an AUC is below 0.008.
    assert learned > naive + 0.05


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mann-Whitney: how often a clicked row scores above one that was not, ties half."""
    order = np.unique(scores, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]
    positive = labels > 0
    clicks = positive.sum()
    return float((ranks[positive].sum() - clicks * (clicks + 1) / 2) / (clicks * (len(labels) - clicks)))


def test_the_simulation_always_draws_the_same_visitors() -> None:
    contents = starter_contents()
    first, again = simulate(contents), simulate(contents)
    assert np.array_equal(first[0], again[0], equal_nan=True)
    assert np.array_equal(first[1], again[1])
    assert isinstance(contents.features, FeatureTable)
