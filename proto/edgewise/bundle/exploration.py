"""How scores become probabilities: the policies that an arm may choose by (`edgewise.policy` draws from them)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.bundle.share import Share


class Greedy(msgspec.Struct, frozen=True, tag="greedy", tag_field="policy"):
    """Always the best."""


class EpsilonGreedy(msgspec.Struct, frozen=True, tag="epsilon-greedy", tag_field="policy"):
    """The best with probability 1 - epsilon, else any candidate alike (the best among them).

    Its floor is epsilon itself: nobody's probability is below epsilon / K.
    """

    epsilon: Share


class SquareCB(msgspec.Struct, frozen=True, tag="squarecb", tag_field="policy"):
    """Inverse gap weighting (Foster & Rakhlin 2020, arXiv 2002.04926) with an additive probability floor.

    With K candidates: p = 1 / (K + gamma * gap) for all but the best, which takes the rest; then
    p = floor / K + (1 - floor) * p.
    """

    gamma: Annotated[float, Meta(gt=0)]
    floor: Share = 0.0


class Softmax(msgspec.Struct, frozen=True, tag="softmax", tag_field="policy"):
    """The more probable the higher the score: p proportional to exp(score / temperature), with a floor as above.

    The temperature has the units of the scores: a candidate that is worse by one temperature is 2.7 times rarer.
    """

    temperature: Annotated[float, Meta(gt=0)]
    floor: Share = 0.0


class Thompson(msgspec.Struct, frozen=True, tag="thompson", tag_field="policy"):
    """Each candidate with the probability that it is the best of all, by a model that knows its own standard error.

    Thompson (1933) draws one value a candidate and shows the largest; the probability of that choice is computed here
    and drawn from (`edgewise.uncertain`), so that what is logged is what was done. `scale` multiplies every standard
    error: below 1 explores less. A floor as above.
    """

    scale: Annotated[float, Meta(gt=0, le=1_000)] = 1.0
    floor: Share = 0.0


Exploration = Greedy | EpsilonGreedy | SquareCB | Softmax | Thompson
