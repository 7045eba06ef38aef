"""A node that a browser can talk to, and pages of a shop around its placements, under a strict policy for scripts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
import world
from browser import browser_page
from edge_world import bundle_files, events, install, open_desk
from playwright.sync_api import Browser, Page, Route

from edge.node.layout import NodePaths
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edgewise.bundle.catalogue import Item, content_sha256, encode_catalogue
from edgewise.clock import SystemClock
from edgewise.records import EventRecord

CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
SHEET = "[data-edgewise] { min-height: 40px } [data-edgewise=home_list] { min-height: 1500px } h3 { margin: 0 }"
HERO = '<div data-edgewise="home_hero"><p>Our classics</p></div>'
LIST = '<div data-edgewise="home_list"></div>'


class LiveNode(NamedTuple):
    """A node that answers at `url`; what it wrote down is in `desk`."""

    url: str
    desk: Desk

    def events(self, name: str) -> list[EventRecord]:
        """What was told so far by this name."""
        return [event for event in events(self.desk) if event.name == name]


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
    install(NodePaths(folder), bundle_files(world.policy(origins=[url]), catalogue=films))
    desk = open_desk(folder, clock=SystemClock(), **settings)
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
    browser: Browser, node: LiveNode, body: str = HERO, *, script: str = "", path: str = "/shop"
) -> Iterator[tuple[Page, list[str]]]:
    """A page of the shop in a browser that knows nobody, and what went wrong in it so far."""

    def serve(route: Route) -> None:
        policy = {"content-security-policy": CSP, "content-type": "text/html"}
        if route.request.url.endswith(".css"):
            route.fulfill(body=SHEET, content_type="text/css")
        else:
            route.fulfill(body=shop_page(body, script), headers=policy)

    with browser_page(browser) as (page, wrong):
        page.route(f"{node.url}/shop*", serve)
        page.route(f"{node.url}/shop/**", serve)
        page.goto(node.url + path)
        yield page, wrong


def shown(page: Page, placement: str = "home_hero") -> Sequence[str]:
    """The items that a placement shows."""
    found: list[str] = page.eval_on_selector_all(
        f"[data-edgewise-placement={placement}] [data-edgewise-item]",
        "items => items.map(item => item.dataset.edgewiseItem)",
    )
    return found


def filled(page: Page, placement: str = "home_hero") -> None:
    """Wait until a placement has what was decided for it."""
    page.wait_for_selector(f"[data-edgewise={placement}][data-edgewise-state=filled]")
