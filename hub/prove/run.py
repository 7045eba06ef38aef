"""Runs scenarios one after the other, each in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError
from hub.prove.figure import Figure, Proof
from hub.prove.lab import Lab, NotHereError, Tell
from hub.prove.order import Order
from hub.prove.scenario import Scenario

Told = Callable[[Scenario], Tell]
"""How a scenario says what it does."""


def prove(scenarios: Sequence[Scenario], order: Order, clock: Clock, told: Told) -> Iterator[Proof]:
    """One proof a scenario, as they come to their ends.

    The folder of one that failed is left behind, for its logs and ledger say why.
    """
    for scenario in scenarios:
        folder = Path(tempfile.mkdtemp(prefix=f"edgewise-prove-{scenario.name}-"))
        try:
            proof = prove_one(scenario, order, Lab(folder, clock, told(scenario)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if proof.passed:
            shutil.rmtree(folder, ignore_errors=True)
        yield proof


def prove_one(scenario: Scenario, order: Order, lab: Lab) -> Proof:
    """The same in a folder that is there."""
    begun_ms = lab.clock.monotonic_ms()
    figures: list[Figure] = []
    not_run = failed = ""
    try:
        figures = scenario.run(lab, order)
    except NotHereError as reason:
        not_run = str(reason)
    except EdgewiseError as trouble:
        failed = str(trouble)
    took_s = (lab.clock.monotonic_ms() - begun_ms) / 1_000
    proof = Proof(scenario.name, scenario.parameters(order), round(took_s, 1), figures, not_run, failed)
    return proof if proof.passed else proof.with_logs(str(lab.folder))
