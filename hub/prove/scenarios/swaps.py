"""Two releases take turns while a node works at 80 % of what it can.

Their items have different titles, so that an answer that says one release and shows the other's content is found.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from edgewise.ids import BundleVersion
from hub.prove.beside import beside
from hub.prove.caller import Caller, Unanswered
from hub.prove.figure import NONE, Figure, Must
from hub.prove.lab import BY, Lab, Running, decisions, workers_under_load
from hub.prove.load import Loaded, capacity, loading, steady
from hub.prove.order import Order
from hub.prove.visitors import PLACEMENTS

SHARE: Final = 0.8
MOST_RATIO: Final = 1.5
ROUNDS: Final = 4
"""Each measures without swaps, then with; the figures are their medians, for a machine has worse minutes."""
EVERY_MS: Final = 1_500.0
"""From one promotion to the next, if it is served by then."""
LOOKS_BACK: Final = 30
"""Looks at the node between which its rate is taken, 20 ms apart."""
READERS: Final = 2
READ_PAUSE_S: Final = 0.02
EDITION: Final = " (second edition)"
FIRST, SECOND = BundleVersion(1), BundleVersion(2)
_TAIL_S: Final = 120.0


class Readers:
    """Visitors who look closely at what they are shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()
        """By release."""
        self.mixed = 0
        self.failed = 0
        self.digests: dict[int, set[str]] = {}

    def read(self, told: Any) -> None:
        """Compare what an answer says with what it shows."""
        version, digest = int(told["bundle"]["version"]), str(told["bundle"]["digest"])
        titles = [item["content"]["title"] for placed in told["placements"].values() for item in placed["items"]]
        with self._lock:
            self.answers[version] += 1
            self.digests.setdefault(version, set()).add(digest)
            self.mixed += any(title.endswith(EDITION) is not (version == SECOND) for title in titles)

    @property
    def several_digests(self) -> int:
        """Too many of them: a release is one set of bytes."""
        return sum(len(digests) - 1 for digests in self.digests.values())

    def missed(self) -> None:
        """No answer, or not a good one."""
        with self._lock:
            self.failed += 1


class Round(NamedTuple):
    """The same load twice."""

    without: Loaded
    during: Loaded
    swapped_ms: list[float]
    """From each promotion until all workers served it."""

    @property
    def ratio(self) -> float:
        """Of the p99."""
        return self.during.p99_ms / self.without.p99_ms if self.without.p99_ms else math.nan


def run(lab: Lab, order: Order) -> list[Figure]:
    """Swap `order.swaps` times, or a little more often."""
    with lab.shop(workers=workers_under_load()) as running:
        second_edition(lab.folder / "site")
        lab.release(lab.folder / "site")
        lab.tell("look for the node's capacity", 0.0)
        rate = SHARE * capacity(running.url, running.write_key, step_s=order.step_s, seed=order.seed)
        readers = Readers()
        with beside(*(partial(_read, running, readers, f"{order.seed}-{number}") for number in range(READERS))):
            rounds = [_round(lab, running, order, rate, number) for number in range(ROUNDS)]
    took_ms = [ms for each in rounds for ms in each.swapped_ms]
    requests = sum(each.during.requests for each in rounds)
    errors = sum(each.without.errors + each.during.errors for each in rounds)
    return [
        Figure("swaps under load", len(took_ms), must=Must(">=", order.swaps)),
        Figure("promoted until all workers serve it, p50", float(np.median(took_ms)), "ms"),
        Figure("rate, 80 % of the capacity", rate, "/s"),
        Figure("requests during the swaps", requests, must=Must(">=", 1)),
        Figure("failed requests", errors + readers.failed, must=NONE),
        Figure("of the load's: a declared 503 without swaps", sum(each.without.refused for each in rounds)),
        Figure("of the load's: a declared 503 during swaps", sum(each.during.refused for each in rounds)),
        Figure("answers read closely", readers.answers.total(), must=Must(">=", 1)),
        Figure("releases seen in them", len(readers.answers), must=Must("=", 2)),
        Figure("answers that mix two releases", readers.mixed + readers.several_digests, must=NONE),
        Figure(
            "p99 of decisions without swaps, median of the rounds",
            float(np.median([each.without.p99_ms for each in rounds])),
            "ms",
        ),
        Figure(
            "p99 of decisions during swaps, median of the rounds",
            float(np.median([each.during.p99_ms for each in rounds])),
            "ms",
        ),
        Figure(
            "p99 during swaps / without", float(np.median([each.ratio for each in rounds])), must=Must("<=", MOST_RATIO)
        ),
    ]


