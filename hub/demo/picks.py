"""Guests who ask what to watch tonight: of the next ten films that they really watched, the shop shows one.

What each guest thought of each of these films is in the data, so that the reward of any choice is real, and none is
guessed; also of the film that the rule would have shown instead. Guests are the visitors of the future under names of
their own: nobody knows them when they come.
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
RULE: Final = "champion"
CANDIDATES: Final = 10
EXPIRE: Final = 2
"""Of the films that were not shown, the oldest ones are gone after each choice. If all of them waited until they are
shown, every film would be in the end, and no choice could earn more than another."""
MOST_PICKS: Final = 60
"""A guest's; a few watched hundreds of films."""


class Pick(NamedTuple):
    """One choice, and what came of it."""

    guest: str
    part: float
    """How far the guest's visits were, in (0, 1)."""
    bundle: int
    liked: bool
    """What the model's arm showed."""
    rule_liked: bool
    """What the rule would have shown of the same films at the same moment."""


class Picks(NamedTuple):
    """What came of some choices."""

    made: list[Pick]
    errors: int


class Guest:
    """What one guest will watch, in the order in which he really did."""

    def __init__(self, name: str, films: Sequence[Rated]) -> None:
        self.name = name
        self._films = list(films)
        self.picks = max(0, min(MOST_PICKS, (len(films) - CANDIDATES) // (EXPIRE + 1)))
        self.made = 0

    @property
    def candidates(self) -> list[Rated]:
        """The films that he is about to watch."""
        return self._films[:CANDIDATES]

    def watch(self, shown: Rated) -> None:
        """He watches one of them, and goes on."""
        self._films.remove(shown)
        del self._films[:EXPIRE]
        self.made += 1


def guests_of(story: Story) -> list[Guest]:
    """Everybody who watched more films than one choice takes."""
    films: dict[str, list[Rated]] = {}
    for rated in story.future:
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
            for guest in _in_turns(lane, until):
                picks = _one(client, guest, picks)
                progress(1)
        return picks

    with ThreadPoolExecutor(len(edges)) as threads:
        lived = list(threads.map(live, edges, lanes))
    return Picks([made for part in lived for made in part.made], sum(part.errors for part in lived))


def _in_turns(guests: Sequence[Guest], until: float) -> list[Guest]:
    """Whose turn it is, one after the other: everybody's visits are spread over the whole time, however many they are.

    If all came in rounds, those who watched little would be through before the end, which is what models are judged on.
    """
    turns = [
        ((number + 0.5) / guest.picks, guest.name, guest)
        for guest in guests
        for number in range(guest.made, guest.picks)
        if (number + 0.5) / guest.picks <= until
    ]
    return [guest for _, _, guest in sorted(turns, key=lambda turn: turn[:2])]


def _one(client: NodeClient, guest: Guest, picks: Picks) -> Picks:
    part, candidates = (guest.made + 0.5) / guest.picks, {rated.item: rated for rated in guest.candidates}
    asked = [{"name": PLACEMENT, "candidates": [{"id": item} for item in candidates]}]
    try:
        by_rule = client.decide(guest.name, asked, force={PLACEMENT: RULE}, dryRun=True)
        answer = client.decide(guest.name, asked)
        shown, instead = (candidates[ItemId(each.placements[PLACEMENT].ids[0])] for each in (answer, by_rule))
        told = {"decisionId": answer.decision_id, "placement": PLACEMENT, "itemId": shown.item}
        properties = {"product_id": shown.item, "rating": shown.rating, **told}
        guest.watch(shown)
        client.track({**review(shown), "anonymousId": guest.name, "properties": properties})
    except UnavailableError:
        guest.watch(guest.candidates[0])  # he does not wait
        return Picks(picks.made, picks.errors + 1)
    if answer.placements[PLACEMENT].policy != RULE:  # a tenth of the guests sees the rule's choices
        liked = shown.rating >= LIKED, instead.rating >= LIKED
        picks.made.append(Pick(guest.name, part, answer.bundle.version, *liked))
    return picks
