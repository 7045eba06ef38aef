"""Visitors in threads: each sends its events until a node has them, as Segment's clients do, and asks for decisions.

A request that breaks is sent again with the same `messageId`. Their pace is bounded, for what is to be proven needs
requests under way at every moment, not a machine that does nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np

from edgewise.clock import Clock
from hub.prove.beside import beside
from hub.prove.caller import Caller, Reply, Unanswered
from hub.prove.journal import Journal

ITEMS: Final = ("earl-grey", "sencha", "rooibos", "teapot", "hand-grinder")
"""Of the invented site."""
PLACEMENTS: Final = ("home_hero", "home_list")
EVENTS: Final = {"track": 1, "batch": 40, "decide": 1, "look": 0}
PATIENCE_MS: Final = 60_000.0
"""How long a visitor insists."""
BUSY: Final = frozenset({429, 503})
PAUSE_S: Final = {"track": 0.01, "batch": 0.2, "decide": 0.01, "look": 0.01}
"""Mean pause of one visitor between two requests, exponentially distributed."""
_RETRY_S: Final = 0.05


class Visitor:
    """One thread's worth of visits.

    `kind`: `track` and `batch` report events, `decide` asks with an event beside, `look` asks only.
    """

    def __init__(self, name: str, kind: str, url: str, write_key: str, journal: Journal) -> None:
        self.name = name
        self._kind = kind
        self._url = url
        self._write_key = write_key
        self._journal = journal
        self.gives_up = threading.Event()
        """Nobody is to insist any more: the scenario has come to a bad end."""
        self._sent = 0

    def live(self, clock: Clock, draw: np.random.Generator, stopping: threading.Event) -> None:
        """Visit until `stopping`; what was begun then is brought to its end."""
        with Caller(self._url, self._write_key) as caller:
            while not stopping.wait(float(draw.exponential(PAUSE_S[self._kind]))):
                self._visit(caller, clock)

    def _visit(self, caller: Caller, clock: Clock) -> None:
        calls = [self._call() for _ in range(EVENTS[self._kind])]
        ids = [str(call["messageId"]) for call in calls]
        match self._kind:
            case "track":
                path, body = "/v1/track", calls[0]
            case "batch":
                path, body = "/v1/batch", {"batch": calls}
            case _:
                path = "/v1/decide"
                body = {
                    "anonymousId": self.name,
                    "placements": [{"name": name} for name in PLACEMENTS],
                    "events": calls,
                    "options": {"deadlineMs": 1_000},
                }
        reply = self._insist(caller, clock, path, body)
        if reply is None or not reply.is_ok:
            self._journal.doubtful(self.name, ids)
            self._journal.went_wrong("no answer in time" if reply is None else f"{path} answered {reply.status}")
            return
        told = reply.json()
        if path == "/v1/decide":
            self._journal.shown(str(told["decisionId"]))
        refused = {int(one["index"]) for one in told.get("rejected", [])}
        for index in refused:
            self._journal.went_wrong(f"a valid event was rejected: {told['rejected'][0]['message']}")
            self._journal.doubtful(self.name, [ids[index]])
        self._journal.kept(self.name, [each for index, each in enumerate(ids) if index not in refused])

    def _insist(self, caller: Caller, clock: Clock, path: str, body: Any) -> Reply | None:
        """The first answer that is no refusal for want of room or time; None when PATIENCE_MS have passed."""
        begun_ms, reply = clock.monotonic_ms(), None
        while clock.monotonic_ms() - begun_ms < PATIENCE_MS and not self.gives_up.is_set():
            try:
                reply = caller.ask("POST", path, body)
            except Unanswered:
                reply = None
            if reply is not None and reply.status not in BUSY:
                return reply
            self._journal.again(self._kind, EVENTS[self._kind])
            self.gives_up.wait(_RETRY_S)
        return reply

    def _call(self) -> dict[str, Any]:
        self._sent += 1
        return {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"{self.name}-{self._sent}",
            "anonymousId": self.name,
            "properties": {"product_id": ITEMS[self._sent % len(ITEMS)]},
        }


@contextmanager
def visiting(
    url: str, write_key: str, journal: Journal, clock: Clock, *, seed: int, kinds: tuple[str, ...]
) -> Iterator[None]:
    """Have one visitor of each kind come until the block ends; then every one has ended what it began."""
    draws = np.random.default_rng(seed).spawn(len(kinds))
    visitors = [Visitor(f"visitor-{seed}-{number}", kind, url, write_key, journal) for number, kind in enumerate(kinds)]
    steps = [partial(visitor.live, clock, draw) for visitor, draw in zip(visitors, draws, strict=True)]
    with beside(*steps):
        try:
            yield
        except BaseException:
            for visitor in visitors:
                visitor.gives_up.set()
            raise
