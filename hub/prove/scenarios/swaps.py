"""Two releases take turns while a node works at 80 % of what it can.

Their items have different titles, so that an answer that says one release and shows the other's content is found.
"""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgewise.ids import BundleVersion
from hub.prove.caller import Caller, Unanswered
from hub.prove.figure import NONE, Figure, Must
from hub.prove.lab import BY, Lab, Running
from hub.prove.load import capacity, loading, steady
from hub.prove.order import Order
from hub.prove.visitors import PLACEMENTS

SHARE: Final = 0.8
MOST_RATIO: Final = 1.5
EVERY_MS: Final = 1_000.0
"""From one promotion to the next, if it is served by then."""
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

    def missed(self) -> None:
        """No answer, or not a good one."""
        with self._lock:
            self.failed += 1


def run(lab: Lab, order: Order) -> list[Figure]:
    """Swap `order.swaps` times."""
    # The load, and a hub that signs, need a core as well.
    workers = max(1, (os.cpu_count() or 2) - 1)
    with lab.shop(workers=workers) as running:
        _second_edition(lab.folder / "site")
        lab.release(lab.folder / "site")
        lab.tell("look for the node's capacity", 0.0)
        rate = SHARE * capacity(running.url, running.write_key, step_s=order.step_s, seed=order.seed)
        lab.tell(f"{rate:,.0f} requests a second, no swap yet", 0.0)
        readers, took_ms = Readers(), list[float]()
        with _reading(running, readers, order.seed):
            before = steady(running.url, running.write_key, rate=rate, duration_s=order.steady_s, seed=order.seed)
            duration_s = order.swaps * EVERY_MS / 1_000
            with loading(running.url, running.write_key, rate=rate, duration_s=duration_s, seed=order.seed) as load:
                for number in range(order.swaps):
                    lab.tell(f"{rate:,.0f} requests a second, swap {number + 1}", number / order.swaps)
                    took_ms.append(_swap(lab, running, SECOND if number % 2 == 0 else FIRST))
                during = load.result(duration_s + _TAIL_S)
    ratio = during.p99_ms / before.p99_ms if before.p99_ms else math.nan
    return [
        Figure("swaps", len(took_ms), must=Must(">=", order.swaps)),
        Figure("promoted until all workers serve it, p50", float(np.median(took_ms)), "ms"),
        Figure("rate, 80 % of the capacity", rate, "/s"),
        Figure("requests during the swaps", during.requests, must=Must(">=", 1)),
        Figure("failed requests", before.errors + during.errors + readers.failed, must=NONE),
        Figure("answers read closely", readers.answers.total(), must=Must(">=", 1)),
        Figure("releases seen in them", len(readers.answers), must=Must("=", 2)),
        Figure("answers that mix two releases", readers.mixed + _several_digests(readers), must=NONE),
        Figure("p99 without swaps", before.p99_ms, "ms"),
        Figure("p99 during swaps", during.p99_ms, "ms"),
        Figure("p99 during swaps / without", ratio, must=Must("<=", MOST_RATIO)),
    ]


def _second_edition(site: Path) -> None:
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


@contextmanager
def _reading(running: Running, readers: Readers, seed: int) -> Iterator[None]:
    stopping = threading.Event()

    def read(number: int) -> None:
        with Caller(running.url, running.write_key) as caller:
            visits = 0
            while not stopping.wait(READ_PAUSE_S):
                visits += 1
                body = {
                    "anonymousId": f"reader-{seed}-{number}-{visits}",
                    "placements": [{"name": name} for name in PLACEMENTS],
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

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _several_digests(readers: Readers) -> int:
    """A release is one set of bytes."""
    return sum(len(digests) - 1 for digests in readers.digests.values())
