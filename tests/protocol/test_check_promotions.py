"""Promotions and templates that cannot be served are refused with the bundle, before a request meets them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
import world
from codes_world import SPRING, promotion

from edgewise.admission import check_promotions, check_templates
from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.manifest import TEMPLATES, encode_manifest
from edgewise.bundle.promotions import Discount, Promotion, PromotionName
from edgewise.bundle.templates import Template, Templates, encode_templates
from edgewise.errors import BundleRefused
from edgewise.ids import CollectionName, TemplateName

PLAIN = Template(sources={"html": {"": "<b></b>"}})


def bundle(promotions: dict[PromotionName, Promotion], promoted: PromotionName | None = SPRING) -> Bundle:
    items = [world.item(number) for number in range(len(world.FILMS))]
    items[3] = msgspec.structs.replace(items[3], promotion=promoted)
    policy = msgspec.structs.replace(world.policy(), promotions=promotions or msgspec.UNSET)
    return world.bundle(catalogue=world.catalogue(items), policy=policy)


@pytest.mark.parametrize(
    ("changes", "says", "at"),
    [
        ({"discount": Discount()}, "exactly one of percent", "$.promotions.spring.discount"),
        ({"discount": Discount(percent=5.0, free_shipping=True)}, "exactly one", "$.promotions.spring.discount"),
        ({"starts_ms": 2, "ends_ms": 2}, "ends at 2 ms, but starts at 2 ms", "$.promotions.spring.ends_ms"),
        ({"collection": CollectionName("gone")}, "no collection 'gone'", "$.promotions.spring.collection"),
    ],
)
def test_a_promotion_that_cannot_be_promised(changes: dict[str, Any], says: str, at: str) -> None:
    with pytest.raises(BundleRefused) as refused:
        bundle({SPRING: promotion(**changes)})
    assert says in refused.value.message
    assert f"at `{at}`" in refused.value.message


def test_an_item_with_a_code_of_no_promotion() -> None:
    """Whoever was to be shown it would have got an error instead."""
    assert bundle({SPRING: promotion(collection=world.ALL)}).policy.offers
    for offers in ({}, {PromotionName("summer"): promotion()}):
        with pytest.raises(BundleRefused, match=r"'film-3' .* 'spring'.* at `\$\.items\[3\]\.promotion`") as refused:
            bundle(offers)
        assert refused.value.code == "dangling"


def test_more_promotions_than_a_node_can_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_promotions, "MOST_PROMOTIONS", 1)
    with pytest.raises(BundleRefused, match=r"2 promotions, at most 1 are taken") as refused:
        bundle({SPRING: promotion(), PromotionName("summer"): promotion()})
    assert refused.value.code == "too_large"


def templated(**templates: Template) -> Bundle:
    files = world.resources()
    files[TEMPLATES] = encode_templates(Templates({TemplateName(name): made for name, made in templates.items()}))
    manifest = world.manifest(files)
    return load_bundle(manifest, hashlib.sha256(encode_manifest(manifest)).hexdigest(), files)


def test_two_templates_of_one_format() -> None:
    """Which one shows it would hang on their order."""
    tile = msgspec.structs.replace(PLAIN, formats=["wide", "tile"])
    with pytest.raises(BundleRefused, match=r"'b' and 'a' both show .*'tile'.* at `\$\.templates\.b\.formats\[0\]`"):
        templated(a=tile, b=msgspec.structs.replace(PLAIN, formats=["tile"]))


@pytest.mark.parametrize(
    ("limit", "most", "says"),
    [("MOST_TEMPLATES", 1, "2 templates, at most 1"), ("MOST_CHARACTERS", 13, "sources of 14 characters in all")],
)
def test_more_templates_than_are_compiled_in_time(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int, says: str
) -> None:
    monkeypatch.setattr(check_templates, limit, most)
    with pytest.raises(BundleRefused, match=says) as refused:
        templated(a=PLAIN, b=PLAIN)
    assert refused.value.code == "too_large"
