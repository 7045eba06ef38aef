"""Whether a cart brings at most one mail, at the right time, with everybody's leave, however often the hub is killed.

Ten thousand cart stories in simulated time over one ledger: orders before, after and while a mail leaves, late and
repeated events, people who turn out to be one, consent that is withdrawn, four time zones, quiet hours, a change of
clocks. The hub is killed at a random step and opens the same ledger again.
"""

from __future__ import annotations

from typing import Any, Final

from journey_stories import DAYS, TURN_MS, Simulation

from accuracy.claim import Claim
from accuracy.ground import Ground

STORIES: Final = 10_000
SEED: Final = 20_261
CRASHES: Final = 0.5
PROTOCOL: Final = (
    f"{STORIES:,} carts begun within {DAYS} days, seed {SEED}; a turn every {TURN_MS // 60_000} minutes where "
    f"something is due, killed with probability {CRASHES} at one of its steps (begun again 10 s later), 2 % of mails "
    "turned away for the moment; quiet 21:00 to 08:00 in the reader's zone; the judge shares no code with the engine"
)


def measure(ground: Ground) -> list[Claim]:
    """Run it, and judge."""
    ground.terminal.note(f"journeys: {STORIES:,} stories")
    found = Simulation(ground.folder, STORIES, seed=SEED, crashes=CRASHES).run()

    def claim(what: str, value: float, **bounds: Any) -> Claim:
        return Claim(what=what, value=value, protocol=PROTOCOL, **bounds)

    none: dict[str, Any] = {"equals": 0, "source": "issue 7"}
    states = dict(sorted(found.states.items()))
    return [
        claim("carts with more than one mail", found.doubles, **none),
        claim("mails after a stored purchase", found.after_purchase, **none),
        claim("mails without consent", found.without_consent, **none),
        claim("mails in quiet hours", found.in_quiet_hours, **none),
        claim("mails later than 60 minutes, or 15 behind quiet hours", found.late, **none),
        claim("due mails that were neither sent nor are uncertain", found.missed, **none),
        claim("mails whose fate is uncertain (shown, never sent again)", found.uncertain),
        claim("of these, arrived all the same", found.uncertain_taken),
        claim("mails that readers have", found.mails, detail=states),
        claim("carts that were surely due", found.due),
        claim("times the hub was killed", found.crashes.total(), detail=dict(sorted(found.crashes.items()))),
        claim("longest wait of a challenger's mail outside of quiet hours, minutes", found.worst_minutes, at_most=60),
    ]
