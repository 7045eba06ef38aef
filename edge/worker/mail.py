"""What the links of a mail do: state a will that only ever lowers, and count opens and clicks of those who let us.

A link is the only proof there is: whoever has the mail, or was forwarded it, has it. So it may end mails and lower what
its owner has set, at once and from anywhere; it raises nothing, shows nothing of him, and names no other place than the
mail does (`edgewise.mail_links`). What is stated is durable before it is acknowledged, and travels in the first lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Mapping
from typing import Final

import lmdb
import msgspec

from edge.profiles.cache_file import CacheError, Txn
from edge.spool.lanes import lane_of
from edge.spool.writer import SpoolFullError
from edge.worker.desk import Desk
from edge.worker.hearing import hear_of
from edge.worker.visit import standing
from edgewise.consent import Consent, ConsentState, Grants, effective
from edgewise.dial import DIAL_NOTHING
from edgewise.ids import MessageId, SubjectId
from edgewise.mail_links import MailLink
from edgewise.profile.preferences import Preferences
from edgewise.records import EventRecord, PreferenceRecord, Touch

OPENED: Final = "Email Opened"
CLICKED: Final = "Email Link Clicked"
UNSUBSCRIBED: Final = "Unsubscribed"
SCANNED: Final = "Email Scanned"
"""Ours, as Segment has none: a machine followed a link before, or instead of, a reader. It is nobody's reward."""
_MACHINES: Final = re.compile(
    rb"bot\b|crawl|spider|scan|preview|prefetch|barracuda|mimecast|proofpoint|forcepoint|safelinks|symantec|headless"
    rb"|^curl/|^wget/|python|^java/|go-http-client|okhttp|libwww|^$",
    re.IGNORECASE,
)
"""User agents of mail scanners and of programs. Image proxies of mail programs fetch for a reader, and count."""
_DENIED: Final = Consent(marketing=ConsentState.DENIED)


