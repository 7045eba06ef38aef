"""A real hub and a real node, each the processes that people start, with the fault proxy between them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from fault_proxy import FaultProxy
from hub_process import HubProcess, hub_process, make_site
from processes import Started, ask, edgewise

from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edgewise.subjects import subject_of
from hub.ledger import tables
from hub.ledger.ledger import open_ledger

T = TypeVar("T")
QUICK = "answer_timeout_ms = 500\nreconnect_ms = 50\nreconnect_most_ms = 500\nheartbeat_ms = 200\n"


class Pair:
    """Both, and what lies between. Its methods may be called while the proxy works: that has a thread of its own."""

    def __init__(self, folder: Path, hub: HubProcess, node: Started, proxy: FaultProxy, loop: Any) -> None:
        self.folder = folder
        self.hub = hub
        self.node = node
        self.proxy = proxy
        self._loop = loop
        self.sent: list[str] = []

    def in_proxy(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the proxy's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def reset(self) -> None:
        """Cut every connection."""

        async def cut() -> None:
            self.proxy.reset()

        self.in_proxy(cut())

    def track(self, count: int = 1) -> None:
        """Send events, each acknowledged by the node."""
        for _ in range(count):
            message = f"m-{len(self.sent)}"
            call = {"anonymousId": "ann", "event": "Product Viewed", "messageId": message}
            assert ask(f"{self.node.said['url']}/v1/track", call) == {"success": True}
            self.sent.append(message)

    def decide(self) -> Any:
        """A decision; raises when there is none."""
        return ask(f"{self.node.said['url']}/v1/decide", {"anonymousId": "ann", "placements": [{"name": "home_hero"}]})

    def status(self) -> Any:
        """What the node says of itself."""
        return ask(f"{self.node.said['url']}/status")

    def stored(self) -> Counter[str]:
        """How often each event is in the ledger, by the hash of its message id: nobody has agreed to anything."""
        with open_ledger(self.folder / "hub") as ledger:
            return Counter(event.message_id for _, event in ledger.events())

    def gaps(self) -> int:
        """How many numbers are declared as lost or dropped."""
        with open_ledger(self.folder / "hub") as ledger, ledger.storage.reading() as connection:
            rows = connection.execute(sa.select(tables.gaps.c.first_seq, tables.gaps.c.last_seq)).all()
        return sum(row.last_seq - row.first_seq + 1 for row in rows)

    def expected(self) -> Counter[str]:
        """Each event once."""
        key = load_site_keys(NodePaths(self.folder / "node")).subject_key
        return Counter(str(subject_of(key, "messageId", message)) for message in self.sent)


@contextmanager
def pair(folder: Path, *, settings: str = QUICK, **variables: str) -> Iterator[Pair]:
    """Start them; the node serves when this returns. `variables` are added to its environment."""
    (folder / "edge.toml").write_text(settings)
    (folder / "hub").mkdir()
    make_site(folder / "hub")
    with ExitStack() as stack:
        hub = stack.enter_context(hub_process(folder / "hub"))
        proxy, loop = stack.enter_context(_proxy(int(hub.hub.rpartition(":")[2])))
        environment = {**os.environ, **variables}
        words = ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(folder / "node"))
        config = ("--config", str(folder / "edge.toml"), "--hub", proxy.address)
        node = stack.enter_context(edgewise(*words, *config, log=folder / "node.log", env=environment))
        yield Pair(folder, hub, node, proxy, loop)


@contextmanager
def _proxy(hub_port: int) -> Iterator[tuple[FaultProxy, asyncio.AbstractEventLoop]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = FaultProxy(hub_port)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(10)
    try:
        yield proxy, loop
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
