"""The film shop as a node whose most popular film comes with a code of the spring's promotion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from codes_world import KEY, SPRING, promotion
from edge_world import KEYS, VISITOR, bundle_files, install, node
from starlette.testclient import TestClient
from world import FILMS, HERO, LIST, NOW_MS, catalogue, item, placement, policy

from edge.codes.stock_file import StockFile
from edge.node.layout import NodePaths
from edge.worker.desk import Desk
from edgewise.bundle.catalogue import encode_catalogue
from edgewise.bundle.promotions import Promotion
from edgewise.clock import ManualClock
from edgewise.codes.code import day_of
from edgewise.codes.stock import Lease
from edgewise.ids import CollectionName
from edgewise.profile.state import DAY_MS
from edgewise.subjects import subject_of

BEST = FILMS[0]
SUBJECT = subject_of(KEYS.subject_key, "anonymousId", VISITOR)


def files(offer: Promotion, fallback: list[Any] | None = None) -> dict[str, bytes]:
    """The film shop, whose most popular film comes with a code; a hero without an experiment, and a list without it."""
    changed = [msgspec.structs.replace(item(0), promotion=SPRING), *(item(number) for number in range(1, len(FILMS)))]
    hero = placement(fallback=fallback or [FILMS[20]])
    others = CollectionName("others")
    shown = policy({HERO: hero, LIST: placement(collection=others)})
    collections = {**shown.collections, others: list(FILMS[1:])}
    offered = msgspec.structs.replace(shown, promotions={SPRING: offer}, experiments={}, collections=collections)
    return bundle_files(offered, catalogue=encode_catalogue(catalogue(changed)))


def lend(folder: Path, *, last: int = 20, until_ms: int = NOW_MS + DAY_MS) -> None:
    """As the agent does after an exchange."""
    lease = Lease(
        id="l1",
        promotion=SPRING,
        incarnation="i1",
        first=1,
        last=last,
        until_ms=until_ms,
        last_day=day_of(NOW_MS) + 10,
    )
    StockFile(NodePaths(folder)).change(lambda stock: stock.begun("i1").told([lease], [KEY], []))


@contextmanager
def shop(folder: Path, offer: Promotion | None = None, **options: Any) -> Iterator[tuple[TestClient, Desk]]:
    """A node with what was lent before."""
    install(NodePaths(folder), files(offer or promotion()))
    with node(folder, bundle=False, clock=ManualClock(NOW_MS), **options) as (client, desk):
        yield client, desk


def ask(client: TestClient, **fields: Any) -> dict[str, Any]:
    """The hero's first item."""
    asked = {"anonymousId": VISITOR, "placements": [{"name": HERO}], **fields}
    answer = client.post("/v1/decide", json=asked)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["placements"][HERO]["items"][0]
    return shown
