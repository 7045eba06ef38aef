"""Guests who ask what to watch tonight: of the next ten films that they really watched, the shop shows one.

What each guest thought of each of these films is in the data, so that the reward of any choice is real, and none is
guessed. Guests are the visitors without a past, under names of their own: nobody knows them when they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from edgewise.clock import Clock
from edgewise.errors import UnavailableError
from edgewise.ids import ItemId
from hub.demo.client import NodeClient, asking
from hub.demo.story import LIKED, Rated, Story, review
from hub.demo.visitors import home_node

PLACEMENT: Final = "film_pick"
CANDIDATES: Final = 10
MOST_PICKS: Final = 60
"""A guest's; a few watched hundreds of films."""


class Pick(NamedTuple):
    """One choice, and what came of it."""

    guest: str
    part: float
    """How far the guest's visits were, in [0, 1)."""
    arm: str
    bundle: int
    liked: bool


class Picks(NamedTuple):
    """What came of some choices."""

    made: list[Pick]
    errors: int


class Guest:
    """What one guest will watch, in the order in which he really did."""

    def __init__(self, name: str, films: Sequence[Rated]) -> None:
        self.name = name
        self._left = list(films)
        self.picks = max(0, min(MOST_PICKS, len(films) - CANDIDATES))
        self.made = 0

    @property
    def candidates(self) -> list[Rated]:
        """The films that he is about to watch."""
        return self._left[:CANDIDATES]

    def watch(self, item: ItemId) -> Rated:
        """He watches one of them; what he thought of it."""
        rated = next(rated for rated in self.candidates if rated.item == item)
        self._left.remove(rated)
        self.made += 1
        return rated


def guests_of(story: Story) -> list[Guest]:
    """Everybody without a past who watched more than ten films."""
    films: dict[str, list[Rated]] = {}
    for rated in story.future:
        if rated.visitor not in story.known:
            films.setdefault(rated.visitor.replace("visitor", "guest"), []).append(rated)
    found = [Guest(name, watched) for name, watched in sorted(films.items())]
    return [guest for guest in found if guest.picks > 0]


def pick(
    guests: Sequence[Guest],
    until: float,
    edges: Sequence[str],
    clock: Clock,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> Picks:
    """Let every guest choose until the part `until`, in (0, 1], of his visits is over; both nodes at the same time."""
    lanes: list[list[Guest]] = [[] for _ in edges]
    for guest in guests:
        lanes[home_node(guest.name, len(edges))].append(guest)

    def live(url: str, lane: Sequence[Guest]) -> Picks:
        picks = Picks([], 0)
        with asking([url], clock) as (client,):
            waiting = [guest for guest in lane if guest.made < until * guest.picks]
            while waiting:  # in turns, as visitors come
                for guest in waiting:
                    picks = _one(client, guest, picks)
                    progress(1)
                waiting = [guest for guest in waiting if guest.made < until * guest.picks]
        return picks

    with ThreadPoolExecutor(len(edges)) as threads:
        lived = list(threads.map(live, edges, lanes))
    return Picks([made for part in lived for made in part.made], sum(part.errors for part in lived))


def _one(client: NodeClient, guest: Guest, picks: Picks) -> Picks:
    part = guest.made / guest.picks
    candidates = [{"id": rated.item} for rated in guest.candidates]
    try:
        answer = client.decide(guest.name, [{"name": PLACEMENT, "candidates": candidates}])
        placed = answer.placements[PLACEMENT]
        rated = guest.watch(ItemId(placed.ids[0]))
        said = review(rated)
        told = {"decisionId": answer.decision_id, "placement": PLACEMENT, "itemId": rated.item}
        properties = said["properties"]
        assert isinstance(properties, dict)
        client.track({**said, "anonymousId": guest.name, "properties": {**properties, **told}})
    except UnavailableError:
        guest.made += 1
        return Picks(picks.made, picks.errors + 1)
    picks.made.append(Pick(guest.name, part, placed.policy, answer.bundle.version, rated.rating >= LIKED))
    return picks
