"""The spool on a disk that loses what was not synced: no acknowledged record is lost, none is stored twice.

A failure names its seed; `EDGEWISE_FAULT_SEED=17 pytest tests/faults/test_power_loss.py` runs that history again.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from fault_disk import crash_points
from fault_seeds import Random, everything, named, seeds
from fault_spool import NODE, History, StoringHub, Written, declared_lost, numbers, shipped
from spool_world import event

from edge.node.layout import ProducerKey, segment_name
from edge.spool.reader import SpoolReader
from edgewise.frames import frame
from edgewise.ids import Producer, producer
from edgewise.records import GapRecord, decode_record, encode_record

POINTS = 60
"""Most crash points a history."""


def promised(noted: list[tuple[object, ...]], written: Written) -> tuple[dict[Producer, set[int]], StoringHub]:
    """What had been acknowledged, and what the hub had stored, at one point of a history."""
    acknowledged: dict[Producer, set[int]] = defaultdict(set)
    stored: dict[Producer, int] = {}
    for what, name, number in noted:
        assert isinstance(name, str)
        assert isinstance(number, int)
        if what == "acknowledged":
            acknowledged[Producer(name)].add(number)
        else:
            stored[Producer(name)] = number
    return acknowledged, StoringHub({name: written.hub.stored[name][:count] for name, count in stored.items()})


def assert_kept(written: Written, acknowledged: dict[Producer, set[int]], hub: StoringHub) -> None:
    for name, placed in hub.stored.items():
        assert numbers(placed) == list(range(hub.mark(name) + 1)), "each number once, in order"
        for one in placed:
            assert one.record is not None, one.fault
            if not isinstance(one.record, GapRecord):
                assert one.record == written.records[name, one.record.seq], "the content that was written"
    for name, numbered in acknowledged.items():
        kept = {one.last_seq for one in hub.stored.get(name, []) if not isinstance(one.record, GapRecord)}
        assert numbered <= kept, f"acknowledged and lost: {sorted(numbered - kept)} of {name}"


def lose_power(folder: Path, seed: int, most: int) -> int:
    """Crash a history at `most` of its spool's calls, drawn at random; returns how many crashes that were."""
    written = History(folder / "node", seed).run()
    points = len([call for call in written.disk.journal if call.kind != "note"]) + 1
    random, crashes = Random(seed), 0
    chosen = set(random.sample(range(points), min(most, points)))
    for at, (platter, noted) in enumerate(crash_points(written.disk.journal)):
        if at not in chosen:
            continue
        crashes += 1
        after = folder / "after"
        after.mkdir()
        platter.survivors(random, after)
        acknowledged, hub = promised(noted, written)
        known = sum(map(declared_lost, hub.stored.values()))
        lost = shipped(after, hub)
        assert_kept(written, acknowledged, hub)
        assert lost == sum(map(declared_lost, hub.stored.values())) - known, "a loss is told where there is one"
        shutil.rmtree(after)
    return crashes


def lose_power_in_all(folder: Path, known: range, most: int) -> int:
    crashes = 0
    for seed in seeds(known):
        (folder / str(seed)).mkdir()
        with named(seed):
            crashes += lose_power(folder / str(seed), seed, most)
        shutil.rmtree(folder / str(seed))
    return crashes


@pytest.mark.parametrize("first", range(0, 30, 6))
def test_nothing_that_was_acknowledged_is_lost_wherever_the_power_goes(folder: Path, first: int) -> None:
    crashes = lose_power_in_all(folder, range(first, first + 6), POINTS)
    print(f"{crashes} crash points")
    assert crashes >= 100 or not everything(), "500 crash points in all"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_that_was_acknowledged_is_lost_at_any_call_of_300_histories(folder: Path) -> None:
    crashes = lose_power_in_all(folder, range(1_000, 1_300), 1_000_000)
    print(f"{crashes} crash points")
    assert crashes >= 20_000 or not everything()


def test_histories_hold_what_they_are_to_be_tried_for(folder: Path) -> None:
    """No crash proves anything where nobody was promised anything."""
    promises, failures, deaths, drops = 0, 0, 0, 0
    for seed in range(30):
        written = History(folder / str(seed), seed).run()
        promises += sum(call.arguments[:1] == ("acknowledged",) for call in written.disk.journal)
        failures += sum(call.kind == "doubt" for call in written.disk.journal)
        deaths += len({name for name, _ in written.records} - set(written.closed))
        drops += sum(dropped for _, dropped in written.closed.values())
    assert min(promises, failures, deaths, drops) >= 10


def test_without_a_power_loss_created_is_stored_or_declared_dropped(folder: Path) -> None:
    for seed in seeds(range(30)):
        with named(seed):
            written = History(folder / str(seed), seed).run()
            shipped(folder / str(seed) / "spool", written.hub)
            for name, (created, dropped) in written.closed.items():
                placed = written.hub.stored[name] if created else []
                assert numbers(placed) == list(range(created))
                assert created - dropped == sum(not isinstance(one.record, GapRecord) for one in placed)


@pytest.mark.parametrize("torn_segment", [0, 1, 2])
def test_a_segment_torn_at_any_byte_costs_nothing_before_it_and_nothing_in_the_next(
    folder: Path, torn_segment: int
) -> None:
    name = producer(NODE, 1, 0)
    records = [event(seq, size=5, name=name) for seq in range(9)]
    parts = [b"".join(frame(encode_record(record)) for record in records[first : first + 3]) for first in (0, 3, 6)]
    ends = [len(b"".join(frame(encode_record(record)) for record in records[:count])) for count in range(1, 10)]
    before = sum(map(len, parts[:torn_segment]))
    spool = folder / "0000000001-000"
    spool.mkdir()
    for index, part in enumerate(parts):
        (spool / segment_name(3 * index)).write_bytes(part)
    for cut in range(len(parts[torn_segment])):
        (spool / segment_name(3 * torn_segment)).write_bytes(parts[torn_segment][:cut])
        reader = SpoolReader(spool, ProducerKey(1, 0), NODE)
        batch = reader.read()
        found = [] if batch is None else [decode_record(payload) for payload in batch.records]
        whole = sum(end <= before + cut for end in ends)
        after = records[3 * torn_segment + 3 :]
        assert [record for record in found if not isinstance(record, GapRecord)] == records[:whole] + after
        missing = 3 * torn_segment + 3 - whole if after else 0
        assert sum(record.count for record in found if isinstance(record, GapRecord)) == missing == reader.records_lost
        assert reader.is_exhausted
