"""A placement of a format, from a node's answer to the hub's explanation: everywhere the same representation."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import world
from edge_world import bundle_files
from replay_world import POLICY, replay_shop
from world import FILMS, HERO

from edgewise.bundle.catalogue import Representation, content_sha256, encode_catalogue
from edgewise.bundle.schedules import Schedule
from hub.explain import explain
from hub.site.zones import tables_of

TILE = {"headline": "Film of the week"}
OPEN = Schedule("Europe/Berlin", dates=[dt.datetime.fromtimestamp(world.NOW_MS / 1_000, dt.UTC).date()])
CLOSED = Schedule("Europe/Berlin", dates=[dt.date(2031, 1, 1)])


def files() -> dict[str, bytes]:
    """The most popular film is closed today; the second has a tile, and is open today."""
    films = [world.item(number) for number in range(len(FILMS))]
    films[0] = msgspec.structs.replace(films[0], schedule=CLOSED)
    known = Representation(TILE, content_sha256(TILE), "editor")
    films[1] = msgspec.structs.replace(films[1], representations={"tile": known}, schedule=OPEN)
    hero = world.placement(format="tile", schedule=OPEN)
    site = msgspec.structs.replace(POLICY.site, zones=tables_of(["Europe/Berlin"]), holdout=0.0)
    policy = msgspec.structs.replace(POLICY, site=site, placements={**POLICY.placements, HERO: hero})
    return bundle_files(policy, catalogue=encode_catalogue(world.catalogue(films)))


def test_what_is_answered_is_logged_explained_and_replayed(tmp_path: Path) -> None:
    with replay_shop(tmp_path, files=files()) as shop:
        asked = {"placements": [{"name": HERO, "count": 2}]}
        told = shop.ask(asked)
        first, second = told["placements"][HERO]["items"]
        assert (first["id"], first["content"], first["representation"]) == (FILMS[1], TILE, "tile")
        assert (second["id"], second["content"]) == (FILMS[2], world.item(2).content)
        assert "representation" not in second

        body = msgspec.msgpack.encode({"anonymousId": "x", **asked})
        packed = shop.client.post("/v1/decide", content=body, headers={"content-type": "application/msgpack"})
        answer: Any = msgspec.msgpack.decode(packed.content)
        assert answer["placements"][HERO]["items"][0]["content"] == TILE

        (record, _) = shop.report()
        replay = shop.hub.replayer.replay(record.decision_id)
        assert (replay.identical, replay.difference) == (True, None)
        explained = explain(shop.hub.ledger, shop.hub.replayer, record.decision_id)
        assert [item.representation for item in explained.placements[HERO].items] == ["tile", ""]
