"""The disk of a node fills up: it goes on deciding, says what it had to drop, and takes events again without a restart.

A decision is answered though its record finds no room; an event is refused, so that its sender keeps it. What was
answered and is not recorded is what the node must declare as dropped. Beyond that it may only declare events that it
had numbered before it refused them; their senders have sent them again, under new numbers.
"""

from __future__ import annotations

import threading
from typing import Final

from hub.prove.account import UNRECORDED, conserved, lost_and_doubled, take_account
from hub.prove.figure import NONE, Figure, Must
from hub.prove.journal import Journal
from hub.prove.lab import Lab
from hub.prove.order import Order
from hub.prove.tmpfs import Filler, small_disk
from hub.prove.victims import victims
from hub.prove.visitors import visiting

DISK_BYTES: Final = 64 << 20
VISITORS: Final = ("track", "batch", "look", "look", "look")
BEFORE_S: Final = 3.0
REFILL_S: Final = 0.1
"""Whatever becomes free meanwhile, as segments are stored and deleted, is taken as well."""
AFTER_S: Final = 3.0
RECOVERY_MS: Final = 30_000.0


def run(lab: Lab, order: Order) -> list[Figure]:
    """Keep the disk full for `order.full_s`."""
    journal, waiting = Journal(), threading.Event()
    with small_disk(lab.folder / "disk", DISK_BYTES) as disk:
        lab.node_dir = disk / "node"
        with lab.shop(workers=order.workers) as running:
            before = victims(running)
            with visiting(running.url, running.write_key, journal, lab.clock, seed=order.seed, kinds=VISITORS):
                waiting.wait(BEFORE_S)
                decided, filler = len(journal.decided), Filler(disk / "filler")
                filled = filler.fill()
                begun_ms = lab.clock.monotonic_ms()
                while (full_s := (lab.clock.monotonic_ms() - begun_ms) / 1_000) < order.full_s:
                    lab.tell(f"the disk is full for {full_s:.0f} s", full_s / order.full_s)
                    filled += filler.fill()
                    waiting.wait(REFILL_S)
                decided = len(journal.decided) - decided
                refused = journal.retries.total()
                filler.give_back()
                recovered_s = _until_events_are_taken(lab, journal) / 1_000
                waiting.wait(AFTER_S)
            status = lab.drain(running)
            after = victims(running)
            account = take_account(lab.hub_dir, journal)
    said = int(status["spool"]["dropped"])
    real = len(journal.decided - account.decisions)
    broken = journal.retries["look"] + journal.wrong.total()
    return [
        Figure("the disk was full", order.full_s, "s"),
        Figure("bytes that filled it", filled, must=Must(">=", 1)),
        Figure("decisions meanwhile", decided, must=Must(">=", 1)),
        Figure("failed or broken decisions, other errors", broken, must=NONE),
        Figure("events that were refused and sent again", refused, must=Must(">=", 1)),
        Figure("until an event was taken again", recovered_s, "s"),
        Figure("processes that ended", sum(before[kind] != after.get(kind) for kind in before), must=NONE),
        Figure("decisions answered, and in no table", real),
        Figure("  of them not declared dropped", max(0, real - account.dropped), must=NONE),
        Figure("declared dropped beyond them", account.dropped - real, must=Must("<=", journal.offered_again)),
        Figure("dropped, /status against the ledger", abs(said - account.dropped), must=NONE),
        *(each for each in lost_and_doubled(account, journal) if each.what != UNRECORDED),
        *conserved(account, status),
    ]


def _until_events_are_taken(lab: Lab, journal: Journal) -> float:
    known = len(journal.acknowledged)
    return lab.until_ms(lambda: len(journal.acknowledged) > known, "events are taken again", most_ms=RECOVERY_MS)
