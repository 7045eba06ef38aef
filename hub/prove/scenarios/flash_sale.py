"""A sale begins: the rate jumps to what the node can just hold, most visitors are new, and the best item sells out.

That it is gone is a live fact (`edgewise facts set ITEM stock=0`); from a second after it reached the node, nobody may
be offered it any more.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

from edgewise.errors import UnavailableError
from hub.processes import run_edgewise
from hub.prove.caller import Caller
from hub.prove.figure import NONE, Figure, Must
from hub.prove.lab import BY, Lab, Running, decisions, workers_under_load
from hub.prove.load import Load, capacity, loading
from hub.prove.order import Order

PROFILE: Final = "flash-sale"
"""The bench's own: four fifths of its visitors are new, and the burst is five times the calm around it."""
CALM, BEGINS, LASTS, WARM_UP_S = 0.2, 0.3, 0.4, 2.0
"""Its shape: rate before the burst, and the burst's place, as shares; seconds of calm before all that."""
PLACEMENT: Final = "home_hero"
LOOKS: Final = 60
"""Strangers who are asked what they see, to find what everybody is offered."""
MOST_S: Final = 1.0
_COMMAND_S: Final = 60.0
_TAIL_S: Final = 180.0


def run(lab: Lab, order: Order) -> list[Figure]:
    """One sale on `order.connections`."""
    with lab.shop(workers=workers_under_load()) as running:
        lab.tell("look for the node's capacity", 0.0)
        rate = capacity(running.url, running.write_key, step_s=order.step_s, seed=order.seed)
        hot = hottest(running.url, running.write_key)
        lab.tell(f"{rate:,.0f} requests a second on {order.connections:,} connections; {hot} sells out", 0.5)
        duration_s = 2 * order.window_s
        with loading(
            running.url,
            running.write_key,
            rate=rate,
            duration_s=duration_s,
            connections=order.connections,
            profile=PROFILE,
            seed=order.seed,
            watch_item=hot,
        ) as load:
            _wait_for_the_burst(lab, running, load, rate * in_the_burst_s(duration_s))
            arrived_ms = _sell_out(lab, running, hot)
            told = load.result(duration_s + _TAIL_S)
    offers = told.watched
    if offers is None or offers.first_ms is None or offers.last_ms is None:
        raise UnavailableError(f"{hot} was never offered during the sale, so nothing could sell out")
    return [
        Figure("connections", order.connections),
        Figure("rate of the burst, the capacity", rate, "/s"),
        Figure("requests", told.requests, must=Must(">=", 1)),
        Figure("failed requests", told.errors, must=NONE),
        Figure("p99 of decisions", told.p99_ms, "ms"),
        Figure("offers of what sold out", offers.offers, must=Must(">=", 1)),
        Figure(
            "last of them after the fact had arrived",
            max(0, offers.last_ms - arrived_ms) / 1_000,
            "s",
            Must("<=", MOST_S),
        ),
    ]


def hottest(url: str, write_key: str) -> str:
    """The item that most strangers are shown.

    Raises:
        UnavailableError: the node does not decide for them.
    """
    shown: Counter[str] = Counter()
    with Caller(url, write_key) as caller:
        for number in range(LOOKS):
            shown.update(caller.shown(f"passer-by-{number}", PLACEMENT))
    return shown.most_common(1)[0][0]


def in_the_burst_s(duration_s: float) -> float:
    """Seconds at the burst's rate that bring as many requests as come until a quarter of the burst is over."""
    return CALM * (WARM_UP_S + BEGINS * duration_s) + LASTS * duration_s / 4


def _wait_for_the_burst(lab: Lab, running: Running, load: Load, enough: float) -> None:
    """Until so many were decided that the burst must have begun."""
    with Caller(running.url, running.write_key, timeout_s=60.0) as caller:
        before = decisions(caller)
        what = "the sale begins"
        lab.until(lambda: decisions(caller) > before + enough or not load.is_running, what, most_ms=120_000.0)


def _sell_out(lab: Lab, running: Running, item: str) -> int:
    """Say so at the hub; when the node's `/status` shows it, in milliseconds since the epoch."""
    with Caller(running.url, running.write_key, timeout_s=60.0) as caller:
        before = facts_version(caller.status())
        sell_out(lab.hub_dir, item)
        lab.until(lambda: facts_version(caller.status()) > before, "the fact arrives at the node")
        return lab.clock.now_ms()


def sell_out(hub_dir: Path, item: str) -> None:
    """Set an item's stock to 0 at the hub of a data folder, as an operator would.

    Raises:
        UnavailableError: the command failed, or did not end in time.
    """
    words = ["facts", "set", item, "stock=0", "--data-dir", str(hub_dir), "--by", BY, "--json"]
    run_edgewise(words, _COMMAND_S)


def facts_version(status: dict[str, Any]) -> int:
    """Of the live facts that a node goes by, from its `/status`."""
    return int(status["liveFacts"]["version"])
