"""Bernoulli Thompson sampling as a target policy: the one that the Open Bandit Dataset was partly logged with.

Thompson 1933, *On the likelihood that one unknown probability exceeds another*, Biometrika 25; the protocol of
Saito, Aihara, Matsutani, Narita 2021, arXiv 2008.07146.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hub.evaluation.logged import Floats

_BLOCK_DRAWS: Final = 10_000


def thompson_probabilities(
    alpha: Floats, beta: Floats, *, rng: np.random.Generator, positions: int = 3, draws: int = 100_000
) -> Floats:
    """(positions, arms): share of draws in which each arm fills each position.

    A draw takes theta_a ~ Beta(alpha_a, beta_a), all parameters positive and (arms,), for every arm; the arms
    with the largest thetas fill the positions in order. The standard error of a share p is
    sqrt(p (1 - p) / draws).
    """
    arms = len(alpha)
    places = np.arange(positions)
    counts = np.zeros((positions, arms), np.int64)
    for start in range(0, draws, _BLOCK_DRAWS):
        theta = rng.beta(alpha, beta, size=(min(_BLOCK_DRAWS, draws - start), arms))
        best = np.argsort(-theta, axis=1)[:, :positions]
        np.add.at(counts, (places, best), 1)
    return counts / draws


def write_probabilities(path: Path, probabilities: Floats, actions: Sequence[str], *, first_position: int) -> None:
    """Write (positions, arms) as a file for `--policy probabilities:FILE`; positions count from `first_position`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["position", "action", "probability"])
        for position, row in enumerate(probabilities.tolist(), first_position):
            writer.writerows([position, action, repr(p)] for action, p in zip(actions, row, strict=True))
