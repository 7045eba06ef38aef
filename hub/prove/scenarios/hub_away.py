"""The hub is killed and stays away: decisions go on, everybody is told that they grow stale, and nothing is lost.

A visitor notices nothing. The node calls itself STALE in every answer and in `/status` once it has not heard the hub
for its `stale_after_ms`, and stays ready, so that no load balancer takes it out.
"""

from __future__ import annotations

import math
import threading
from functools import partial
from typing import Any, Final

from hub.prove.account import conserved, lost_and_doubled, take_account
from hub.prove.beside import beside
from hub.prove.caller import Caller, Unanswered
from hub.prove.figure import NONE, Figure, Must
from hub.prove.journal import Journal
from hub.prove.lab import Lab, Running
from hub.prove.order import Order
from hub.prove.visitors import visiting

VISITORS: Final = ("track", "batch", "decide", "decide")
STALE_WITHIN_S: Final = 60.5
"""A node may not be called stale before 60 s without a word, and the last word comes with the last stored event: half
a second is left to notice and to look."""
LOOK_S: Final = 0.1
BEFORE_S: Final = 3.0
"""Of visits while all is well."""


class Watch:
    """What an operator's monitor and one visitor see, ten times a second."""

    def __init__(self) -> None:
        self.stale_answer_s = math.nan
        """From the kill to the first answer that says so."""
        self.stale_status_s = math.nan
        self.ready = 0
        self.not_ready = 0
        self.forgot = 0
        """Answers that did not say STALE, after one that did."""


def run(lab: Lab, order: Order) -> list[Figure]:
    """Let the hub be away for `order.away_s`."""
    journal, watch, waiting = Journal(), Watch(), threading.Event()
    with lab.shop(workers=order.workers) as running:
        with visiting(running.url, running.write_key, journal, lab.clock, seed=order.seed, kinds=VISITORS):
            lab.tell("all is well", 0.0)
            waiting.wait(BEFORE_S)
            before = len(journal.decided)
            running.hub.kill()
            killed_ms = lab.clock.monotonic_ms()
            with beside(partial(_look, lab, running, watch, killed_ms)):
                while (away_s := (lab.clock.monotonic_ms() - killed_ms) / 1_000) < order.away_s:
                    lab.tell(f"the hub is away for {away_s:.0f} s", away_s / order.away_s)
                    waiting.wait(min(1.0, order.away_s - away_s))
            decided = len(journal.decided) - before
            lab.tell("the hub comes back", 1.0)
            lab.again(running.hub)
            back_ms = lab.clock.monotonic_ms()
            fresh_s = _until_fresh(lab, running) / 1_000
        status = lab.drain(running)
        drained_s = (lab.clock.monotonic_ms() - back_ms) / 1_000
        account = take_account(lab.hub_dir, journal)
    return [
        Figure("the hub was away", order.away_s, "s"),
        Figure("decisions meanwhile", decided, must=Must(">=", 1)),
        Figure("failed or broken requests", journal.wrong.total() + journal.retries.total(), must=NONE),
        Figure("until an answer says STALE", watch.stale_answer_s, "s", Must("<=", STALE_WITHIN_S)),
        Figure("until /status says STALE", watch.stale_status_s, "s", Must("<=", STALE_WITHIN_S)),
        Figure("answers that forgot it again", watch.forgot, must=NONE),
        Figure("looks at /health/ready", watch.ready + watch.not_ready, must=Must(">=", 1)),
        Figure("  of them not 200", watch.not_ready, must=NONE),
        Figure("until READY again, after the hub's return", fresh_s, "s"),
        Figure("until everything was stored", drained_s, "s"),
        *lost_and_doubled(account, journal),
        *conserved(account, status),
    ]


def _until_fresh(lab: Lab, running: Running) -> float:
    with Caller(running.url, running.write_key) as caller:
        return lab.until_ms(lambda: caller.status()["state"] == "READY", "the node is READY again")


def _look(lab: Lab, running: Running, watch: Watch, killed_ms: float, stopping: threading.Event) -> None:
    with Caller(running.url, running.write_key) as caller:
        while not stopping.wait(LOOK_S):
            asked_s = (lab.clock.monotonic_ms() - killed_ms) / 1_000
            try:
                is_ready = caller.ask("GET", "/health/ready").is_ok
                status = caller.status()
                answer = caller.ask("POST", "/v1/decide", _QUESTION).json()
            except Unanswered:
                watch.not_ready += 1
                continue
            watch.ready += is_ready
            watch.not_ready += not is_ready
            _note(watch, status, answer, asked_s)


def _note(watch: Watch, status: dict[str, Any], answer: dict[str, Any], asked_s: float) -> None:
    if status["state"] == "STALE" and math.isnan(watch.stale_status_s):
        watch.stale_status_s = asked_s
    is_stale = answer["bundle"]["state"] == "STALE"
    if is_stale and math.isnan(watch.stale_answer_s):
        watch.stale_answer_s = asked_s
    watch.forgot += not is_stale and not math.isnan(watch.stale_answer_s)


_QUESTION: Final = {
    "anonymousId": "monitor",
    "placements": [{"name": "home_list"}],
    "options": {"dryRun": True, "deadlineMs": 1_000},
}
