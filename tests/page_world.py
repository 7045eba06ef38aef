"""A node that a browser can talk to, and pages of a shop around its placements, under a strict policy for scripts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvicorn
import world
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from browser import browser_page
from edge_world import bundle_files, events, install, open_desk
from playwright.sync_api import Browser, Page, Route
from typing_extensions import override

from edge.node.layout import NodePaths
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edgewise.bundle.catalogue import Item, content_sha256, encode_catalogue
from edgewise.bundle.policy import Arm, External
from edgewise.clock import SystemClock
from edgewise.ids import PlacementName
from edgewise.records import EventRecord

CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
SHEET = "[data-edgewise] { min-height: 160px } [data-edgewise=home_list] { min-height: 1500px } h3 { margin: 0 }"
HERO = '<div data-edgewise="home_hero"><p>Our classics</p></div>'
LIST = '<div data-edgewise="home_list" data-edgewise-as="Product"></div>'
OWN = '<div data-edgewise="home_own"><p>Our own</p></div>'
SHIFTS = """
  window.shifts = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((shift) => { window.shifts += shift.value; }))
    .observe({ type: "layout-shift", buffered: true });
"""


class Patient(SystemClock):
    """Knows what day it is, and that no time passes.

    The page's script wants its answer within 50 ms, and beside other tests a decision may take longer than that.
    """

    @override
    def monotonic_ms(self) -> float:
        return 0.0


class LiveNode(NamedTuple):
    """A node that answers at `url`; what it wrote down is in `desk`."""

    url: str
    desk: Desk

    def all_events(self) -> list[EventRecord]:
        """What was told so far."""
        return events(self.desk)

    def events(self, name: str) -> list[EventRecord]:
        """What was told so far by this name."""
        return [event for event in self.all_events() if event.name == name]


def linked(number: int) -> Item:
    """A film of the world whose card is a link."""
    plain = world.item(number)
    content = {"title": f"Film {number}", "text": "A film", "link": f"/films/{number}"}
    return Item(plain.id, content, plain.attributes, approved_sha256=content_sha256(content), approved_by="editor")


@contextlib.contextmanager
def live_node(folder: Path, **settings: Any) -> Iterator[LiveNode]:
    """One worker in a thread of this process; pages of its own address need no key."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    films = encode_catalogue(world.catalogue([linked(number) for number in range(len(world.FILMS))]))
    shop = world.policy(origins=[url])
    own = world.placement(arms={world.CHAMPION: Arm(External())})
    placements = {**shop.placements, PlacementName("home_own"): own}
    shop = msgspec.structs.replace(shop, placements=placements)
    install(NodePaths(folder), bundle_files(shop, catalogue=films))
    desk = open_desk(folder, clock=Patient(), **settings)
    server = uvicorn.Server(uvicorn.Config(make_app(desk), log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        yield LiveNode(url, desk)
    finally:
        server.should_exit = True
        thread.join(10)


def shop_page(body: str, script: str = "") -> str:
    """A page of the shop; `script` are attributes of the client's element."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>'
        f'<link rel="stylesheet" href="/shop.css"><script src="/edgewise.js" defer {script}></script></head>'
        f"<body><main><h1>Shop</h1>{body}<p>Below</p></main></body></html>"
    )


@contextlib.contextmanager
def opened(
    browser: Browser, node: LiveNode, body: str = HERO, *, script: str = "", path: str = "/shop", before: str = ""
) -> Iterator[tuple[Page, list[str]]]:
    """A page of the shop in a browser that knows nobody, and what went wrong in it so far.

    `before` runs before any script of the page.
    """
    with browser_page(browser) as (page, wrong):
        page.set_viewport_size({"width": 800, "height": 600})
        page.add_init_script(SHIFTS + before)
        serve_shop(page, node, body, script)
        page.goto(node.url + path)
        yield page, wrong


def serve_shop(page: Page, node: LiveNode, body: str, script: str = "") -> None:
    """Let a browser find the shop's pages on the node's own address."""

    def serve(route: Route) -> None:
        if route.request.url.endswith(".css"):
            route.fulfill(body=SHEET, content_type="text/css")
        else:
            route.fulfill(
                body=shop_page(body, script), headers={"content-security-policy": CSP, "content-type": "text/html"}
            )

    page.route(re.compile(re.escape(node.url) + r"/(shop|films)"), serve)


def shown(page: Page, placement: str = "home_hero") -> Sequence[str]:
    """The items that a placement shows."""
    found: list[str] = page.eval_on_selector_all(
        f"[data-edgewise-placement={placement}] [data-edgewise-item]",
        "items => items.map(item => item.dataset.edgewiseItem)",
    )
    return found


def decided(page: Page, placement: str = "home_hero") -> str:
    """Wait until a placement shows what was decided for it; the decision's id."""
    page.wait_for_selector(f"[data-edgewise={placement}][data-edgewise-state=filled]")
    return str(page.get_attribute(f"[data-edgewise-placement={placement}]", "data-edgewise-decision"))


def decided_anew(page: Page, before: str, placement: str = "home_hero") -> str:
    """Wait until a placement shows another decision than before; its id."""
    selector = f"[data-edgewise-placement={placement}]:not([data-edgewise-decision='{before}'])"
    page.wait_for_selector(selector)
    return str(page.get_attribute(selector, "data-edgewise-decision"))


def barriers(page: Page) -> list[str]:
    """What axe finds serious or worse."""
    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in {"serious", "critical"}]
