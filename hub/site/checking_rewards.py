"""What a placement calls its rewards, and whom the site calls no visitor: what is easily mistyped is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from edgewise.bundle.rewards import RewardDefinition, Worth
from edgewise.errors import Problem
from edgewise.events import KIND_OF, Kind
from hub.rewards.definition import weighs_refunds
from hub.site.documents import Say
from hub.site.reading import Files

_KINDS: Final = tuple(kind.value for kind in Kind if kind not in {Kind.IMPRESSION, Kind.OTHER})
_REVIEWS: Final = frozenset({Kind.REVIEW.value}) | {name for name, kind in KIND_OF.items() if kind is Kind.REVIEW}
_ORDERS: Final = frozenset({Kind.ORDER.value}) | {name for name, kind in KIND_OF.items() if kind is Kind.ORDER}
_SUBJECT: Final = re.compile("[0-9a-f]{32}")


def check_rewards(files: Files) -> list[Problem]:
    """Every placement's rewards, and the site's rules of traffic."""
    problems = [
        problem
        for placement, place in files.placements.values()
        if placement.reward is not None
        for problem in _reward(placement.reward, place.problem)
    ]
    say = files.site_place.problem
    for position, subject in enumerate(files.site.traffic.internal_subjects):
        if not _SUBJECT.fullmatch(subject):
            message = f"{subject!r} is no subject of 32 hex digits; `edgewise profile show ID` tells it"
            problems.append(say(("traffic", "internal_subjects", position), message))
    return problems


def _reward(reward: RewardDefinition, say: Say) -> Iterator[Problem]:
    for said, weight in reward.events.items():
        path = ("reward", "events", said)
        if said in {Kind.IMPRESSION.value, Kind.OTHER.value}:
            yield say(path, f"{said!r} says nothing of what was wanted; name an event, or one of {', '.join(_KINDS)}")
        elif said not in _KINDS and said not in KIND_OF:
            # any other text is an event of the site's own; what is one letter off is none
            near = difflib.get_close_matches(said, [*_KINDS, *KIND_OF], 1, cutoff=0.8)
            if near:
                yield say(path, f"no kind of event {said!r}; did you mean {near[0]!r}?")
        if isinstance(weight, Worth) and weight.at_least is not None and said not in _REVIEWS:
            yield say((*path, "at_least"), f"only reviews have stars, {said!r} has none; leave it out")
    if weighs_refunds(reward) and not _ORDERS & reward.events.keys():
        yield say(("reward", "events"), "a refund takes off the order that it undoes; write what an `order` is worth")
