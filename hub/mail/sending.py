"""One turn of the outbox: what is due is written, asked for permission, handed over, and written down.

Between "it may be leaving" and "it was taken" lies the one moment at which nobody can know what a crash did. It is kept
as short as can be: the mail is complete before, and nothing else is done within. A mail that a crash finds there is
`uncertain`: counted, shown, and never sent again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from edgewise.clock import Clock
from edgewise.errors import InputError, UnavailableError
from edgewise.identifiers import EMAIL, normalised
from edgewise.ids import SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.subjects import subject_of
from hub.ledger.ledger import Ledger
from hub.ledger.storing import append_decisions
from hub.log import Log, Once
from hub.mail.letters import Dropped, Due, Later, Letter, Writer
from hub.mail.outbox import UNFIT, MailRow, Outbox, Shown
from hub.mail.permission import may_go
from hub.mail.shown import PRODUCER, count_as_shown
from hub.mail.states import MailState
from hub.mail.suppressed import BOUNCED, suppress
from hub.mail.ways import Answer, Handed, NotAtAll, NotNow, Prepared, Unknown, Way

TAKEN: Final = "taken"
"""Outcome of a mail that another has gone on with."""
AT_ONCE: Final = 20
"""Mails that are claimed together: what a crash makes wait for the next holder."""
KEPT_MS: Final = 400 * DAY_MS
"""How long a mail that is over is kept: far beyond what could be a reason to write it again."""
MOST_TRIES: Final = 12
_FIRST_WAIT_MS: Final = 60_000
_LONGEST_WAIT_MS: Final = 15 * 60_000
_MOST_TOLD: Final = 1_000
_SHORTEST_WAIT_MS: Final = 5_000
_SHARES: Final = 4


class Lease(Protocol):
    """The right to take steps, as long as it lasts (`hub.lease`)."""

    def check(self) -> None:
        """Raises RefusedError once another has it."""
        ...


class Composer(Protocol):
    """Makes a message of a letter."""

    def compose(self, due: Due, letter: Letter, message_id: str, now_ms: int) -> Prepared:
        """Raises InputError for a letter that cannot be one message to one address."""
        ...


class Turned(msgspec.Struct, frozen=True):
    """What one turn came to: how many mails by outcome (`sent`, `uncertain`, `dropped`, `due`, …)."""

    outcomes: dict[str, int] = {}
    more: bool = False
    """Others are due already."""


class Faults(NamedTuple):
    """Called between two steps, for tests that die there."""

    at: Callable[[str], None] = lambda _: None


class Sender:
    """Sends for one hub. One life of it is one holder; not for several threads."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        way: Way,
        composer: Composer,
        *,
        clock: Clock,
        subject_key: bytes,
        holder: str,
        log: Log,
        most_per_week: int = 3,
        faults: Faults = Faults(),  # noqa: B008  # immutable
    ) -> None:
        """`holder` must be another one in every life of every process; `most_per_week` is for one person."""
        self._ledger = ledger
        self._writer = writer
        self._way = way
        self._composer = composer
        self._clock = clock
        self._subject_key = subject_key
        self._holder = holder
        self._log = log
        self._most_per_week = most_per_week
        self._at = faults.at
        self._forgot_ms = 0
        self._missing = Once()
        self._told: set[tuple[str, str]] = set()
        self._owed: list[tuple[MailRow, Letter, Answer]] = []
        """Answers that the ledger could not take yet; with this process they become uncertain."""

    @property
    def owes(self) -> bool:
        """Whether answers wait to be written down."""
        return bool(self._owed)

    def turn(self, lease: Lease, *, most: int = 1_000) -> Turned:
        """Send what is due, at most so many; returns what became of them.

        Raises:
            RefusedError: `lease`: another process has gone on with the outbox.
            UnavailableError: the ledger is away; what was answered is written down by the next turn.
        """
        outcomes: Counter[str] = Counter()
        lease.check()
        self._pay(outcomes)
        with self._ledger.storage.writing() as connection:
            now_ms = self._clock.now_ms()
            _, lost = Outbox.reclaim(connection, now_ms=now_ms)
            expired = Outbox.expire(connection, now_ms=now_ms)
            if now_ms - self._forgot_ms >= DAY_MS:
                Outbox.forget(connection, before_ms=now_ms - KEPT_MS)
                self._forgot_ms = now_ms
        outcomes.update({"uncertain": lost, "expired": expired})
        left = most
        while left > 0:
            lease.check()
            with self._ledger.storage.writing() as connection:
                rows = Outbox.claim(connection, self._holder, now_ms=self._clock.now_ms(), most=min(left, AT_ONCE))
            self._at("claimed")
            for row in rows:
                lease.check()
                outcomes[self._send(row)] += 1
            left -= len(rows)
            if not rows:
                break
        return Turned({name: count for name, count in sorted(outcomes.items()) if count}, more=left <= 0)

    # --- one mail -----------------------------------------------------------------------------------------------

    def _send(self, row: MailRow) -> str:
        due, now_ms = row.due(), self._clock.now_ms()
        try:
            written = self._writer.write(due, now_ms)
            mail = (
                self._composer.compose(due, written, message_id_of(self._subject_key, row.key), now_ms)
                if isinstance(written, Letter)
                else None
            )
        except InputError as unfit:
            return self._end(row, Dropped(UNFIT, str(unfit)))
        except UnavailableError as missing:
            if self._missing.is_new(str(missing)):
                self._log.error("mails cannot be written", journey=row.journey, reason=str(missing))
            return self._failed(row, str(missing))
        except Exception as failed:  # noqa: BLE001  # one damaged profile holds up nobody else
            self._log.exception("a mail could not be written", key=row.key, journey=row.journey)
            return self._failed(row, f"{type(failed).__name__}: {failed}")
        self._at("written")
        if not isinstance(written, Letter):
            return self._end(row, written)
        assert mail is not None
        self._missing.over()
        self._tell(row.journey, written.trouble)
        against = self._hand(row, due, written, mail)
        if against is not None:
            return self._end(row, against) if isinstance(against, Dropped | Later) else against
        self._at("handing")
        answer = self._handed(mail)
        self._at("handed")
        self._owed.append((row, written, answer))
        outcomes: Counter[str] = Counter()
        self._pay(outcomes)
        return next(iter(outcomes), "owed")

    def _tell(self, journey: str, trouble: str) -> None:
        """Each kind of trouble once in a life, so that a template which fits nothing does not fill the log."""
        if trouble and (journey, trouble) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((journey, trouble))
            self._log.warning("a mail does not say what it was meant to", journey=journey, reason=trouble)

    def _hand(self, row: MailRow, due: Due, letter: Letter, mail: Prepared) -> Dropped | Later | str | None:
        """The transaction that lets it go, or says why not; text: it is not ours any more."""
        identifier = address_hash(self._subject_key, mail.to)
        with self._ledger.storage.writing() as connection:
            now_ms = self._clock.now_ms()
            if not Outbox.is_mine(connection, row.key, self._holder, MailState.WRITING):
                return TAKEN
            against = may_go(
                connection, due, identifier, letter.limits, most_per_week=self._most_per_week, now_ms=now_ms
            ) or self._writer.still(connection, due, now_ms)
            if against is not None:
                return against
            if letter.decisions:
                deferred = [msgspec.structs.replace(record, deferred=True) for record in letter.decisions]
                append_decisions(connection, PRODUCER, deferred, now_ms)
            shown = [
                Shown(record.decision_id, tuple(asked.name for asked in record.placements), record.grants)
                for record in letter.decisions
            ]
            Outbox.hand(
                connection,
                row.key,
                self._holder,
                now_ms=now_ms,
                identifier=identifier,
                message_id=mail.message_id,
                shown=shown,
            )
        return None

    def _handed(self, mail: Prepared) -> Answer:
        try:
            return self._way.hand(mail, self._clock.now_ms())
        except Exception as failed:  # noqa: BLE001  # whether it left is what nobody knows now
            self._log.exception("handing a mail over failed", key=mail.due.key)
            return Unknown(f"{type(failed).__name__}: {failed}")

    # --- writing down -------------------------------------------------------------------------------------------

    def _pay(self, outcomes: Counter[str]) -> None:
        """Write down what was answered, also what an earlier turn could not."""
        while self._owed:
            row, letter, answer = self._owed[0]
            with self._ledger.storage.writing() as connection:
                outcome = self._note(connection, row, letter, answer, self._clock.now_ms())
            del self._owed[0]
            outcomes[outcome] += 1
            self._at(outcome)

    def _note(self, connection: sa.Connection, row: MailRow, letter: Letter, answer: Answer, now_ms: int) -> str:
        key, holder = row.key, self._holder
        match answer:
            case Handed():
                if Outbox.sent(connection, key, holder, now_ms=now_ms, trouble=letter.trouble):
                    count_as_shown(connection, key, self._way.activation, now_ms=now_ms)
                    if letter.on_sent is not None:
                        letter.on_sent(connection, now_ms)
                return "sent"
            case NotNow(reason, words) if row.tries < MOST_TRIES:
                due_ms = now_ms + wait_ms(row.tries, row.not_after_ms - now_ms)
                found = Outbox.again(connection, key, holder, now_ms=now_ms, due_ms=due_ms, reason=reason, words=words)
                return _outcome(found)
            case NotNow(reason, words):
                Outbox.end(connection, key, holder, MailState.REFUSED, now_ms=now_ms, reason=reason, words=words)
                return "refused"
            case NotAtAll(reason, words, is_bad_address):
                Outbox.end(connection, key, holder, MailState.REFUSED, now_ms=now_ms, reason=reason, words=words)
                if is_bad_address:
                    suppress(connection, address_hash(self._subject_key, letter.to), BOUNCED, PRODUCER, now_ms)
                return "refused"
            case Unknown(words):
                Outbox.end(
                    connection, key, holder, MailState.UNCERTAIN, now_ms=now_ms, reason="unanswered", words=words
                )
                return "uncertain"

    def _end(self, row: MailRow, why: Dropped | Later) -> str:
        with self._ledger.storage.writing() as connection:
            now_ms = self._clock.now_ms()
            if isinstance(why, Dropped):
                state = MailState.EXPIRED if why.reason == "late" else MailState.DROPPED
                Outbox.end(connection, row.key, self._holder, state, now_ms=now_ms, reason=why.reason, words=why.words)
                return state.value
            found = Outbox.again(connection, row.key, self._holder, now_ms=now_ms, due_ms=why.due_ms, reason=why.reason)
            return _outcome(found)

    def _failed(self, row: MailRow, words: str) -> str:
        if row.tries >= MOST_TRIES:
            return self._end(row, Dropped("failed", words))
        with self._ledger.storage.writing() as connection:
            now_ms = self._clock.now_ms()
            due_ms = now_ms + wait_ms(row.tries, row.not_after_ms - now_ms)
            found = Outbox.again(
                connection, row.key, self._holder, now_ms=now_ms, due_ms=due_ms, reason="failed", words=words
            )
            return _outcome(found)


def _outcome(state: MailState | None) -> str:
    return TAKEN if state is None else state.value


def wait_ms(tries: int, left_ms: int) -> int:
    """How long to wait after so many tries: a minute, then twice as long each time, up to a quarter of an hour.

    Never more than a quarter of the time that is left to the mail, so that a server which turns everything away at
    first (greylisting) is asked again several times within a window of minutes, and its last time close to its end.
    """
    most_ms = max(_SHORTEST_WAIT_MS, left_ms // _SHARES)
    return min(_FIRST_WAIT_MS << max(0, tries - 1), _LONGEST_WAIT_MS, most_ms)


def address_hash(subject_key: bytes, address: str) -> SubjectId:
    """The subject of an address, as identifiers are hashed everywhere."""
    return subject_of(subject_key, EMAIL, normalised(EMAIL, address) or address)


def message_id_of(subject_key: bytes, key: str) -> str:
    """What a mail is called on its way: the same at each try, and nothing that can be guessed."""
    digest = hashlib.blake2b(key.encode(), key=subject_key, digest_size=16, person=b"ew.mail.id.v1")
    return digest.hexdigest()
