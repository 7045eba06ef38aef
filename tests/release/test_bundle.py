"""What is built from a site: always the same bytes, accepted by the edge's own rules, or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from release_world import tiny_model, tiny_neighbours

from edgewise.admission.load import load_bundle
from edgewise.bundle.golden import golden_rows, unpack
from edgewise.bundle.manifest import GOLDEN, NEIGHBOURS
from edgewise.bundle.policy import Policy
from edgewise.errors import BundleRefused, ModelRefused
from edgewise.features.table import FeatureTable, NeighbourScore
from edgewise.ids import BundleVersion, ModelName
from hub.artefacts import Artefacts
from hub.release.bundle import BuiltBundle, build_bundle, build_resources, check_bundle
from hub.scoring_child import ScoringChild
from hub.site.files import ModelUse
from hub.site.loading import SiteContents, load_site
from hub.site.starting import invented_files, write_site

HERO = ModelName("hero")
NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> SiteContents:
    """The invented site; its challenger ranks by the model `hero`."""
    folder = tmp_path_factory.mktemp("site")
    files = invented_files()
    hero = files["placements/home_hero.yaml"].replace(
        b"{method: attribute, attribute: popularity}", b"{method: model, model: hero}"
    )
    files |= {"placements/home_hero.yaml": hero, "models/hero.yaml": b"model: ranker\n"}
    write_site(folder, files, write_key="key", by="Ann")
    return load_site(folder)


@pytest.fixture(scope="module")
def model(contents: SiteContents) -> Artefacts:
    return tiny_model(contents.features)


def build(contents: SiteContents, models: Mapping[ModelName, Artefacts]) -> BuiltBundle:
    return build_bundle(contents, models, version=BundleVersion(3), parent=BundleVersion(2), created_ms=NOW_MS)


def test_the_same_input_gives_the_same_bytes(contents: SiteContents, tmp_path: Path) -> None:
    first = build(contents, {HERO: tiny_model(contents.features)})
    write_site(tmp_path, invented_files(), write_key="key", by="Ann")
    again = build(contents, {HERO: tiny_model(contents.features)})
    assert again == first
    assert again.digest == first.digest
    other = build(contents, {HERO: tiny_model(contents.features, seed=1)})
    assert other.digest != first.digest


def test_an_edge_loads_what_was_built(contents: SiteContents, model: Artefacts) -> None:
    built = build(contents, {HERO: model})
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert bundle.version == 3
    assert bundle.manifest.parent == 2
    assert set(bundle.models) == {HERO}
    assert bundle.models[HERO].attribution == model.attribution
    with ScoringChild() as child:
        errors = check_bundle(built, now_ms=NOW_MS, child=child)
    assert errors[HERO] <= 1e-6


def test_a_site_without_models_is_a_bundle_too(contents: SiteContents) -> None:
    plain = contents._replace(policy=without_model(contents), models={})
    built = build(plain, {})
    assert check_bundle(built, now_ms=NOW_MS) == {}
    assert NEIGHBOURS not in built.resources


def without_model(contents: SiteContents) -> Policy:
    placements = dict(contents.policy.placements)
    name = next(name for name, placement in placements.items() if "challenger" in placement.arms)
    champion = placements[name].arms[placements[name].arm]
    placements[name] = msgspec.structs.replace(placements[name], arms=dict.fromkeys(placements[name].arms, champion))
    return msgspec.structs.replace(contents.policy, placements=placements)


def test_golden_rows_that_come_out_otherwise_stop_the_bundle(contents: SiteContents, model: Artefacts) -> None:
    assert model.golden is not None
    matrix, scores = unpack(model.golden)
    off = scores.copy()
    off[7] += 2e-5 * max(1.0, abs(off[7]))
    changed = msgspec.structs.replace(model, golden=golden_rows(matrix, off))
    with pytest.raises(ModelRefused, match="a score differs by 2e-05") as refused:
        check_bundle(build(contents, {HERO: changed}), now_ms=NOW_MS)
    assert refused.value.code == "golden"


def test_a_resource_that_was_changed_stops_the_bundle(contents: SiteContents, model: Artefacts) -> None:
    built = build(contents, {HERO: model})
    torn = built._replace(resources=built.resources | {GOLDEN: built.resources[GOLDEN] + b"x"})
    with pytest.raises(BundleRefused):
        check_bundle(torn, now_ms=NOW_MS)


def test_an_expired_bundle_is_not_signed(contents: SiteContents, model: Artefacts) -> None:
    built = build(contents, {HERO: model})
    with pytest.raises(BundleRefused, match="expired"):
        check_bundle(built, now_ms=built.manifest.expires_ms)


def test_a_column_means_at_serving_what_it_meant_at_training(contents: SiteContents, model: Artefacts) -> None:
    def declared(change: dict[str, object]) -> SiteContents:
        first, *rest = contents.features.features
        return contents._replace(features=FeatureTable([msgspec.structs.replace(first, **change), *rest]))

    build(declared({"sentence": "in other words"}), {HERO: model})
    with pytest.raises(ModelRefused, match="but the site now declares") as refused:
        build(declared({"half_life_days": 7.0}), {HERO: model})
    assert refused.value.code == "features"
    with pytest.raises(ModelRefused, match="but the site now declares"):
        build(declared({"purpose": None}), {HERO: model})
    with pytest.raises(ModelRefused, match="was trained on 'category_affinity', which the site lacks"):
        build(contents._replace(features=FeatureTable(contents.features.features[1:])), {HERO: model})


def test_a_model_may_take_some_of_the_columns(contents: SiteContents) -> None:
    some = FeatureTable([contents.features.features[6], contents.features.features[0]])
    built = build(contents, {HERO: tiny_model(some)})
    assert built.manifest.models[HERO].features == ("popularity", "category_affinity")
    check_bundle(built, now_ms=NOW_MS)


def test_neighbours_travel_with_a_model(contents: SiteContents, model: Artefacts) -> None:
    asking = contents._replace(
        features=FeatureTable([*contents.features.features, NeighbourScore(name="neighbours")]),
        models=contents.models | {ModelName("ease"): ModelUse(ModelName("ease"), "champion")},
    )
    with pytest.raises(ModelRefused, match="neighbours ask for neighbours, but no model of the site brings any"):
        build(contents._replace(features=asking.features), {HERO: model})
    ease = Artefacts(neighbours=tiny_neighbours("sencha", "rooibos"))
    built = build(asking, {HERO: model, ModelName("ease"): ease})
    assert built.resources[NEIGHBOURS] == ease.neighbours
    assert set(built.manifest.models) == {HERO}, "neighbours alone rank nothing"
    check_bundle(built, now_ms=NOW_MS)
    other = msgspec.structs.replace(model, neighbours=tiny_neighbours("sencha", "house-blend"))
    with pytest.raises(ModelRefused, match="the models ease, hero bring different neighbours"):
        build(asking, {HERO: other, ModelName("ease"): ease})


def test_a_model_without_scores_cannot_rank(contents: SiteContents) -> None:
    with pytest.raises(ModelRefused, match="home_hero, arm challenger, ranks by hero, which has no scores"):
        build_resources(contents, {HERO: Artefacts(neighbours=tiny_neighbours("sencha", "rooibos"))})


def test_golden_rows_are_kept_to_the_bit(contents: SiteContents, model: Artefacts) -> None:
    assert model.golden is not None
    matrix, scores = unpack(model.golden)
    built = build(contents, {HERO: model})
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    kept_matrix, kept_scores = unpack(bundle.golden.models[HERO])
    assert np.array_equal(matrix, kept_matrix)
    assert np.array_equal(scores, kept_scores)
