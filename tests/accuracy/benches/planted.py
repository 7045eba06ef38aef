"""The gate of the learning loop before planted challengers: bad ones of 30 kinds, and better ones, ten worlds each.

What the gate sees is made by the hub's own code from logs of a world whose truth is known (`tests/planted_world.py`).
"""

from __future__ import annotations

from typing import Final

import planted_world as planted

from accuracy.claim import Claim
from accuracy.ground import Ground

WORLDS: Final = 10
LEAST_BETTER: Final = 9
PROTOCOL: Final = (
    f"{planted.DECISIONS:,} decisions of {planted.SLOTS} slots by an epsilon-greedy champion that knows tastes through "
    f"noise, the last third judges; seeds 0 to {WORLDS - 1}; alpha {planted.PLAN.alpha:g} over all looks, bootstrap of "
    f"{planted.RESAMPLES:,} over visitors"
)


def measure(ground: Ground) -> list[Claim]:
    """A claim for each kind."""
    claims = []
    for plant in (*planted.GOOD, *planted.BAD):
        ground.terminal.note(f"planted: {plant.__name__}")
        results = [planted.try_out(plant, seed) for seed in range(WORLDS)]
        count = sum(result.recommended for result in results)
        is_good = plant in planted.GOOD
        kind = "better" if is_good else "bad"
        claims.append(
            Claim(
                what=f"recommended of {WORLDS}, {kind}: {plant.__name__.replace('_', ' ')}",
                value=float(count),
                at_least=float(LEAST_BETTER) if is_good else None,
                at_most=None if is_good else 0.0,
                source="at least 9 of 10" if is_good else "never",
                protocol=PROTOCOL,
                detail={
                    "lift": [round(result.lift, 5) for result in results],
                    "low": [round(result.low, 5) for result in results],
                    "against": sorted({reason.partition(":")[0] for result in results for reason in result.reasons}),
                },
            )
        )
    return claims
