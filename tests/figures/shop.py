"""The shop that is measured, as a bundle: forty features, a hundred candidates, a hundred trees, or any other size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from edgewise.bundle.exploration import Exploration, Greedy, SquareCB
from edgewise.bundle.policy import Arm, ByAttribute, ByModel, ByNeighbours, Compare, Everything, Placement, Policy, Site
from edgewise.clock import SystemClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import ArmName, BundleVersion, CollectionName, ModelName, PlacementName, SiteName
from figures import trees
from figures.stock import catalogue, feature_table, film, neighbours
from hub.artefacts import Artefacts
from hub.release.bundle import BuiltBundle, build_bundle
from hub.site.files import ModelUse
from hub.site.loading import SiteContents

SITE: Final = SiteName("figures")
WRITE_KEY: Final = "figures"
MODEL: Final = ModelName("ranker")
HERO: Final = PlacementName("home_hero")
"""Ranks its whole collection, `Shape.candidates` items."""
WIDE: Final = PlacementName("home_wide")
"""Retrieves `Shape.candidates` items from the whole catalogue, then ranks them."""
UNSEEN: Final = PlacementName("home_unseen")
"""Ranks as the hero does, explores nothing, and leaves out what its visitor has touched."""
SHOWN: Final = 3
"""Items of an answer: with their contents about 900 bytes."""


class Shape(NamedTuple):
    """How large the shop is."""

    items: int = 1_682
    """As MovieLens 100k."""
    candidates: int = 100
    trees: int = 100


STANDARD: Final = Shape()


def policy(shape: Shape, origins: Sequence[str] = ()) -> Policy:
    """A hero that ranks its collection, and a wide placement that retrieves first. What is sold out is not shown.

    `origins` are the site's own, whose pages need no write key.
    """
    curious = SquareCB(gamma=200.0, floor=0.01)

    def placed(
        collection: str,
        retrieval: Everything | ByNeighbours,
        exploration: Exploration = curious,
        *,
        exclude_seen: bool = False,
    ) -> Placement:
        arms = {
            ArmName("model"): Arm(ByModel(MODEL), exploration, retrieval),
            ArmName("popular"): Arm(ByAttribute("popularity")),
        }
        return Placement(
            collection=CollectionName(collection),
            arms=arms,
            arm=ArmName("model"),
            opted_out_arm=ArmName("popular"),
            fallback=[film(number) for number in range(SHOWN)],
            count=SHOWN,
            eligibility=[Compare(of="item.stock", op="gt", to=0.0)],
            exclude_seen=exclude_seen,
        )

    return Policy(
        site=Site(
            name=SITE,
            salt="salt of the figures",
            default_consent=Consent(*[ConsentState.GRANTED] * 3),
            write_key_sha256=[hashlib.sha256(WRITE_KEY.encode()).hexdigest()],
            origins=list(origins),
        ),
        placements={
            HERO: placed("few", Everything(limit=1_000)),
            UNSEEN: placed("few", Everything(limit=1_000), Greedy(), exclude_seen=True),
            WIDE: placed("all", ByNeighbours("popularity", shape.candidates)),
        },
        collections={
            CollectionName("few"): [film(number) for number in range(shape.candidates)],
            CollectionName("all"): [film(number) for number in range(shape.items)],
        },
    )


def build(shape: Shape = STANDARD, *, version: int = 1, origins: Sequence[str] = ()) -> BuiltBundle:
    """A bundle of the shop, as the hub builds one."""
    made = trees.model(shape.trees)
    contents = SiteContents(
        policy(shape, origins), catalogue(shape.items), feature_table(), {MODEL: ModelUse(MODEL, "champion")}
    )
    artefacts = Artefacts(
        features=made.features,
        model=made.model,
        attribution=made.attribution,
        golden=made.golden,
        neighbours=neighbours(shape.items),
    )
    return build_bundle(
        contents,
        {MODEL: artefacts},
        version=BundleVersion(version),
        parent=None if version == 1 else BundleVersion(version - 1),
        created_ms=SystemClock().now_ms(),
    )
