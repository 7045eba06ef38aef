"""What is to be proven, and how hard."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.errors import InputError, Problem, problem_of

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of all scenarios. The defaults are what a release is judged by; `QUICK` is for a coffee."""

    seed: int = 1
    """Of every draw: victims, moments, visitors. Processes interleave as they like, so a run is never quite another."""
    workers: Count = 2
    """Of the node."""
    kills: Count = 300
    swaps: Count = 100
    away_s: Seconds = 600.0
    """How long the hub is away."""
    full_s: Seconds = 30.0
    """How long the disk is full."""
    slow_sockets: Count = 1_000
    connections: Count = 10_000
    """Of the flash sale."""
    whole_lab: bool = True
    """Whether the test lab runs all of its seeds: 300 histories of a spool, 2,000 of nodes and a hub."""
    step_s: Seconds = 4.0
    """Of each rate that is tried where the node's capacity is looked for."""
    window_s: Seconds = 10.0
    """Of load that is measured without a fault, and then with one."""


QUICK = Order(kills=30, swaps=10, away_s=75.0, full_s=8.0, connections=2_000, whole_lab=False, step_s=2.0, window_s=5.0)


def sized(*, quick: bool, **asked: float | None) -> Order:
    """The usual sizes, with what was asked for in their place.

    Raises:
        InputError: a size that makes no sense, with the option that named it.
    """
    usual = msgspec.structs.asdict(QUICK if quick else Order())
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return msgspec.convert(usual | given, Order)
    except msgspec.ValidationError as wrong:
        problem = problem_of(str(wrong))
        option = f"--{problem.path.removeprefix('$.').removesuffix('_s')}"
        raise InputError(f"{option}: {problem.message}", (Problem(option, problem.message),)) from None
