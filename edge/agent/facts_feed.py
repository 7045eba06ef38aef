"""Takes live facts over as they change: verified like a release, but on a way of their own.

A release is fetched, tried and swapped, which takes seconds; a price must not wait for that. What both share is the
metadata folder, so that their looks at it take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from tuf.ngclient import FetcherInterface

from edge.agent.metadata import read_target, refreshed
from edge.agent.state import AgentState
from edge.backoff import Backoff, Draw, either
from edge.log import Log
from edge.node.bundles import sha256
from edge.node.facts_file import FactsFile
from edge.node.layout import NodePaths
from edge.node.status import Nacked
from edgewise.bundle.facts import FACTS_MOST_BYTES, FACTS_TARGET, NO_FACTS, FactSheet, decode_facts
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, RefusedError, UnavailableError

RETRY_MOST_MS: Final = 60_000

Answer = Callable[[int, str, str], None]
"""Tells the hub the version that the node has, and code and detail of a refusal, blank where there is none."""


def ask_facts(paths: NodePaths, root: bytes, fetcher: FetcherInterface) -> FactSheet | None:
    """Refresh the metadata, and keep the facts that it lists unless they are here; None: there are none. Blocking.

    Raises:
        BundleRefused: as `refreshed`; or `rollback`: they are older than those that are here, or others of the same
            version; or as `decode_facts`. What is here stays.
        UnavailableError: the hub cannot be reached, or the disk does not take them.
    """
    file = FactsFile(paths)
    kept = file.kept()
    with refreshed(paths, root, fetcher) as updater:
        data = read_target(updater, FACTS_TARGET, FACTS_MOST_BYTES, here_sha256="" if kept is None else kept.sha256)
    if data is None:
        return None if kept is None else kept.sheet
    sheet = decode_facts(data)
    if kept is not None and sheet.version <= kept.sheet.version:
        raise BundleRefused(
            "rollback", f"live facts version {sheet.version}; this node has {kept.sheet.version}, and none falls"
        )
    try:
        file.keep(sheet, sha256(data))
    except OSError as failed:
        raise UnavailableError(f"live facts cannot be kept: {failed}") from failed
    return sheet


class FactsFeed:
    """One node's live facts. Belongs to the agent's event loop."""

    def __init__(
        self,
        paths: NodePaths,
        root: bytes,
        fetcher: FetcherInterface,
        *,
        metadata: Executor,
        refresh_ms: int,
        retry_ms: int,
        state: AgentState,
        clock: Clock,
        draw: Draw,
        log: Log,
    ) -> None:
        """`metadata` runs one thing at a time, and everything that touches the metadata folder."""
        self._paths = paths
        self._root = root
        self._fetcher = fetcher
        self._metadata = metadata
        self._refresh_ms = refresh_ms
        self._state = state
        self._clock = clock
        self._log = log
        self._retry = Backoff(retry_ms, RETRY_MOST_MS, draw)
        self._look = asyncio.Event()
        self._answer: Answer = _nobody
        self._refused = ""
        sheet = FactsFile(paths).sheet()
        self._version = NO_FACTS if sheet is None else sheet.version

    def wake(self, answer: Answer | None = None) -> None:
        """The hub says that signed metadata changed; `answer` where it wants to hear what came of it."""
        self._answer = self._answer if answer is None else answer
        self._look.set()

    async def follow(self, stopping: asyncio.Event) -> None:
        """Look whenever the hub says so, and now and then unasked, until `stopping` is set."""
        wait_ms: float = self._refresh_ms
        while not stopping.is_set():
            await either(stopping, self._look, wait_ms)
            if self._look.is_set() or (self._state.connected and not stopping.is_set()):
                self._look.clear()
                wait_ms = await self._take()

    async def _take(self) -> float:
        """One look; returns after how long to look again unasked."""
        in_thread = asyncio.get_running_loop().run_in_executor
        try:
            sheet = await in_thread(self._metadata, ask_facts, self._paths, self._root, self._fetcher)
        except RefusedError as refused:
            self._refuse(refused)
            return self._retry.next_ms()
        except UnavailableError as failed:
            self._state.trouble(str(failed))
            return self._retry.next_ms()
        except Exception as unforeseen:  # noqa: BLE001  # a mistake of ours must not end what ships the records, too
            self._log.error("following live facts failed", exc_info=unforeseen)
            self._refuse(BundleRefused("internal", f"{type(unforeseen).__name__}: {unforeseen}"))
            return self._retry.next_ms()
        self._retry.reset()
        self._refused = ""
        self._state.facts_nack = None
        self._version = NO_FACTS if sheet is None else sheet.version
        self._state.write()
        self._answer(self._version, "", "")
        return self._refresh_ms

    def _refuse(self, refused: RefusedError) -> None:
        if refused.message != self._refused:  # once a cause, not once an attempt
            self._log.error("live facts are refused", code=refused.code, detail=refused.message)
        self._refused = refused.message
        self._state.facts_nack = Nacked(self._clock.now_ms(), refused.code, refused.message)
        self._state.write()
        self._answer(self._version, refused.code, refused.message)


def _nobody(_version: int, _code: str, _detail: str) -> None:
    """No hub has asked yet."""
