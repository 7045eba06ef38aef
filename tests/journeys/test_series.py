"""The next journey is configuration: a series after a purchase, by YAML alone, on a site that `check` takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from journeys_world import CART, JOURNEY, JourneyWorld, person
from release_world import Shop

from hub.ledger.ledger import open_ledger
from hub.mail.states import MailState
from hub.site.converting import convert
from hub.site.journey_file import JourneyFile
from hub.site.loading import load_site

ANN = person(1)
SERIES = """\
kind: mail
needs:
  - {kind: event, name: Order Completed, worth: 0.8}
trigger: {event: Order Completed, unless: [Order Refunded], within_minutes: 60}
champion: {arm: forgot, after_hours: 48}
steps:
  - {treatments: home_hero, after_hours: 1}
  - {treatments: home_hero, products: home_list, after_hours: 72, unless: [Product Reviewed]}
  - {treatments: home_hero, after_hours: 240}
caps: {per_week: 2}
timezone: Europe/Berlin
quiet_hours: {from: "22:00", to: "07:00"}
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> JourneyFile:
    """As `site check` reads it from a site's folder, then asking the placements of this test's release."""
    shop = Shop(tmp_path_factory.mktemp("site"))
    (shop.site / "journeys").mkdir(exist_ok=True)
    written = SERIES.replace("arm: forgot, ", "")
    (shop.site / "journeys" / "after-purchase.yaml").write_text(written)
    read = load_site(shop.site).journeys["after-purchase"]
    assert [step.treatments for step in read.steps] == ["home_hero"] * 3
    told = yaml.safe_load(SERIES.replace("home_hero", "cart_treatments").replace("home_list", "cart_products"))
    found, wrong = convert(told, JourneyFile)
    assert not wrong
    assert found is not None
    return found


@pytest.fixture
def world(tmp_path: Path, series: JourneyFile) -> Iterator[JourneyWorld]:
    with open_ledger(tmp_path) as ledger:
        world = JourneyWorld(ledger, {"after-purchase": series})
        world.joins(ANN)
        yield world


def test_a_series_is_sent_mail_by_mail(world: JourneyWorld) -> None:
    world.does(ANN, "Order Completed")
    for after, told in ((0.5, {}), (0.5, {"sent": 1}), (70.5, {}), (0.5, {"sent": 1}), (168, {"sent": 1}), (500, {})):
        world.later(60 * after)
        assert world.turn() == told, after
    steps = [(row.payload["step"], (row.handed_ms or 0) - row.payload["began_ms"]) for row in world.rows()]
    hours = [(step, round(after / 3_600_000, 1)) for step, after in steps]
    assert hours == [(0, 1.0), (1, 72.0), (2, 240.0)]


def test_what_makes_a_mail_needless_ends_it_and_what_ends_the_run_ends_all(world: JourneyWorld) -> None:
    world.does(ANN, "Order Completed", message="order")
    world.later(24 * 60)
    world.does(ANN, "Product Reviewed")
    told = world.turns(4 * 24 * 60, every=60)
    assert "sent" not in told, "the first was late when the hub looked, the second needless"
    world.does(ANN, "Order Refunded")
    assert world.turns(8 * 24 * 60, every=120) == {}
    assert {row.state for row in world.rows()} <= {MailState.EXPIRED}


def test_each_order_is_a_run_and_the_cap_holds_over_all(world: JourneyWorld) -> None:
    for number in range(3):
        world.does(ANN, "Order Completed", message=f"order-{number}")
        world.later(1)
    told = world.turns(70)
    assert told == {"sent": 2, "dropped": 1}
    assert [row.reason for row in world.rows(MailState.DROPPED)] == ["cap"]


def test_two_journeys_stand_beside_each_other(tmp_path: Path, series: JourneyFile) -> None:
    with open_ledger(tmp_path) as ledger:
        both = JourneyWorld(ledger, {CART: JOURNEY, "after-purchase": series})
        both.joins(ANN)
        both.does(ANN, "Product Added")
        both.later(5)
        both.does(ANN, "Order Completed")
        assert both.turns(70) == {"sent": 1}
        assert [row.journey for row in both.rows()] == ["after-purchase"]
