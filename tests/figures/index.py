"""Which module measures which figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edgewise.errors import InputError
from figures import (
    curves,
    fragments,
    gate,
    p1_throughput,
    p2_peers,
    p3_latency,
    p4_connections,
    p5_overload,
    p6_click,
    p7_footprint,
    p8_explanation,
    p9_catalogue,
    p10_hub,
    p11_replay,
    page_script,
    receipts,
)
from figures.figure import Measured
from figures.ground import Ground

CURVES: Final = "curves"
FIGURES: Final[dict[str, Callable[[Ground], Measured]]] = {
    "P1": p1_throughput.measure,
    "P2": p2_peers.measure,
    "P3": p3_latency.measure,
    "P4": p4_connections.measure,
    "P5": p5_overload.measure,
    "P6": p6_click.measure,
    "P7": p7_footprint.measure,
    "P8": p8_explanation.measure,
    "P9": p9_catalogue.measure,
    "P10": p10_hub.measure,
    "P11": p11_replay.measure,
    "gate": gate.measure,
    "receipts": receipts.measure,
    "fragments": fragments.measure,
    "page": page_script.measure,
}


def chosen(only: Sequence[str]) -> dict[str, Callable[[Ground], Measured]]:
    """The figures of these ids in their usual order; all, if none is named.

    Raises:
        InputError: there is no figure of an id.
    """
    every = {**FIGURES, CURVES: curves.measure}
    by_small = {name.lower(): name for name in every}
    unknown = [name for name in only if name.lower() not in by_small]
    if unknown:
        raise InputError(f"--only {unknown[0]}: expected one of {', '.join(every)}")
    wanted = {by_small[name.lower()] for name in only} or set(every)
    return {name: measure for name, measure in every.items() if name in wanted}
