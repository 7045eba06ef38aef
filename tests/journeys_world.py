"""A shop that writes to who left a cart: its journeys, its release, and lives of a hub that watches and sends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from hub_records import event, preference
from mail_world import KEY, AnyWay, PlainComposer
from world import SITE, bundle, item

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import Catalogue, Item, content_sha256
from edgewise.bundle.experiments import Experiment, Metric
from edgewise.bundle.policy import Arm, ByPriority, Nothing, Placement, Policy, Site
from edgewise.clock import ManualClock
from edgewise.consent import Consent, ConsentState
from edgewise.ids import ArmName, CollectionName, ExperimentKey, ItemId, PlacementName, Producer, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, PreferenceRecord, encode_record
from hub.journeys.deciding import Decider
from hub.journeys.enabling import enable
from hub.journeys.timing import MINUTE_MS
from hub.journeys.watching import Step, Watched, Watcher
from hub.journeys.worded import Voice
from hub.journeys.writing import JourneyWriter
from hub.lease import Held
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.ledger.rows import ContactRow
from hub.log import start_log
from hub.mail.outbox import MailRow, Outbox
from hub.mail.sending import Composer, Faults, Sender
from hub.mail.states import MailState
from hub.scoring_child import ScoringChild
from hub.site.journey_file import JourneyFile, StepFile, Trigger

CART = "abandoned-cart"
TREATMENTS, PRODUCTS = PlacementName("cart_treatments"), PlacementName("cart_products")
FORGOT, PERSONAL = ArmName("forgot"), ArmName("personal")
NOON_MS = 1_760_011_200_000
"""Thursday, 9 October 2025, 12:00 UTC."""
NODE = Producer("n-a/1/0")
GRANTED = Consent(marketing=ConsentState.GRANTED, personalisation=ConsentState.GRANTED)
JOURNEY = JourneyFile(
    kind="mail",
    trigger=Trigger("Product Added"),
    steps=[StepFile(TREATMENTS, PRODUCTS)],
)


def treatment(name: str) -> Item:
    content = {
        "subject": f"About your cart: {name}",
        "title": name,
        "text": "We kept it.",
        "link": "https://shop.example",
    }
    return Item(
        ItemId(name), content, {"category": ["mail"]}, approved_sha256=content_sha256(content), approved_by="editor"
    )


@functools.cache
def shop(*, personal: float = 1.0, nothing: bool = False, holdout: float = 0.0) -> Bundle:
    """A release of which a share of people gets the challenger's mails."""
    arm = Arm(ByPriority())
    offered, films = CollectionName("treatments"), CollectionName("all")
    placements = {
        TREATMENTS: Placement(
            offered,
            {FORGOT: arm, PERSONAL: Arm(ByPriority(), nothing=Nothing(1.0)) if nothing else arm},
            FORGOT,
            FORGOT,
            [ItemId("forgot")],
            experiment=ExperimentKey("cart"),
            may_be_empty=True,
        ),
        PRODUCTS: Placement(films, {FORGOT: arm}, FORGOT, FORGOT, [ItemId("film-0")], count=2),
    }
    policy = Policy(
        site=Site(
            SITE,
            "salt",
            default_consent=Consent(personalisation=ConsentState.GRANTED),
            holdout=holdout,
        ),
        placements=placements,
        collections={
            offered: [ItemId("shipping"), ItemId("guide")],
            films: [ItemId(f"film-{number}") for number in range(4)],
        },
        experiments={
            ExperimentKey("cart"): Experiment(
                [FORGOT, PERSONAL],
                [1 - personal, personal],
                "cart",
                outcome=Metric("orders", "order"),
                guardrails=[Metric("refunds", "refund", better="lower")],
            )
        },
    )
    items = [treatment(name) for name in ("forgot", "shipping", "guide")] + [item(number) for number in range(24)]
    return bundle(policy=policy, catalogue=Catalogue(items))


def person(number: int) -> SubjectId:
    return SubjectId(f"{number:032x}")


