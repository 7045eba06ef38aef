"""Asks the proxy before this node to forget shared fragments that are not true any more.

Everything when all workers serve another release than before, and after a start, because nobody knows what happened
meanwhile; of live facts the items whose numbers changed. Looked at twice a second and asked once it has settled: a
proxy that forgets too early would fetch the old fragment again. What cannot be asked now is asked again, and grows
meanwhile to no more than one word: everything.

An item that becomes available again stands in no fragment yet, so that no key names it: it is seen when the fragment's
time (`max_age_s`) is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from edge.backoff import Backoff, Draw
from edge.log import Log
from edge.node.facts_file import FactsFile
from edge.node.layout import NodePaths
from edge.node.status import worker_statuses
from edge.node.surrogates import EVERYTHING, item_key
from edge.settings import EdgeSettings
from edgewise.bundle.facts import FactSheet
from edgewise.ids import ItemId

LOOK_EVERY_S: Final = 0.5
SETTLING_LOOKS: Final = 2
"""Between a change that was seen and the request: workers look for facts every 50 ms, and compile them."""
MOST_HELD_LOOKS: Final = 10
"""Where facts change all the time, what waits is asked for all the same, and asked again."""
MOST_KEYS: Final = 100
"""Of one request; networks take 256, and a line of a header 8 kB. More are asked for as everything."""
TIMEOUT_S: Final = 2.0
RETRY_MS: Final = 1_000
RETRY_MOST_MS: Final = 60_000
_OK: Final = range(200, 300)

Ask = Callable[[Iterable[str]], None]
"""Asks to forget these keys; raises OSError where nobody listens, or says no."""


class PurgeRefused(OSError):  # noqa: N818  # reads as what happened
    """The proxy does not do as it is asked."""


def asker(url: str, header: str) -> Ask:
    """Asks at a URL, with a header of the form `NAME: VALUE`, or none. Blocking, for at most a few seconds."""
    parts = urlsplit(url)
    of_scheme = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    name, _, value = header.partition(":")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def ask(keys: Iterable[str]) -> None:
        headers = {"Surrogate-Key": " ".join(keys)}
        if header:
            headers[name] = value.strip()
        connection = of_scheme(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            try:
                connection.request("POST", target, headers=headers)
                answer = connection.getresponse()
            except http.client.HTTPException as wrong:
                raise PurgeRefused(f"{url} does not speak HTTP: {wrong!r}") from wrong
            if answer.status not in _OK:
                raise PurgeRefused(f"{url} answers {answer.status} {answer.reason}; expected 2xx")

    return ask


def changed_items(before: FactSheet | None, after: FactSheet | None) -> set[ItemId]:
    """Items of which some live fact is another one now, was not there before, or is no more."""
    old, new = ({} if sheet is None else sheet.columns for sheet in (before, after))
    changed: set[ItemId] = set()
    for name in old.keys() | new.keys():
        were, are = old.get(name, {}), new.get(name, {})
        changed.update(item for item, number in are.items() if were.get(item) != number)
        changed.update(item for item in were if item not in are)
    return changed


class Purging:
    """One node's. Belongs to the agent's event loop."""

    def __init__(self, settings: EdgeSettings, *, ask: Ask, draw: Draw, log: Log) -> None:
        self._paths: NodePaths = settings.paths
        self._workers = settings.workers
        self._ask = ask
        self._log = log
        self._facts = FactsFile(self._paths)
        self._generation: object = None
        self._sheet: FactSheet | None = None
        self._digest: str | None = None
        """Of the release that all workers served when they were last looked at."""
        self._pending: set[str] = set()
        self._settling = 0
        self._held = 0
        """Looks for which something has been waiting to be asked."""
        self._backoff = Backoff(RETRY_MS, RETRY_MOST_MS, draw)
        self._wait_s = 0.0
        """Until it is asked again, after it failed."""

    async def follow(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set."""
        await asyncio.to_thread(self._look_at_facts)
        self._pending.clear()  # what they were before the start is part of everything
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)

    async def look(self) -> None:
        """One look, and the request that is due."""
        has_swapped = self._look_at_workers()
        if await asyncio.to_thread(self._look_at_facts) or has_swapped:
            self._settling = SETTLING_LOOKS
        elif self._settling:
            self._settling -= 1
        self._held = self._held + 1 if self._pending else 0
        self._wait_s -= LOOK_EVERY_S
        if self._pending and self._wait_s <= 0 and (not self._settling or self._held > MOST_HELD_LOOKS):
            await self._send()

    def _look_at_workers(self) -> bool:
        statuses = worker_statuses(self._paths, self._workers)
        served = {status.bundle_digest for status in statuses if status is not None and status.listening}
        if None in statuses or len(served) != 1 or (digest := served.pop()) == self._digest:
            return False
        self._digest = digest
        self._pending = {EVERYTHING}
        return True

    def _look_at_facts(self) -> bool:
        generation = self._facts.generation()
        if generation == self._generation:
            return False
        self._generation = generation
        sheet = self._facts.sheet()
        self._remember(map(item_key, changed_items(self._sheet, sheet)))
        self._sheet = sheet
        return True

    def _remember(self, keys: Iterable[str]) -> None:
        if EVERYTHING in self._pending:
            return
        self._pending.update(keys)
        if len(self._pending) > MOST_KEYS:
            self._pending = {EVERYTHING}

    async def _send(self) -> None:
        keys = sorted(self._pending)
        try:
            await asyncio.to_thread(self._ask, keys)
        except OSError as failed:
            wait_ms = self._backoff.next_ms()
            self._wait_s = wait_ms / 1_000
            self._log.warning("shared fragments are not forgotten yet", keys=len(keys), detail=str(failed))
            return
        self._backoff.reset()
        self._wait_s = 0.0
        self._held = 0
        if not self._settling:  # else it is asked once more: workers may not have known of the last change yet
            self._pending.clear()
        self._log.info("asked to forget shared fragments", keys=len(keys), first=keys[0])
