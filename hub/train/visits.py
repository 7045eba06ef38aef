"""Visits out of a history: what one visitor touched without a long pause, as session neighbours need it."""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.recommend.session_knn import Clicks, learn
from hub.site.recipes import SessionRecipe
from hub.train.history import Touches

MINUTE_MS: Final = 60_000


def visits(touches: Touches, recipe: SessionRecipe) -> bytes:
    """The resource `sessions.msgpack`.

    Raises InputError when no item was touched by as many visitors as the recipe asks for.
    """
    return learn(
        touches.items,
        clicks_of(touches, recipe.pause_minutes),
        recipe.walk,
        fewest_people=recipe.fewest_visitors,
        longest_percentile=recipe.longest_percentile,
        most_visits=recipe.most_visits,
    )


def clicks_of(touches: Touches, pause_minutes: int) -> Clicks:
    """Touches in the order in which they became known, with the visits that pauses cut them into.

    A node that was cut off tells of a visit later, but all of it at one time, so that it stays a visit.
    """
    by_person = np.argsort(touches.visitor, kind="stable")
    is_other = np.diff(touches.visitor[by_person]) != 0
    is_later = np.diff(touches.moment_ms[by_person]) >= pause_minutes * MINUTE_MS
    visit = np.zeros(len(by_person), np.int64)
    visit[by_person] = np.concatenate([[0], np.cumsum(is_other | is_later)])[: len(by_person)]
    return Clicks(touches.visitor, visit, touches.item)
