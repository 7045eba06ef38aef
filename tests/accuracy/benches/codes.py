"""Whether a promotion's total holds while everything goes wrong, and what guessing codes comes to.

Fleets of up to nine nodes promise codes and are cut off, killed, copied and set back to older disks, clocks jump, a
thief has the key: 100,000 times a code is presented at the hub, mostly for several orders that race for it, and a judge
of his own counts what it redeems. Then a million guesses, with a check letter that is right, are held against the keys
of ten promotions.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from codes_simulation import Verdict, simulated

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.bundle.promotions import PromotionName
from edgewise.codes.code import LETTERS, CodeKey, keys_of, lettered, verify

ATTEMPTS: Final = 100_000
TOTALS: Final = (1, 10, 100, 500, 1500, 3000)
"""Attempts are shared out by these, so that each total is nearly used up, and fought for."""
LEAST: Final = 100
FLEETS: Final = 24
GUESSES: Final = 1_000_000
PROMOTIONS: Final = 10
SEED: Final = 7_007
STORY: Final = (
    f"{FLEETS} fleets of 5 to 9 simulated nodes, seeds {SEED} on, totals {', '.join(map(str, TOTALS))}; real book and "
    "ledger (SQLite), simulated disks, clocks and network; the judge counts from the hub's answers alone"
)


def measure(ground: Ground) -> list[Claim]:
    """Simulate and guess."""
    found = []
    for fleet in range(FLEETS):
        ground.terminal.note(f"codes: fleet {fleet + 1} of {FLEETS}")
        folder = ground.folder / f"fleet-{fleet}"
        total = TOTALS[fleet % len(TOTALS)]
        found.append(simulated(folder, seed=SEED + fleet, total=total, attempts=_attempts(total)))
    ground.terminal.note("codes: guesses")
    return [*_kept(found), _guessed()]


def _attempts(total: int) -> int:
    return max(LEAST, -(-ATTEMPTS * total * len(TOTALS) // (FLEETS * sum(TOTALS))))


def _kept(found: list[Verdict]) -> list[Claim]:
    denied = sum((verdict.denied for verdict in found), Counter())
    attempts = sum(verdict.attempts for verdict in found)
    redeemed = sum(len(verdict.redeemed) for verdict in found)
    promised = sum(verdict.promised for verdict in found)
    disappointed = sum(verdict.disappointed for verdict in found)
    contested = sum(verdict.contested for verdict in found)
    why = sum((verdict.why for verdict in found), Counter())
    detail = {"attempts": attempts, "promised": promised, "redeemed": redeemed, "denied": dict(denied)}
    return [
        Claim(
            what=f"codes over-redeemed, of {attempts:,} attempts",
            value=float(sum(verdict.over for verdict in found)),
            equals=0.0,
            source="issue 7",
            protocol=STORY,
            detail=detail,
        ),
        Claim(
            what=f"attempts with a valid code that was fought for ({contested:,})",
            value=contested / attempts,
            at_least=0.5,
            source="what is refused by its day says nothing of the total",
            protocol="in date, its owner's, not redeemed before, and presented for 2 to 5 orders in racing threads; "
            + STORY,
            detail={reason: count / attempts for reason, count in why.items()},
        ),
        Claim(
            what=f"redeemed of all totals ({redeemed:,} of {sum(verdict.total for verdict in found):,})",
            value=redeemed / sum(verdict.total for verdict in found),
            protocol=STORY,
        ),
        Claim(
            what=f"presented by their owners and refused for what had happened to a node ({disappointed:,})",
            value=disappointed / attempts,
            protocol=STORY,
        ),
        Claim(
            what="places of totals lost for good once all leases are over",
            value=float(sum(verdict.left_over for verdict in found)),
            equals=0.0,
            source="what is not redeemed can be lent again",
            protocol=STORY,
        ),
    ]


def _guessed() -> Claim:
    rng = np.random.default_rng(SEED)
    keys = keys_of(CodeKey(PromotionName(f"p-{index}"), 1, rng.bytes(32)) for index in range(PROMOTIONS))
    accepted = 0
    for _ in range(GUESSES // 10_000):
        drawn = rng.integers(0, 32, (10_000, LETTERS - 1))
        drawn[:, 0] = 1  # a generation that exists, or no key would be asked at all
        for row in drawn.tolist():
            accepted += verify(lettered(row), keys) is not None
    return Claim(
        what=f"guessed codes accepted, of {GUESSES:,}",
        value=float(accepted),
        equals=0.0,
        source="issue 7",
        protocol=f"uniform letters, the right check, a generation that exists; {PROMOTIONS} promotions, seed {SEED}",
    )
