"""How good the pairs and the people are, where the truth is known.

Pairwise: of the pairs that the model says (precision) and of the true pairs (recall). Clustered: the same over all
pairs inside the found clusters, so that a chain of links answers for every pair that it makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec


class Quality(msgspec.Struct, frozen=True):
    """Shares 0 to 1; where nothing was said (or nothing is true) the share is 1, since nothing is wrong."""

    precision: float
    recall: float
    f1: float
    found: int
    """Pairs said to be one person."""
    right: int
    """Of them, those that are."""
    true: int
    """Pairs that are one person."""


def pairwise(pairs: Iterable[tuple[int, int]], truth: Sequence[str | None]) -> Quality:
    """Of pairs of row numbers. A record without a truth belongs to nobody else."""
    found = right = 0
    for left, other in pairs:
        found += 1
        right += truth[left] is not None and truth[left] == truth[other]
    return _quality(found, right, _true_pairs(truth))


def clustered(clusters: Sequence[str], truth: Sequence[str | None]) -> Quality:
    """Of a cluster for each row number."""
    found = _pairs(Counter(clusters).values())
    both = Counter((cluster, real) for cluster, real in zip(clusters, truth, strict=True) if real is not None)
    return _quality(found, _pairs(both.values()), _true_pairs(truth))


def _true_pairs(truth: Sequence[str | None]) -> int:
    return _pairs(Counter(real for real in truth if real is not None).values())


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _quality(found: int, right: int, true: int) -> Quality:
    precision = right / found if found else 1.0
    recall = right / true if true else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Quality(precision, recall, f1, found, right, true)
