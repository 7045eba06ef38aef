"""The learning loop in a shop whose tastes drift: its regret against uniform's and against Vowpal Wabbit's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import learning_rival
import learning_shop
import numpy as np
from learning_shop import Way
from learning_world import DECISIONS, DRIFTS, Stream, stream
from numpy.typing import NDArray
from scipy import stats

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.bundle.exploration import Thompson
from hub.ledger.ledger import open_ledger
from hub.train.linear import fit_linear

SEEDS: Final = range(10)
WAY: Final = Way(Thompson(scale=0.25))
PROCESSES: Final = 2
WITHIN: Final = 5_000
"""Decisions after a drift by which it must have recovered; the last thousand of them are measured."""
OUR_SHARE: Final = 0.25
PROTOCOL: Final = (
    f"simulated shop (tests/learning_world.py): 12 items, 6 personas x 3 dayparts x 2 devices, clicks by a logistic "
    f"model with a walk of tastes at every decision and new tastes at decisions {DRIFTS[0]:,} and {DRIFTS[1]:,}; "
    f"{DECISIONS:,} decisions, seeds 0 to 9; situations and every item's potential click are drawn before anybody "
    "decides, the same for all. Regret: chance of the best item's click less that of the shown item's, known to the "
    "bench alone. Ours: decide(), ONNX, ledger and trainer of production, a line of 239 terms with Thompson's "
    f"probabilities (scale 0.25), half-life of 2 days at 500 decisions a day, a new model every {WAY.every} decisions, "
    "the first stretch uniform and counted. VW 9.11: --cb_explore_adf --squarecb -q ua, the same facts, learning at "
    "every decision, the best on these very seeds of four settings that were the best of some ninety on others. "
    "Intervals: Student's t over seeds"
)


class Lived(NamedTuple):
    """One seed, by all."""

    uniform: NDArray[np.float64]
    """(n,): expected regret of showing all alike."""
    ours: NDArray[np.float64]
    """(n,)"""
    theirs: dict[str, NDArray[np.float64]]
    """Settings -> (n,)"""
    fit_s: float
    """Processor time of one fit on all decisions but the last stretch."""


class Interval(NamedTuple):
    """A mean over seeds."""

    mean: float
    low: float
    high: float


def measure(ground: Ground) -> list[Claim]:
    """Ten lives of the shop, two at a time."""
    lived = []
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        for seed, one in enumerate(pool.map(live, SEEDS)):
            ground.terminal.note(f"learning: seed {seed} of {len(SEEDS)}")
            lived.append(one)
    return _claims(lived)


def live(seed: int) -> Lived:
    """One stream, decided by all."""
    world: Stream = stream(seed)
    with tempfile.TemporaryDirectory(prefix="edgewise-learning-") as folder, open_ledger(Path(folder)) as ledger:
        ours = learning_shop.run(world, WAY, ledger)
    lesson = learning_shop.lesson_of(ours.logged, WAY, until_ms=int(ours.logged.time_ms.max()) + 1)
    began_s = time.process_time()
    fit_linear(lesson, WAY.linear)
    fit_s = time.process_time() - began_s
    theirs = {
        settings: world.regret(learning_rival.shown_by_vw(world, settings, seed=seed))
        for settings in learning_rival.SETTINGS
    }
    return Lived(world.uniform_regret(), world.regret(ours.shown), theirs, fit_s)


def _claims(lived: Sequence[Lived]) -> list[Claim]:
    ours = over_seeds([one.ours.mean() / one.uniform.mean() for one in lived])
    by_settings = {
        settings: over_seeds([one.theirs[settings].mean() / one.uniform.mean() for one in lived])
        for settings in learning_rival.SETTINGS
    }
    best = min(by_settings, key=lambda settings: by_settings[settings].mean)
    apart = over_seeds([(one.ours.mean() - one.theirs[best].mean()) / one.uniform.mean() for one in lived])
    common: dict[str, Any] = {"protocol": PROTOCOL}
    claims = [
        Claim(
            what="regret per decision as a share of uniform's, upper end of its interval",
            value=ours.high,
            low=ours.low,
            high=ours.high,
            at_most=OUR_SHARE,
            source="a quarter of uniform's",
            detail={"mean": ours.mean},
            **common,
        ),
        Claim(
            what="regret per decision above that of VW's SquareCB, as a share of uniform's, upper end",
            value=apart.high,
            low=apart.low,
            high=apart.high,
            at_most=0.0,
            source="not above VW's on the same streams",
            detail={
                "mean": apart.mean,
                "VW": best,
                "ours by seed": [_share(one.ours, one.uniform) for one in lived],
                "VW by seed": [_share(one.theirs[best], one.uniform) for one in lived],
            },
            **common,
        ),
    ]
    for drift in DRIFTS:
        window = slice(drift + WITHIN - 1_000, drift + WITHIN)
        after = over_seeds([_share(one.ours, one.uniform, window) for one in lived])
        just = over_seeds([_share(one.ours, one.uniform, slice(drift, drift + 1_000)) for one in lived])
        claims += [
            Claim(
                what=f"share of uniform's regret in decisions 4,000 to 5,000 after the drift at {drift:,}, upper end",
                value=after.high,
                low=after.low,
                high=after.high,
                at_most=OUR_SHARE,
                source="recovered within 5,000 decisions",
                detail={"mean": after.mean},
                **common,
            ),
            Claim(
                what=f"share of uniform's regret in the 1,000 decisions from the drift at {drift:,} on",
                value=just.mean,
                low=just.low,
                high=just.high,
                **common,
            ),
        ]
    claims += [
        Claim(what="mean share of uniform's regret, ours", value=ours.mean, low=ours.low, high=ours.high, **common),
        *(
            Claim(
                what=f"mean share of uniform's regret, VW {settings}", value=of.mean, low=of.low, high=of.high, **common
            )
            for settings, of in by_settings.items()
        ),
        Claim(
            what="seconds of processor time to fit the line on 19,750 decisions, the slowest of ten",
            value=max(one.fit_s for one in lived),
            at_most=1.0,
            source="the loop may fit it every few minutes",
            **common,
        ),
    ]
    return claims


def over_seeds(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval by Student's t."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def _share(regret: NDArray[np.float64], uniform: NDArray[np.float64], window: slice = slice(None)) -> float:
    return float(regret[window].mean() / uniform[window].mean())
