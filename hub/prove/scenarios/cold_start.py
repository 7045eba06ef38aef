"""A node starts and its hub is not there: it serves the bundle that it holds, or the one that it came with."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from edgewise.reasons import Reason
from hub.prove.caller import Caller, Reply, Unanswered
from hub.prove.figure import NONE, Figure, Must
from hub.prove.lab import Lab
from hub.prove.order import Order

LIVE: Final = 1
STARTER: Final = 0
STARTER_KEY: Final = "demo"
CHOSEN: Final = {Reason.MODEL, Reason.EXPLORE, Reason.RULE}
"""No fallback."""
ASKED: Final = 200
"""Decisions after the first."""


class _Start(NamedTuple):
    """A node that is to start, and what it is to serve."""

    folder: str
    hub_address: str | None
    write_key: str
    version: int


class _Cold(NamedTuple):
    """How it went."""

    first_ms: float
    """From the start of the process to the first right decision."""
    wrong: int
    """Of the ASKED decisions after that."""


def run(lab: Lab, order: Order) -> list[Figure]:
    """Start a node that was there before, then a new one."""
    with lab.shop(workers=order.workers) as running:
        address, write_key = str(running.hub.said["hub"]), running.write_key
    lab.tell("start a node that knows its site", 0.3)
    own = _cold(lab, _Start("node", address, write_key, LIVE), order.workers)
    lab.tell("start a new node", 0.6)
    new = _cold(lab, _Start("new-node", None, STARTER_KEY, STARTER), order.workers)
    return [
        Figure("from the local bundle: start to first decision", own.first_ms, "ms"),
        Figure("wrong or failed decisions after it", own.wrong, must=NONE),
        Figure("from the starter bundle: start to first decision", new.first_ms, "ms"),
        Figure("wrong or failed decisions after that", new.wrong, must=NONE),
        Figure("decisions asked for, each", ASKED, must=Must(">=", 1)),
    ]


def _cold(lab: Lab, start: _Start, workers: int) -> _Cold:
    begun_ms = lab.clock.monotonic_ms()
    with (
        lab.node(start.hub_address, workers=workers, data_dir=lab.folder / start.folder) as node,
        Caller(str(node.said["url"]), start.write_key) as caller,
    ):
        what = f"the first decision from release {start.version}"
        lab.until(lambda: _is_right(_ask(caller, 0), start.version), what)
        first_ms = lab.clock.monotonic_ms() - begun_ms
        wrong = sum(not _is_right(_ask(caller, number), start.version) for number in range(1, ASKED + 1))
    return _Cold(first_ms, wrong)


def _ask(caller: Caller, number: int) -> Reply | None:
    body: dict[str, Any] = {"anonymousId": f"early-{number}", "placements": [{"name": "home_hero"}]}
    try:
        return caller.ask("POST", "/v1/decide", body | {"options": {"deadlineMs": 1_000}})
    except Unanswered:
        return None


def _is_right(reply: Reply | None, version: int) -> bool:
    if reply is None or not reply.is_ok:
        return False
    told = reply.json()
    placed = told["placements"]["home_hero"]
    return told["bundle"]["version"] == version and bool(placed["items"]) and placed["reason"] in CHOSEN
