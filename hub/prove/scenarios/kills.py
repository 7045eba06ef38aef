"""kill -9 at random moments, of every process that there is, while visitors report events and ask for decisions.

A message that was acknowledged must be stored, once, and counted once in its visitor's profile; every number that a
worker gave out must be accounted for. Visitors send what broke again, so nothing may be missing in the end.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

import numpy as np

from hub.prove.account import conserved, lost_and_doubled, take_account
from hub.prove.figure import NONE, Figure, Must
from hub.prove.journal import Journal
from hub.prove.lab import Lab, Running
from hub.prove.order import Order
from hub.prove.victims import AGENT, HUB, SUPERVISOR, WORKER, descendants, is_gone, kill, victims
from hub.prove.visitors import visiting

SHARES: Final = {WORKER: 0.6, AGENT: 0.28, SUPERVISOR: 0.06, HUB: 0.06}
"""How often each kind is drawn; one of which none runs at the moment is not."""
MEAN_PAUSE_S: Final = 0.5
"""Between two kills, exponentially distributed: some hit a process that is just starting, some one at full work."""
VISITORS: Final = ("track", "track", "batch", "decide", "decide", "decide")
ORPHAN_PATIENCE_MS: Final = 20_000.0
"""A worker whose supervisor was killed finishes what it has begun, for at most 10 s unless told otherwise."""


def run(lab: Lab, order: Order) -> list[Figure]:
    """Kill `order.kills` processes."""
    draw, journal, killed = np.random.default_rng(order.seed), Journal(), Counter[str]()
    waiting, orphaned_ms = threading.Event(), 0.0
    with lab.shop(workers=order.workers) as running:
        with visiting(running.url, running.write_key, journal, lab.clock, seed=order.seed, kinds=VISITORS):
            while killed.total() < order.kills:
                lab.tell(f"kills: {_in_words(killed)}", killed.total() / order.kills)
                waiting.wait(float(draw.exponential(MEAN_PAUSE_S)))
                kind, pid = _drawn(running, draw)
                below = descendants(pid) if kind == SUPERVISOR else []
                if not kill(pid):
                    continue
                killed[kind] += 1
                if kind == HUB:
                    running.hub.kill()
                    lab.again(running.hub)
                elif kind == SUPERVISOR:
                    running.node.kill()
                    orphaned_ms = max(orphaned_ms, _wait_for_the_end(lab, below))
                    lab.again(running.node)
            lab.tell("the visitors finish", 1.0)
        lab.tell("the spool drains", 1.0)
        status = lab.drain(running)
        account = take_account(lab.hub_dir, journal)
    return [
        Figure("kill -9", killed.total(), must=Must(">=", order.kills)),
        *(Figure(f"  of them {kind}", killed[kind]) for kind in SHARES),
        Figure("requests that broke and were sent again", journal.retries.total()),
        Figure("answers that no visitor should get", journal.wrong.total(), must=NONE),
        *lost_and_doubled(account, journal),
        *conserved(account, status),
        Figure("until the last child of a killed supervisor ended, at most", orphaned_ms / 1_000, "s"),
    ]


def _drawn(running: Running, draw: np.random.Generator) -> tuple[str, int]:
    """A kind by its share among those that run, and one process of it."""
    there = victims(running)
    kinds = [kind for kind in SHARES if kind in there]
    shares = np.array([SHARES[kind] for kind in kinds])
    kind = kinds[int(draw.choice(len(kinds), p=shares / shares.sum()))]
    return kind, there[kind][int(draw.integers(len(there[kind])))]


def _wait_for_the_end(lab: Lab, pids: list[int]) -> float:
    """How long they took, in milliseconds. Raises UnavailableError for orphans."""
    what = "the children of a killed supervisor end"
    return lab.until_ms(lambda: all(map(is_gone, pids)), what, most_ms=ORPHAN_PATIENCE_MS)


def _in_words(killed: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(killed.items())) or "none yet"
