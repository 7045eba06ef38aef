"""The shop that is measured: an edge accepts its bundle, and its size is what was asked for."""

from __future__ import annotations

from pathlib import Path

from edge.bench.mix import load_mix
from edgewise.admission.load import load_bundle
from edgewise.clock import SystemClock
from figures import mixes, shop, stock, trees
from figures.shop import Shape
from hub.release.bundle import check_bundle

SMALL = Shape(items=300, candidates=40, trees=5)


def test_an_edge_accepts_its_bundle_and_its_size_is_what_was_asked_for() -> None:
    built = shop.build(SMALL)
    errors = check_bundle(built, now_ms=SystemClock().now_ms())
    assert list(errors) == [shop.MODEL]
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert len(bundle.items) == SMALL.items
    assert len(bundle.policy.collections[bundle.placements[shop.HERO].placement.collection]) == SMALL.candidates
    assert len(bundle.features.features) == stock.FEATURES
    assert trees.booster(SMALL.trees).num_trees() == SMALL.trees


def test_training_rows_have_gaps_as_served_ones_do_and_both_outcomes() -> None:
    data = trees.training()
    assert data.matrix.shape == (len(data.clicked), stock.FEATURES)
    assert set(data.clicked.tolist()) == {0.0, 1.0}
    assert 0 < float((data.matrix != data.matrix).mean()) < 0.5


def test_a_mix_of_the_shop_is_a_profile_that_the_bench_reads(tmp_path: Path) -> None:
    mix = load_mix(
        str(
            mixes.write_mix(
                tmp_path, "sale", visitors={"new": 0.8}, requests=[mixes.hero(explain=True)], shape=[(1, 0.2), (2, 1.0)]
            )
        )
    )
    assert mix.visitors.new == 0.8
    assert mix.placements == [shop.HERO]
    assert [stage.factor for stage in mix.shape] == [0.2, 1.0]
