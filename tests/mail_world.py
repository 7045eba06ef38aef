"""A hub's outbox with a writer and a mail server made of values, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from hub_records import NOW_MS, decision, preference
from typing_extensions import override

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import DecisionId, Producer, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.records import Record, encode_record
from hub.lease import Held
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.log import start_log
from hub.mail.letters import Dropped, Due, Later, Letter, Writer
from hub.mail.outbox import MailRow, Outbox
from hub.mail.sending import Composer, Faults, Sender
from hub.mail.states import MailState
from hub.mail.ways import Answer, Handed, Prepared, Way

KEY = bytes(range(32))
ANN = SubjectId("a" * 32)
NODE = Producer("n-a/1/0")
GRANTED = Consent(marketing=ConsentState.GRANTED)


class Killed(BaseException):
    """The process dies here."""


class AnyWriter(Writer):
    """Writes what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.write_as: Callable[[Due, int], Letter | Dropped | Later] = lambda due, _: letter(due)
        self.stands: Dropped | Later | None = None
        self.asked: list[Due] = []

    @override
    def write(self, due: Due, now_ms: int) -> Letter | Dropped | Later:
        self.asked.append(due)
        return self.write_as(due, now_ms)

    @override
    def still(self, connection: sa.Connection, due: Due, now_ms: int) -> Dropped | Later | None:
        return self.stands


class AnyWay(Way):
    """Takes everything, or answers as it is told; `taken` is what readers have."""

    activation = "Email Delivered"

    def __init__(self) -> None:
        self.answer: Callable[[Prepared], Answer] = lambda _: Handed()
        self.taken: list[str] = []

    @override
    def hand(self, mail: Prepared, now_ms: int) -> Answer:
        answer = self.answer(mail)
        if isinstance(answer, Handed):
            self.taken.append(mail.due.key)
        return answer


class PlainComposer(Composer):
    """No message at all: what is sent is not what these tests are about."""

    @override
    def compose(self, due: Due, letter: Letter, message_id: str, now_ms: int) -> Prepared:
        return Prepared(
            due=due, letter=letter, sender="shop@shop.example", to=letter.to, message_id=message_id, data=b""
        )


def letter(_due: Due, **changes: Any) -> Letter:
    fields: dict[str, Any] = {"to": "ann@example.org", "subject": "Hello", "html": "<p>Hello</p>", "text": "Hello"}
    return Letter(**{**fields, **changes})


class MailWorld:
    """One ledger, and lives of one sender on it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = ManualClock(NOW_MS)
        self.writer, self.way = AnyWriter(), AnyWay()
        self.composer: Composer = PlainComposer()
        self.lives = 0
        self._seqs: dict[Producer, int] = {}

    def sender(
        self, at: Callable[[str], None] = lambda _: None, *, most_per_week: int = 3, level: str = "critical"
    ) -> Sender:
        """The next life."""
        self.lives += 1
        return Sender(
            self.ledger,
            self.writer,
            self.way,
            self.composer,
            clock=self.clock,
            subject_key=KEY,
            holder=f"life-{self.lives}",
            log=start_log(level),
            most_per_week=most_per_week,
            faults=Faults(at),
        )

    def turn(self, sender: Sender | None = None) -> dict[str, int]:
        return (sender or self.sender()).turn(Held()).outcomes

    def put(self, key: str = "cart-1", *, person: SubjectId = ANN, in_ms: int = 0, **changes: Any) -> bool:
        fields: dict[str, Any] = {
            "journey": "abandoned-cart",
            "due_ms": self.clock.now_ms() + in_ms,
            "not_after_ms": self.clock.now_ms() + DAY_MS,
            "payload": {},
        }
        with self.ledger.storage.writing() as connection:
            return Outbox.put(connection, key=key, person=person, now_ms=self.clock.now_ms(), **{**fields, **changes})

    def row(self, key: str = "cart-1") -> MailRow:
        with self.ledger.storage.reading() as connection:
            found = Outbox.row(connection, key)
        assert found is not None
        return found

    def state(self, key: str = "cart-1") -> MailState:
        return self.row(key).state

    def store(self, *records: Record, name: Producer = NODE) -> None:
        self.ledger.store([Batch(name, [encode_record(record) for record in records])], self.clock.now_ms())

    def seq(self, name: Producer = NODE) -> int:
        self._seqs[name] = self._seqs.get(name, -1) + 1
        return self._seqs[name]

    def state_will(self, subject: SubjectId = ANN, **will: Any) -> None:
        """What a visitor states now; later than what was stated before."""
        said = {"dial": None, **will}
        seq = self.seq()
        self.store(preference(seq, subject=subject, time_ms=self.clock.now_ms() + seq, **said))

    def grant(self, subject: SubjectId = ANN) -> None:
        self.state_will(subject, consent=GRANTED)

    def decided(self, number: int, subject: SubjectId = ANN) -> Any:
        return decision(0, number=number, subject=subject, time_ms=self.clock.now_ms())

    def events_of(self, decision_id: DecisionId) -> list[str]:
        return [event.name for _, event in self.ledger.events() if event.decision_id == decision_id]
