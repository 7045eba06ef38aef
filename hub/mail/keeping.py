"""The outbox of a running hub: looked at every few seconds, by one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError, RefusedError
from hub.lease import held, holder_name
from hub.ledger.ledger import Ledger
from hub.log import Log, Once
from hub.mail.bounces import take_inbox
from hub.mail.configured import is_configured, post_office
from hub.mail.letters import Writer
from hub.mail.outbox import Outbox
from hub.mail.sending import Sender, Turned
from hub.settings import HubSettings
from hub.threads import to_its_end

LEASE: Final = "mail"
WHAT: Final = "the outbox"


class MailKeeper:
    """Sends for one hub; nothing at all where no way to send is configured."""

    def __init__(
        self,
        data_dir: Path,
        ledger: Ledger,
        writer_of: Callable[[], Writer],
        settings: HubSettings,
        *,
        environment: Mapping[str, str],
        clock: Clock,
        log: Log,
    ) -> None:
        """`writer_of` is called once the outbox is first looked at."""
        self._data_dir = data_dir
        self._ledger = ledger
        self._writer_of = writer_of
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._log = log
        self._holder = holder_name()
        self._sender: Sender | None = None
        self._still = Once()

    async def run(self) -> None:
        """Until cancelled."""
        if not is_configured(self._settings):
            return
        while True:
            turned = Turned()
            try:
                turned = await to_its_end(self.once)
            except RefusedError:
                pass  # another process is at it
            except EdgewiseError as missing:
                if self._still.is_new(str(missing)):
                    self._log.error("no mail is sent", reason=str(missing))
            except Exception:  # noqa: BLE001  # a mistake of ours here must not leave nodes without a hub
                self._log.exception("sending mail failed")
            if not turned.more:
                await asyncio.sleep(self._settings.mail_every_ms / 1_000)

    def once(self) -> Turned:
        """One turn.

        Raises:
            RefusedError: `lease`: another process is at it.
            InputError: it is not configured, or not so that it can be used.
            UnavailableError: the ledger, or the site's keys, are away.
        """
        if not (self._owes() or self._is_any()):
            return Turned()
        with held(self._ledger, self._holder, self._clock, name=LEASE, what=WHAT) as lease:
            if self._settings.mail_inbox:
                take_inbox(Path(self._settings.mail_inbox), self._ledger, now_ms=self._clock.now_ms(), log=self._log)
            turned = self._own_sender().turn(lease)
        if turned.outcomes:
            self._log.info("mail", **turned.outcomes)
        self._still.over()
        return turned

    def _is_any(self) -> bool:
        """Whether there is anything to do, found out without anybody's place."""
        inbox = self._settings.mail_inbox
        if inbox and any((Path(inbox) / "new").glob("*")):
            return True
        now_ms = self._clock.now_ms()
        with self._ledger.storage.reading() as connection:
            return Outbox.has_work(connection, now_ms=now_ms)

    def _owes(self) -> bool:
        return self._sender is not None and self._sender.owes

    def _own_sender(self) -> Sender:
        if self._sender is None:
            office = post_office(self._settings, self._data_dir, self._environment)
            self._sender = Sender(
                self._ledger,
                self._writer_of(),
                office.way,
                office.composer,
                clock=self._clock,
                subject_key=office.subject_key,
                holder=self._holder,
                log=self._log,
                most_per_week=self._settings.mail_most_per_week,
            )
        return self._sender


def check_configured(settings: HubSettings, data_dir: Path, environment: Mapping[str, str]) -> None:
    """Find out at the start what would else be found out when a mail is due. Raises as `post_office`."""
    if is_configured(settings):
        post_office(settings, data_dir, environment)
