"""One history from its seed to its end, and what the hub and the nodes must hold then.

I1, I2  every number of every producer is in one place: stored, declared dropped, or still to come
I3      what was acknowledged is stored, once
I8      an erased visitor is named in no store of any node

The invariants of single answers are `fault_witness`'s. I9 (budgets) waits for there to be budgets.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fault_mishaps import USUAL
from fault_node import Node, Parts
from fault_releases import site
from fault_seeds import VARIABLE, Random, named, seeds
from fault_simulation import World
from fault_time import simulate

from edgewise.ids import Producer, SubjectId
from edgewise.profile.reduce import apply, skip, touches_profile
from edgewise.profile.state import Profile, encode_profile
from edgewise.records import EventRecord, PreferenceRecord
from edgewise.subjects import subject_of
from hub.ledger import tables
from hub.ledger.ledger import Ledger, open_ledger
from hub.meters import Meters

Number = tuple[Producer, int]
A_LEDGER = 50
"""Histories that share a ledger's file, each with nodes and visitors of its own: making one takes longer than most."""
MOST_FAILED = 10


def rows_of(ledger: Ledger, table: sa.Table, node: str) -> list[sa.Row[Any]]:
    with ledger.storage.reading() as connection:
        mine = table.c.producer.between(f"{node}/", f"{node}/~")
        return list(connection.execute(sa.select(table).where(mine)))


def assert_conserved(world: World) -> None:
    """I1, I2: every number of every producer is in one place."""
    for node in world.nodes:
        places: dict[Producer, Counter[int]] = {name: Counter() for name in node.created}
        for table in (tables.events, tables.decisions, tables.preferences, tables.duplicates):
            for row in rows_of(world.hub.ledger, table, node.id):
                places[Producer(row.producer)][row.seq] += 1
                record = node.records[row.producer, row.seq]
                if isinstance(record, EventRecord) and table is tables.events:
                    assert row.message_id == record.message_id
        for row in rows_of(world.hub.ledger, tables.gaps, node.id):
            places[Producer(row.producer)].update(range(row.first_seq, row.last_seq + 1))
        assert not rows_of(world.hub.ledger, tables.dead_letters, node.id)
        for name, numbers in places.items():
            known = node.created[name]
            if name in node.undeclared:
                # Who was killed has said of his last gap as much as he had time for.
                known = min(max(len(numbers), node.undeclared[name]), known)
            if name in node.powerless:
                # What was given up and cut off may be there again, what was not synced may be gone.
                known = min(len(numbers), node.created[name])
            assert numbers == Counter(range(known)), f"I1, I2: {name} has created {node.created[name]}"


def assert_each_message_once(world: World) -> None:
    """I3, and exactly once: what was acknowledged is stored, whoever was sent it how often.

    Of whom nothing may be known only a hash of the message id is stored; so of a visitor who is sent two ways, and
    known on one of them only, it may be stored under both.
    """
    stored = Counter(
        row.message_id for node in world.nodes for row in rows_of(world.hub.ledger, tables.events, node.id)
    )
    hashed = {message: subject_of(site().subject_key, "messageId", message) for message in world.sent}
    assert set(stored.values()) <= {1}
    assert set(stored) <= set(hashed) | set(hashed.values())
    assert not [message for message in world.sent if not (stored[message] or stored[hashed[message]])], "I3: lost"


def assert_one_profile(world: World) -> None:
    """The hub's profile is the fold of all that is stored, and every node that looks reads the same bytes.

    But for what a node has shown or heard and then lost to a failing disk: it counts on that node until
    the hub stores something later of the same producer and visitor, or the profile is fetched anew.
    """
    numbers = [(node, stored_of(world, node)) for node in world.nodes]
    for subject in world.subjects:
        expected = folded(numbers, subject, set())
        assert world.hub_profile(subject) == expected
        for node in world.nodes:
            own = world.pending(node, subject) & given_up(world, node)
            assert world.edge_profile(node, subject) == folded(numbers, subject, own), f"on {node.id}, of {subject}"


def given_up(world: World, node: Node) -> set[Number]:
    """What a node has numbered and could not keep, declared or about to be when it was killed."""
    numbered = {key for key in node.records if key[1] >= node.undeclared.get(key[0], node.created[key[0]])}
    return numbered | {
        (Producer(row.producer), seq)
        for row in rows_of(world.hub.ledger, tables.gaps, node.id)
        for seq in range(row.first_seq, row.last_seq + 1)
    }


