"""Which seeds a test runs, and how whoever reads a failure runs one of them again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random  # noqa: TID251  # the one place: whoever needs it in the fault lab gives it a seed

__all__ = ["VARIABLE", "Random", "everything", "named", "seeds"]

VARIABLE = "EDGEWISE_FAULT_SEED"


def seeds(known: Iterable[int]) -> list[int]:
    """These, or the one that the environment asks for. Says how many: `edgewise prove` counts them."""
    asked = os.environ.get(VARIABLE)
    chosen = list(known) if asked is None else [int(asked)]
    print(f"{len(chosen)} seeds")
    return chosen


def everything() -> bool:
    """Whether all of the known seeds run: only then does their number say anything."""
    return VARIABLE not in os.environ


@contextmanager
def named(seed: int) -> Iterator[None]:
    """Whatever fails in here says with which seed."""
    try:
        yield
    except BaseException as failed:
        failed.add_note(f"seed {seed}: run this test again with {VARIABLE}={seed}")
        raise
