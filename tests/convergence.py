"""Three nodes and their hub without a network: real ledger, real caches, real sync on both ends, everything by seed.

A history is a handful of subjects who turn out to be the same person, or two, on nodes that are cut off, send batches
twice, too far ahead, or not at all for a while. Many histories live side by side on one ledger and three caches, each
with subjects and producers of its own, so that a hub's transaction is shared by all of them: that is what makes
thousands of them affordable, and what a hub does. None depends on its neighbours, so a seed can be run alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import hub_records
from agent_world import log
from convergence_twin import NOTHING, Twin
from fault_seeds import Random

from edge.agent.profile_sync import ProfileSync
from edge.profiles.cache import ProfileCache
from edgewise.clock import SystemClock
from edgewise.consent import Consent, ConsentState, Grants
from edgewise.ids import ItemId, MessageId, NodeId, Producer, SubjectId
from edgewise.profile.preferences import encode_preferences
from edgewise.profile.state import encode_profile
from edgewise.records import EventRecord, PreferenceRecord, Touch, encode_record
from edgewise.v1.profiles_pb2 import SyncResponse
from hub.identity.resolve import MERGE, UNMERGE
from hub.ledger.batch import Batch
from hub.ledger.ledger import open_ledger
from hub.ledger.rows import Change
from hub.ledger.writing import Stored
from hub.meters import Meters
from hub.rpc.erasure_feed import ErasureFeed
from hub.rpc.interest import Follower, Interest
from hub.rpc.profiles import Profiles

NODES = 3
A_WORLD = 250
"""Histories that share a ledger and three caches."""
HALF_MS = 1_000_000
ROUNDS = 6
"""Before everybody comes to rest; then as many again."""
NAMES = ("anonymousId:a", "anonymousId:b", "anonymousId:c", "userId:u", "userId:v", "email:e")
EVENTS = ("Product Viewed", "Product Clicked", "Product Added", "Order Completed", "Promotion Viewed")
WILLS: tuple[dict[str, Any], ...] = (
    {"dial": 0},
    {"dial": 3},
    {"mute": {"brands": ("x",)}},
    {"less": ("y",)},
    {"consent": Consent(personalisation=ConsentState.DENIED)},
    {"consent": Consent(personalisation=ConsentState.GRANTED)},
)
Written = EventRecord | PreferenceRecord


class Place:
    """What one history has on one node: its workers' spools, its line to the hub, and what is on its way here."""

    def __init__(self, index: int, seed: int, random: Random) -> None:
        self.index = index
        self.spools: dict[Producer, list[Written]] = {
            Producer(f"c{seed}n{index}/1/{worker}"): [] for worker in range(random.randint(1, 2))
        }
        self.marks = dict.fromkeys(self.spools, -1)
        """How far the hub has stored each, as far as the node has heard."""
        self.follower: Follower | None = None
        self.on_its_way: deque[SyncResponse] = deque()
        self.known: dict[SubjectId, None] = {}
        """Who is cached here, and followed."""
        self.asked: dict[SubjectId, None] = {}
        self.heard: set[MessageId] = set()
        self.own: dict[tuple[SubjectId, str, Producer], int] = {}
        """The last that happened here, of each worker; what happened here is known here, whatever the hub says."""


