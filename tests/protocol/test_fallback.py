"""What a node answers before it has any bundle."""

import world
from hypothesis import given
from hypothesis import strategies as st

from edgewise.decision import canonical_bytes
from edgewise.fallback import NO_BUNDLE_DIGEST, fallback_decision
from edgewise.ids import PlacementName
from edgewise.reasons import Reason
from edgewise.request import Candidate, PlacementRequest


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5, unique=True))
def test_any_placement_is_answered_with_nothing(names: list[str]) -> None:
    asked = [PlacementRequest(PlacementName(name), candidates=[Candidate(world.FILMS[0])]) for name in names]
    decision = fallback_decision(world.question(*asked))
    assert list(decision.placements) == names
    assert decision.bundle_digest == NO_BUNDLE_DIGEST
    for placement in decision.placements.values():
        assert placement.items == ()
        assert placement.reason is Reason.FALLBACK_NO_BUNDLE
    assert canonical_bytes(decision) == canonical_bytes(fallback_decision(world.question(*asked)))
