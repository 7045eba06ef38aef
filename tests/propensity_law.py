"""The law of logged propensities: over many draws, an item is shown as often as was said of it."""

from __future__ import annotations

import math

import numpy as np

from edgewise.policy import NOBODY, Slates


def assert_frequencies_are_the_propensities(drawn: Slates, *, budget: float, settings: int) -> None:
    """Conditional frequencies of every slot's items, given those before, against the one propensity that was logged.

    Hoeffding: P(|frequency - p| > e) <= 2 exp(-2 n e^2). With at most 400 histories in each of `settings`, e =
    sqrt(ln(2 * 400 * settings / 1e-9) / (2 n)) for n conditional draws fails with a probability below 1e-9 in all. The
    budget is checked over all slots that were filled.
    """
    draws, slots = drawn.places.shape
    confidence = math.log(2 * 400 * settings / 1e-9) / 2
    histories, sizes = np.zeros(draws, np.int64), np.array([draws])
    found = 0
    for slot in range(slots):
        codes = histories * 100 + drawn.places[:, slot] + 2
        _, first, number, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        logged = drawn.propensities[first, slot]
        assert (drawn.propensities[:, slot] == logged[number]).all(), "one history, one propensity"
        earlier = sizes[histories[first]]
        is_there = drawn.places[first, slot] != NOBODY
        off = np.abs(counts / earlier - logged) - np.sqrt(confidence / earlier)
        assert (off[is_there] <= 0).all(), drawn.places[first[off > 0], : slot + 1]
        histories, sizes = number, counts
        found += len(counts)
    assert found <= 400
    is_there = drawn.places != NOBODY
    explored = is_there.sum() - drawn.is_greedy.sum(where=is_there)
    assert explored <= budget * is_there.sum() + math.sqrt(confidence * is_there.sum())
