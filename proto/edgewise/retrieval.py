"""Which of those who may compete are scored: at most `limit` of a pool, however large it is.

Items are looked for first and shown to the gate then, a few at a time. That finds what looking at the gate first would
find (a law that the tests hold), without asking it of a hundred thousand items.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewise.bundle.policy import ByNeighbours, BySessions, ByVectors, Everything, Retrieval
from edgewise.candidates import Gate, Pool
from edgewise.eligibility import Mask
from edgewise.features.view import View
from edgewise.nearness import Near, Places
from edgewise.policy import best_first

_SPARE: Final = 50
_GROWTH: Final = 8


def retrieve(pool: Pool, gate: Gate, retrieval: Retrieval, view: View) -> Places:
    """At most `limit` places of those that pass.

    `Everything` keeps the pool's order. `ByNeighbours` takes the best by neighbour score, `BySessions` what visits like
    this one went on to, and `ByVectors` the nearest, as far as they are above 0; all of them then fill up by an
    attribute, and the result has that order.
    """
    limit = retrieval.limit
    if isinstance(retrieval, Everything):
        return _first_passing(pool.everything, gate, limit)
    found = _best_passing(_scored(pool, view, retrieval), gate, limit)
    if len(found) >= limit or gate.is_closed:
        return found
    is_found = np.zeros(len(pool), np.bool_)
    is_found[found] = True
    filling = _first_passing(pool.order(retrieval.fill_attribute), gate, limit, is_found)
    return np.concatenate([found, filling[: limit - len(found)]])


def _scored(pool: Pool, view: View, retrieval: ByNeighbours | BySessions | ByVectors) -> Near:
    match retrieval:
        case ByNeighbours(source=source, last=last):
            # As float32, which halves the time to find the best; what then is equal keeps the order of the pool.
            return Near(
                pool.everything, view.neighbour_sum(last, source).astype(np.float32)[pool.neighbour_codes(source)]
            )
        case BySessions():
            return _heard(pool, view)
        case ByVectors():
            return _near(pool, view, retrieval)


def _heard(pool: Pool, view: View) -> Near:
    """In the order of the sessions: among equals, what was touched most recently comes first."""
    heard = view.heard()
    places = pool.place_of_session[heard.codes]
    is_here = places >= 0
    return Near(places[is_here], heard.scores[is_here])


def _near(pool: Pool, view: View, retrieval: ByVectors) -> Near:
    taste, vectors = None, pool.vectors_of(retrieval.source)
    if vectors is not None:
        taste = view.taste(vectors, retrieval.half_life_days, retrieval.last, retrieval.source)
    if taste is None:
        return Near(pool.everything[:0], np.zeros(0, np.float32))
    return pool.nearness(retrieval.source).near(taste)


def _first_passing(order: Places, gate: Gate, most: int, is_left_out: Mask | None = None) -> Places:
    """The first of `order` that pass, without those left out; looks no further than it must."""
    found: list[Places] = []
    count = start = 0
    step = most + min(gate.named, most) + _SPARE
    while count < most and start < len(order):
        chunk = order[start : start + step]
        passing = gate.passing(chunk if is_left_out is None else chunk[~is_left_out[chunk]])
        found.append(passing)
        count += len(passing)
        start, step = start + step, step * _GROWTH
    return np.concatenate(found)[:most] if found else order[:0]


def _best_passing(scored: Near, gate: Gate, most: int) -> Places:
    """The best that pass, best first, as far as they are above 0; earlier ones first among equals."""
    above = (scored.scores > 0).nonzero()[0]
    places, scores = scored.places[above], scored.scores[above]
    found: list[Places] = []
    count = asked = 0
    tried = most + min(gate.named, most) + _SPARE
    while count < most and asked < len(places):
        # Those that were asked before come first again.
        passing = gate.passing(places[best_first(scores, tried)[asked:]])
        found.append(passing)
        count += len(passing)
        asked, tried = tried, tried * _GROWTH
    return np.concatenate(found)[:most] if found else places[:0]