class JourneyWorld:
    """One ledger on a clock that only the test moves; every life of the hub is made anew over it."""

    def __init__(
        self,
        ledger: Ledger,
        journeys: Mapping[str, JourneyFile] | None = None,
        *,
        release: Bundle | None = None,
        now_ms: int = NOON_MS,
        enabled: bool = True,
    ) -> None:
        self.ledger = ledger
        self.clock = ManualClock(now_ms)
        self.journeys = dict({CART: JOURNEY} if journeys is None else journeys)
        self.release: Bundle | None = release or shop()
        self.way: Any = AnyWay()
        self.composer: Composer = PlainComposer()
        self.lives = 0
        self._seqs: dict[Producer, int] = {}
        for name in self.journeys if enabled else ():
            enable(ledger, name, [], by="Ann", now_ms=now_ms)

    def life(self, at: Callable[[str], None] = lambda _: None, level: str = "critical") -> tuple[Watcher, Sender]:
        """The next life of the hub's process."""
        self.lives += 1
        log = start_log(level)
        decider = Decider(self.ledger, lambda: self.release, ScoringChild())
        watcher = Watcher(self.ledger, lambda: self.journeys, decider, log=log, step=Step(at))
        sender = Sender(
            self.ledger,
            JourneyWriter(
                self.ledger, lambda: self.journeys, decider, subject_key=KEY, voice=Voice(site="https://shop.example/")
            ),
            self.way,
            self.composer,
            clock=self.clock,
            subject_key=KEY,
            holder=f"life-{self.lives}",
            log=log,
            most_per_week=3,
            faults=Faults(at),
        )
        return watcher, sender

    def watch(self) -> Watched:
        return self.life()[0].turn(self.clock.now_ms())

    def turn(self) -> dict[str, int]:
        """Watch, then send."""
        watcher, sender = self.life()
        watcher.turn(self.clock.now_ms())
        return sender.turn(Held()).outcomes

    def later(self, minutes: float) -> None:
        self.clock.advance(minutes * MINUTE_MS)

    def turns(self, minutes: int, *, every: int = 5) -> dict[str, int]:
        """Turns over a time; what they came to."""
        told: dict[str, int] = {}
        for _ in range(minutes // every):
            self.later(every)
            for name, count in self.turn().items():
                told[name] = told.get(name, 0) + count
        return told

    # --- what people do -----------------------------------------------------------------------------------------
    def does(self, who: SubjectId, name: str, *, ago_minutes: float = 0, node: Producer = NODE, **changes: Any) -> None:
        at_ms = self.clock.now_ms() - round(ago_minutes * MINUTE_MS)
        seq = self._seq(node)
        made = event(
            seq,
            producer=node,
            subject=who,
            name=name,
            time_ms=at_ms,
            message=changes.pop("message", None) or f"{node}:{seq}",
            received_ms=self.clock.now_ms(),
            **changes,
        )
        self.store(made, node)

    def states(self, who: SubjectId, **will: Any) -> None:
        seq = self._seq(NODE)
        at_ms = self.clock.now_ms()
        self.store(preference(seq, subject=who, **{"dial": None, "time_ms": at_ms, "received_ms": at_ms, **will}), NODE)

    def joins(self, who: SubjectId, consent: Consent = GRANTED, address: str | None = None) -> SubjectId:
        """Somebody who may be written to."""
        self.states(who, consent=consent)
        fields = {"email": address or f"p{int(who, 16)}@example.org"}
        self.ledger.keep_contacts([ContactRow("crm", who, who, fields, self.clock.now_ms() - DAY_MS)])
        return who

    def store(self, record: EventRecord | PreferenceRecord, node: Producer) -> None:
        self.ledger.store([Batch(node, [encode_record(record)])], self.clock.now_ms())

    def rows(self, *states: MailState) -> list[MailRow]:
        with self.ledger.storage.reading() as connection:
            return sorted(Outbox.rows(connection, states or tuple(MailState), limit=1_000_000), key=lambda row: row.key)

    def _seq(self, node: Producer) -> int:
        self._seqs[node] = self._seqs.get(node, -1) + 1
        return self._seqs[node]
