"""Which decisions are kept for learning, where a site keeps only a share of them.

By the decision's id and not by chance, so that whoever has the policy can tell again what was left out, and that a
node which is asked twice answers once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edgewise.bundle.policy import Site
from edgewise.draws import draw_from
from edgewise.ids import DecisionId, PlacementName
from edgewise.records import CERTAIN

_NO_PLACEMENT: Final = PlacementName("")
"""No placement is called so: the draw is none of those that chose an item."""


class Kept(NamedTuple):
    """Whether a decision is kept, and with which probability, in (0, 1]."""

    is_kept: bool
    probability: float


ALL: Final = Kept(True, CERTAIN)


def kept_for_learning(site: Site, decision_id: DecisionId) -> Kept:
    """What becomes of one decision; ALL where the site keeps every one."""
    share = site.learning_share
    if share is None:
        return ALL
    return Kept(draw_from(site.salt, decision_id)(_NO_PLACEMENT, 0) < share, share)
