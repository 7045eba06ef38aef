"""A site that says in its files where visitor scores have a say, built into a bundle that an edge accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_world import linear_onnx

from edgewise.admission.load import load_bundle
from edgewise.bundle.golden import golden_rows
from edgewise.errors import BundleRefused
from edgewise.features.table import FeatureTable
from edgewise.ids import BundleVersion, ItemId, ModelName
from hub.artefacts import Artefacts, Kind
from hub.release.bundle import BuiltBundle, build_bundle, check_bundle
from hub.site.approving import approve_items
from hub.site.loading import SiteContents, load_site
from hub.site.starting import invented_files, write_site

NOW_MS = 1_700_000_000_000
CHURN, INTENT = ModelName("churn"), ModelName("intent")
CLASSES = ("tea", "coffee", "gift")
FORMULA = b"""{method: formula, sentence: Good value, formula: {term: product, of: [
      {term: power, of: {term: item, attribute: price}, to: -0.5},
      {term: sum, of: [
        {term: item, attribute: popularity, missing: 0}, {term: score, model: churn, missing: 0.5}]}]}}"""
ITEM = b"""- id: gift-box
  content: {title: Gift box}
  attributes: {category: [gift], price: 30, popularity: 10, stock: 3}
  variants:
  - name: hurry
    when: {match: compare, of: profile.score.intent.gift, op: gt, to: 0.5}
    content: {title: Gift box, in time for Sunday}
    sentence: Worded for who looks for a gift
"""


def site(folder: Path, rule: str = "{match: compare, of: profile.class.intent, op: ne, to: coffee}") -> SiteContents:
    """The invented shop with scores in a feature, a rule, a formula and a copy."""
    files = invented_files()
    hero, features = "placements/home_hero.yaml", "features/visitor_and_item.yaml"
    files[hero] = files[hero].replace(b"{method: attribute, attribute: popularity}", FORMULA)
    files[hero] = files[hero].replace(b"eligibility:\n", f"eligibility:\n  - {rule}\n".encode())
    files[features] += b"\n- {type: score, name: may_leave, model: churn, sentence: Because you may leave}\n"
    files |= {"items/gifts.yaml": ITEM, "models/churn.yaml": b"{}\n", "models/intent.yaml": b"{}\n"}
    write_site(folder, files, write_key="key", by="Ann")
    approve_items(folder, "Ann")
    return load_site(folder)


def artefacts(contents: SiteContents, takes: tuple[str, ...], classes: tuple[str, ...] = ()) -> Artefacts:
    """Logistic regression with weights that a test can count on."""
    declared = {feature.name: feature for feature in contents.features.features}
    weights = np.full((len(takes), len(classes)) if classes else len(takes), 0.25, np.float32)
    rows = np.linspace(-1, 1, 4 * len(takes), dtype=np.float32).reshape(4, -1)
    z = rows.astype(np.float64) @ weights
    expected = np.full(z.shape, 1 / len(classes)) if classes else 1 / (1 + np.exp(-z))
    return Artefacts(
        features=FeatureTable([declared[name] for name in takes]),
        model=linear_onnx(weights, link="Softmax" if classes else "Sigmoid"),
        golden=golden_rows(rows, np.asarray(expected, np.float64)),
        kind=Kind("score", classes),
    )


def build(contents: SiteContents, classes: tuple[str, ...] = CLASSES) -> BuiltBundle:
    models = {
        CHURN: artefacts(contents, ("views_7d", "orders_90d")),
        INTENT: artefacts(contents, ("may_leave", "on_mobile"), classes),
    }
    return build_bundle(contents, models, version=BundleVersion(3), parent=None, created_ms=NOW_MS)


def test_a_bundle_has_what_the_site_says(tmp_path: Path) -> None:
    built = build(site(tmp_path))
    errors = check_bundle(built, now_ms=NOW_MS)
    assert max(errors.values()) < 1e-6
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    assert {name: (entry.kind, entry.classes) for name, entry in bundle.manifest.models.items()} == {
        CHURN: ("score", ()),
        INTENT: ("score", CLASSES),
    }
    assert b"in time for Sunday" in bundle.content_json(ItemId("gift-box"), "hurry")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "{match: compare, of: profile.score.intent.wine, op: gt, to: 0.1}",
            "'intent': no class 'wine'; there are tea",
        ),
        ("{match: compare, of: profile.class.churn, op: eq, to: tea}", "'churn' has no classes"),
    ],
)
def test_what_only_the_models_can_tell_is_refused_before_anything_is_signed(
    tmp_path: Path, rule: str, message: str
) -> None:
    with pytest.raises(BundleRefused, match=message):
        check_bundle(build(site(tmp_path, rule)), now_ms=NOW_MS)
