"""Fragments behind real proxies: nobody sees another one's, and a node that is gone costs a page no time and no error.

By the recipes of `deploy/`, with a node of two visitors whose items name them. The node is killed (all its processes,
SIGKILL) while pages are asked for, and stopped (SIGSTOP: it takes connections and answers nothing).
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from processes import Started, listening_pids, until
from proxy_world import FALLBACK, PROXIES, Shop, Visitor, node_of_two, serving

from figures.figure import Bound, Measured, Row, judge, not_measured
from figures.ground import Ground

LEAKS: Final = Bound(0.0, 0.0, "pages")
ERRORS: Final = Bound(0.0, 0.0, "pages")
GONE: Final = Bound(50.0, 20.0, "ms")
HANGING: Final = Bound(1_500.0, 1_000.0, "ms")
PAGES: Final = 1_000
AFTER: Final = 300
"""Pages that are timed once the node is gone."""
HANGING_PAGES: Final = 10
ASKERS: Final = 8
PROGRAMS: Final = {"ssi": ("nginx", "nginx (SSI)"), "esi": ("varnishd", "Varnish (ESI)")}
KILL_AT: Final = 200
_OWN: Final = re.compile(r'placement="greeting"[^>]*><div data-edgewise-item="[^"]+"><h3>of (\w+)</h3>')


class Page(NamedTuple):
    """One page that somebody got."""

    visitor: str
    status: int
    body: str
    seconds: float

    @property
    def is_leak(self) -> bool:
        """Whether one of its own fragments is the other visitor's; the second of the three is everybody's."""
        return any(name not in {self.visitor, "nobody"} for name in _OWN.findall(self.body))

    @property
    def is_error(self) -> bool:
        """Whether it is, or holds, anything but fragments and fallbacks."""
        whole = self.body.startswith("<html><body>") and self.body.endswith("</body></html>")
        parts = self.body.count('data-edgewise-placement="greeting"')
        return self.status != http.client.OK or not whole or parts != 2  # the page asks for two


class Reader:
    """One connection to a proxy, kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)

    def page(self, path: str, visitor: Visitor) -> Page:
        """Ask for a page as somebody."""
        began = time.perf_counter()
        self._http.request("GET", path, headers={"Cookie": visitor.cookie})
        answer = self._http.getresponse()
        body = answer.read().decode()
        return Page(visitor.name, answer.status, body, time.perf_counter() - began)


def measure(ground: Ground) -> Measured:
    """Each proxy with a node of its own."""
    rows: list[Row] = []
    for kind, (program, name) in PROGRAMS.items():
        if shutil.which(program) is None and shutil.which(program, path="/usr/sbin") is None:
            rows.append(not_measured("fragments", name, LEAKS, f"no {program} on PATH; `make tools` installs Debian's"))
            continue
        folder = ground.stage.fresh(kind)
        folder.mkdir(parents=True)
        rows += _rows(kind, name, folder)
    return Measured(rows)


def _rows(kind: str, name: str, folder: Path) -> Iterator[Row]:
    with node_of_two(folder) as (node, visitors), serving(Shop) as shop:
        edge = urlsplit(node.said["url"]).port
        (folder / "proxy").mkdir()
        with PROXIES[kind](folder / "proxy", edge=edge, shop=shop) as url:
            path = f"/{kind}"
            pages = _many(url, path, visitors)
            yield judge(
                "fragments",
                f"{name}: pages with something of the other visitor, of {PAGES:,} interleaved",
                LEAKS,
                [sum(page.is_leak for page in pages)],
                detail={
                    "own_fragments": sum(len(_OWN.findall(page.body)) for page in pages),
                    "errors": sum(page.is_error for page in pages),
                    "p50_ms": _ms(pages, 50),
                    "p99_ms": _ms(pages, 99),
                },
            )
            hanging = _while_stopped(url, path, visitors, node)
            yield judge(
                "fragments",
                f"{name}: page of three fragments while the node hangs, longest",
                HANGING,
                [1_000 * max(page.seconds for page in hanging)],
                detail={"errors": sum(page.is_error for page in hanging), "pages": len(hanging)},
            )
            during, after = _while_killed(url, path, visitors, node)
            yield judge(
                "fragments",
                f"{name}: error pages while the node is killed and after, of {len(during) + len(after):,}",
                ERRORS,
                [sum(page.is_error or page.is_leak for page in (*during, *after))],
                detail={"with_fallback": sum(FALLBACK in page.body for page in (*during, *after))},
            )
            yield judge(
                "fragments",
                f"{name}: page with its fallbacks once the node is killed, p99",
                GONE,
                [_ms(after, 99)],
                detail={"p50_ms": _ms(after, 50), "max_ms": _ms(after, 100), "pages": len(after)},
            )


def _many(url: str, path: str, visitors: Sequence[Visitor], at: threading.Event | None = None) -> list[Page]:
    """Pages of both visitors by turns, several at a time; `at` is set when some have come."""
    local, seen = threading.local(), iter(range(PAGES))

    def fetch(number: int) -> Page:
        reader = getattr(local, "reader", None)
        if reader is None:
            reader = local.reader = Reader(url)
        page: Page = reader.page(path, visitors[number % 2])
        if at is not None and next(seen, 0) == KILL_AT:
            at.set()
        return page

    with ThreadPoolExecutor(ASKERS) as pool:
        return list(pool.map(fetch, range(PAGES)))


def _while_killed(url: str, path: str, visitors: Sequence[Visitor], node: Started) -> tuple[list[Page], list[Page]]:
    """Pages during the death of a node, and one after the other afterwards."""
    now = threading.Event()

    def kill() -> None:
        now.wait(60)
        for pid in (node.process.pid, *node.children()):
            os.kill(pid, signal.SIGKILL)

    # A proxy that has found the node sick asks it again only when its probes have come through.
    until(lambda: FALLBACK not in Reader(url).page(path, visitors[0]).body)
    killing = threading.Thread(target=kill)
    killing.start()
    during = _many(url, path, visitors, now)
    killing.join()
    reader = Reader(url)
    return during, [reader.page(path, visitors[number % 2]) for number in range(AFTER)]


def _while_stopped(url: str, path: str, visitors: Sequence[Visitor], node: Started) -> list[Page]:
    pids = listening_pids(node)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        reader = Reader(url)
        return [reader.page(path, visitors[number % 2]) for number in range(HANGING_PAGES)]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _ms(pages: Sequence[Page], percentile: float) -> float:
    return round(1_000 * float(np.percentile([page.seconds for page in pages], percentile)), 2)
