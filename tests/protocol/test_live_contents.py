"""Numbers of contents follow live facts where the site shows them: as far as they may, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import world
from hypothesis import given
from hypothesis import strategies as st
from world import FILMS, NOW_MS

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import Representation, Variant, content_sha256
from edgewise.bundle.facts import FactSheet
from edgewise.bundle.policy import Compare, LiveFact
from edgewise.ids import ItemId
from edgewise.live_facts import LiveFacts

FILM = FILMS[0]
RELEASED = 20.0
LATER_MS = NOW_MS + 60_000


def approved(content: dict[str, Any]) -> dict[str, Any]:
    return {"content": content, "approved_sha256": content_sha256(content)}


def shop(
    content: dict[str, Any], *, fact: LiveFact | None = None, released: float = RELEASED, **changes: Any
) -> Bundle:
    """One film costs what is `released`, and has this content."""
    made = world.policy(live_facts={"price": fact or LiveFact(most_change=0.5, shown=True)})
    first = world.item(0)
    attributes = first.attributes | {"price": released}
    item = msgspec.structs.replace(first, attributes=attributes, **approved(content), **changes)
    return world.bundle(policy=made, catalogue=world.catalogue([item, *map(world.item, range(1, 24))]))


def facts(made: Bundle, price: float, **changes: Any) -> LiveFacts:
    known: dict[str, Any] = {"version": 5, "issued_ms": NOW_MS - 1, "expires_ms": LATER_MS}
    return LiveFacts(made, FactSheet(**{**known, "columns": {"price": {FILM: price}}, **changes}))


def under(made: Bundle, price: float, **changes: Any) -> Bundle:
    return facts(made, price, **changes).at(NOW_MS)


def content(made: Bundle, *named: str) -> Any:
    return msgspec.json.decode(made.content_json(FILM, *named))


def test_the_price_on_the_page_is_the_one_that_was_decided_with() -> None:
    made = shop({"title": "Film 0", "price": 20, "link": "/0"})
    assert made.content_json(FILM) == b'{"link":"/0","price":20,"title":"Film 0"}'
    live = under(made, 17.5)
    assert live.content_json(FILM) == b'{"link":"/0","price":17.5,"title":"Film 0"}'
    assert live.items.attributes(live.items.code_of[FILM])["price"] == 17.5
    assert live.content_json(FILM) is live.content_json(FILM), "written once a sheet"
    assert made.content_json(FILM) == b'{"link":"/0","price":20,"title":"Film 0"}', "the release is as it was"
    assert under(made, 18.0).content_json(FILM) == b'{"link":"/0","price":18,"title":"Film 0"}'


@given(st.floats(-1e9, 1e9) | st.floats(9, 31) | st.sampled_from([10.0, 30.0]))
def test_it_goes_no_farther_than_the_site_lets_it(price: float) -> None:
    """And what is beyond is shown as nothing in between: half of a price is nobody's price."""
    made = shop({"price": 20})
    assert content(under(made, price))["price"] == (price if 10 <= price <= 30 else 20)
    assert facts(made, price).beyond == (not 10 <= price <= 30)
    two = {FILM: price, FILMS[1]: 1e6, ItemId("unknown"): 1e6}
    assert facts(made, price, columns={"price": two}).beyond == 1 + (not 10 <= price <= 30)


def test_who_is_at_the_limit_is_not_beyond_it() -> None:
    """As people reckon: 89.90 less 30 % is 62.93, which floats miss by a hair."""
    made = shop({"price": 89.90}, fact=LiveFact(most_change=0.3, shown=True), released=89.90)
    assert content(under(made, 62.93)) == {"price": 62.93}
    assert facts(made, 62.93).beyond == 0
    assert content(under(made, 62.92)) == {"price": 89.90}


@pytest.mark.parametrize("said", ["20 €", "20", True, None, [20], 19.99, 0, {"amount": 20}])
def test_what_is_not_the_item_s_own_number_stays(said: Any) -> None:
    made = shop({"title": "Film 0", "price": said, "old": {"price": 20}, "was": 20})
    assert under(made, 17.5).content_json(FILM) is made.content_json(FILM)


def test_nothing_follows_where_the_site_shows_no_fact_the_sheet_is_halted_or_over() -> None:
    made = shop({"price": 20})
    hidden = shop({"price": 20}, fact=LiveFact())
    assert under(hidden, 17.5).content_json(FILM) is hidden.content_json(FILM)
    assert content(under(made, 17.5, columns={}, halted=True)) == {"price": 20}
    over = LiveFacts(made, FactSheet(5, NOW_MS - 2, NOW_MS, columns={"price": {FILM: 17.5}})).at(NOW_MS)
    assert content(over) == {"price": 20}
    other = under(made, 17.5, columns={"price": {FILMS[1]: 17.5}})
    assert other.content_json(FILM) is made.content_json(FILM)
    assert other.content_json(ItemId("unknown")) == b"null"


def test_copies_and_representations_follow_as_well() -> None:
    rule = Compare(of="context.device.type", op="eq", to="mobile")
    copies = [Variant(name="mobile", when=rule, **approved({"price": 20, "text": "small"}))]
    tiles = {"tile": Representation(**approved({"price": 20, "text": "square"}))}
    live = under(shop({"price": 20}, variants=copies, representations=tiles), 17.5)
    assert content(live, "mobile") == {"price": 17.5, "text": "small"}
    assert content(live, "", "tile") == {"price": 17.5, "text": "square"}


def test_what_nobody_approved_stays_nothing() -> None:
    made = shop({"price": 20})
    item = msgspec.structs.replace(made.items.items[0], approved_sha256=None)
    unapproved = world.bundle(policy=made.policy, catalogue=world.catalogue([item, *made.items.items[1:]]))
    assert under(unapproved, 17.5).content_json(FILM) == b"null"
