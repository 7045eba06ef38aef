"""One offer in several formats: a placement shows the representation of its format, if a person approved that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import world
from world import FILMS, HERO

from edgewise.admission.load import NO_CONTENT, Bundle
from edgewise.bundle.catalogue import Item, Representation, Variant, content_sha256
from edgewise.bundle.needed import DYNAMIC_CONTENT, protocol_needed
from edgewise.bundle.policy import Every
from edgewise.decide import decide
from edgewise.decision import PlacementDecision, canonical_bytes
from edgewise.errors import BundleRefused
from edgewise.ids import ItemId, PlacementName
from edgewise.profile.state import Profile
from edgewise.request import PlacementRequest

TILE = PlacementName("tile")
CONTENT = {"headline": "Film of the week"}
APPROVED = Representation(CONTENT, content_sha256(CONTENT), "editor")
UNAPPROVED = Representation(CONTENT, "0" * 64, "editor")
TOP, SECOND = FILMS[0], FILMS[1]


def bundle(top: Item, *, fallback: ItemId = FILMS[20]) -> Bundle:
    """Two placements of the same films: the hero shows them as they are, the tile in a format of its own."""
    items = [top, *(world.item(number) for number in range(1, len(FILMS)))]
    tile = world.placement(format="tile", fallback=[fallback, FILMS[21]])
    return world.bundle(catalogue=world.catalogue(items), policy=world.policy({HERO: world.placement(), TILE: tile}))


def top(**changes: Any) -> Item:
    return msgspec.structs.replace(world.item(0), **changes)


def shown(made: Bundle, name: PlacementName, **changes: Any) -> PlacementDecision:
    asked = world.question(PlacementRequest(name), **changes)
    decision = decide(
        asked, Profile(), bundle=made, score=world.score, draw=lambda _name, _slot: 0.5, now_ms=world.NOW_MS
    ).decision
    return decision.placements[name]


def test_a_placement_shows_the_representation_of_its_format() -> None:
    made = bundle(top(representations={"tile": APPROVED}))
    (as_tile,), (as_it_is,) = shown(made, TILE).items, shown(made, HERO).items
    assert (as_tile.id, as_tile.representation, as_tile.content_digest) == (TOP, "tile", APPROVED.approved_sha256)
    assert (as_it_is.id, as_it_is.representation) == (TOP, msgspec.UNSET)
    assert msgspec.json.decode(made.content_json(TOP, "", "tile")) == CONTENT
    assert msgspec.json.decode(made.content_json(TOP)) == world.item(0).content


def test_an_item_without_one_shows_its_own_content() -> None:
    made = bundle(world.item(0))
    (item,) = shown(made, TILE).items
    assert (item.id, item.representation, item.content_digest) == (TOP, msgspec.UNSET, world.item(0).approved_sha256)
    assert made.content_json(TOP, "", "tile") == made.content_json(TOP)


def test_what_nobody_approved_is_not_shown_there_and_nothing_stands_in_for_it() -> None:
    made = bundle(top(representations={"tile": UNAPPROVED}), fallback=TOP)
    assert shown(made, TILE).items[0].id == SECOND
    assert shown(made, HERO).items[0].id == TOP
    assert made.content_json(TOP, "", "tile") == NO_CONTENT
    asked = PlacementRequest(TILE, exclude=[film for film in FILMS if film not in {TOP, FILMS[21]}])
    assert [item.id for item in shown(made, TILE, placements=(asked,)).items] == [FILMS[21]]
    assert TOP not in {item.id for item in shown(made, TILE, force={TILE: [TOP]}).items}


def test_an_item_that_is_not_approved_itself_is_shown_in_no_format() -> None:
    made = bundle(top(representations={"tile": APPROVED}, approved_sha256=None))
    assert shown(made, TILE).items[0].id == SECOND
    assert made.content_json(TOP, "", "tile") == NO_CONTENT


def test_variants_reword_the_items_own_content_alone() -> None:
    words = {"title": "For you"}
    calm = Variant("calm", Every([]), words, "", content_sha256(words), "editor")
    made = bundle(top(representations={"tile": APPROVED}, variants=[calm]))
    (as_tile,), (as_it_is,) = shown(made, TILE).items, shown(made, HERO).items
    assert (as_tile.variant, as_tile.representation) == (msgspec.UNSET, "tile")
    assert (as_it_is.variant, as_it_is.representation) == ("calm", msgspec.UNSET)


def test_a_format_asks_for_a_newer_node_and_leaves_older_bytes_alone() -> None:
    assert protocol_needed(world.policy({HERO: world.placement(format="tile")})) == DYNAMIC_CONTENT
    made = bundle(world.item(0))
    asked = world.question(PlacementRequest(HERO))
    decision = decide(asked, Profile(), bundle=made, score=world.score, draw=lambda *_: 0.5, now_ms=world.NOW_MS)
    assert b"representation" not in canonical_bytes(decision.decision)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"": APPROVED}, "blank"), ({f"format-{number}": APPROVED for number in range(65)}, "too_large")],
    ids=["nameless", "too_many"],
)
def test_a_node_refuses_what_it_cannot_tell_apart(wrong: dict[str, Representation], code: str) -> None:
    with pytest.raises(BundleRefused) as refused:
        bundle(top(representations=wrong))
    assert refused.value.code == code
