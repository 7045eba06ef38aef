"""The smallest bundle that a node accepts: three items in one placement, ranked by priority; no model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from edgewise.bundle.catalogue import Catalogue, Item, content_sha256, encode_catalogue
from edgewise.bundle.golden import Golden, encode_golden
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    POLICY,
    Manifest,
    ModelEntry,
    Resource,
    encode_manifest,
)
from edgewise.bundle.needed import FIRST
from edgewise.bundle.policy import Arm, ByPriority, Placement, Policy, Site, encode_policy
from edgewise.consent import Consent, ConsentState
from edgewise.features.table import FeatureTable, encode_features
from edgewise.ids import ArmName, BundleVersion, CollectionName, ItemId, ModelName, PlacementName, SiteName

HERO: Final = PlacementName("home_hero")
CREATED_MS: Final = 1_700_000_000_000
EXPIRES_MS: Final = 4_000_000_000_000


class MadeBundle(NamedTuple):
    """A manifest and what it names."""

    manifest_bytes: bytes
    resources: dict[str, bytes]

    @property
    def digest(self) -> str:
        """Names the bundle."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()


def small_bundle(
    site: str,
    *,
    version: int,
    title: str = "Hello",
    models: Mapping[str, ModelEntry] | None = None,
    resources: Mapping[str, bytes] | None = None,
    **manifest_fields: Any,
) -> MadeBundle:
    """A bundle of `site`. `resources` are added or replace; `manifest_fields` replace fields of the manifest."""
    items = [_item(f"item-{number}", {"title": f"{title} {number}"}) for number in range(3)]
    consent = Consent(*[ConsentState.GRANTED] * 3)
    placement = Placement(
        collection=CollectionName("all"),
        arms={ArmName("plain"): Arm(ranking=ByPriority())},
        arm=ArmName("plain"),
        opted_out_arm=ArmName("plain"),
        fallback=[items[0].id],
    )
    policy = Policy(
        site=Site(name=SiteName(site), salt="salt", default_consent=consent),
        placements={HERO: placement},
        collections={CollectionName("all"): [item.id for item in items]},
    )
    made = {
        POLICY: encode_policy(policy),
        FEATURES: encode_features(FeatureTable([])),
        CATALOGUE: encode_catalogue(Catalogue(items)),
        GOLDEN: encode_golden(Golden({})),
    } | dict(resources or {})
    fields = {
        "version": BundleVersion(version),
        "parent": None,
        "site": SiteName(site),
        "created_ms": CREATED_MS,
        "expires_ms": EXPIRES_MS,
        "protocol_version": FIRST,
        "resources": {path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in made.items()},
        "models": {ModelName(name): entry for name, entry in (models or {}).items()},
        "provenance": {"made": "by a test"},
    } | manifest_fields
    return MadeBundle(encode_manifest(Manifest(**fields)), made)


def _item(name: str, content: dict[str, Any]) -> Item:
    return Item(ItemId(name), content, approved_sha256=content_sha256(content), approved_by="tester")
