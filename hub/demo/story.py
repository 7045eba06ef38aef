"""The demo's story: who rated what until the cut is history, everything after it is lived again.

The first 80 % of the ratings by time train; the rest is replayed. All times are moved so that the cut is now: the
history lies in the past as far back as it really did, and the replayed visitors come today, faster than they did.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from edgewise.ids import ItemId
from hub.datasets.films import FilmHistory

TRAIN_SHARE: Final = 0.8
LIKED: Final = 4.0
"""Stars from which on a rating counts as "this visitor wanted this film"."""


class Rated(NamedTuple):
    """One rating."""

    visitor: str
    item: ItemId
    rating: float
    time_s: int


class Story(NamedTuple):
    """History and future, both in order of time (ties in file order)."""

    past: list[Rated]
    future: list[Rated]

    @property
    def known(self) -> set[str]:
        """Visitors of the future who have a past."""
        return {rated.visitor for rated in self.past} & {rated.visitor for rated in self.future}


def tell(history: FilmHistory) -> Story:
    """Cut a history by time."""
    ratings = history.ratings
    order = np.argsort(ratings.time_s, kind="stable")
    told = [
        Rated(f"visitor-{ratings.user[row]}", ratings.item[row], float(ratings.rating[row]), int(ratings.time_s[row]))
        for row in order
    ]
    cut = int(len(told) * TRAIN_SHARE)
    return Story(told[:cut], told[cut:])


def write_history(story: Story, path: Path, now_ms: int) -> None:
    """The past as Segment envelopes, one a line, moved so that it ends at `now_ms`."""
    shift_ms = now_ms - story.past[-1].time_s * 1_000
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as lines:
        for number, rated in enumerate(story.past):
            moment = dt.datetime.fromtimestamp((rated.time_s * 1_000 + shift_ms) / 1_000, dt.UTC)
            lines.write(encode({"timestamp": moment, "messageId": f"history-{number}", **review(rated)}) + b"\n")


def review(rated: Rated) -> dict[str, object]:
    """A rating as the Segment call that reports it."""
    return {
        "type": "track",
        "event": "Product Reviewed",
        "anonymousId": rated.visitor,
        "properties": {"product_id": rated.item, "rating": rated.rating},
    }
