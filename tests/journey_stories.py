"""Stories of carts in simulated time, a hub that is killed at any step, and a judge who knows only what was stored.

The judge shares no code with the engine: he counts what readers have, and compares it with the stories.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa
from hub_records import event, preference
from journeys_world import CART, JOURNEY, JourneyWorld, shop
from mail_world import Killed
from typing_extensions import override

from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.records import EventRecord, PreferenceRecord, Touch, encode_record
from hub.lease import Held
from hub.ledger import tables
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ContactRow
from hub.mail.outbox import Outbox
from hub.mail.states import MailState
from hub.mail.ways import Answer, Handed, NotNow, Prepared, Way
from hub.site.journey_file import QuietHours

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
START_MS: Final = int(dt.datetime(2025, 10, 24, 0, 0, tzinfo=dt.UTC).timestamp() * 1_000)
"""Friday; Berlin puts its clocks back on Sunday."""
DAYS: Final = 3
"""In which carts are begun; two more pass until the last champion is due."""
TURN_MS: Final = 3 * MINUTE
FOR_EVER: Final = 1 << 60
MOST_LIVES: Final = 12
"""Of one turn; who is killed in all of them goes on with the next."""
ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")
QUIET: Final = QuietHours("21:00", "08:00")
ITEM: Final = (Touch(ItemId("film-1")),)
STEPS: Final = ("found", "planned", "put", "claimed", "written", "handing", "handed", "sent", "dropped")
NODES: Final = (Producer("n-a/1/0"), Producer("n-b/1/0"))
GRANTED: Final = Consent(marketing=ConsentState.GRANTED)
DENIED: Final = Consent(marketing=ConsentState.DENIED)


class Deed(NamedTuple):
    """Something that happens at a moment and is stored at another."""

    stored_ms: int
    at_ms: int
    who: SubjectId
    name: str
    message: str
    node: int


class Story(NamedTuple):
    """One cart of one person."""

    number: int
    people: tuple[SubjectId, ...]
    """His subjects; two are joined at `joined_ms`."""
    zone: str
    kind: str
    deeds: tuple[Deed, ...]
    consents: tuple[tuple[int, Consent], ...]
    has_address: bool
    joined_ms: int | None


class Taken(NamedTuple):
    """A mail that a reader has."""

    at_ms: int
    story: int
    champion: bool
    anchor: str
    person: SubjectId


class Sums(NamedTuple):
    """What the judge found."""

    stories: int
    mails: int
    crashes: Counter[str]
    doubles: int
    after_purchase: int
    without_consent: int
    in_quiet_hours: int
    late: int
    missed: int
    """Due, and neither sent nor uncertain."""
    uncertain: int
    uncertain_taken: int
    """Of those, what readers have all the same."""
    due: int
    states: Counter[str]
    worst_minutes: float
    """From abandonment to the mail, where no quiet hours lay between."""


class WayWithReaders(Way):
    """A mail server that sometimes says not now; what it takes a reader has, whatever becomes of the hub."""

    activation = "Email Delivered"

    def __init__(self, clock: ManualClock, draw: np.random.Generator) -> None:
        self.taken: list[tuple[int, Prepared]] = []
        self.clock, self._draw = clock, draw

    @override
    def hand(self, mail: Prepared, now_ms: int) -> Answer:
        if mail.due.tries <= 2 and self._draw.random() < 0.02:
            return NotNow("greylisted")
        self.taken.append((self.clock.now_ms(), mail))
        return Handed()


def stories_of(count: int, draw: np.random.Generator) -> Iterator[Story]:
    """All kinds, in the shares of a shop that has every trouble."""
    kinds = ("plain", "ordered", "ordered-late", "emptied", "back", "late-deed", "second-visit", "two-carts")
    shares = (0.46, 0.14, 0.08, 0.06, 0.08, 0.06, 0.06, 0.06)
    for number in range(count):
        kind = str(draw.choice(kinds, p=shares))
        people = [SubjectId(f"{number + 1:032x}")]
        joined_ms = None
        began = START_MS + int(draw.integers(DAYS * 24 * HOUR))
        if draw.random() < 0.06:
            people.append(SubjectId(f"{number + 1 + (1 << 64):032x}"))
            joined_ms = began - HOUR + int(draw.integers(4 * HOUR))
        deeds = _deeds(number, kind, people, began, draw)
        said = draw.random()
        consents: tuple[tuple[int, Consent], ...] = ((began - HOUR, GRANTED),)
        if said > 0.97:
            consents = ()
        elif said > 0.92:
            consents = ((began - HOUR, DENIED),)
        elif said > 0.86:
            consents += ((began + int(draw.integers(4 * HOUR)), DENIED),)
        yield Story(
            number, tuple(people), str(draw.choice(ZONES)), kind, deeds, consents, draw.random() > 0.03, joined_ms
        )


def _deeds(number: int, kind: str, people: list[SubjectId], began: int, draw: np.random.Generator) -> tuple[Deed, ...]:
    told: list[Deed] = []

    def does(name: str, at_ms: int, *, delay_ms: int = 0, who: SubjectId | None = None) -> None:
        message = f"s{number}-{len(told)}"
        told.append(Deed(at_ms + delay_ms, at_ms, who or people[0], name, message, int(draw.integers(2))))

    does("Product Added", began)
    last = began
    for _ in range(int(draw.integers(3))):
        last += int(draw.integers(1, 20 * MINUTE))
        does(str(draw.choice(("Product Viewed", "Product Added", "Cart Viewed"))), last, who=people[-1])
    for name, at_ms, delay_ms in _ending(kind, last, len(told), draw):
        does(name, at_ms, delay_ms=delay_ms)
    return tuple(told)


def _ending(kind: str, last: int, pieces: int, draw: np.random.Generator) -> list[tuple[str, int, int]]:
    """(name, when it happens, how late it is stored) of what comes behind the first visit."""
    gone = last + 60 * MINUTE

    def later(most: int) -> int:
        return int(draw.integers(1, most))

    ordered = last + later(50 * MINUTE)
    endings = {
        "ordered": [("Order Completed", last + later(30 * HOUR), 0)],
        "ordered-late": [("Order Completed", last + later(59 * MINUTE), later(3 * HOUR))],
        "emptied": [("Product Removed", last + 1 + number, 0) for number in range(pieces)],
        "back": [("Product Viewed", gone + int(draw.integers(-5 * MINUTE, 5 * MINUTE)), 0)],
        "late-deed": [("Product Viewed", last + later(50 * MINUTE), later(90 * MINUTE))],
        "second-visit": [("Product Added", gone + 2 * HOUR + later(24 * HOUR), 0)],
        "two-carts": [("Order Completed", ordered, 0), ("Product Added", ordered + later(10 * HOUR), 0)],
    }
    return endings.get(kind, [])


class Simulation:
    """One ledger, many lives."""

    def __init__(self, folder: Path, count: int, *, seed: int, crashes: float, share: float = 0.8) -> None:
        """`crashes` is the share of turns in which the hub is killed, `share` that of the challenger."""
        self.draw = np.random.default_rng(seed)
        self.folder = folder
        self.stories = list(stories_of(count, self.draw))
        self.crashes: Counter[str] = Counter()
        self._share = crashes
        self._lives = 0
        self._release = shop(personal=share)
        self._seqs = dict.fromkeys(NODES, 0)
        self._journeys = {CART: msgspec.structs.replace(JOURNEY, quiet_hours=QUIET)}
        self._world = self._opened(START_MS - HOUR, enabled=True)
        self.way = WayWithReaders(self._world.clock, self.draw)
        self._world.way = self.way

    def run(self) -> Sums:
        """All of it, and the judgement."""
        world = self._world
        contacts = [
            ContactRow("crm", who, who, {"email": f"p{story.number}@example.org"}, START_MS - HOUR)
            for story in self.stories
            for who in story.people
            if story.has_address
        ]
        world.ledger.keep_contacts(contacts)
        waiting: dict[int, list[Any]] = defaultdict(list)
        for story in self.stories:
            for deed in story.deeds:
                waiting[deed.stored_ms // TURN_MS].append((story, deed))
                if self.draw.random() < 0.05:  # sent again, through another node
                    again = deed._replace(node=1 - deed.node, stored_ms=deed.stored_ms + TURN_MS)
                    waiting[again.stored_ms // TURN_MS].append((story, again))
            for at_ms, consent in story.consents:
                waiting[at_ms // TURN_MS].append((story, consent))
            if story.joined_ms is not None:
                waiting[story.joined_ms // TURN_MS].append((story, None))
        slots = range((START_MS - HOUR) // TURN_MS, (START_MS + (DAYS + 3) * 24 * HOUR) // TURN_MS)
        next_ms = 0
        for slot in slots:
            now_ms = (slot + 1) * TURN_MS
            self._world.clock.jump(now_ms - self._world.clock.now_ms())
            if waiting.get(slot):
                self._store(waiting[slot], now_ms)
            elif next_ms > now_ms:
                continue  # a turn that has nothing to do is left out, which is all that makes this fast
            self._live()
            next_ms = self._next_ms()
        return self._judged()

    def _next_ms(self) -> int:
        """When there is something to do again."""
        with self._world.ledger.storage.reading() as connection:
            look_ms = connection.execute(sa.select(sa.func.min(tables.journey_watches.c.look_ms))).scalar_one()
            due_ms = Outbox.next_due_ms(connection)
        return min(look_ms or FOR_EVER, due_ms or FOR_EVER)

    def _live(self) -> None:
        """One turn; whoever is killed in it is started again some seconds later, and killed again, or not."""
        for _ in range(MOST_LIVES):
            step = str(self.draw.choice(STEPS)) if self.draw.random() < self._share else ""
            left = int(self.draw.integers(1, 6))

            def at(name: str, step: str = step) -> None:
                nonlocal left
                left -= name == step
                if left <= 0:
                    raise Killed

            try:
                watcher, sender = self._world.life(at)
                watcher.turn(self._world.clock.now_ms())
                sender.turn(Held())
            except Killed:
                self.crashes[step] += 1
                self._lives = self._world.lives
                self._world.ledger.close()
                self._world = self._opened(self._world.clock.now_ms() + 10_000)
                self._world.way = self.way
                self.way.clock = self._world.clock
            else:
                return

    def _opened(self, now_ms: int, *, enabled: bool = False) -> JourneyWorld:
        ledger = Ledger.of(self.folder)
        world = JourneyWorld(ledger, self._journeys, release=self._release, now_ms=now_ms, enabled=enabled)
        world.lives = self._lives
        return world

    def _store(self, due: list[Any], now_ms: int) -> None:
        records: dict[Producer, list[EventRecord | PreferenceRecord]] = {node: [] for node in NODES}
        for story, what in due:
            if isinstance(what, Deed):
                node = NODES[what.node]
                body = msgspec.json.encode({"context": {"timezone": story.zone}})
                made: EventRecord | PreferenceRecord = event(
                    self._next(node), producer=node, subject=what.who, name=what.name, message=what.message,
                    time_ms=what.at_ms, received_ms=now_ms, touches=ITEM, body=body,
                )  # fmt: skip
                records[node].append(made)
            elif isinstance(what, Consent):
                node = NODES[0]
                for who in story.people:
                    said = {"subject": who, "time_ms": now_ms, "received_ms": now_ms, "consent": what, "dial": None}
                    records[node].append(preference(self._next(node), producer=node, **said))
            else:
                left, right = story.people
                self._world.ledger.state_merge(left, right, who="Ann", reason="one", now_ms=now_ms)
        batches = [Batch(node, [encode_record(each) for each in own]) for node, own in records.items() if own]
        if batches:
            self._world.ledger.store(batches, now_ms)

    def _next(self, node: Producer) -> int:
        self._seqs[node] += 1
        return self._seqs[node] - 1

    # --- the judge ------------------------------------------------------------------------------------------------
    def _judged(self) -> Sums:
        of_subject = {who: story for story in self.stories for who in story.people}
        taken: dict[int, list[Taken]] = defaultdict(list)
        for at_ms, mail in self.way.taken:
            story = of_subject[mail.due.person]
            payload = mail.due.payload
            taken[story.number].append(
                Taken(at_ms, story.number, payload["champion"], payload["anchor"], mail.due.person)
            )
        rows = self._world.rows()
        uncertain = {of_subject[row.subject].number for row in rows if row.state is MailState.UNCERTAIN}
        states = Counter(f"{row.state.value} {row.reason}".strip() for row in rows)
        judged = self.judged = [_Judge(story, taken[story.number]) for story in self.stories]
        due = [judge for judge in judged if judge.is_due()]
        missed = [judge for judge in due if not judge.taken and judge.story.number not in uncertain]
        self.missed = missed
        self.late = [judge for judge in judged if judge.late()]
        return Sums(
            stories=len(self.stories),
            mails=len(self.way.taken),
            crashes=self.crashes,
            doubles=sum(judge.doubles() for judge in judged),
            after_purchase=sum(judge.after_purchase() for judge in judged),
            without_consent=sum(judge.without_consent() for judge in judged),
            in_quiet_hours=sum(judge.in_quiet_hours() for judge in judged),
            late=sum(judge.late() for judge in judged),
            missed=len(missed),
            uncertain=sum(row.state is MailState.UNCERTAIN for row in rows),
            uncertain_taken=sum(len(taken[number]) > 0 for number in uncertain),
            due=len(due),
            states=states,
            worst_minutes=max((judge.waited() for judge in judged), default=0.0),
        )


class _Judge:
    """Of one story and what its person has got."""

    def __init__(self, story: Story, taken: list[Taken]) -> None:
        self.story, self.taken = story, taken

    def carts(self) -> list[list[Deed]]:
        """The deeds of each cart, whose end is an order."""
        carts: list[list[Deed]] = [[]]
        for deed in sorted(self.story.deeds, key=lambda each: each.at_ms):
            carts[-1].append(deed)
            if deed.name == "Order Completed":
                carts.append([])
        return [cart for cart in carts if any(deed.name == "Product Added" for deed in cart)]

    def _cart_of(self, mail: Taken) -> list[Deed]:
        return next(cart for cart in self.carts() if any(deed.message == mail.anchor for deed in cart))

    def doubles(self) -> int:
        """Of one cart, by one person as he was known when the later mail left."""
        got: dict[int, list[Taken]] = defaultdict(list)
        for mail in self.taken:
            got[min(deed.at_ms for deed in self._cart_of(mail))].append(mail)
        return sum(
            any(self._is_one(mail) or before.person == mail.person for before in mails[:at])
            for mails in got.values()
            for at, mail in enumerate(mails)
        )

    def _is_one(self, mail: Taken) -> bool:
        joined = self.story.joined_ms
        return joined is None or _slot_end(joined) <= mail.at_ms

    def _whole(self, mail: Taken) -> list[Deed]:
        """The deeds of a mail's cart, as far as they were known to be one person's."""
        return [deed for deed in self._cart_of(mail) if self._is_one(mail) or deed.who == mail.person]

    def after_purchase(self) -> int:
        return sum(
            any(deed.name == "Order Completed" and _known(deed) <= mail.at_ms for deed in self._whole(mail))
            for mail in self.taken
        )

    def without_consent(self) -> int:
        return sum(self._consent_at(mail.at_ms) != GRANTED for mail in self.taken)

    def _consent_at(self, at_ms: int) -> Consent | None:
        said = [consent for when, consent in self.story.consents if _slot_end(when) <= at_ms]
        return said[-1] if said else None

    def in_quiet_hours(self) -> int:
        return sum(_is_quiet(self.story.zone, mail.at_ms) for mail in self.taken)

    def late(self) -> int:
        return sum(not self._is_timely(mail) for mail in self.taken)

    def waited(self) -> float:
        """Minutes from abandonment to a challenger's mail that no quiet hours held up."""
        waits = [
            (mail.at_ms - self._abandoned(mail)) / MINUTE
            for mail in self.taken
            if not mail.champion and not _is_quiet(self.story.zone, mail.at_ms - 60 * MINUTE)
        ]
        return max(waits, default=0.0)

    def _abandoned(self, mail: Taken) -> int:
        """By what was stored when it left: an hour after the last thing that its person did in the cart."""
        known = [deed.at_ms for deed in self._whole(mail) if _known(deed) <= mail.at_ms]
        return max(known) + 60 * MINUTE

    def _is_timely(self, mail: Taken) -> bool:
        due = self._abandoned(mail) + (24 * HOUR if mail.champion else 0)
        if mail.at_ms < due:
            return False
        if mail.at_ms <= due + 60 * MINUTE:
            return True
        # later only right behind quiet hours, and only if all the time before was one block of them
        ended = next((mail.at_ms - back for back in range(0, 16 * MINUTE, MINUTE)
                      if _is_quiet(self.story.zone, mail.at_ms - back - 1)), None)  # fmt: skip
        return ended is not None and _block_began(self.story.zone, ended) <= due + 60 * MINUTE

    def is_due(self) -> bool:
        """Whether he surely should have got a mail: nothing speaks against it from first to last."""
        story = self.story
        if story.consents != story.consents[:1] or not story.consents or story.consents[0][1] != GRANTED:
            return False
        return story.has_address and story.kind in {"plain", "back", "late-deed", "second-visit", "two-carts"}


def _slot_end(at_ms: int) -> int:
    return (at_ms // TURN_MS + 1) * TURN_MS


def _known(deed: Deed) -> int:
    """When it was stored: with the turn that ends its slot."""
    return _slot_end(deed.stored_ms)


def _is_quiet(zone: str, at_ms: int) -> bool:
    hour = dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone)).hour
    return hour >= 21 or hour < 8


def _block_began(zone: str, ended_ms: int) -> int:
    at_ms = ended_ms - 1
    while _is_quiet(zone, at_ms):
        at_ms -= MINUTE
    return at_ms + MINUTE