class History:
    """One seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.random = Random(seed)
        self.twin = Twin()
        self.subjects = {name: _subject(seed, name) for name in NAMES}
        self.places = [Place(index, seed, self.random) for index in range(NODES)]
        self.stored = {producer: -1 for place in self.places for producer in place.spools}
        self.sent: list[EventRecord] = []
        self.now_ms = hub_records.NOW_MS
        for place in self.places:
            self._connect(place)

    def step(self) -> None:
        """Something happens, on some of the nodes."""
        for _ in range(self.random.randint(1, 3)):
            place = self.random.choice(self.places)
            step = self.random.choice(self._steps)
            self.world.happened[step.__name__.strip("_")] += 1
            step(self, place)
        for place in self.places:
            if place.follower is not None and self.random.random() < 0.6:
                self._ship(place)

    # --- on a node ----------------------------------------------------------------------------------------------------
    def _happens(self, place: Place) -> None:
        subject, repeated = self._any_subject(), None
        if self.sent and self.random.random() < 0.2:
            repeated = self.random.choice(self.sent)
            if repeated.message_id in place.heard:
                return  # the node has answered it before, and counts it once
        producer = self.random.choice(list(place.spools))
        seq = len(place.spools[producer])
        if repeated is not None:
            # Who had no answer sends again, maybe to another node.
            record = hub_records.event(seq, producer=producer, message=repeated.message_id, **_content_of(repeated))
        else:
            record = hub_records.event(seq, producer=producer, **self._content(subject))
            self.sent.append(record)
        place.heard.add(record.message_id)
        place.spools[producer].append(record)
        self.world.caches[place.index].apply(record.subject, [record])
        if record.grants.personalisation:
            place.known[record.subject] = None
            place.own[record.subject, "profile", producer] = seq

    def _content(self, subject: SubjectId) -> dict[str, Any]:
        names = [name for name, each in self.subjects.items() if each == subject]
        if self.random.random() < 0.4:
            names += self.random.sample(NAMES, self.random.randint(1, 2))
        time_ms = self.now_ms + self.random.randrange(6) * 1_000
        return {
            "subject": subject,
            "name": self.random.choice(EVENTS),
            "type": "track",
            "time_ms": time_ms,
            "received_ms": time_ms,
            "grants": Grants(personalisation=self.random.random() < 0.9, analytics=True),
            "touches": (Touch(ItemId(f"i{self.random.randrange(4)}"), value_minor=self.random.randrange(3) * 100),),
            "traits": {"plan": self.random.randrange(3)} if self.random.random() < 0.2 else {},
            "identifiers": {name.partition(":")[0]: self.subjects[name] for name in names},
        }

    def _says(self, place: Place) -> None:
        producer, subject = self.random.choice(list(place.spools)), self._any_subject()
        time_ms = self.now_ms + self.random.randrange(6)
        will = self.random.choice(WILLS)
        record = hub_records.preference(
            len(place.spools[producer]), producer=producer, subject=subject, time_ms=time_ms, **{"dial": None, **will}
        )
        place.spools[producer].append(record)
        place.known[subject] = None
        place.own[subject, "preferences", producer] = record.seq
        cache = self.world.caches[place.index]
        cache.state(subject, record)
        cache.want([subject])

    def _comes(self, place: Place) -> None:
        """Somebody looks at a page: whoever is not cached is asked for."""
        self.world.caches[place.index].want([self._any_subject()])

    # --- between node and hub -----------------------------------------------------------------------------------------
    def _cut(self, place: Place) -> None:
        """The line breaks, with all that is on it; or comes back."""
        if place.follower is None:
            self._connect(place)
            return
        self.world.interest.leave(place.follower)
        place.follower = None
        place.on_its_way.clear()

    def _connect(self, place: Place) -> None:
        if place.follower is None:
            place.follower = self.world.interest.enter()
            self.world.interest.follow(place.follower, [*place.asked, *place.known])

    def ask(self, place: Place, subject: SubjectId) -> None:
        """The cache wants somebody."""
        place.asked[subject] = place.known[subject] = None
        if place.follower is not None:
            self.world.interest.follow(place.follower, [subject])

    def _ship(self, place: Place) -> None:
        """Some of what a worker has written: from where it should go on, from before, or from too far ahead."""
        producer = self.random.choice(list(place.spools))
        spool, first = place.spools[producer], place.marks[producer] + 1
        first = max(0, first + self.random.choice([0, 0, 0, 0, -3, -1, 1]))
        last = min(len(spool), first + self.random.randint(1, 4))
        if first < last:
            self.world.send(self, place, producer, spool[first:last], answered=self.random.random() < 0.8)

    def ship_all(self) -> None:
        """All that the hub does not have."""
        for place in self.places:
            self._connect(place)
            for producer, spool in place.spools.items():
                rest = spool[self.stored[producer] + 1 :]
                if rest:
                    self.world.send(self, place, producer, rest, answered=True)

    def accepted(self, producer: Producer, mark: int) -> None:
        """The hub has stored a producer so far."""
        place = next(place for place in self.places if producer in place.spools)
        self.twin.accept(place.spools[producer][self.stored[producer] + 1 : mark + 1])
        self.stored[producer] = mark

    # --- at the hub ---------------------------------------------------------------------------------------------------
    def _people(self, _place: Place) -> None:
        """A person says who is whom."""
        left, right = self.random.sample(sorted(self.subjects.values()), 2)
        kind, ledger = self.random.choice([MERGE, MERGE, UNMERGE]), self.world.ledger
        stated = ledger.state_merge if kind == MERGE else ledger.state_unmerge
        stated(left, right, who="tester", reason="seen", now_ms=hub_records.NOW_MS)
        self.world.happened[kind] += 1
        self.twin.state(kind, left, right)

    def erase(self) -> None:
        """Somebody is forgotten, after all nodes have heard of everything."""
        subject = self._any_subject()
        self.world.happened["erased"] += 1
        self.world.ledger.erase(subject, self.now_ms + HALF_MS // 2)
        self.twin.erase(subject)

    def goes_on(self) -> None:
        """What happens now is later than all of before."""
        self.now_ms += HALF_MS
        self.sent.clear()

    def _any_subject(self) -> SubjectId:
        return self.random.choice(list(self.subjects.values()))

    _steps = (*[_happens] * 7, *[_says] * 3, _comes, *[_cut] * 2, _people)


class World:
    """Histories side by side."""

    def __init__(self, folder: Path, seeds: Sequence[int], meters: Meters) -> None:
        self._files = contextlib.ExitStack()
        self.ledger = self._files.enter_context(open_ledger(folder))
        self.caches = [ProfileCache.open(folder / f"profiles-{n}", map_bytes=128 << 20) for n in range(NODES)]
        quiet = log("critical")
        unused: Any = None
        self.interest = Interest(100_000, meters)
        feed = ErasureFeed(self.ledger, None, SystemClock())
        self.profiles = Profiles(
            self.ledger, self.interest, unused, feed, writer=unused, streams=unused, meters=meters, log=quiet
        )
        state: Any = _Counter()
        self.syncs = [
            ProfileSync(cache, NodeId(f"n{n}"), bell=asyncio.Event(), state=state, log=quiet)
            for n, cache in enumerate(self.caches)
        ]
        self._seen = Change(self.ledger.revision(), SubjectId("\U0010ffff"))
        self._batches: list[tuple[History, Place, bool, Batch]] = []
        self.happened: Counter[str] = Counter()
        self.histories = [History(self, seed) for seed in seeds]
        self._whose = {subject: history for history in self.histories for subject in history.subjects.values()}

    def run(self) -> None:
        """Both halves of all histories; raises AssertionError with the seed of the first that has not converged."""
        for half in range(2):
            for _ in range(ROUNDS):
                for history in self.histories:
                    history.step()
                self._turn(patient=False)
            self._rest()
            self._check(everybody=False)
            self._want_everybody()
            self._check(everybody=True)
            if half == 0:
                for history in self.histories:
                    if history.random.random() < 0.3:
                        history.erase()
                    history.goes_on()
                self._rest()

    def send(
        self, history: History, place: Place, producer: Producer, records: Sequence[Written], *, answered: bool
    ) -> None:
        """A batch for the hub's next transaction; the answer may be lost."""
        batch = Batch(producer, [encode_record(record) for record in records])
        self._batches.append((history, place, answered, batch))

    def _rest(self) -> None:
        """Lines are up, and everything is shipped and told."""
        for history in self.histories:
            history.ship_all()
        while self._turn(patient=True):
            pass

    def _want_everybody(self) -> None:
        """Everybody comes to every node."""
        for cache in self.caches:
            cache.want(self._whose)
        while self._turn(patient=True):
            pass

    def _turn(self, *, patient: bool) -> bool:
        """One transaction of the hub, and its news; False when there was nothing to do."""
        batches, self._batches = self._batches, []
        if batches:
            stored = self.ledger.store([batch for *_, batch in batches], hub_records.NOW_MS)
            self._answer(batches, stored)
            self.profiles.stored(stored)
        self._look()
        for index, cache in enumerate(self.caches):
            for subject in cache.take_wanted(100_000):
                self._whose[subject].ask(self._whose[subject].places[index], subject)
        told = self._read(patient=patient)
        took = sum(
            self._deliver(history, place, patient=patient) for history in self.histories for place in history.places
        )
        return bool(batches or told or took)

    def _answer(self, batches: Sequence[tuple[History, Place, bool, Batch]], stored: Stored) -> None:
        for (history, place, answered, batch), mark in zip(batches, stored.marks, strict=True):
            history.accepted(batch.producer, max(mark.stored_seq, history.stored[batch.producer]))
            self.happened["holes"] += mark.hole is not None
            if answered:
                place.marks[batch.producer] = mark.stored_seq

    def _look(self) -> None:
        """What persons have stated and erased is found as the hub finds what other processes do."""
        while changes := self.ledger.changed_since(self._seen):
            people = self.ledger.people_of([change.subject for change in changes])
            self.interest.changed(sorted({each for members in people.values() for each in members}))
            self._seen = changes[-1]

    def _read(self, *, patient: bool) -> int:
        """Read the news of all lines at once; on each line some go, oldest first."""
        taken = []
        for history in self.histories:
            for place in history.places:
                if place.follower is not None and (patient or history.random.random() < 0.5):
                    most = 100 if patient else history.random.randint(1, 4)
                    taken.append((place, place.follower.take(most)))
        subjects = sorted({subject for _, some in taken for subject in some})
        news = {SubjectId(one.subject): one for one in self.profiles._read(subjects)} if subjects else {}
        for place, some in taken:
            place.on_its_way.extend(news[subject] for subject in some)
        return len(news)

    def _deliver(self, history: History, place: Place, *, patient: bool) -> int:
        most = len(place.on_its_way) if patient else history.random.randint(0, len(place.on_its_way))
        for _ in range(most):
            news = place.on_its_way.popleft()
            subject = SubjectId(news.subject)
            was_asked = subject in place.asked
            place.asked.pop(subject, None)
            self.syncs[place.index]._take(news, was_asked)
            if news.WhichOneof("news") == "erasure":
                place.known.pop(subject, None)
                place.own = {key: seq for key, seq in place.own.items() if key[0] != subject}
            self._knows_its_own(history, place, subject)
        return most

    def _knows_its_own(self, history: History, place: Place, subject: SubjectId) -> None:
        cache = self.caches[place.index]
        profile = cache.profile(subject)
        applied = {
            "profile": {} if profile is None else profile.applied,
            "preferences": cache.preferences(subject).applied,
        }
        for (whose, what, producer), seq in place.own.items():
            known = applied[what].get(producer, -1)
            assert whose != subject or known >= seq, f"seed {history.seed}: node {place.index} forgot {producer} {seq}"

    def _check(self, *, everybody: bool) -> None:
        """The hub, and each node, hold what the twin says: of whom they follow, or of `everybody`."""
        rows = self.ledger.person_profiles(sorted(self._whose))
        for history in self.histories:
            expected = history.twin.expected(history.subjects.values())
            for name, subject in history.subjects.items():
                row = rows.get(subject)
                at_hub = NOTHING if row is None else (row.profile, row.preferences)
                assert at_hub == expected[subject], f"seed {history.seed}: the hub, of {name}"
                for index, cache in enumerate(self.caches):
                    if not (everybody or subject in history.places[index].known):
                        continue
                    held = _held(cache, subject)
                    assert held == expected[subject], f"seed {history.seed}: node {index}, of {name}"
            people = set(history.twin.people(history.subjects.values()).values())
            self.happened["people of several"] += any(len(members) > 1 for members in people)
            self.happened["several people"] += len(people) > 1

    def close(self) -> None:
        """Let go of the files."""
        for cache in self.caches:
            cache.close()
        self._files.close()


