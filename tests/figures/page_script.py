"""edgewise.js in Chromium: how large it is, and how long after its start a placement is filled.

Each load is a visitor of its own, in a browser that has kept nothing: a shop's page from one origin, the node's script
and its answer (the standard shop's hero, rendered) from another. In turn with each, a bare `GET /health/live` from the
same page over the same connection: what browser and loopback cost without a decision. The browser has all cores: it is
four processes, and nothing else is loaded.
"""

from __future__ import annotations

import shutil
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, NamedTuple

import numpy as np
from browser import running_chromium
from playwright.sync_api import Browser
from proxy_world import serving
from typing_extensions import override

from edge.browser.script import CLIENT, MOST_CLIENT_BYTES, script
from figures import shop
from figures.cores import on_cores
from figures.figure import Bound, Measured, Row, judge, not_measured
from figures.ground import Ground

SIZE: Final = Bound(3_000.0, float(MOST_CLIENT_BYTES), "bytes")
FILLED: Final = Bound(60.0, 40.0, "ms")
LOADS: Final = 200
QUICK_LOADS: Final = 60
WARM_UP: Final = 10
"""Loads that are not counted: a browser's first pages compile what later ones have."""
WHAT: Final = "from the script's start to its filled placement, p95"
_KEEP_ANSWER: Final = "document.addEventListener('edgewise', (event) => { window.answered = event });"
_TIMES: Final = """async (floor) => {
  if (!window.answered) await new Promise((done) => document.addEventListener("edgewise", done));
  const placed = document.querySelector("[data-edgewise]");
  const began = performance.now();
  await fetch(floor, { mode: "no-cors", credentials: "include", cache: "no-store" });
  return {
    filled: performance.getEntriesByName("edgewise", "measure")[0].duration,
    floor: performance.now() - began,
    state: placed.dataset.edgewiseState,
    reason: window.answered.detail?.placements[placed.dataset.edgewise].reason,
  };
}"""


class Load(NamedTuple):
    """One page that was loaded."""

    filled_ms: float
    floor_ms: float
    state: str
    """What the script says of the placement; `filled` if it has an answer."""
    reason: str
    """Of the answer: `MODEL`, or why it is only a fallback."""


def measure(ground: Ground) -> Measured:
    """The size, which needs no browser, and the time."""
    return Measured([_size(), _filled(ground)])


def _size() -> Row:
    built = script(CLIENT)
    detail = {"bytes": len(built.small), "digest": built.digest}
    return judge("page", f"{CLIENT}, gzip", SIZE, [len(built.packed)], detail=detail)


def _filled(ground: Ground) -> Row:
    if shutil.which("chromium") is None:
        return not_measured("page", WHAT, FILLED, "no chromium on PATH; `make tools` installs Debian's")
    with serving(_Pages) as port:
        origin = f"http://127.0.0.1:{port}"
        bundle = ground.stage.bundle(shop.build(origins=[origin]))
        every = ground.stage.cores.every
        with ground.stage.node(bundle=bundle) as node, on_cores(every), running_chromium() as browser:
            path = f"{origin}/?{node.url}"
            count = QUICK_LOADS if ground.stage.effort.is_quick else LOADS
            loads = [_load(browser, path, node.url) for _ in range(WARM_UP + count)][WARM_UP:]
    filled, floor = [load.filled_ms for load in loads], [load.floor_ms for load in loads]
    unfilled = sum(load.state != "filled" for load in loads)
    detail: dict[str, Any] = {
        "loads": count,
        "p50_ms": _percentile(filled, 50),
        "p99_ms": _percentile(filled, 99),
        "floor_p50_ms": _percentile(floor, 50),
        "floor_p95_ms": _percentile(floor, 95),
        "reasons": dict(Counter(load.reason for load in loads)),
        "unfilled": unfilled,
    }
    bare = f"a bare request from the same pages took {detail['floor_p50_ms']} ms, p95 {detail['floor_p95_ms']} ms"
    # A page that was not filled has no time that would count.
    runs = [float("nan") if unfilled else _percentile(filled, 95)]
    short = f"{unfilled} of {count} were not filled" if unfilled else bare
    row = judge("page", f"{WHAT}, of {count} new visitors", FILLED, runs, short=short, detail=detail)
    return row if row.reason else _told(row, f"p50 {detail['p50_ms']} ms; {bare}")


def _told(row: Row, reason: str) -> Row:
    return Row(row.id, row.what, row.bound, row.value, row.runs, row.verdict, reason, row.detail)


def _load(browser: Browser, url: str, node: str) -> Load:
    with browser.new_context() as visitor:
        visitor.add_init_script(_KEEP_ANSWER)
        page = visitor.new_page()
        page.goto(url, wait_until="commit")
        told = page.evaluate(_TIMES, f"{node}/health/live")
    return Load(told["filled"], told["floor"], told["state"], told["reason"] or "no answer")


def _percentile(values: list[float], percentile: float) -> float:
    return round(float(np.percentile(values, percentile)), 1)


class _Pages(BaseHTTPRequestHandler):
    """The shop's page, from an origin of its own; behind `?` stands the node's address."""

    wbufsize = 1 << 16

    def do_GET(self) -> None:
        """The page, or nothing for what browsers ask by themselves."""
        node = self.path.partition("?")[2]
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>'
            f'<script src="{node}/edgewise.js" defer></script></head>'
            f'<body><h1>Shop</h1><div data-edgewise="{shop.HERO}"><p>Our classics</p></div></body></html>'
        ).encode()
        self.send_response(200 if node else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    @override
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
