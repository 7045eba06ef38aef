"""What the parity gate found, as a claim: no row of an exported model may be beyond its bound."""

from __future__ import annotations

from accuracy.claim import Claim
from hub.parity import TOLERANCE, Parity


def parity_claim(model: str, parity: Parity, *, tried: str) -> Claim:
    """`tried` says which rows the two were compared on."""
    return Claim(
        what=f"rows of {parity.rows:,} beyond {TOLERANCE:g} * max(1, |y|), {model}; "
        f"the largest difference is {parity.max_scaled_error:.1e}",
        value=float(parity.mismatches),
        at_most=0.0,
        source="the parity gate",
        protocol=tried,
    )