def _held(cache: ProfileCache, subject: SubjectId) -> tuple[bytes, bytes]:
    """As the node's next decision would read it."""
    profile = cache.profile(subject)
    return (
        NOTHING[0] if profile is None else encode_profile(profile),
        encode_preferences(cache.preferences(subject)),
    )


def live_through(folder: Path, chosen: Sequence[int]) -> Counter[str]:
    """These seeds, side by side; what happened, in numbers.

    Raises AssertionError with the seed of the first that has not converged.
    """
    happened: Counter[str] = Counter()
    meters = Meters()
    for start in range(0, len(chosen), A_WORLD):
        place = folder / str(start)
        place.mkdir()
        world = World(place, chosen[start : start + A_WORLD], meters)
        try:
            world.run()
            happened.update(world.happened)
            happened["duplicates"] += world.ledger.totals().duplicates
        finally:
            world.close()
            shutil.rmtree(place)
    return happened


def live_through_on_two_cores(folder: Path, chosen: Sequence[int]) -> Counter[str]:
    """As `live_through`, in two processes."""
    happened: Counter[str] = Counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        running = []
        for number, half in enumerate((chosen[0::2], chosen[1::2])):
            (folder / str(number)).mkdir()
            running.append(processes.submit(live_through, folder / str(number), half))
        for each in running:
            happened.update(each.result())
    return happened


class _Counter:
    profiles_synced = 0


def _subject(seed: int, name: str) -> SubjectId:
    return SubjectId(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=16).hexdigest())


def _content_of(record: EventRecord) -> dict[str, Any]:
    names = ("subject", "name", "type", "time_ms", "received_ms", "grants", "touches", "traits", "identifiers")
    return {name: getattr(record, name) for name in names}
