"""Journeys in the admin API and in the metrics, and a keeper that goes over them alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from journeys_world import CART, JOURNEY, JourneyWorld, person
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from edgewise.clock import SystemClock
from edgewise.errors import RefusedError
from hub.admin.journeys import JourneyCollector, JourneyRoutes
from hub.journeys.keeping import LEASE, JourneyDesk, JourneyKeeper
from hub.lease import held
from hub.ledger.ledger import open_ledger
from hub.release.releases import Releases
from hub.site.kept_journeys import keep_journeys

ANN, BO = person(1), person(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[JourneyWorld]:
    """One has his mail, one waits for it."""
    with open_ledger(folder) as ledger:
        world = JourneyWorld(ledger)
        world.joins(ANN)
        world.joins(BO)
        world.does(ANN, "Product Added")
        world.turns(65)
        world.does(BO, "Product Added")
        world.watch()
        yield world


def test_the_admin_api_counts_what_became_of_each(world: JourneyWorld) -> None:
    routes = JourneyRoutes(world.ledger, lambda: {CART: JOURNEY}, list)
    app = Starlette(routes=[Route(of.path, endpoint) for of, endpoint in routes.table()])
    with TestClient(app) as client:
        every = client.get("/api/v1/journeys").json()["journeys"]
        one = client.get(f"/api/v1/journeys/{CART}").json()
        unknown = client.get("/api/v1/journeys/nothing")
    assert every == [one]
    assert (one["state"], one["who"], one["watched"], one["mails"]) == ("enabled", "Ann", 1, {"sent": 1})
    assert unknown.status_code == 404


def test_the_metrics_count_runs_by_state(world: JourneyWorld) -> None:
    registry = CollectorRegistry()
    registry.register(JourneyCollector(world.ledger))
    text = generate_latest(registry).decode()
    assert f'edgewise_journey_enabled{{journey="{CART}"}} 1.0' in text
    assert f'edgewise_journey_runs{{journey="{CART}",state="sent"}} 1.0' in text
    assert f'edgewise_journey_runs{{journey="{CART}",state="watched"}} 1.0' in text


def test_one_process_at_a_time_goes_over_them(world: JourneyWorld, folder: Path) -> None:
    keep_journeys(folder, {CART: JOURNEY})
    log = structlog.get_logger()
    desk = JourneyDesk(folder, world.ledger, Releases(folder, world.ledger), log=log)
    keeper = JourneyKeeper(desk, world.ledger, 0, clock=SystemClock(), log=log)
    with held(world.ledger, "another", SystemClock(), name=LEASE), pytest.raises(RefusedError, match="another process"):
        keeper.once()
    assert keeper.once().looked >= 1, "nobody is due any more, years later"
    asyncio.run(keeper.run())  # 0: not at all
    desk.close()
