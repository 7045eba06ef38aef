"""The built-in answer of a node that has no bundle at all: every placement answers, with nothing in it."""

from __future__ import annotations

from edgewise.decision import Decision, PlacementDecision
from edgewise.ids import ArmName, BundleVersion
from edgewise.question import Question
from edgewise.reasons import Reason

NO_BUNDLE_VERSION = BundleVersion(0)
NO_BUNDLE_DIGEST = ""
"""No bundle has a blank digest; the version alone would not tell it from the starter bundle."""


def fallback_decision(question: Question) -> Decision:
    """Any placement's name is answered; the page shows what it shows without us."""
    nothing = PlacementDecision(items=(), reason=Reason.FALLBACK_NO_BUNDLE, policy=ArmName(""))
    return Decision(
        decision_id=question.decision_id,
        bundle_version=NO_BUNDLE_VERSION,
        bundle_digest=NO_BUNDLE_DIGEST,
        placements={placement.name: nothing for placement in question.placements},
    )
