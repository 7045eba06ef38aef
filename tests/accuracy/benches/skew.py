"""Served features against replayed ones over a whole run of the demo: a hub, two nodes, visitors who are lived again.

A decision of every visitor after every rating, clicks that travel between the nodes, a hub that is killed and comes
back: then each row that a node logged is compared, cell by cell, with what the hub folds from its ledger.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.clock import SystemClock
from hub.datasets.download import default_cache
from hub.demo.run import Demo, load_history
from hub.demo.storefront import Storefront
from hub.ledger.ledger import open_ledger
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.scoring_child import ScoringChild
from hub.train.skew import Skew, measure_skew

EVERY_DECISION = 1_000_000


def measure(ground: Ground) -> list[Claim]:
    """Run the demo, then compare."""
    cache = default_cache(os.environ)
    history, why = load_history(cache)

    @contextlib.contextmanager
    def step(text: str) -> Iterator[Callable[[int], None]]:
        ground.terminal.note(f"skew: {text}")
        yield lambda _done: None

    folder = ground.folder / "demo"
    demo = Demo(folder, history, Storefront(0), SystemClock(), step)
    version = demo.learn_and_release()
    with demo.serve(version) as (addresses, the_hub):
        demo.measure(addresses, the_hub, version, cache)
    with open_ledger(folder / "hub") as ledger, ScoringChild() as child:
        replayer = Replayer(ledger, Releases(folder / "hub", ledger), child)
        found = measure_skew(ledger, replayer, most=EVERY_DECISION)
    world = f"simulated world ({why})" if history.simulated else history.name
    protocol = (
        f"demo on {world}: hub and two nodes as processes, future ratings lived again, hub killed and back; every "
        "decision that a model ranked is replayed from the ledger up to the sequences that the node had applied; "
        "cells compared to the bit"
    )
    return _claims(found, protocol)


def _claims(found: Skew, protocol: str) -> list[Claim]:
    common: dict[str, Any] = {"protocol": protocol, "source": "served features are replayed features"}
    kinds = {
        "mismatch": sum(feature.mismatch for feature in found.features),
        "missing": sum(feature.missing for feature in found.features),
        "extra": sum(feature.extra for feature in found.features),
    }
    claims = [
        Claim(what=f"{name} cells between logged and replayed features", value=float(count), equals=0.0, **common)
        for name, count in kinds.items()
    ]
    largest = max((feature.largest_difference for feature in found.features), default=0.0)
    claims.append(Claim(what="largest difference of a cell", value=largest, equals=0.0, **common))
    doubtful = found.left_out.get("doubtful", 0)
    claims.append(
        Claim(what="decisions that differ, and whose past is in doubt", value=float(doubtful), equals=0.0, **common)
    )
    # What was not compared shows nothing: a job that leaves everything out must not pass.
    ranked = found.decisions + sum(count for why, count in found.left_out.items() if why != "no-model")
    claims.append(
        Claim(
            what="share of the decisions with rows that could be compared",
            value=found.decisions / max(1, ranked),
            at_least=0.99,
            protocol=protocol,
            source="the rest must be an exception",
            detail={"decisions": found.decisions, "rows": found.rows, "left_out": found.left_out},
        )
    )
    claims.append(Claim(what="rows compared", value=float(found.rows), protocol=protocol))
    return claims
