"""Session nearest neighbours read literally (section 5 of the data sets' notes), over plain lists. Slow on purpose."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from edgewise.bundle.sessions import Sessions, Walk
from edgewise.ids import ItemId


def naive_scores(
    latest: Sequence[ItemId], visits: Sequence[set[ItemId]], weights: Mapping[ItemId, float], walk: Walk
) -> dict[ItemId, float]:
    """What comes next. `visits` are sets of items, the most recent first; `latest` items of one visit, latest first."""
    latest = latest[: walk.last]
    similarity: dict[int, float] = {}
    steps_back: dict[int, int] = {}
    for back, item in enumerate(latest):
        if item in latest[:back]:
            continue
        holders = [number for number, visit in enumerate(visits) if item in visit]
        for number in holders[: walk.most_recent]:
            similarity[number] = similarity.get(number, 0.0) + (len(latest) - back) / len(latest)
            steps_back.setdefault(number, back)
    met = sorted(similarity)[: walk.most_recent]
    nearest = sorted(met, key=lambda number: (-similarity[number], number))[: walk.neighbours]
    loudness: dict[ItemId, float] = {}
    for number in nearest:
        for item in visits[number]:
            loud = similarity[number] * (1.0 - 0.1 * steps_back[number])
            loudness[item] = loudness.get(item, 0.0) + loud
    return {item: loud * weights[item] for item, loud in loudness.items() if item != latest[0]}


def idf(visits: Sequence[set[ItemId]]) -> dict[ItemId, float]:
    """ln(visits / visits with the item)."""
    items = {item for visit in visits for item in visit}
    return {item: math.log(len(visits) / sum(item in visit for visit in visits)) for item in items}


def visits_of(sessions: Sessions) -> list[set[ItemId]]:
    """The visits of a resource, the most recent first."""
    bounds = sessions.indptr.tolist()
    return [
        {sessions.items[code] for code in sessions.members[start:end].tolist()}
        for start, end in itertools.pairwise(bounds)
    ]
