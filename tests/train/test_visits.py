"""`hub.train.visits`: pauses cut what one visitor did into visits."""

from __future__ import annotations

import numpy as np
from sessions_naive import visits_of

from edgewise.bundle.sessions import decode_sessions
from edgewise.ids import ItemId
from hub.site.recipes import SessionRecipe
from hub.train.history import Touches
from hub.train.visits import MINUTE_MS, clicks_of, visits


def touches(*said: tuple[int, int, int]) -> Touches:
    """(minute, visitor, item) in the order in which they became known."""
    minute, visitor, item = np.array(said, np.int64).T
    return Touches(
        deed=np.arange(len(said), dtype=np.int64),
        visitor=visitor.astype(np.int32),
        item=item.astype(np.int32),
        moment_ms=minute * MINUTE_MS,
        rating=np.full(len(said), np.nan),
        items=tuple(ItemId(f"i{number}") for number in range(5)),
    )


def test_a_pause_begins_another_visit() -> None:
    told = touches((0, 0, 0), (5, 1, 3), (20, 0, 1), (50, 0, 2), (60, 1, 4), (61, 0, 0))
    visit = clicks_of(told, 30).visit.tolist()
    assert visit[0] == visit[2] != visit[3] == visit[5]
    assert visit[1] != visit[4]
    assert len(set(visit)) == 4
    assert len(set(clicks_of(told, 120).visit.tolist())) == 2


def test_only_what_several_visitors_touched_travels() -> None:
    told = touches((0, 0, 0), (1, 0, 1), (2, 0, 4), (3, 1, 0), (4, 1, 1), (5, 1, 2))
    recipe = SessionRecipe(fewest_visitors=2, last=3, longest_percentile=100)
    sessions = decode_sessions(visits(told, recipe))
    assert visits_of(sessions) == [{"i0", "i1"}, {"i0", "i1"}]
    assert sessions.walk == recipe.walk