def _round(lab: Lab, running: Running, order: Order, rate: float, number: int) -> Round:
    duration_s = math.ceil(order.swaps / ROUNDS) * EVERY_MS / 1_000
    told = f"{rate:,.0f} requests a second, round {number + 1} of {ROUNDS}"
    lab.tell(f"{told}, no swap", number / ROUNDS)
    without = steady(running.url, running.write_key, rate=rate, duration_s=duration_s, seed=order.seed + number)
    swapped_ms: list[float] = []
    with loading(running.url, running.write_key, rate=rate, duration_s=duration_s, seed=order.seed + number) as load:
        _until_busy(lab, running, rate)
        while load.is_running:
            lab.tell(f"{told}, swap {len(swapped_ms) + 1}", (number + 0.5) / ROUNDS)
            # Never the one that is live: the rounds may each have an odd number.
            swapped_ms.append(_swap(lab, running, FIRST if _serves(running) == SECOND else SECOND))
        return Round(without, load.result(_TAIL_S), swapped_ms)


def _until_busy(lab: Lab, running: Running, rate: float) -> None:
    """Until the load has begun: from its warm-up on, the rate is the one that was asked for."""
    with Caller(running.url, running.write_key) as caller:
        before: list[tuple[float, int]] = []

        def is_busy() -> bool:
            before.append((lab.clock.monotonic_ms(), decisions(caller)))
            (then_ms, then), (now_ms, now) = before[max(0, len(before) - LOOKS_BACK)], before[-1]
            return now_ms > then_ms and (now - then) / (now_ms - then_ms) * 1_000 > rate / 2

        lab.until(is_busy, "the load begins")


def _serves(running: Running) -> int:
    with Caller(running.url, running.write_key) as caller:
        return int(caller.status()["bundle"]["version"])


def second_edition(site: Path) -> None:
    """Give every item another title, and have it approved."""
    from hub.site.approving import approve_items

    for file in sorted((site / "items").glob("*.yaml")):
        lines = file.read_text("utf-8").splitlines(keepends=True)
        file.write_text("".join(line.replace(", text: ", f"{EDITION}, text: ") for line in lines), "utf-8")
    approve_items(site, BY)


def _swap(lab: Lab, running: Running, version: BundleVersion) -> float:
    """Promote, wait until it is served and the second is over; how long it took to be served, in milliseconds."""
    begun_ms, waiting = lab.clock.monotonic_ms(), threading.Event()
    lab.promote(version)
    lab.wait_for_version(running, version)
    took_ms = lab.clock.monotonic_ms() - begun_ms
    waiting.wait(max(0.0, EVERY_MS - took_ms) / 1_000)
    return took_ms


def _read(running: Running, readers: Readers, name: str, stopping: threading.Event) -> None:
    visits = 0
    with Caller(running.url, running.write_key) as caller:
        while not stopping.wait(READ_PAUSE_S):
            visits += 1
            body = {
                "anonymousId": f"reader-{name}-{visits}",
                "placements": [{"name": placement} for placement in PLACEMENTS],
                "options": {"deadlineMs": 1_000},
            }
            try:
                reply = caller.ask("POST", "/v1/decide", body)
            except Unanswered:
                readers.missed()
                continue
            if reply.is_ok:
                readers.read(reply.json())
            else:
                readers.missed()
