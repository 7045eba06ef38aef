"""Decisions, a ledger, the trainer, the next bundle, turn after turn: it learns what is true, and logs it truly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from learning_shop import COLUMNS, ITEM_IDS, Run, Way, run
from learning_world import ITEMS, Stream, stream

from edgewise.bundle.exploration import Exploration, SquareCB, Thompson
from hub.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow
DRIFT = 1_500


def lived(folder: Path, seed: int, exploration: Exploration) -> tuple[Stream, Run]:
    world = stream(seed, decisions=3_000, drifts=(DRIFT,))
    with open_ledger(folder) as ledger:
        return world, run(world, Way(exploration, half_life_days=1.0), ledger)


def test_a_stream_is_drawn_before_anybody_decides() -> None:
    world, again = stream(3), stream(3)
    assert all(np.array_equal(one, other) for one, other in zip(world, again, strict=True))
    # 240,000 potential clicks: their share has a deviation below 0.001.
    assert world.clicked.mean() == pytest.approx(world.chance.mean(), abs=0.004)
    best = world.chance.argmax(axis=1)
    assert world.regret(best).max() == 0
    every = np.mean([world.regret(np.full(len(world), item)).mean() for item in range(ITEMS)])
    assert world.uniform_regret().mean() == pytest.approx(every)


@pytest.mark.parametrize("exploration", [Thompson(scale=0.25), SquareCB(gamma=500.0)])
def test_it_learns_forgets_and_learns_again(tmp_path: Path, exploration: Exploration) -> None:
    shares = []
    for seed in (5, 6, 7):
        world, lived_through = lived(tmp_path / str(seed), seed, exploration)
        by_stretch = world.regret(lived_through.shown).reshape(-1, 500).mean(axis=1)
        shares.append(by_stretch / world.uniform_regret().reshape(-1, 500).mean(axis=1))
    first, _, before, at_drift, _, after = np.mean(shares, axis=0)
    # By how much is the bench's question; here, that it happens: of 500 decisions a share has a deviation of 0.03.
    assert before < 0.5 * first
    assert at_drift > before + 0.2
    assert after < at_drift - 0.1


def test_the_log_is_what_was_decided_and_its_propensities_are_true(tmp_path: Path) -> None:
    world, lived_through = lived(tmp_path, 6, SquareCB(gamma=100.0, floor=0.1))
    logged = lived_through.logged
    kept = len(logged.size)
    shown, propensity = lived_through.shown[:kept], lived_through.propensity[:kept]
    assert kept == 2_750, "all but the last stretch, of which nobody has learned"
    assert logged.names == COLUMNS
    assert [ITEM_IDS.index(item) for item in logged.items] == shown.tolist()
    assert np.array_equal(logged.propensity, propensity)
    assert np.array_equal(logged.label > 0, world.clicked[np.arange(kept), shown])
    # Inverse propensities of what was shown add up to the number of items, whatever was learned on the way.
    weights = 1 / propensity
    deviation = weights.std() / np.sqrt(kept)
    assert abs(weights.mean() - ITEMS) < 4 * deviation
    worth = weights * world.clicked[np.arange(kept), shown] / ITEMS
    assert abs(worth.mean() - world.chance[:kept].mean()) < 4 * worth.std() / np.sqrt(kept)