class MailDesk:
    """Acts on links for one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stated_ms = 0

    # --- the reader's will ---------------------------------------------------------------------------------------

    async def unsubscribe(self, link: MailLink) -> None:
        """Deny marketing for the reader and for his address; durable when this returns. Again changes nothing more.

        Raises:
            SpoolFullError: the disk of the node is full.
            UnavailableError: it fails.
        """
        subjects = {link.subject, link.address} - {SubjectId("")}
        for subject in sorted(subjects):
            self._append(subject, self._known(subject), consent=_DENIED)
        await self._durable()
        if self._grants(link.subject, opts_out=False).analytics:
            await self._count(link, UNSUBSCRIBED, f"mail/{link.mail}/unsubscribed")

    async def heard(self, link: MailLink) -> Preferences | None:
        """What the reader has stated anywhere, as far as it can be known; None where this node has not heard it."""
        desk = self._desk
        with contextlib.suppress(lmdb.Error, ValueError):
            await hear_of(desk, [link.subject])
            with desk.cache.reading() as reading:
                if standing(reading, link.subject, has_hub=desk.has_hub).is_heard:
                    return reading.preferences(link.subject)
        return None

    async def lower(self, link: MailLink, before: Preferences, *, dial: int, days: int, is_proven: bool) -> Preferences:
        """State how personally and how often, as far as it lowers what held; what a proven visitor states holds.

        Raises as `unsubscribe`.
        """
        if not is_proven:
            dial, days = min(dial, before.dial.value), max(days, before.mail_days)
        said: dict[str, int] = {}
        if dial != before.dial.value:
            said["dial"] = dial
        if days != before.mail_days:
            said["mail_days"] = days
        if said:
            self._append(link.subject, before, **said)
            await self._durable()
        return self._known(link.subject)

    async def _durable(self) -> None:
        await asyncio.gather(self._desk.spool.commit(), asyncio.to_thread(self._keep_time))

    def _keep_time(self) -> None:
        """On a disk that fails the statement itself is what matters; that it is durable is for the spool to say."""
        with contextlib.suppress(OSError):
            self._desk.statement_time.keep(self._stated_ms)

    def _append(self, subject: SubjectId, known: Preferences, **said: object) -> None:
        desk = self._desk
        now_ms = desk.clock.now_ms()
        # after all that he may have stated here before, whatever the clock says
        self._stated_ms = max(now_ms, known.latest_ms + 1, desk.statement_time.latest_ms() + 1)
        record = PreferenceRecord(
            producer=desk.spool.producer,
            seq=desk.spool.next_seq,
            subject=subject,
            time_ms=self._stated_ms,
            received_ms=now_ms,
            **said,  # type: ignore[arg-type]
        )
        if desk.spool.append(record) is None:
            raise SpoolFullError("the disk of the node is full")
        with contextlib.suppress(CacheError):  # the spool has it; the cache learns it again from there
            desk.cache.state(subject, record)

    def _known(self, subject: SubjectId) -> Preferences:
        try:
            return self._desk.cache.preferences(subject)
        except (lmdb.Error, ValueError):
            return Preferences()

    # --- what is counted -----------------------------------------------------------------------------------------

    async def opened(self, link: MailLink, headers: Mapping[bytes, bytes], *, opts_out: bool) -> None:
        """Count an open, the first of each mail."""
        await self._noticed(link, OPENED, f"mail/{link.mail}/opened", headers, opts_out=opts_out)

    async def clicked(self, link: MailLink, headers: Mapping[bytes, bytes], *, opts_out: bool) -> None:
        """Count a click, the first on each link of each mail."""
        where = hashlib.blake2b(f"{link.item}\0{link.url}".encode(), digest_size=8).hexdigest()
        await self._noticed(link, CLICKED, f"mail/{link.mail}/clicked/{where}", headers, opts_out=opts_out)

    async def _noticed(
        self, link: MailLink, name: str, message_id: str, headers: Mapping[bytes, bytes], *, opts_out: bool
    ) -> None:
        with contextlib.suppress(lmdb.Error, ValueError):
            await hear_of(self._desk, [link.subject])
        if not self._grants(link.subject, opts_out=opts_out).analytics:
            return
        if is_machine(headers):
            await self._count(link, SCANNED, f"{message_id}/scanned")
        else:
            await self._count(link, name, message_id)

    def _grants(self, subject: SubjectId, *, opts_out: bool) -> Grants:
        desk = self._desk
        try:
            with desk.cache.reading() as reading:
                said = reading.preferences(subject)
                is_heard = standing(reading, subject, has_hub=desk.has_hub).is_heard
        except (lmdb.Error, ValueError):
            return Grants()
        return effective(
            stored=said.stored_consent,
            asked=Consent(),
            default=desk.default_consent,
            opted_out=said.dial.value == DIAL_NOTHING or not is_heard,
            global_privacy_control=opts_out,
        )

    async def _count(self, link: MailLink, name: str, message_id: str) -> None:
        """Store one event of the reader, once; counting fails silently, for nobody waits for it."""
        desk, now_ms = self._desk, self._desk.clock.now_ms()
        is_scan = name == SCANNED
        numbered: list[EventRecord] = []

        def change(txn: Txn | None) -> None:
            # Run again from the start when the cache had to make room: what was numbered stays numbered.
            if not numbered:
                if txn is not None and not desk.messages.is_new(txn, MessageId(message_id), now_ms):
                    return
                record = EventRecord(
                    producer=desk.spool.producer,
                    seq=desk.spool.next_seq,
                    subject=link.subject,
                    message_id=MessageId(message_id),
                    type="track",
                    name=name,
                    time_ms=now_ms,
                    received_ms=now_ms,
                    grants=self._grants(link.subject, opts_out=False),
                    touches=(Touch(link.item),) if link.item and not is_scan else (),
                    decision_id=link.decision_id or None if not is_scan else None,
                    placement=link.placement or None if not is_scan else None,
                    body=msgspec.json.encode({"type": "track", "event": name, "properties": {"mail": link.mail}}),
                )
                if not desk.spool.has_room(lane_of(record)) or desk.spool.append(record) is None:
                    return
                numbered.append(record)
            if txn is not None:
                desk.cache.apply_in(txn, link.subject, numbered)

        try:
            desk.cache.write(change)
        except CacheError:
            desk.counts.failed("cache")
            change(None)
        with contextlib.suppress(OSError, SpoolFullError):
            await desk.spool.commit()


def is_machine(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a scanner or a prefetching program asks, as far as it says so."""
    purpose = headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b"") + headers.get(b"x-moz", b"")
    return b"prefetch" in purpose.lower() or _MACHINES.search(headers.get(b"user-agent", b"")) is not None