def stored_of(world: World, node: Node) -> dict[sa.Table, set[Number]]:
    """What the hub has stored of a node and may count in a profile, by table."""
    return {
        table: {(Producer(row.producer), row.seq) for row in rows_of(world.hub.ledger, table, node.id)}
        for table in (tables.events, tables.decisions, tables.duplicates)
    }


def folded(
    numbers: Sequence[tuple[Node, dict[sa.Table, set[Number]]]], subject: SubjectId, also: set[Number]
) -> bytes | None:
    """The profile of a subject from what the workers of all nodes wrote and the hub stored; `also`: and these."""
    profile = Profile()
    for node, stored in numbers:
        for key, record in sorted(node.records.items()):
            if record.subject != subject or isinstance(record, PreferenceRecord) or not touches_profile(record):
                continue
            if key in also or key in stored[tables.events] or key in stored[tables.decisions]:
                apply(profile, record)
            elif key in stored[tables.duplicates] and isinstance(record, EventRecord):
                skip(profile, record)
    return None if profile == Profile() else encode_profile(profile)


def live_through(
    ledger: Ledger,
    meters: Meters,
    folder: Path,
    seed: int,
    *,
    parts: Parts | None = None,
    mishaps: Sequence[str] = USUAL,
) -> World:
    """Raises AssertionError for what must not be, with the number of the invariant."""
    random = Random(seed)

    async def story() -> World:
        world = World(ledger, meters, folder, seed, parts=parts, mishaps=mishaps)
        try:
            await world.run()
            assert_conserved(world)
            assert_each_message_once(world)
            assert_one_profile(world)
            if random.random() < 0.3:
                world.happened["erased"] += bool(await world.forget())
        finally:
            world.close()
        return world

    return simulate(story, random)


def tell(world: World) -> Counter[str]:
    """What happened in a history, in numbers."""
    witness = world.witness
    told: Counter[str] = Counter(world.happened)
    told["cut"] += sum(node.network.cuts for node in world.nodes)
    told["flip"] += sum(node.network.flips for node in world.nodes)
    told["messages"] += len(world.sent)
    told["answers"] += witness.answers
    told["closed"] += witness.closed
    told["conflicts"] += witness.conflicts
    told["swaps"] += max(0, len(witness.versions) - 1)
    return told


def live_through_all(folder: Path, known: Iterable[int]) -> Counter[str]:
    """All of these seeds, or the one that the environment asks for; what happened, in numbers.

    Raises AssertionError with the seeds of up to `MOST_FAILED` histories that failed, and what failed first.
    """
    happened: Counter[str] = Counter()
    failed: list[tuple[int, BaseException]] = []
    meters, chosen = Meters(), seeds(known)
    for start in range(0, len(chosen), A_LEDGER):
        place = folder / str(chosen[start])
        place.mkdir()
        with open_ledger(place) as ledger:
            for seed in chosen[start : start + A_LEDGER]:
                try:
                    with named(seed):
                        happened.update(tell(live_through(ledger, meters, place / str(seed), seed)))
                except Exception as wrong:  # noqa: BLE001  # the others are worth knowing, too
                    failed.append((seed, wrong))
                shutil.rmtree(place / str(seed), ignore_errors=True)
        if len(failed) >= MOST_FAILED:
            break
    if failed:
        told = "\n".join(f"  {VARIABLE}={seed}: {type(wrong).__name__}: {wrong}"[:300] for seed, wrong in failed)
        raise AssertionError(f"{len(failed)} of {len(chosen)} histories; each again with\n{told}") from failed[0][1]
    return happened


def live_through_on_two_cores(folder: Path, known: range) -> Counter[str]:
    """As `live_through_all`, in two processes."""
    halves = [known[0::2], known[1::2]]
    happened: Counter[str] = Counter()
    with ProcessPoolExecutor(len(halves), mp_context=get_context("spawn")) as processes:
        running = []
        for number, half in enumerate(halves):
            (folder / str(number)).mkdir()
            running.append(processes.submit(live_through_all, folder / str(number), half))
        for each in running:
            happened.update(each.result())
    return happened
