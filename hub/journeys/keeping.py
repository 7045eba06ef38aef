"""The journeys of a running hub: gone over every half minute, by one process at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.clock import Clock, SystemClock
from edgewise.errors import EdgewiseError, RefusedError
from hub.codes.book import CodeBook
from hub.codes.mailing import MailCodes
from hub.journeys.deciding import Decider, LiveBundle
from hub.journeys.watching import Watched, Watcher
from hub.journeys.worded import Voice
from hub.journeys.writing import JourneyWriter
from hub.keys import KeyFolder
from hub.lease import held, holder_name
from hub.ledger.ledger import Ledger
from hub.log import Log, Once
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild
from hub.site.journey_file import JourneyFile
from hub.site.kept_journeys import kept_journeys
from hub.threads import to_its_end

LEASE: Final = "journeys"
WHAT: Final = "the journeys"


class JourneyDesk:
    """What watching and writing the journeys of one data folder needs; each of the two decides for itself."""

    def __init__(self, data_dir: Path, ledger: Ledger, releases: Releases, *, log: Log) -> None:
        self._data_dir = data_dir
        self._ledger = ledger
        self._releases = releases
        self._log = log
        self._children: list[ScoringChild] = []

    def journeys(self) -> dict[str, JourneyFile]:
        """As they were applied last. Raises UnavailableError where they cannot be read."""
        return kept_journeys(self._data_dir)

    def watcher(self) -> Watcher:
        """Whoever finds runs and plans their mails."""
        return Watcher(self._ledger, self.journeys, self._decider(), log=self._log)

    def writer(self, voice: Voice = Voice()) -> JourneyWriter:  # noqa: B008  # immutable
        """Whoever writes them. Raises UnavailableError where the site's keys cannot be read."""
        key = KeyFolder(self._data_dir).secrets().subject_key
        return JourneyWriter(self._ledger, self.journeys, self._decider(), subject_key=key, voice=voice)

    def close(self) -> None:
        """End the processes that models ran in."""
        for child in self._children:
            child.close()

    def _decider(self) -> Decider:
        child = ScoringChild()  # started by the first model that is asked
        self._children.append(child)
        bundle = LiveBundle(self._releases)

        def released() -> Mapping[PromotionName, Promotion]:
            live = bundle()
            return {} if live is None else live.policy.offers

        book = CodeBook(self._ledger, released, SystemClock(), os.urandom)
        return Decider(self._ledger, bundle, child, MailCodes(self._ledger, book))


class JourneyKeeper:
    """Goes over them for one hub."""

    def __init__(self, desk: JourneyDesk, ledger: Ledger, every_ms: int, *, clock: Clock, log: Log) -> None:
        """`every_ms` 0: not at all."""
        self._watcher = desk.watcher()
        self._ledger = ledger
        self._every_ms = every_ms
        self._clock = clock
        self._log = log
        self._holder = holder_name()
        self._still = Once()

    async def run(self) -> None:
        """Until cancelled."""
        while self._every_ms:
            try:
                await to_its_end(self.once)
                self._still.over()
            except RefusedError:
                pass  # another process is at it
            except EdgewiseError as missing:
                if self._still.is_new(str(missing)):
                    self._log.error("the journeys stand still", reason=str(missing))
            except Exception:  # noqa: BLE001  # a mistake of ours here must not leave nodes without a hub
                self._log.exception("going over the journeys failed")
            await asyncio.sleep(self._every_ms / 1_000)

    def once(self) -> Watched:
        """One turn. Raises RefusedError (`lease`) while another process is at it, UnavailableError."""
        if not self._ledger.enabled_journeys():
            return Watched()
        with held(self._ledger, self._holder, self._clock, name=LEASE, what=WHAT) as lease:
            watched = self._watcher.turn(self._clock.now_ms(), lease.check)
        if watched.put or watched.damaged:
            self._log.info("journeys", found=watched.found, put=watched.put, failed=watched.damaged)
        return watched
