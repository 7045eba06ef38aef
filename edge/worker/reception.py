"""Accepting events: each valid call once into the spool and into its visitor's profile.

In one transaction of the cache, so that no other worker counts the same `messageId`: is it new? then number it,
write it to the spool, fold it into the profile. The spool comes before the cache's commit: after a crash in between
the sender, who had no answer, sends again, and the hub drops the second record by its message id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import lmdb
import msgspec

from edge.profiles.cache_file import CacheError, Txn
from edge.spool.lanes import lane_of
from edge.spool.writer import SpoolFullError
from edge.worker.desk import Desk
from edge.worker.hearing import hear_of
from edge.worker.identity import Caller
from edge.worker.outcome import Outcome, outcome_of, reason_of
from edge.worker.visit import CLOSED, Visit, recognise, without_claims
from edgewise.bundle.catalogue import AttributeValue
from edgewise.consent import NOTHING, Consent
from edgewise.errors import InputError, Problem
from edgewise.ids import ItemId, MessageId, SubjectId, ulid
from edgewise.intake import Call, decode_call, record_of
from edgewise.money import SITE_CURRENCY
from edgewise.naming import subject_of_call
from edgewise.records import ANONYMOUS, EventRecord

TURN_MS: Final = 2.0
"""How long calls of a batch are taken in one go. Meanwhile no other request of this worker is answered, and as one
transaction holds the cache's only write lock, other workers' clicks wait, too."""
AT_ONCE: Final = 50
"""Most calls of one turn. How many fit into it is learned from the turn before: a call may be about 200 products."""
FIRST_AT_ONCE: Final = 8


class Offer(NamedTuple):
    """A call that was decoded, and what the request around it says of consent."""

    call: Call
    around: Consent = Consent()


class Taken(NamedTuple):
    """What became of one call."""

    record: EventRecord | None
    """None for a duplicate and for a refused one."""
    refused: InputError | None = None
    message_id: MessageId | None = None
    """As its sender calls it; None where he gave none. A record of nobody keeps only a hash of it."""

    @property
    def outcome(self) -> Outcome:
        """As it is counted."""
        if self.refused is not None:
            return Outcome.REJECTED
        return Outcome.DUPLICATE if self.record is None else outcome_of(self.record)


class Reception:
    """Takes events for one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turn = asyncio.Lock()
        """Batches take turns, so that between two of them the loop looks at everything else."""

    def offers(self, events: Sequence[msgspec.Raw], named: str | None, around: Consent, *, packed: bool) -> list[Offer]:
        """Decode the events of a decide request about `named`; `packed` where it came as MessagePack.

        Raises:
            InputError: with the paths of all that is wrong.
        """
        offers: list[Offer] = []
        problems: list[Problem] = []
        for position, raw in enumerate(events):
            try:
                data = _as_json(raw) if packed else raw
                offers.append(Offer(decode_call(data, type=None, fallback_id=named), around))
            except InputError as wrong:
                problems += below(f"$.events[{position}]", wrong)
        if problems:
            raise InputError("an event cannot be taken", tuple(problems))
        return offers

    def rehearse(self, offers: Sequence[Offer], caller: Caller) -> list[EventRecord]:
        """What would be written down; nothing is.

        Raises:
            InputError: with the paths of all that is wrong.
        """
        records: list[EventRecord] = []
        problems: list[Problem] = []
        for position, (offer, visit) in enumerate(zip(offers, self._recognise(offers, caller), strict=True)):
            try:
                record = self._record(without_claims(offer.call, caller), visit)
                records.append(msgspec.structs.replace(record, seq=record.seq + position))
            except InputError as wrong:
                problems += below(f"$.events[{position}]", wrong)
        if problems:
            raise InputError("an event cannot be taken", tuple(problems))
        return records

    async def take(self, offers: Sequence[Offer], caller: Caller) -> list[Taken]:
        """Take calls, and return when all are durable; one answer an offer, in order.

        Raises:
            UnavailableError: the spool is full or the disk fails; what was taken may be sent again.
        """
        taken: list[Taken] = []
        clock, most = self._desk.clock, FIRST_AT_ONCE
        await self._hear(offers, caller)
        try:
            while len(taken) < len(offers):
                async with self._turn:
                    started_ms = clock.monotonic_ms()
                    taken += self.take_now(offers[len(taken) : len(taken) + most], caller)
                    most = _next_turn(most, clock.monotonic_ms() - started_ms)
                if len(taken) < len(offers):
                    await asyncio.sleep(0)
        finally:
            # Also of half a batch: its messages are known now, so what they stand for must be durable, or forgotten.
            await self.settle(taken)
        return taken

    async def _hear(self, offers: Sequence[Offer], caller: Caller) -> None:
        """Let the hub speak first about whoever is no mere pseudonym, and of whom this node has not heard."""
        may_wait = caller.is_server or caller.visitor is not None
        if not may_wait and all(offer.call.anonymous_id is not None for offer in offers):
            return
        unheard: dict[SubjectId, None] = {}
        for start in range(0, len(offers), AT_ONCE):
            for visit in self._recognise(offers[start : start + AT_ONCE], caller):
                if visit.is_unheard:
                    unheard.update(dict.fromkeys(visit.wanted))
            if start + AT_ONCE < len(offers):
                await asyncio.sleep(0)
        if unheard:
            with contextlib.suppress(lmdb.Error):  # a damaged cache knows nobody, and says so when it is asked again
                await hear_of(self._desk, unheard)

    def take_now(self, offers: Sequence[Offer], caller: Caller) -> list[Taken]:
        """As `take`, but nothing may be acknowledged before `settle`.

        Raises:
            SpoolFullError: there is no room.
        """
        visits = self._recognise(offers, caller)
        for visit in visits:
            self._desk.want_all(visit.wanted)
        numbered: dict[int, Taken] = {}

        def change(txn: Txn | None) -> list[Taken]:
            # Run again from the start when the cache had to make room: what was numbered stays numbered.
            fresh: dict[SubjectId, list[EventRecord]] = {}
            for position, (offer, visit) in enumerate(zip(offers, visits, strict=True)):
                record = self._take_one(txn, position, without_claims(offer.call, caller), visit, numbered)
                if record is not None:
                    fresh.setdefault(record.subject, []).append(record)
            if txn is not None:
                # Each profile is read and written once, however many of the calls are about it.
                for subject, records in fresh.items():
                    self._desk.cache.apply_in(txn, subject, records)
            return [numbered[position] for position in range(len(offers))]

        try:
            taken = self._desk.cache.write(change)
        except CacheError:
            # A cache: its profiles come back from the hub, which will have the events by the spool.
            self._desk.counts.failed("cache")
            taken = change(None)
        for offer, visit, each in zip(offers, visits, taken, strict=True):
            self._count(offer, visit, each, caller)
        return taken

    def _count(self, offer: Offer, visit: Visit, taken: Taken, caller: Caller) -> None:
        outcome = taken.outcome
        self._desk.counts.event(offer.call.type, outcome)
        if outcome in {Outcome.ANALYTICS_ONLY, Outcome.WITHOUT_CONSENT}:
            asked = offer.call.consent.under(offer.around)
            self._desk.counts.unkept_for(reason_of(visit, asked, global_privacy_control=caller.opts_out))

    def _take_one(
        self, txn: Txn | None, position: int, call: Call, visit: Visit, numbered: dict[int, Taken]
    ) -> EventRecord | None:
        """Number and spool one call, unless that was done before; its record where it counts."""
        desk = self._desk
        known = numbered.get(position)
        if known is None:
            try:
                record = self._record(call, visit)
            except InputError as refused:
                numbered[position] = Taken(None, refused)
                return None
        elif known.record is None:
            return None
        else:
            record = known.record
        if txn is not None and call.message_id and not desk.messages.is_new(txn, call.message_id, desk.clock.now_ms()):
            numbered[position] = Taken(None)
            return None
        if known is None:
            if not desk.spool.has_room(lane_of(record)) or desk.spool.append(record) is None:
                raise SpoolFullError("the node has no room for events until the hub has taken some")
            numbered[position] = Taken(record, None, call.message_id)
        return record

    def _record(self, call: Call, visit: Visit) -> EventRecord:
        """What would be written down; nothing is yet."""
        desk, now_ms = self._desk, self._desk.clock.now_ms()
        return record_of(
            call,
            producer=desk.spool.producer,
            seq=desk.spool.next_seq,
            message_id=call.message_id or MessageId(f"ew-{ulid(now_ms, desk.entropy(10))}"),
            subject_key=desk.keys.subject_key,
            grants=NOTHING if visit.subject == ANONYMOUS else visit.grants,
            received_ms=now_ms,
            attributes_of=self._attributes_of,
            vouched=visit.is_vouched,
            site_currency=self._site_currency(),
        )

    async def settle(self, taken: Sequence[Taken]) -> None:
        """Return when what was taken is durable.

        Raises:
            UnavailableError: the disk fails. The messages count as new again, for their sender will try once more.
        """
        try:
            # Also for duplicates: what they repeat may have been written a moment ago, here or by another worker.
            await self._desk.spool.commit(min((each.record.seq for each in taken if each.record), default=None))
            if any(each.outcome is Outcome.DUPLICATE for each in taken):
                await self._desk.spool.sync_others()
        except Exception:
            ids = [each.message_id for each in taken if each.record is not None and each.message_id is not None]
            self._desk.cache.write(lambda txn: self._desk.messages.forget(txn, ids))
            raise

    def _recognise(self, offers: Sequence[Offer], caller: Caller) -> list[Visit]:
        desk = self._desk
        try:
            with desk.cache.reading() as reading:
                return [
                    recognise(
                        reading,
                        desk.keys.subject_key,
                        caller,
                        anonymous_id=offer.call.anonymous_id,
                        user_id=offer.call.user_id,
                        asked=offer.call.consent.under(offer.around),
                        default=desk.default_consent,
                        has_hub=desk.has_hub,
                        tracked=subject_of_call(without_claims(offer.call, caller), desk.keys.subject_key),
                    )
                    for offer in offers
                ]
        except (lmdb.Error, ValueError):
            desk.counts.failed("cache")
            return [CLOSED] * len(offers)

    def _site_currency(self) -> str:
        served = self._desk.live.served
        return SITE_CURRENCY if served is None else served.bundle.policy.site.currency

    def _attributes_of(self, item: ItemId) -> dict[str, AttributeValue] | None:
        served = self._desk.live.served
        found = None if served is None else served.bundle.item(item)
        return None if found is None else found.attributes


def _next_turn(most: int, took_ms: float) -> int:
    """How many calls to take next, after `most` of them took so long."""
    if took_ms > TURN_MS:
        return max(1, int(most * TURN_MS / took_ms))
    return min(AT_ONCE, 2 * most) if 2 * took_ms < TURN_MS else most


def _as_json(packed: msgspec.Raw) -> bytes:
    """A MessagePack event as the JSON that it stands for.

    Raises:
        InputError: it holds what JSON has no word for (extensions, keys that are no text), or is damaged.
    """
    try:
        return msgspec.json.encode(msgspec.msgpack.decode(packed))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.DecodeError) as foreign:
        message = f"not what JSON can hold: {foreign}"
        raise InputError(message, (Problem("$", message),)) from None


def below(path: str, wrong: InputError) -> list[Problem]:
    """The problems of a part, as problems of the whole in which it stands at `path`."""
    problems = wrong.problems or (Problem("$", wrong.message),)
    return [Problem(path + problem.path.removeprefix("$"), problem.message) for problem in problems]
