"""What a running hub does about people's rights on its own: visitors' requests soon, retention once a day."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from hub.audit import write_down
from hub.ledger.ledger import Ledger
from hub.log import Log
from hub.rights.erasure import VISITOR, Asked, Eraser
from hub.rights.person import person_of
from hub.rights.retaining import Retained, steps
from hub.rights.retention import in_force
from hub.settings import HubSettings

BETWEEN_STEPS_S: Final = 0.2
"""Pause between two steps of retention, in which nodes' records are stored."""


class RightsKeeper:
    """One hub's. Its work runs in threads, a bounded step at a time."""

    def __init__(self, data_dir: Path, ledger: Ledger, settings: HubSettings, *, clock: Clock, log: Log) -> None:
        self._data_dir = data_dir
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self._log = log
        self._eraser = Eraser(data_dir, ledger, now_ms=clock.now_ms, entropy=os.urandom)
        self._compacted_ms = -float("inf")
        self._is_uncompacted = True
        """Also at the start: whoever erased last may have died before."""
        self._retained_ms = -float("inf")

    async def run(self) -> None:
        """Until cancelled. What fails is told, and tried again."""
        while True:
            try:
                await asyncio.to_thread(self._erase)
            except EdgewiseError as refused:
                self._log.error("erasures were not carried out", reason=str(refused))
            except Exception:  # noqa: BLE001  # a mistake of ours must not end what others asked for
                self._log.exception("carrying out erasures failed")
            if self._clock.monotonic_ms() - self._retained_ms >= self._settings.retention_every_ms:
                self._retained_ms = self._clock.monotonic_ms()
                try:
                    await self._retain()
                except EdgewiseError as refused:
                    self._log.error("retention was not enforced", reason=str(refused))
                except Exception:  # noqa: BLE001  # as above
                    self._log.exception("enforcing retention failed")
            await asyncio.sleep(self._settings.erasure_poll_ms / 1_000)

    def _erase(self) -> None:
        for request in self._ledger.erasure_requests():
            person = person_of(self._ledger, request.subject)
            asked = Asked(person, VISITOR, request.time_ms, request=request.id)
            certificate = self._eraser.erase(asked)
            self._ledger.answer_request(request.id, certificate.id)
            self._is_uncompacted = True
            self._log.info("a visitor was erased", request=request.id, certificate=certificate.id)
        now_ms = self._clock.monotonic_ms()
        # Rewriting the ledger stops storing for as long as it takes: many requests share one.
        if self._is_uncompacted and now_ms - self._compacted_ms >= self._settings.compact_every_ms:
            if any(certificate.compacted_ms is None for certificate in self._eraser.certificates.all()):
                self._compacted_ms = now_ms  # before: on a full disk it must not be tried every second
                self._eraser.compact()
            self._is_uncompacted = False

    async def _retain(self) -> None:
        retained = Retained()
        now_ms = self._clock.now_ms()
        retention = await asyncio.to_thread(in_force, self._data_dir)
        work: Iterator[None] = steps(self._ledger, retention, self._data_dir, retained, now_ms=now_ms)
        while await asyncio.to_thread(next, work, True) is None:  # noqa: ASYNC110  # nothing is waited for: it paces
            await asyncio.sleep(BETWEEN_STEPS_S)
        if retained.total:
            await asyncio.to_thread(note_retained, self._ledger, "hub", retained, now_ms)
            self._log.info("what was too old is deleted", rows=retained.total)


def note_retained(ledger: Ledger, who: str, retained: Retained, now_ms: int) -> None:
    """Write a run down in the audit."""
    write_down(ledger, who, "data retain", "ledger", now_ms=now_ms, detail=msgspec.structs.asdict(retained))
