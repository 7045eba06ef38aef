"""What can be proven, by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from edgewise.errors import InputError, Problem
from hub.prove.figure import Figure
from hub.prove.lab import Lab
from hub.prove.order import Order


class Scenario(NamedTuple):
    """A module of `hub.prove.scenarios` with a function `run`, loaded when it is asked for."""

    name: str
    about: str
    uses: tuple[str, ...]
    """What of an order it depends on."""

    def run(self, lab: Lab, order: Order) -> list[Figure]:
        """Break something, and see what becomes of it.

        Raises:
            NotHereError: it cannot run here.
            EdgewiseError: something did not even start, or never came back.
        """
        module = importlib.import_module(f"hub.prove.scenarios.{self.name.replace('-', '_')}")
        figures: list[Figure] = module.run(lab, order)
        return figures

    def parameters(self, order: Order) -> dict[str, Any]:
        """What it runs under."""
        known = msgspec.structs.asdict(order)
        return {name: known[name] for name in self.uses}


SCENARIOS: Final = (
    Scenario("kills", "kill -9 of every process at random moments, under load", ("seed", "kills", "workers")),
    Scenario("swaps", "bundle swaps at 80 % of the measured capacity", ("seed", "swaps", "step_s")),
    Scenario("hub-away", "the hub is killed, and comes back much later", ("seed", "away_s", "workers")),
    Scenario("full-disk", "the node's disk is full, to the last byte", ("seed", "full_s", "workers")),
    Scenario("hostile", "requests that smuggle or never end, and slow clients", ("seed", "slow_sockets", "window_s")),
    Scenario(
        "flash-sale",
        "a burst of new visitors, and an item that sells out",
        ("seed", "connections", "step_s", "window_s"),
    ),
    Scenario("power-loss", "the spool on a disk that loses what was not synced", ("whole_lab",)),
    Scenario("simulator", "nodes and a hub in simulated time, by seed", ("whole_lab",)),
    Scenario("cold-start", "a node starts without its hub: from its bundle, from the starter bundle", ("workers",)),
)


def named(names: Sequence[str]) -> list[Scenario]:
    """Those that were asked for, in their own order; all for none.

    Raises:
        InputError: there is no such scenario.
    """
    known = {scenario.name for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            expected = ", ".join(scenario.name for scenario in SCENARIOS)
            raise InputError(f"--only {name}: expected one of {expected}", (Problem("--only", name),))
    return [scenario for scenario in SCENARIOS if not names or scenario.name in names]
